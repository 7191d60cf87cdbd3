//! t0, "test the test setup": before any verdict of the suite counts, the
//! harness must see an abort, and must see as failures a missing report, a
//! record nobody expected, a wrong number and a hang. Needs no library.

use crate::GROUPS;
use crate::build;
use crate::expectation::{Ending, Expectation};
use crate::header::{Link, Program};
use crate::judge::judge;
use crate::run::{Outcome, run};
use crate::suite::files_of;
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Runs `c_tests/harness/<name>.c` without the library.
fn outcome_of(name: &str) -> (Program, Outcome) {
    let path = build::manifest_dir().join("c_tests/harness").join(format!("{name}.c"));
    let program = Program::read(&path).expect("the header is sound");
    let executable = build::build(&program, Link::None).expect("the program builds");
    let outcome = run(&program, &program.cases[0], Link::None, &executable, &[]).expect("it runs");
    (program, outcome)
}

/// A program header and an outcome made by hand, to judge the judge.
fn verdict(expect: &[&str], wait_status: i32, records: Vec<Value>) -> Vec<String> {
    let path = build::manifest_dir().join("c_tests/harness/exits.c");
    let program = Program::read(&path).expect("the header is sound");
    let mut case = program.cases[0].clone();
    case.expectation = Expectation::default();
    for clause in expect {
        case.expectation.add(clause, "").expect("a sound clause");
    }
    let outcome = Outcome {
        pid: 7,
        status: Some(ExitStatus::from_raw(wait_status)),
        stdout: String::new(),
        stderr: String::new(),
        records,
        broken_lines: Vec::new(),
    };
    judge(&program, &case, &outcome)
}

fn record(mut fields: Value) -> Value {
    for (key, value) in
        [("v", json!(1)), ("pid", json!(7)), ("time", json!("2026-01-01T00:00:00Z"))]
    {
        fields[key] = value;
    }
    fields
}

fn summary(definite_blocks: u64, definite_bytes: u64) -> Value {
    let none = json!({"blocks": 0, "bytes": 0});
    record(
        json!({"type": "summary", "definite": {"blocks": definite_blocks, "bytes": definite_bytes},
        "indirect": none, "possible": none, "reachable": none, "errors": 0, "suppressed": 0}),
    )
}

fn leak(blocks: u64, bytes: u64, function: &str) -> Value {
    record(json!({"type": "leak", "kind": "definite", "blocks": blocks, "bytes": bytes,
        "stack": [{"function": function}], "thread": 1, "first": {}}))
}

const EXIT_0: i32 = 0;
const EXIT_23: i32 = 23 << 8;

#[test]
fn t0_an_abort_is_seen() {
    let (program, outcome) = outcome_of("aborts");
    assert_eq!(outcome.status.and_then(|s| s.signal()), Some(libc::SIGABRT));
    assert_eq!(program.cases[0].expectation.ending(), Ending::Signal(libc::SIGABRT));
    assert!(judge(&program, &program.cases[0], &outcome).is_empty());
}

#[test]
fn t0_an_exit_instead_of_an_abort_is_a_failure() {
    let faults = verdict(&["abort double-free"], EXIT_0, vec![]);
    assert!(faults.iter().any(|f| f.contains("expected signal 6, came exit 0")), "{faults:?}");
}

#[test]
fn t0_a_missing_report_is_a_failure() {
    let (program, outcome) = outcome_of("exits");
    let faults = judge(&program, &program.cases[0], &outcome);
    assert!(faults.iter().any(|f| f.contains("expected one summary")), "{faults:?}");
}

#[test]
fn t0_a_hang_is_seen_and_killed() {
    let (_, outcome) = outcome_of("hangs");
    assert!(outcome.status.is_none());
}

#[test]
fn t0_the_right_report_passes() {
    let expect = ["leak definite 1 blocks 32 bytes frame 0 lose_it"];
    assert!(verdict(&expect, EXIT_23, vec![leak(1, 32, "lose_it"), summary(1, 32)]).is_empty());
    assert!(verdict(&["silent"], EXIT_0, vec![summary(0, 0)]).is_empty());
}

#[test]
fn t0_a_wrong_report_fails() {
    let expect = ["leak definite 1 blocks 32 bytes frame 0 lose_it"];
    let wrong: [(&str, Vec<Value>); 5] = [
        ("bytes is 33", vec![leak(1, 33, "lose_it"), summary(1, 33)]),
        ("stack[0] is", vec![leak(1, 32, "other"), summary(1, 32)]),
        ("no such record", vec![summary(0, 0)]),
        ("unexpected: leak", vec![leak(1, 32, "lose_it"), leak(1, 32, "lose_it"), summary(2, 64)]),
        ("summary says", vec![leak(1, 32, "lose_it"), summary(2, 32)]),
    ];
    for (fault, records) in wrong {
        let faults = verdict(&expect, EXIT_23, records);
        assert!(faults.iter().any(|f| f.contains(fault)), "{fault}: {faults:?}");
    }
    let faults = verdict(&["silent"], EXIT_23, vec![leak(1, 32, "lose_it"), summary(1, 32)]);
    assert!(faults.iter().any(|f| f.contains("unexpected: leak")), "{faults:?}");
}

#[test]
fn t0_every_header_is_sound_and_every_crime_has_its_twin() {
    let mut faults = Vec::new();
    for group in GROUPS {
        for file in files_of(group) {
            match Program::read(&file) {
                Err(fault) => faults.push(fault),
                Ok(program) if program.crime && !program.has_silent_case() => match &program.twin {
                    None => {
                        faults.push(format!("{}: a crime without an innocent twin", file.display()))
                    }
                    Some(twin)
                        if !["c", "cc"]
                            .iter()
                            .any(|e| file.with_file_name(format!("{twin}.{e}")).is_file()) =>
                    {
                        faults.push(format!("{}: its twin {twin} does not exist", file.display()));
                    }
                    Some(_) => {}
                },
                Ok(_) => {}
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
