//! Runs a program twice, as it is and with heapwarden preloaded, and demands that
//! nothing differs: standard output, standard error, exit code.
//!
//! Both runs happen in the same folder, emptied in between, so that paths in the
//! output agree. Every record heapwarden wrote is read afterwards: leaks are the
//! program's own business here, an `error` record (misuse) is a failure.
//!
//! `HEAPWARDEN_LIB` names another library to preload (to try the tests themselves
//! with jemalloc, say), `HEAPWARDEN_LIB_DIR` the folder of `libheapwarden.so`.

use crate::built::built;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

/// What one run did.
#[derive(Debug)]
pub struct Outcome {
    pub stdout: String,
    pub stderr: String,
    pub status: ExitStatus,
}

/// A program's place to run in, and what is allowed to differ.
pub struct Scenario {
    folder: PathBuf,
    limit: Duration,
    environment: Vec<(&'static str, String)>,
    /// Takes out what differs from run to run by nature (process numbers).
    pub normalise: fn(&str) -> String,
}

/// The library under test.
pub fn library() -> PathBuf {
    if let Some(path) = std::env::var_os("HEAPWARDEN_LIB") {
        return PathBuf::from(path);
    }
    built("libheapwarden.so")
}

impl Scenario {
    /// A fresh folder under the target folder; installs the programs if need be.
    #[must_use]
    pub fn new(name: &str) -> Scenario {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/install-programs.sh");
            let status = Command::new(script).status().expect("tests/install-programs.sh starts");
            assert!(status.success(), "tests/install-programs.sh failed");
        });
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs").join(name);
        Scenario {
            folder,
            limit: Duration::from_secs(180),
            environment: vec![("LC_ALL", "C.UTF-8".to_owned())],
            normalise: str::to_owned,
        }
    }

    /// Sets a variable in both runs.
    #[must_use]
    pub fn environment(mut self, key: &'static str, value: impl Into<String>) -> Scenario {
        self.environment.push((key, value.into()));
        self
    }

    /// Where the program runs.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    fn empty(&self) {
        let _ = fs::remove_dir_all(&self.folder);
        fs::create_dir_all(self.work()).expect("work folder");
        fs::create_dir_all(self.logs()).expect("log folder");
    }

    /// The command with or without heapwarden, its output going to files.
    pub fn command(&self, words: &[&str], preloaded: bool, output: &str) -> Command {
        let file = |kind: &str| {
            File::create(self.folder.join(format!("{output}.{kind}"))).expect("output file")
        };
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .current_dir(self.work())
            .env_remove("LD_PRELOAD")
            .env_remove("HEAPWARDEN_OPTIONS")
            // The machine's python, when pyenv's shims would look for a version file.
            .env("INPUTS", inputs())
            .envs(self.environment.iter().map(|(key, value)| (*key, value)))
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .process_group(0);
        if preloaded {
            let log = self.logs().join("log");
            command.env("LD_PRELOAD", library());
            command.env(
                "HEAPWARDEN_OPTIONS",
                format!("exitcode=0:format=json:log_path={}", log.display()),
            );
        }
        command
    }

    /// What a run left in its files.
    pub fn outcome(&self, output: &str, status: ExitStatus) -> Outcome {
        let read = |kind: &str| {
            let bytes =
                fs::read(self.folder.join(format!("{output}.{kind}"))).expect("output file");
            (self.normalise)(&String::from_utf8_lossy(&bytes))
        };
        Outcome { stdout: read("stdout"), stderr: read("stderr"), status }
    }

    /// Runs it to the end; a run over the limit is killed with its children and fails the test.
    pub fn run(&self, words: &[&str], preloaded: bool) -> Outcome {
        let child = self.command(words, preloaded, "run").spawn();
        let mut child = Running(child.unwrap_or_else(|error| panic!("{}: {error}", words[0])));
        let status = child.ended_within(self.limit);
        let outcome = status.map(|status| self.outcome("run", status));
        outcome.unwrap_or_else(|| {
            panic!("{words:?} (preloaded: {preloaded}) hung for {:?}", self.limit)
        })
    }

    /// The heart of the matter: both runs must look the same, and no misuse be reported.
    pub fn behaves_the_same(&self, words: &[&str]) -> Outcome {
        self.empty();
        let plain = self.run(words, false);
        assert_eq!(plain.status.signal(), None, "{words:?} dies of a signal without heapwarden");
        self.empty();
        let watched = self.run(words, true);
        self.assert_no_misuse();
        assert_eq!(
            describe(watched.status),
            describe(plain.status),
            "{words:?} ends differently; its stderr: {}",
            watched.stderr
        );
        assert_same("standard error", &watched.stderr, &plain.stderr);
        assert_same("standard output", &watched.stdout, &plain.stdout);
        watched
    }

    /// The same for a script under `tests/programs/inputs`, given to its interpreter.
    pub fn script_behaves_the_same(&self, interpreter: &str, script: &str) -> Outcome {
        let outcome =
            self.behaves_the_same(&[interpreter, inputs().join(script).to_str().expect("path")]);
        // A script that failed in both runs would have tested nothing.
        assert!(outcome.status.success(), "{script} itself fails: {}", outcome.stderr);
        outcome
    }

    /// Empties the folder for a server's run.
    pub fn begin(&self) {
        self.empty();
    }

    /// The records of one process.
    pub fn records_of(&self, process: u32) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.logs().join(format!("log.{process}"))).expect("a log");
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    }

    /// Reads every record and fails on misuse, or on a line that is no record.
    pub fn assert_no_misuse(&self) {
        for entry in fs::read_dir(self.logs()).expect("log folder") {
            let path = entry.expect("log file").path();
            let text = fs::read_to_string(&path).expect("a log is UTF-8");
            for line in text.lines() {
                let record: serde_json::Value =
                    serde_json::from_str(line).unwrap_or_else(|error| {
                        panic!("{}: no JSON record ({error}): {line}", path.display())
                    });
                assert_ne!(record["type"], "error", "misuse reported in a sound program: {line}");
            }
        }
    }
}

/// Where the scripts and sources are that programs are given.
#[must_use]
pub fn inputs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/inputs")
}

fn describe(status: ExitStatus) -> String {
    status.to_string()
}

/// Compares line by line, so that a failure shows the first difference and not two walls of text.
fn assert_same(what: &str, watched: &str, plain: &str) {
    let (mut ours, mut theirs) = (watched.lines(), plain.lines());
    for number in 1.. {
        match (ours.next(), theirs.next()) {
            (None, None) => return,
            (ours, theirs) => {
                assert_eq!(ours, theirs, "{what} differs at line {number} (left: with heapwarden)");
            }
        }
    }
}

/// A child that is killed with its whole process group when the test leaves it.
pub struct Running(pub Child);

impl Running {
    /// How it ended, or none when the time is over.
    pub fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait().expect("wait for a child") {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(2));
        }
        None
    }

    /// Sends a signal by its name ("TERM") to the child alone.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status();
        assert!(status.expect("kill starts").success(), "the program is no longer there");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group may outlive its leader; a child already reaped with no group left is no matter.
        let group = format!("-{}", self.0.id());
        let _ =
            Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

/// A port on loopback that was free a moment ago.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its number").port()
}

/// Waits until a server accepts connections; false when it does not in time.
#[must_use]
pub fn accepts_connections(port: u16, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "misuse reported")]
    fn a_misuse_record_fails_the_scenario() {
        let scenario = Scenario::new("harness-misuse");
        scenario.empty();
        let record =
            "{\"v\":1,\"type\":\"leak\"}\n{\"v\":1,\"type\":\"error\",\"kind\":\"double-free\"}\n";
        fs::write(scenario.logs().join("log.1"), record).expect("log");
        scenario.assert_no_misuse();
    }

    #[test]
    fn a_leak_record_is_allowed() {
        let scenario = Scenario::new("harness-leak");
        scenario.empty();
        fs::write(scenario.logs().join("log.1"), "{\"v\":1,\"type\":\"leak\"}\n").expect("log");
        scenario.assert_no_misuse();
    }

    #[test]
    #[should_panic(expected = "standard output differs at line 2")]
    fn a_different_line_is_found() {
        assert_same("standard output", "one\ntwo\n", "one\n2\n");
    }
}
