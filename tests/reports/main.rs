//! Reports of real programs under the built library: every record obeys the
//! schema, names are right, and whatever happens to the place where a report
//! goes, the program stays itself.
//!
//! Needs `make` first (`HEAPWARDEN_LIB_DIR`: where `libheapwarden.so` lies).

#[path = "../common/built.rs"]
mod built;
mod program;

use program::Program;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::process::Stdio;
use std::time::Instant;

/// Line 1 is empty.
const LEAKS: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct person { char *name; struct person *next; };
static void *volatile sink;
static struct person *make(const char *name) {
    struct person *made = malloc(sizeof *made); /* line 8 */
    made->name = strdup(name);
    made->next = NULL;
    return made;
}
int main(int argc, char **argv) {
    sink = make(argc > 1 ? argv[1] : "Ada");
    sink = malloc(100); /* line 15 */
    sink = NULL;
    puts("done");
    return 0;
}
"#;

/// Line 1 is empty.
const CRIMES: &str = r#"
#include <stdint.h>
#include <stdlib.h>
static void *volatile sink;
static volatile size_t huge = SIZE_MAX, minus = (size_t)-8;
int main(void) {
    char *volatile block = malloc(10);
    block[10] = 1;
    free(block); /* line 9 */
    block = malloc(16);
    free(block); /* line 11 */
    free(block); /* line 12 */
    free((void *)&block); /* line 13 */
    sink = calloc(huge, 8);
    sink = malloc(minus);
    sink = aligned_alloc(3, 8);
    return 0;
}
"#;

#[test]
fn every_record_of_real_programs_obeys_the_schema() {
    let schema: Value =
        serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut types = Vec::new();
    for source in [LEAKS, CRIMES] {
        let program = Program::compile(source);
        let options = "format=json:halt_on_error=0:show_leak_kinds=all";
        for record in program.run(options).records() {
            let errors: Vec<_> = validator.iter_errors(&record).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}\n{record}");
            let kind = record["kind"].as_str().unwrap_or_default();
            types.push(format!("{}/{kind}", record["type"].as_str().unwrap()));
        }
    }
    for expected in [
        "leak/definite",
        "leak/indirect",
        "error/heap-buffer-overflow",
        "error/double-free",
        "error/bad-free",
        "warning/calloc-overflow",
        "warning/allocation-size-too-big",
        "warning/invalid-alignment",
        "summary/",
    ] {
        assert!(types.iter().any(|seen| seen == expected), "no {expected} in {types:?}");
    }
}

#[test]
fn leaks_name_function_file_and_line_and_the_wrapper_above() {
    let program = Program::compile(LEAKS);
    let outcome = program.run("format=json");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(23), "done\n"));
    let records = outcome.records();
    let with_bytes = |bytes: u64| {
        records.iter().find(|r| r["type"] == "leak" && r["bytes"] == bytes).expect("the leak")
    };
    let lost = with_bytes(100);
    assert_eq!((&lost["kind"], &lost["blocks"]), (&"definite".into(), &1.into()));
    assert_eq!(
        (&lost["stack"][0]["function"], &lost["stack"][0]["line"]),
        (&"main".into(), &15.into())
    );
    assert_eq!(lost["stack"][0]["file"].as_str().unwrap(), program.source.to_string_lossy());
    let person = with_bytes(16);
    assert_eq!(
        (&person["stack"][0]["function"], &person["stack"][0]["line"]),
        (&"make".into(), &8.into())
    );
    assert_eq!(person["stack"][1]["function"], "main");
    let name = with_bytes(4);
    assert_eq!(
        (&name["kind"], &name["stack"][1]["function"]),
        (&"indirect".into(), &"make".into())
    );
    assert_eq!(name["parent"]["size"], 16);
}

#[test]
fn misuse_names_who_allocated_who_freed_and_who_did_it() {
    let outcome = Program::compile(CRIMES).run("format=json:halt_on_error=0");
    let records = outcome.records();
    let error = |kind: &str| records.iter().find(|r| r["kind"] == kind).expect("the error");
    let overflow = error("heap-buffer-overflow");
    assert_eq!(overflow["stack"][0]["line"], 9);
    assert_eq!(
        (&overflow["block"]["size"], &overflow["block"]["offset"]),
        (&10.into(), &10.into())
    );
    let twice = error("double-free");
    assert_eq!(twice["stack"][0]["line"], 12);
    assert_eq!(twice["block"]["freed"]["stack"][0]["line"], 11);
    assert_eq!(twice["block"]["allocated"]["stack"][0]["line"], 10);
    assert_eq!(error("bad-free")["stack"][0]["line"], 13);
}

#[test]
fn suppressed_leaks_leave_the_programs_own_exit_code() {
    let program = Program::compile(LEAKS);
    let rules = program.file("rules.txt", "leak:^main$\n");
    let outcome = program.run(&format!("suppressions={}", rules.display()));
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("by: ^main$"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("Direct leak"));
    let rules = program.file("rules.txt", "leak:no_such_function\n");
    assert_eq!(
        program.run(&format!("suppressions={}", rules.display())).code,
        Some(23),
        "the twin"
    );
}

#[test]
fn without_debug_information_the_place_is_still_there() {
    let program = Program::compile(LEAKS);
    program.strip();
    let records = program.run("format=json").records();
    let lost = records.iter().find(|record| record["bytes"] == 100).unwrap();
    let frame = &lost["stack"][0];
    assert_eq!(frame.get("line"), None);
    assert_eq!(frame["module"].as_str().unwrap(), program.program.to_string_lossy());
    assert!(frame["offset"].as_str().unwrap().starts_with("0x"));
    let unnamed = program.run("symbolize=0");
    assert!(unnamed.stderr.contains("Direct leak of 100 byte(s) in 1 object(s)"));
    assert!(!unnamed.stderr.contains(" in main "));
}

#[test]
fn three_hundred_sites_are_all_named() {
    let functions: String = (1..=300)
        .map(|n| format!("static void site{n}(void) {{ sink = malloc({n}); }}\n"))
        .collect();
    let calls: String = (1..=300).map(|n| format!("site{n}(); ")).collect();
    let source = format!(
        "#include <stdlib.h>\nstatic void *volatile sink;\n{functions}\
         int main(void) {{ {calls} sink = NULL; return 0; }}\n"
    );
    let program = Program::compile(&source);
    let started = Instant::now();
    let records = program.run("format=json").records();
    let taken = started.elapsed();
    let named = records.iter().filter(|record| record["type"] == "leak").filter(|record| {
        let function = record["stack"][0]["function"].as_str().unwrap_or_default();
        function.strip_prefix("site").and_then(|n| n.parse().ok()) == record["bytes"].as_u64()
    });
    assert_eq!(named.count(), 300);
    // 2 s is the target where nothing else runs; a test cannot know that.
    println!("300 sites in {taken:?}");
}

#[test]
fn a_place_that_cannot_be_written_changes_nothing_for_the_program() {
    let program = Program::compile(LEAKS);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = program.command("");
    let status = command.stdout(Stdio::null()).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(23), "a full disk");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = program.command("");
    let status = command.stdout(Stdio::null()).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(23), "a reader that went away: no SIGPIPE");

    let mut shell = program.shell("exec \"$0\" 2>&-", "");
    assert_eq!(shell.stdout(Stdio::null()).status().unwrap().code(), Some(23), "stderr closed");

    let outcome = program.run("log_path=/no/such/directory/log");
    let complaint = "cannot write log_path='/no/such/directory/log' (error 2); going on here";
    assert_eq!(outcome.stderr.matches(complaint).count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("Direct leak of 100"));
}

#[test]
fn a_reader_that_does_not_read_is_not_waited_for_long() {
    let functions: String = (1..=200)
        .map(|n| {
            format!("static void a_function_with_a_long_name_{n}(void) {{ sink = malloc({n}); }}\n")
        })
        .collect();
    let calls: String = (1..=200).map(|n| format!("a_function_with_a_long_name_{n}(); ")).collect();
    let program = Program::compile(&format!(
        "#include <stdlib.h>\nstatic void *volatile sink;\n{functions}\
         int main(void) {{ {calls} sink = NULL; return 0; }}\n"
    ));
    let started = Instant::now();
    let mut child = program
        .command("format=json")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(23));
    assert!(started.elapsed().as_secs() < 100, "{:?}", started.elapsed());
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.lines().count() > 20, "what fitted arrived");
}

#[test]
fn options_not_understood_are_one_line_each_and_harmless() {
    let program = Program::compile(LEAKS);
    let outcome = program.run("exit_code=3:quiet=maybe:suppressions=/no/such:zzz:include=/no/file");
    assert_eq!(outcome.code, Some(23));
    for line in [
        "unknown option 'exit_code'; did you mean 'exitcode'?",
        "bad value 'maybe' for option 'quiet'; it takes 0 or 1",
        "cannot read suppressions='/no/such' (error 2); nothing is suppressed",
        "'zzz' is no option: key=value is expected",
        "cannot read the options of include='/no/file' (error 2)",
    ] {
        assert_eq!(outcome.stderr.matches(line).count(), 1, "{line}\n{}", outcome.stderr);
    }
    assert!(program.run("help=1").stderr.contains("stack_depth=32  (default 32)"));
}

#[test]
fn every_process_writes_a_file_of_its_own() {
    let program = Program::compile(LEAKS);
    let log = program.program.with_file_name("log");
    let mut shell =
        program.shell("\"$0\" one & \"$0\" two & wait", &format!("log_path={}", log.display()));
    assert!(shell.stdout(Stdio::null()).status().unwrap().success());
    let files = program.files_starting_with("log.");
    let with_leaks = files.iter().filter(|text| text.contains("Direct leak of 100")).count();
    assert_eq!(with_leaks, 2, "{files:?}");
}
