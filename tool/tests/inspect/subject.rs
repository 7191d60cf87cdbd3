//! Programs under the built library, and what is asked about them.

use crate::built::built;
use crate::common::heapwarden;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// The library that `make` built.
pub fn library() -> PathBuf {
    built("libheapwarden.so")
}

/// A compiled program in a directory of its own.
pub struct Program {
    pub directory: TempDir,
    pub path: PathBuf,
}

impl Program {
    /// Compiles a file beside this one.
    pub fn compile(name: &str) -> Program {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inspect").join(name);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app");
        let compiler = if name.ends_with(".cc") { "c++" } else { "cc" };
        let status = Command::new(compiler)
            .args(["-g", "-O0", "-w", "-fno-builtin", "-pthread", "-Wl,--build-id", "-o"])
            .args([&path, &source])
            .status()
            .unwrap();
        assert!(status.success());
        Program { directory, path }
    }

    /// A command that runs it under heapwarden, here.
    pub fn command(&self, argument: &str, options: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.arg(argument).current_dir(self.directory.path());
        command.env("LD_PRELOAD", library()).env("HEAPWARDEN_OPTIONS", options);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it and waits for its first line.
    pub fn start(&self, argument: &str, options: &str) -> Subject {
        let mut child = self.command(argument, options).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it ended at once: {:?}", child.wait_with_output());
        Subject { child, words: line.split_whitespace().map(str::to_owned).collect() }
    }

    /// The records of the check that it made itself.
    pub fn records(&self) -> Vec<Value> {
        let entries = fs::read_dir(self.directory.path()).unwrap().flatten();
        let log = entries.map(|it| it.path()).find(|it| it.to_string_lossy().contains("own."));
        parse(&fs::read_to_string(log.unwrap()).unwrap())
    }

    /// A core of a running subject, by gdb.
    pub fn gcore(&self, subject: &Subject) -> PathBuf {
        let prefix = self.directory.path().join("gcore");
        let output =
            Command::new("gcore").arg("-o").arg(&prefix).arg(subject.pid()).output().unwrap();
        let core = self.directory.path().join(format!("gcore.{}", subject.pid()));
        assert!(core.is_file(), "{}", String::from_utf8_lossy(&output.stderr));
        core
    }
}

/// A running program; killed when this is dropped.
pub struct Subject {
    pub child: Child,
    /// What it printed.
    pub words: Vec<String>,
}

impl Subject {
    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the command; what it says.
pub fn ask(arguments: &[&str]) -> Output {
    let output = heapwarden().args(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!complaint.contains("panicked"), "{arguments:?}: {complaint}");
    output
}

/// Runs the command, which must end with `code`; standard output or, where
/// that is empty, what it complained of.
pub fn answer(code: i32, arguments: &[&str]) -> String {
    let output = ask(arguments);
    let (out, complaint) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{complaint}");
    if out.is_empty() { complaint } else { out }
}

/// The records in a text.
pub fn parse(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

/// Leaks by kind and the program's own functions: blocks and bytes.
pub fn leaks(records: &[Value]) -> BTreeMap<(String, String), (u64, u64)> {
    let mut found = BTreeMap::new();
    for record in records.iter().filter(|record| record["type"] == "leak") {
        let functions: Vec<&str> = record["stack"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|frame| frame["function"].as_str())
            .take(3)
            .collect();
        let key = (record["kind"].as_str().unwrap().to_owned(), functions.join(" < "));
        let (blocks, bytes): &mut (u64, u64) = found.entry(key).or_default();
        *blocks += record["blocks"].as_u64().unwrap();
        *bytes += record["bytes"].as_u64().unwrap();
    }
    found
}
