//! Building C programs, running them preloaded under limits, reading records.

pub use crate::built::built;
use serde_json::Value;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fresh folder of this test.
pub fn folder(test: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("heapwarden-{test}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Builds a C program of this repository.
pub fn compile(source: &str, folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let program = folder.join(source.file_stem().unwrap());
    let output = Command::new("cc")
        .args(["-g", "-O1", "-fno-builtin", "-Wl,--as-needed", "-o"])
        .args([&program, &source, &built("libheapwarden.so")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// What a run left.
pub struct Outcome {
    /// Exit code, or minus the signal.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub records: Vec<Value>,
}

impl Outcome {
    /// The exhaustion records of this level.
    pub fn exhaustion(&self, level: &str) -> Vec<&Value> {
        let is_wanted =
            |record: &&Value| record["type"] == "exhaustion" && record["level"] == level;
        self.records.iter().filter(is_wanted).collect()
    }
}

/// A program to run with heapwarden preloaded.
pub struct Run<'a> {
    pub program: &'a Path,
    pub arguments: &'a [&'a str],
    pub options: &'a str,
    /// Shell commands before it (`ulimit -v …`).
    pub before: &'a str,
}

impl Run<'_> {
    pub fn go(&self, folder: &Path) -> Outcome {
        static SERIAL: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = folder.join(format!("log.{serial}"));
        let options = format!("{}:format=json:log_path={}", self.options, log.display());
        let script = format!("{}\nexec timeout 120 env \"$@\"", self.before);
        let output = Command::new("bash")
            .args(["-c", &script, "bash"])
            .arg(format!("LD_PRELOAD={}", built("libheapwarden.so").display()))
            .arg(format!("HEAPWARDEN_OPTIONS={}", options.trim_start_matches(':')))
            .arg(self.program)
            .args(self.arguments)
            .process_group(0)
            .output()
            .unwrap();
        let status = output.status;
        Outcome {
            code: status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            records: records(folder, &format!("log.{serial}.")),
        }
    }
}

fn records(folder: &Path, prefix: &str) -> Vec<Value> {
    let mut records = Vec::new();
    for entry in fs::read_dir(folder).unwrap().filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let text = fs::read_to_string(entry.path()).unwrap();
            records.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
    }
    records
}

/// The report names the line that holds nearly everything.
pub fn names_the_hog(record: &Value) {
    let holder = &record["top"][0];
    assert!(holder["share"].as_f64().unwrap() >= 0.95, "{record:#}");
    let frame = &holder["stack"][0];
    assert_eq!(frame["function"], "grow", "{record:#}");
    let source =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exhaustion/hog.c"));
    let line = source.unwrap().lines().position(|line| line.contains("/* the line */")).unwrap();
    assert_eq!(frame["line"], line as u64 + 1);
}
