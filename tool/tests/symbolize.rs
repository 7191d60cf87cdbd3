//! `heapwarden symbolize`, on programs compiled here.

mod common;

use common::{address_of, build_id_of, compile, heapwarden, stdout_of};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const SOURCE: &str = "static int inner(int n) { return n * 3; }
int outer(int n) {
    return inner(n) + 1;
}
int main(int argc, char **argv) { (void)argv; return outer(argc) == 0; }
";

fn report(module: &Path, offset: u64, build_id: &str) -> String {
    let frame = json!({"module": module, "offset": format!("{offset:#x}"), "build_id": build_id,
        "address": "0x7f0000001234"});
    let stack = json!([frame, {"function": "known", "address": "0x1"}]);
    let record = json!({"v": 1, "type": "error", "pid": 1, "time": "t", "kind": "bad-free",
        "address": "0x1", "message": "m", "stack": stack, "thread": {"number": 1},
        "block": {"allocated": {"stack": stack.clone()}}});
    format!("a line of the program\n{record}\n{{\"not\": \"ours\"}}\n")
}

fn symbolized(text: &str, arguments: &[&str]) -> (String, String) {
    let mut command = heapwarden();
    command.arg("symbolize").args(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn frames_get_function_file_and_line_and_other_lines_pass() {
    let app = compile(SOURCE, &["-O0"]);
    let text =
        report(&app.program, address_of(&app.program, "outer") + 4, &build_id_of(&app.program));
    let (named, _) = symbolized(&text, &[]);
    let lines: Vec<&str> = named.lines().collect();
    assert_eq!((lines[0], lines[2]), ("a line of the program", "{\"not\": \"ours\"}"));
    let record: Value = serde_json::from_str(lines[1]).unwrap();
    for stack in [&record["stack"], &record["block"]["allocated"]["stack"]] {
        assert_eq!(stack[0]["function"], "outer");
        assert_eq!(stack[0]["line"], 2);
        assert_eq!(stack[0]["file"].as_str().unwrap(), app.source.to_string_lossy());
        assert_eq!(stack[0]["address"], "0x7f0000001234", "what was known stays");
        assert_eq!(stack[1], json!({"function": "known", "address": "0x1"}));
    }
    let (again, _) = symbolized(&named, &[]);
    assert_eq!(again, named, "filling twice changes nothing");
}

#[test]
fn inlined_functions_become_frames_of_their_own() {
    let source = "volatile int seen;
static inline __attribute__((always_inline)) void inner(int n) { seen = n; seen = n * 3; }
void outer(int n) { inner(n); }
int main(int argc, char **argv) { (void)argv; outer(argc); return 0; }
";
    let app = compile(source, &["-O2"]);
    let start = address_of(&app.program, "outer");
    let id = build_id_of(&app.program);
    let found = (0..8).any(|byte| {
        let (named, _) = symbolized(&report(&app.program, start + byte, &id), &[]);
        let record: Value = serde_json::from_str(named.lines().nth(1).unwrap()).unwrap();
        let stack = &record["stack"];
        stack[0]["function"] == "inner"
            && stack[0]["inlined"] == true
            && stack[1]["function"] == "outer"
            && stack[2]["function"] == "known"
    });
    assert!(found);
}

#[test]
fn a_file_with_another_build_id_names_nothing_and_that_is_said() {
    let app = compile(SOURCE, &[]);
    let text = report(&app.program, address_of(&app.program, "outer"), "00ff00ff");
    let (named, complaint) = symbolized(&text, &[]);
    assert_eq!(named.lines().count(), 3);
    assert!(!named.contains("outer"));
    assert!(complaint.contains("none of 2 frame(s) could be named"), "{complaint}");
}

#[test]
fn debug_files_sysroots_and_given_modules_are_found() {
    let app = compile(SOURCE, &[]);
    let (id, offset) = (build_id_of(&app.program), address_of(&app.program, "outer"));
    let directory = app.directory.path();
    let debug = directory.join("debug/.build-id").join(&id[..2]);
    fs::create_dir_all(&debug).unwrap();
    let debug_file = debug.join(format!("{}.debug", &id[2..]));
    let run = |program: &str, arguments: &[&Path]| {
        assert!(Command::new(program).args(arguments).status().unwrap().success());
    };
    run("objcopy", &[Path::new("--only-keep-debug"), &app.program, &debug_file]);
    let root = directory.join("root");
    let placed = root.join("opt/app");
    fs::create_dir_all(placed.parent().unwrap()).unwrap();
    fs::copy(&app.program, &placed).unwrap();
    run("strip", &[&app.program]);

    let text = report(&app.program, offset, &id);
    assert!(!symbolized(&text, &[]).0.contains("\"outer\""), "the twin: stripped");
    let option = directory.join("debug");
    assert!(symbolized(&text, &["--debug-dir", &option.to_string_lossy()]).0.contains("\"outer\""));

    let text = report(Path::new("/opt/app"), offset, &id);
    assert!(symbolized(&text, &["--sysroot", &root.to_string_lossy()]).0.contains("\"outer\""));
    let option = format!("app={}", placed.display());
    assert!(symbolized(&text, &["--module", &option]).0.contains("\"outer\""));
}

#[test]
fn bare_addresses_are_named_by_the_elf_file_of_a_device() {
    let app = compile(SOURCE, &["-no-pie"]);
    let address = address_of(&app.program, "outer");
    let text = format!("{{\"type\":\"leak\",\"stack\":[{{\"address\":\"{address:#x}\"}}]}}\n");
    let (named, _) = symbolized(&text, &["--elf", &app.program.to_string_lossy()]);
    assert!(named.contains("\"function\":\"outer\""), "{named}");
    let mut wrong = heapwarden();
    wrong.args(["symbolize", "--elf", "/no/such/file"]);
    assert!(common::complaint_of(&mut wrong).contains("cannot read /no/such/file"));
}

#[test]
fn nonsense_passes_unchanged() {
    let text = "{\"type\":1,\"stack\":[1,null,{\"module\":\"/\",\"offset\":\"0xzz\",\"build_id\":\"é\"}]}\n\u{0}\n{\"type\":\"leak\"";
    let (named, _) = symbolized(text, &[]);
    assert_eq!(named.trim_end(), text);
    let mut command = heapwarden();
    let path = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(stdout_of(command.arg("symbolize").arg(path.path())), "");
}
