//! `heapwarden run`: the environment it sets, and that the program stays
//! itself. Any shared library serves here; the real one is tested elsewhere.

mod common;

use common::{complaint_of, heapwarden, stdout_of};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

/// A library that can be preloaded without effect.
const HARMLESS: &str = "/lib/x86_64-linux-gnu/libm.so.6";

#[test]
fn preload_and_options_are_appended_to_what_is_there() {
    let mut run = heapwarden();
    run.env("HEAPWARDEN_LIB", HARMLESS).env("LD_PRELOAD", "libdl.so.2");
    run.env("HEAPWARDEN_OPTIONS", "exitcode=1");
    run.args(["run", "--exitcode", "5", "--", "env"]);
    let text = stdout_of(&mut run);
    let library = fs::canonicalize(HARMLESS).unwrap();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert_eq!(value("LD_PRELOAD="), format!("libdl.so.2:{}", library.display()));
    assert_eq!(value("HEAPWARDEN_OPTIONS="), "exitcode=1:exitcode=5");
}

#[test]
fn exit_codes_signals_and_arguments_are_the_programs_own() {
    for more in [&[][..], &["--report", "json=/dev/null"]] {
        let run = |script: &str| {
            let mut run = heapwarden();
            run.env("HEAPWARDEN_LIB", HARMLESS).arg("run").args(more);
            run.args(["--", "sh", "-c", script, "name", "--exitcode", "9"]);
            run.stderr(Stdio::null()).output().unwrap()
        };
        assert_eq!(run("exit 42").status.code(), Some(42));
        assert_eq!(run("kill -TERM $$").status.signal(), Some(15));
        assert_eq!(run("echo \"$@\"").stdout, b"--exitcode 9\n");
        assert_eq!(run("true").status.code(), Some(0));
    }
}

#[test]
fn a_signal_for_the_command_reaches_the_program() {
    let mut run = heapwarden();
    run.env("HEAPWARDEN_LIB", HARMLESS).args(["run", "--report", "json=/dev/null", "--"]);
    run.args(["sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"]);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let sent = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

#[test]
fn what_cannot_be_watched_is_refused_with_a_reason() {
    let refused = |library: &str, program: &str| {
        let mut run = heapwarden();
        run.env("HEAPWARDEN_LIB", library).args(["run", "--", program]);
        let code = run.output().unwrap().status.code();
        (code, complaint_of(&mut run))
    };
    let (code, text) = refused(HARMLESS, "no-such-program");
    assert_eq!(
        (code, text.as_str()),
        (Some(127), "heapwarden: no-such-program: no such program\n")
    );
    let (code, text) = refused("/no/such/library.so", "true");
    assert!(code == Some(24) && text.contains("HEAPWARDEN_LIB=/no/such/library.so"), "{text}");
    let program = common::compile("int main(void) { return 0; }", &["-static"]);
    let (code, text) = refused(HARMLESS, &program.program.to_string_lossy());
    assert!(code == Some(24) && text.contains("statically linked"), "{text}");
    assert_eq!(text.lines().count(), 1);
}
