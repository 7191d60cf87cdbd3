//! The command's verdicts, on processes in all sorts of states.

use super::server::{Link, Server, built, check, folder, words};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

const ANY_LEAK: &str = "leak of 1337 byte(s) in 1 object(s) allocated from:";
const LEAK: &str = "Direct leak of 1337 byte(s) in 1 object(s) allocated from:";

/// Starts a server with a log of its own, checks it twice, and gives the codes
/// and what the checks printed.
fn checked(link: Link, states: &[&str]) -> [(Option<i32>, String); 2] {
    let log = folder().join(format!("log-{link:?}-{}", states.concat()));
    let options = format!("log_path={}", log.display());
    let mut server = Server::start(link, states, &options, Stdio::null());
    let results = [(); 2].map(|()| {
        let output = check(server.process, &[]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &words(&output);
        (output.status.code(), text)
    });
    assert!(server.is_alive(), "{link:?} {states:?}");
    results
}

#[test]
fn a_leak_is_told_and_a_twin_without_is_clean_whatever_the_process_does() {
    for state in ["wait", "join", "work", "handler", "reset", "fork", "single"] {
        for (keeps, code) in [("lose", 23), ("keep", 0)] {
            for (status, report) in checked(Link::Preloaded, &[state, keeps]) {
                assert_eq!(status, Some(code), "{state} {keeps}: {report}");
                // Each check prints its own report, once. A thread at work may
                // hold a stale address inside the block in a register: then it
                // is possibly lost, and told all the same.
                let told = report.matches(ANY_LEAK).count();
                assert_eq!(told, usize::from(code == 23), "{report}");
                let last = if code == 23 { "still reachable" } else { "no leaks in process" };
                assert!(report.contains(last), "{state} {keeps}: {report}");
            }
        }
    }
}

#[test]
fn programs_that_are_linked_with_the_library_are_checked_as_well() {
    for link in [Link::Static, Link::FullStatic] {
        for (state, keeps, code) in [("wait", "lose", 23), ("join", "keep", 0)] {
            for (status, report) in checked(link, &[state, keeps]) {
                assert_eq!(status, Some(code), "{link:?} {state} {keeps}: {report}");
            }
        }
    }
}

#[test]
fn the_command_says_where_the_report_is() {
    // Standard error is a file: what this check wrote there is printed.
    let path = folder().join("stderr");
    fs::write(&path, "what was there before\n").unwrap();
    let file = File::options().append(true).open(&path).unwrap();
    let server = Server::start(Link::Preloaded, &["wait"], "", file.into());
    let output = check(server.process, &[]);
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(report.contains(LEAK) && !report.contains("before"), "{report}");
    assert!(words(&output).contains(&format!("this report is in {}", path.display())));
    drop(server);
    // A pipe: only its name can be told, and the report is in it.
    let server = Server::start(Link::Preloaded, &["wait"], "", Stdio::piped());
    let output = check(server.process, &[]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(23), 0));
    assert!(words(&output).contains("went to its standard error (pipe:["), "{}", words(&output));
    assert!(server.errors().contains(LEAK));
    // Only the code.
    let server = Server::start(Link::Preloaded, &["wait"], "", Stdio::null());
    let output = check(server.process, &["--quiet"]);
    assert_eq!((output.status.code(), words(&output).as_str()), (Some(23), ""));
}

#[test]
fn what_cannot_be_checked_is_refused_in_one_line_and_goes_on() {
    let refused = |process: i32, more: &[&str], reason: &str| {
        let output = check(process, more);
        assert_eq!(output.status.code(), Some(24), "{reason}");
        let text = words(&output);
        assert!(text.contains(reason) && text.lines().count() == 1, "{reason}: {text}");
    };
    refused(i32::MAX - 7, &[], "there is no process");
    let mut server = Server::start(Link::None, &["handler"], "", Stdio::null());
    refused(server.process, &[], "does not run under heapwarden");
    // The program's own handlers would have ended it.
    assert!(server.is_alive());
    let mut server = Server::start(Link::Preloaded, &["wait"], "", Stdio::null());
    server.signal(libc::SIGSTOP);
    let output = check(server.process, &["--timeout", "1"]);
    assert_eq!(output.status.code(), Some(23), "{}", words(&output));
    assert!(words(&output).contains("is stopped"), "{}", words(&output));
    server.signal(libc::SIGCONT);
    assert_eq!(check(server.process, &["--quiet"]).status.code(), Some(23));
    server.signal(libc::SIGKILL);
    // A zombie until somebody waits for it.
    while fs::read_to_string(format!("/proc/{}/status", server.process))
        .is_ok_and(|status| !status.contains("State:\tZ"))
    {
        std::thread::yield_now();
    }
    refused(server.process, &[], "has ended");
    assert!(!server.is_alive());
}

#[test]
fn who_cannot_answer_is_looked_at_from_outside() {
    for (keeps, code) in [("lose", 23), ("keep", 0)] {
        let server = Server::start(Link::Preloaded, &["mask", keeps], "", Stdio::null());
        let output = check(server.process, &["--timeout", "1"]);
        assert!(words(&output).contains("all threads of process"), "{}", words(&output));
        assert_eq!(output.status.code(), Some(code), "{keeps}: {}", words(&output));
    }
}

#[test]
fn a_stranger_may_not_ask() {
    // SAFETY: getuid(2) only tells.
    if unsafe { libc::getuid() } != 0 {
        return;
    }
    let server = Server::start(Link::Preloaded, &["wait"], "", Stdio::null());
    // Where a stranger can run it.
    let program = std::env::temp_dir().join(format!("heapwarden-{}", std::process::id()));
    fs::copy(built("heapwarden"), &program).unwrap();
    let mut command = std::process::Command::new(&program);
    command.args(["check", &server.process.to_string()]).uid(65534).gid(65534);
    let output = command.output().unwrap();
    fs::remove_file(&program).unwrap();
    assert_eq!(output.status.code(), Some(24));
    assert!(words(&output).contains("may not be looked at"), "{}", words(&output));
}
