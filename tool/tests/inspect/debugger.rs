//! The gdb commands, on a process and on a core, in gdb's batch mode.

use crate::subject::{Program, Subject};
use std::path::Path;
use std::process::Command;

fn gdb(program: &Program, target: &[&str], commands: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("gdb/heapwarden.py");
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-q", "-batch", "-iex", "set debuginfod enabled off"]);
    gdb.arg("-ex").arg(format!("source {}", script.display()));
    gdb.arg("-ex").arg(format!("set heapwarden-command {}", env!("CARGO_BIN_EXE_heapwarden")));
    for command in commands {
        gdb.args(["-ex", command]);
    }
    gdb.arg(&program.path).args(target);
    let output = gdb.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text + &String::from_utf8_lossy(&output.stderr)
}

const COMMANDS: [&str; 5] = [
    "heapwarden block list",
    "heapwarden block gone + 3",
    "heapwarden stats",
    "heapwarden leaks",
    "heapwarden block no_such_name",
];

fn assert_answers(text: &str) {
    for wanted in [
        "the start of a live block of 48 bytes",
        "3 bytes into a freed block",
        "333 bytes         3",
        "definitely lost",
        "heap-buffer-overflow",
        "No symbol \"no_such_name\"",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in {text}");
    }
    assert!(!text.contains("Python Exception"), "{text}");
}

fn start(program: &Program) -> Subject {
    program.start("crime", "")
}

#[test]
fn a_live_process_answers_in_gdb() {
    let program = Program::compile("crimes.c");
    let subject = start(&program);
    assert_answers(&gdb(&program, &["-p", &subject.pid()], &COMMANDS));
}

#[test]
fn a_core_answers_in_gdb() {
    let program = Program::compile("crimes.c");
    let subject = start(&program);
    let core = program.gcore(&subject);
    drop(subject);
    assert_answers(&gdb(&program, &["-core", core.to_str().unwrap()], &COMMANDS));
}

#[test]
fn without_a_process_or_a_command_gdb_says_so() {
    let program = Program::compile("crimes.c");
    let text = gdb(&program, &[], &["heapwarden stats"]);
    assert!(text.contains("neither a process nor a core"), "{text}");
    let subject = start(&program);
    let commands = ["set heapwarden-command /no/such/heapwarden", "heapwarden stats"];
    let text = gdb(&program, &["-p", &subject.pid()], &commands);
    assert!(text.contains("the command cannot be run"), "{text}");
}
