//! Every system call that the preloaded library makes fails in turn, once: by
//! ptrace(2), which sees whose call it is by its instruction's address. The
//! program under it must go to its end all the same, with its memory right.
//!
//! What the heap itself does when memory is refused, call by call, is
//! `heap::failure_tests`'; here are also start, threads, reports, the leak
//! check, and the end.

mod tracer;

use heapwarden::harness::told;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tracer::{End, Failing, Seen, run};

fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The library under test, as `make` leaves it.
fn library() -> PathBuf {
    let folder = std::env::var_os("HEAPWARDEN_LIB_DIR").map(PathBuf::from);
    let library = folder.unwrap_or_else(|| target().join("release")).join("libheapwarden.so");
    assert!(library.is_file(), "{} is missing: run make first", library.display());
    library.canonicalize().expect("it is there")
}

fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("failing_calls");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-g", "-pthread", "tests/failing_calls/program.c", "-o"]);
        let status = compiler.arg(&program).status().expect("cc runs");
        assert!(status.success());
        program
    };
    PROGRAM.get_or_init(build).clone()
}

/// The program under the library, of whose calls one fails; `None` and a line
/// where ptrace is not allowed.
fn whole(failing: Failing) -> Option<(impl Fn(u64) -> Seen, Seen)> {
    let (program, library) = (program(), library());
    let go = move |nth| {
        let mut command = Command::new(&program);
        let options = "halt_on_error=0:exitcode=23";
        command.env("LD_PRELOAD", &library).env("HEAPWARDEN_OPTIONS", options);
        run(command, failing, nth)
    };
    match go(0) {
        Ok(whole) => Some((move |nth| go(nth).expect("as before"), whole)),
        Err(error) => {
            let is_forbidden = matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS));
            assert!(is_forbidden, "{error}");
            told("system calls of the library", &format!("SKIPPED: no ptrace: {error}"));
            None
        }
    }
}

fn tells_all(seen: &Seen) -> bool {
    let lines = ["heap-buffer-overflow", "Direct leak of 123 byte(s)", "done\n"];
    seen.end == End::Exited(23) && lines.iter().all(|line| seen.output.contains(line))
}

#[test]
fn every_system_call_of_the_library_may_fail_once() {
    let Some((go, seen)) = whole(tracer::refused) else { return };
    assert!(tells_all(&seen), "{seen:?}");
    assert!(seen.calls > 30, "{seen:?}");
    let (mut failed, mut unchecked, mut silent) = (0, 0, 0);
    for nth in 1.. {
        let seen = go(nth);
        let Some(call) = &seen.failed else { break };
        // Findings, or a leak check that could not be made and nothing found.
        let is_documented = matches!(seen.end, End::Exited(23 | 24));
        assert!(is_documented && seen.output.contains("done\n"), "{nth}, {call}: {seen:?}");
        let is_crime_told = seen.output.contains("heap-buffer-overflow");
        silent += u32::from(!is_crime_told);
        unchecked += u32::from(is_crime_told && !tells_all(&seen));
        failed += 1;
    }
    assert!(failed > 30, "{failed}");
    let lost = format!("{unchecked} of them cost the leak report, {silent} the crime's");
    told("the preloaded library", &format!("{failed} system calls failed in turn, {lost}"));
}

/// As by a signal handler of the program without SA_RESTART: nothing is lost.
#[test]
fn every_call_that_a_signal_may_interrupt_is_made_again() {
    let Some((go, seen)) = whole(tracer::interrupted) else { return };
    assert!(tells_all(&seen), "{seen:?}");
    let mut failed = 0;
    for nth in 1.. {
        let seen = go(nth);
        let Some(call) = &seen.failed else { break };
        assert!(tells_all(&seen), "{nth}, {call}: {seen:?}");
        failed += 1;
    }
    assert!(failed > 5, "{failed}");
    let figures = format!("{failed} system calls failed in turn, by EINTR: nothing lost");
    told("the preloaded library", &figures);
}
