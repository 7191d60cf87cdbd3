//! A C program, compiled here and run under the built library.

use crate::built::built;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A compiled program in a directory of its own, gone when this is dropped.
pub struct Program {
    directory: PathBuf,
    pub source: PathBuf,
    pub program: PathBuf,
}

/// How a run ended.
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The JSON records on standard error; every line must be one.
    pub fn records(&self) -> Vec<Value> {
        let parse =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stderr.lines().map(parse).collect()
    }
}

fn library() -> PathBuf {
    built("libheapwarden.so")
}

impl Program {
    /// Compiles C with debug information; calls of malloc stay as written.
    pub fn compile(text: &str) -> Program {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("heapwarden-reports-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        let (source, program) = (directory.join("app.c"), directory.join("app"));
        fs::write(&source, text).unwrap();
        let status = Command::new("cc")
            .args(["-g", "-O0", "-w", "-fno-builtin", "-o"])
            .args([&program, &source])
            .status()
            .unwrap();
        assert!(status.success());
        Program { directory, source, program }
    }

    /// A command that runs it with `options`.
    pub fn command(&self, options: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.env("LD_PRELOAD", library()).env("HEAPWARDEN_OPTIONS", options);
        command
    }

    /// A shell command line with the program as `$0`; only the program is
    /// watched for leaks.
    pub fn shell(&self, line: &str, options: &str) -> Command {
        let mut command = Command::new("sh");
        let line = format!("export LD_PRELOAD='{}'; {line}", library().display());
        command.args(["-c", &line]).arg(&self.program).env("HEAPWARDEN_OPTIONS", options);
        command
    }

    /// Runs it with `options`.
    pub fn run(&self, options: &str) -> Outcome {
        let output = self.command(options).output().unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Takes all symbols and debug information out of it.
    pub fn strip(&self) {
        assert!(Command::new("strip").arg(&self.program).status().unwrap().success());
    }

    /// A file beside it.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The contents of the files beside it whose names begin so.
    pub fn files_starting_with(&self, start: &str) -> Vec<String> {
        fs::read_dir(&self.directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
            .map(|entry| fs::read_to_string(entry.path()).unwrap())
            .collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
