//! Failing on purpose, by the functions and by `heapwarden sweep`.

use crate::support::{Run, built, compile, folder};
use std::fs;
use std::process::Command;

fn api(what: &str) {
    let folder = folder(&format!("api-{what}"));
    let program = compile("tests/exhaustion/api.c", &folder);
    let run = Run { program: &program, arguments: &[what], options: "", before: "" };
    let outcome = run.go(&folder);
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_handler_frees_memory_and_the_allocation_is_tried_again() {
    api("handler");
}

#[test]
fn only_the_chosen_function_fails() {
    api("site");
}

#[test]
fn each_rule_holds_in_a_program() {
    api("plan");
}

/// Sweeps an example and returns what was said.
fn sweep(source: &str, arguments: &[&str]) -> (i32, String) {
    let folder = folder(&format!("sweep-{}", source.replace('/', "-")));
    let program = compile(source, &folder);
    let output = Command::new(built("heapwarden"))
        .args(["sweep", "--timeout", "30", "--"])
        .arg(program)
        .args(arguments)
        .env("HEAPWARDEN_LIB", built("libheapwarden.so"))
        .output()
        .unwrap();
    fs::remove_dir_all(folder).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap_or(-1), text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn sweep_finds_the_unchecked_malloc() {
    let (code, text) = sweep("examples/sweep_unchecked.c", &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("crash: the program died of SIGSEGV"), "{text}");
    assert!(text.contains("fail_nth=2 -- "), "the command that repeats it: {text}");
    assert!(text.contains("sweep_unchecked.c:23"), "{text}");
}

#[test]
fn sweep_finds_the_leak_on_the_error_path() {
    let (code, text) = sweep("examples/sweep_leak.c", &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("1. leak:") && !text.contains("2. "), "{text}");
    assert!(text.contains("400 byte(s) leaked"), "{text}");
}

#[test]
fn sweep_finds_the_half_built_struct_that_is_freed() {
    let (code, text) = sweep("examples/sweep_half_built.c", &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("misuse of the heap: bad-free"), "{text}");
    assert!(text.contains("#0 release"), "{text}");
}

#[test]
fn sweep_has_nothing_to_say_about_a_careful_program() {
    let (code, text) = sweep("tests/exhaustion/careful.c", &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("0 finding(s)"), "{text}");
}
