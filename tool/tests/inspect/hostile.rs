//! Cores that are cut off, empty, foreign, damaged or made to hurt: a clear
//! message and exit code 24, or as much as is left; never a crash.

use crate::subject::{Program, answer, ask};
use std::fs;
use std::path::PathBuf;

struct Sample {
    program: Program,
    core: PathBuf,
    bytes: Vec<u8>,
}

fn sample() -> Sample {
    let program = Program::compile("crimes.c");
    let subject = program.start("crime", "");
    let core = program.gcore(&subject);
    let bytes = fs::read(&core).unwrap();
    Sample { program, core, bytes }
}

impl Sample {
    fn check(&self, name: &str, bytes: &[u8], code: i32) -> String {
        let path = self.program.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        answer(
            code,
            &["check", "--core", path.to_str().unwrap(), self.program.path.to_str().unwrap()],
        )
    }
}

#[test]
fn files_that_are_no_cores_are_refused_with_the_reason() {
    let sample = sample();
    assert!(sample.check("empty", b"", 24).contains("the file is empty"));
    assert!(sample.check("text", b"hello, this is no core\n", 24).contains("not a core file"));
    assert!(sample.check("head", &sample.bytes[..100], 24).contains("cut off"));
    let program = sample.program.path.to_str().unwrap();
    assert!(answer(24, &["check", "--core", program]).contains("a program or library"));
    assert!(answer(24, &["check", "--core", "/nonexistent/core"]).contains("cannot read"));
    assert!(answer(24, &["check", "--core", "/tmp"]).contains("not a file"));
    let core = sample.core.to_str().unwrap();
    assert!(
        answer(24, &["check", "--core", core, "/bin/sh"]).contains("the core is not of /bin/sh")
    );
    assert!(answer(24, &["check", "--core", core, "/no/such"]).contains("no such program"));
}

#[test]
fn a_core_of_a_program_without_heapwarden_says_so() {
    let program = Program::compile("crimes.c");
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let prefix = program.directory.path().join("foreign");
    let gcore = std::process::Command::new("gcore")
        .arg("-o")
        .arg(&prefix)
        .arg(child.id().to_string())
        .output();
    assert!(gcore.unwrap().status.success());
    child.kill().unwrap();
    child.wait().unwrap();
    let core = format!("{}.{}", prefix.display(), child.id());
    assert!(answer(24, &["check", "--core", &core]).contains("heapwarden is not in this process"));
}

#[test]
fn a_core_without_the_memory_says_so() {
    let program = Program::compile("crimes.c");
    let subject = program.start("", "");
    // Only the ELF headers of mapped files (core(5)).
    fs::write(format!("/proc/{}/coredump_filter", subject.pid()), "0x10").unwrap();
    let core = program.gcore(&subject);
    let text = answer(24, &["check", "--core", core.to_str().unwrap()]);
    assert!(text.contains("coredump_filter"), "{text}");
}

#[test]
fn a_ledger_of_another_version_is_refused() {
    let mut sample = sample();
    let magic = sample.bytes.windows(8).rposition(|window| window == b"hwledger").unwrap();
    sample.bytes[magic + 8] ^= 0x40;
    let text = sample.check("other-version", &sample.bytes, 24);
    assert!(text.contains("another ledger"), "{text}");
}

#[test]
fn cut_off_at_any_place_it_says_so() {
    let sample = sample();
    for part in 1..16 {
        let length = sample.bytes.len() * part / 16;
        let path = sample.program.directory.path().join("cut-off");
        fs::write(&path, &sample.bytes[..length]).unwrap();
        let output = ask(&["check", "--core", path.to_str().unwrap()]);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(23 | 24)), "{part}: {output:?}");
        assert!(complaint.contains("cut off"), "{part}: {complaint}");
    }
}

#[test]
fn damaged_at_many_places_it_never_crashes() {
    let mut sample = sample();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let clean = sample.bytes.clone();
    for round in 0..40 {
        sample.bytes.copy_from_slice(&clean);
        // Headers and notes most of all; then words that are not zero anywhere.
        for _ in 0..1 + round {
            let at = match random(2) {
                0 => random(16 << 10),
                _ => random(clean.len()),
            };
            sample.bytes[at] = random(256) as u8;
        }
        // Each word of the root in turn.
        if round >= 20 {
            let root = clean.windows(8).rposition(|window| window == b"hwledger").unwrap();
            let at = root + 24 + (round - 20) * 16;
            sample.bytes[at..at + 8].copy_from_slice(&(random(usize::MAX) as u64).to_le_bytes());
        }
        let path = sample.program.directory.path().join("damaged");
        fs::write(&path, &sample.bytes).unwrap();
        let output = ask(&["check", "--core", path.to_str().unwrap()]);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 23 | 24)), "round {round}: {output:?}");
    }
}
