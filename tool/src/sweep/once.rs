//! One run of the program with one allocation made to fail.

use crate::record::{Error, Leak, Record, Stack};
use crate::{reader, sites};
use anyhow::{Context, Result};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    Code(i32),
    Signal(i32),
    TimedOut,
}

impl fmt::Display for Ending {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Ending::Code(code) => write!(out, "exit code {code}"),
            Ending::Signal(number) => match nix::sys::signal::Signal::try_from(number) {
                Ok(signal) => out.write_str(signal.as_str()),
                Err(_) => write!(out, "signal {number}"),
            },
            Ending::TimedOut => out.write_str("no end in time"),
        }
    }
}

/// What was seen of a run.
pub struct Observation {
    pub ending: Ending,
    pub took: Duration,
    /// The stack of the call that was made to fail; empty = none was.
    pub failed_stack: Stack,
    /// Bytes that call asked for.
    pub requested: u64,
    /// Allocations counted, if the program came to its end.
    pub counted: Option<u64>,
    pub leaks: Vec<Leak>,
    pub errors: Vec<Error>,
    /// A hash of the standard output.
    pub output: Option<u64>,
    /// The end of the standard error.
    stderr: String,
}

impl Observation {
    /// Leaks of stacks that the plain run does not leak.
    pub fn new_leaks<'a>(&'a self, plain: &'a Observation) -> impl Iterator<Item = &'a Leak> {
        let known: HashSet<u64> =
            plain.leaks.iter().map(|leak| sites::key("", &leak.stack)).collect();
        self.leaks
            .iter()
            .filter(|leak| leak.kind == "definite" || leak.kind == "possible")
            .filter(move |leak| !known.contains(&sites::key("", &leak.stack)))
    }

    /// The last lines of the standard error.
    pub fn last_words(&self) -> impl Iterator<Item = &str> {
        let lines: Vec<_> = self.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        let first = lines.len().saturating_sub(3);
        lines.into_iter().skip(first)
    }
}

/// The program under test.
pub struct Program {
    path: PathBuf,
    words: Vec<OsString>,
    preload: Option<PathBuf>,
    options: Vec<String>,
    stdin: Option<PathBuf>,
    directory: Directory,
    serial: AtomicU64,
    pub timeout: Duration,
}

/// A folder for logs, gone with its owner.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Program {
    pub fn new(
        path: PathBuf,
        words: Vec<OsString>,
        preload: Option<PathBuf>,
        options: Vec<String>,
        stdin: Option<PathBuf>,
    ) -> Result<Program> {
        let directory =
            std::env::temp_dir().join(format!("heapwarden-sweep.{}", std::process::id()));
        fs::create_dir(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Program {
            path,
            words,
            preload,
            options,
            stdin,
            directory: Directory(directory),
            serial: AtomicU64::new(0),
            timeout: Duration::from_secs(600),
        })
    }

    /// A shell command that does what [`Program::run`] does.
    pub fn command(&self, number: u64) -> String {
        let words = |words: &[OsString]| -> Vec<String> {
            words.iter().map(|word| quoted(&word.to_string_lossy())).collect()
        };
        let mut options = self.options.clone();
        options.push(format!("fail_nth={number}"));
        let input = self
            .stdin
            .as_ref()
            .map_or(String::new(), |path| format!(" < {}", quoted(&path.to_string_lossy())));
        let program = words(&self.words).join(" ");
        match self.preload {
            Some(_) => {
                let flags: Vec<_> =
                    options.iter().map(|option| format!("-o {}", quoted(option))).collect();
                format!("heapwarden run {} -- {program}{input}", flags.join(" "))
            }
            None => format!("HEAPWARDEN_OPTIONS={} {program}{input}", quoted(&options.join(":"))),
        }
    }

    /// Runs the program with allocation `number` failing.
    pub fn run(&self, number: u64, with_names: bool) -> Result<Observation> {
        let serial = self.serial.fetch_add(1, Relaxed);
        let place = |what: &str| self.directory.0.join(format!("{what}.{serial}"));
        let (log, out, err) = (place("log"), place("out"), place("err"));
        let mut command = Command::new(&self.path);
        command.arg0(&self.words[0]).args(&self.words[1..]);
        command.stdin(match &self.stdin {
            Some(path) => Stdio::from(
                File::open(path).with_context(|| format!("cannot read {}", path.display()))?,
            ),
            None => Stdio::null(),
        });
        command.stdout(File::create(&out)?).stderr(File::create(&err)?).process_group(0);
        if let Some(library) = &self.preload {
            command.env("LD_PRELOAD", crate::run::appended("LD_PRELOAD", ":", library.into()));
        }
        let mut options = self.options.join(":");
        options.push_str(&format!(
            ":fail_nth={number}:format=json:log_path={}.%p:symbolize={}",
            log.display(),
            u8::from(with_names)
        ));
        let options = options.trim_start_matches(':').into();
        command.env("HEAPWARDEN_OPTIONS", crate::run::appended("HEAPWARDEN_OPTIONS", ":", options));
        let started = Instant::now();
        let mut child =
            command.spawn().with_context(|| format!("cannot run {}", self.path.display()))?;
        let ending = wait(&mut child, self.timeout)?;
        let mut seen = Observation {
            ending,
            took: started.elapsed(),
            failed_stack: Stack::new(),
            requested: 0,
            counted: None,
            leaks: Vec::new(),
            errors: Vec::new(),
            output: Some(hash(&out)?),
            stderr: String::from_utf8_lossy(&fs::read(&err)?).into_owned(),
        };
        self.read_logs(serial, child.id(), &mut seen)?;
        let _ = (fs::remove_file(out), fs::remove_file(err));
        Ok(seen)
    }

    /// Reads what the processes of a run reported, the first one's first.
    fn read_logs(&self, serial: u64, pid: u32, seen: &mut Observation) -> Result<()> {
        let prefix = format!("log.{serial}.");
        let mut logs: Vec<PathBuf> = fs::read_dir(&self.directory.0)?
            .filter_map(|entry| entry.ok())
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .map(|entry| entry.path())
            .collect();
        let own = format!("{prefix}{pid}");
        logs.sort_by_key(|path| path.file_name().is_none_or(|name| name != own.as_str()));
        for log in logs {
            reader::read_one(&log, &mut |line| {
                match line.record {
                    Record::Exhaustion(out)
                        if out.level == "on-purpose" && seen.failed_stack.is_empty() =>
                    {
                        (seen.failed_stack, seen.requested) = (out.stack, out.requested);
                    }
                    Record::Leak(leak) => seen.leaks.push(leak),
                    Record::Error(error) => seen.errors.push(error),
                    Record::Notice(notice) if line.pid == pid => {
                        let count = notice
                            .message
                            .strip_prefix("failing on purpose: ")
                            .and_then(|rest| rest.split(' ').next());
                        seen.counted = count.and_then(|word| word.parse().ok()).or(seen.counted);
                    }
                    _ => {}
                }
                Ok(())
            })?;
            let _ = fs::remove_file(log);
        }
        Ok(())
    }
}

fn wait(child: &mut Child, timeout: Duration) -> Result<Ending> {
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            kill_group(child);
            return Ok(ending_of(status));
        }
        if Instant::now() >= deadline {
            kill_group(child);
            child.wait()?;
            return Ok(Ending::TimedOut);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Ends what the program left running, with the program itself.
fn kill_group(child: &Child) {
    let group = nix::unistd::Pid::from_raw(child.id() as i32);
    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
}

fn ending_of(status: ExitStatus) -> Ending {
    match status.signal() {
        Some(signal) => Ending::Signal(signal),
        None => Ending::Code(status.code().unwrap_or(-1)),
    }
}

fn hash(path: &Path) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(path)?);
    Ok(hasher.finish())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,%+@".contains(letter);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("a/b-c=1"), "a/b-c=1");
        assert_eq!(quoted("print 'x'"), "'print '\\''x'\\'''");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_program_that_sleeps_is_hung_and_one_that_dies_tells_its_signal() {
        let mut sleeper = Command::new("sleep").arg("30").process_group(0).spawn().unwrap();
        assert_eq!(wait(&mut sleeper, Duration::from_millis(50)).unwrap(), Ending::TimedOut);
        let mut killed =
            Command::new("sh").args(["-c", "kill -SEGV $$"]).process_group(0).spawn().unwrap();
        let ending = wait(&mut killed, Duration::from_secs(20)).unwrap();
        assert_eq!(ending.to_string(), "SIGSEGV");
    }
}
