//! The command as its users meet it.

#![allow(dead_code, reason = "not every test file uses every helper")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The command, in an environment that says nothing about heapwarden.
pub fn heapwarden() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapwarden"));
    command.env_remove("LD_PRELOAD").env_remove("HEAPWARDEN_OPTIONS").env_remove("HEAPWARDEN_LIB");
    command
}

/// What the command printed; panics with its complaint if it failed.
pub fn stdout_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}\n{text}\n{complaint}", output.status);
    text
}

/// What the command complained of; panics if it succeeded.
pub fn complaint_of(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(!status.success());
    let text = String::from_utf8(stderr).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// A C program that is compiled with debug information, and where.
pub struct Compiled {
    pub directory: TempDir,
    pub source: PathBuf,
    pub program: PathBuf,
}

/// Compiles `text` with `flags`.
pub fn compile(text: &str, flags: &[&str]) -> Compiled {
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (directory.path().join("app.c"), directory.path().join("app"));
    fs::write(&source, text).unwrap();
    let status = Command::new("cc")
        .arg("-g")
        .args(["-Wl,--build-id"])
        .args(flags)
        .arg("-o")
        .args([&program, &source])
        .status()
        .unwrap();
    assert!(status.success());
    Compiled { directory, source, program }
}

/// The address of `symbol` in `program`, as nm(1) has it.
pub fn address_of(program: &Path, symbol: &str) -> u64 {
    let output = Command::new("nm").arg(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.ends_with(&format!(" {symbol}"))).unwrap();
    u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap()
}

/// The build-id of `program`, as readelf(1) has it.
pub fn build_id_of(program: &Path) -> String {
    let output = Command::new("readelf").arg("-n").arg(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.trim().strip_prefix("Build ID: ")).unwrap().to_owned()
}

/// A report with one record of every kind, as `docs/report.schema.json` has
/// them, about the source at `source`.
pub fn sample_report(source: &str, pid: u32) -> String {
    let frame = |function: &str, line: u32, offset: u32| {
        format!(
            r#"{{"function":"{function}","file":"{source}","line":{line},"column":5,"module":"/usr/bin/app","offset":"{offset:#x}","build_id":"ab12","address":"{:#x}"}}"#,
            offset + pid * 0x10000
        )
    };
    let main = frame("main", 9, 0x90);
    let start =
        r#"{"module":"/lib/libc.so.6","offset":"0x1234","build_id":"cd34","address":"0x7f00"}"#;
    let stack = |line: u32| format!("[{},{main},{start}]", frame("copy_name", line, line * 16));
    let thread = r#"{"number":1,"id":7,"name":"app"}"#;
    let event =
        |line: u32| format!(r#"{{"stack":{},"thread":{thread},"sequence":{line}}}"#, stack(line));
    let head = |kind: &str| {
        format!(r#"{{"v":1,"type":"{kind}","pid":{pid},"time":"2026-01-02T03:04:05.006Z""#)
    };
    let leak = |kind: &str, line: u32, bytes: u32, more: &str| {
        format!(
            r#"{},"kind":"{kind}","blocks":2,"bytes":{bytes},"stack":{},"thread":{thread},"first":{{"address":"0x500000","size":14,"age_ms":12,"sequence":17}}{more}}}"#,
            head("leak"),
            stack(line)
        )
    };
    let zero = r#"{"blocks":0,"bytes":0}"#;
    [
        leak("definite", 3, 300, r#","holds":{"blocks":1,"bytes":8}"#),
        leak("indirect", 4, 40, &format!(
            r#","parent":{{"address":"0x600000","size":32,"stack":{}}}"#, stack(3))),
        leak("possible", 5, 50, ""),
        leak("reachable", 6, 60, ""),
        format!(r#"{},"blocks":9,"bytes":900,"stack":{},"evidence":{{"growth_bytes_per_s":100,"oldest_ms":5000,"freed_share":0.010,"idle_share":0.950,"held_by":"global list"}}}}"#,
            head("hidden-leak"), stack(7)),
        format!(r#"{},"kind":"heap-use-after-free","address":"0x500004","message":"a freed block was written","stack":{},"thread":{thread},"block":{{"address":"0x500000","size":16,"offset":4,"allocated":{},"freed":{}}},"neighbours":[{{"side":"after","address":"0x500020","size":8,"stack":{},"freed":false,"damaged":true}}]}}"#,
            head("error"), stack(8), event(3), event(5), stack(4)),
        format!(r#"{},"kind":"calloc-overflow","message":"calloc(-1, 8)","stack":{},"count":3}}"#,
            head("warning"), stack(2)),
        format!(r#"{},"level":"refused","requested":1000000,"limit":67108864,"limit_from":"heap_limit_mb","in_use":67000000,"peak":67000000,"largest_free":4096,"stack":{},"top":[{{"blocks":67,"bytes":66000000,"share":0.985,"stack":{}}},{{"blocks":1,"bytes":1000000,"share":0.015,"stack":{}}}]}}"#,
            head("exhaustion"), stack(2), stack(2), stack(3)),
        format!(r#"{},"message":"unknown option 'x'"}}"#, head("notice")),
        format!(r#"{},"pattern":"^main$","blocks":1,"bytes":2}}"#, head("suppression")),
        format!(r#"{},"definite":{zero},"indirect":{zero},"possible":{zero},"reachable":{zero},"hidden":{zero},"errors":1,"suppressed":{{"blocks":1,"bytes":2}},"cost":{{"metadata_bytes":1,"scan_ms":1,"longest_pause_ms":1}},"dropped":{{"stacks":0,"records":0,"threads":0,"names":0}}}}"#,
            head("summary")),
    ]
    .join("\n") + "\n"
}

/// The source that the sample report is about, nine lines.
pub const SAMPLE_SOURCE: &str = "#include <stdlib.h>
void *copy_name(void) {
    void *lost = malloc(14);
    char *inner = malloc(8);
    free(lost);
    void *kept = malloc(3);
    void *list = malloc(9);
    inner[0] = 1; return list;
int main(void) { return 0; }
";

/// The sample report and its source, in files.
pub fn sample_files() -> (TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("name.c");
    fs::write(&source, SAMPLE_SOURCE).unwrap();
    let path = directory.path().join("report.json");
    fs::write(&path, sample_report(&source.to_string_lossy(), 1)).unwrap();
    let other = directory.path().join("other.json");
    fs::write(&other, sample_report(&source.to_string_lossy(), 2)).unwrap();
    (directory, path, other)
}
