//! One run of one program under one allocator, and what it cost.
//!
//! The cost is what the kernel charges the child itself (`wait4`): user and
//! system time, and peak resident memory. Linux hands the runner's own peak on
//! to a child at `exec`, so peaks below the runner's few megabytes are floors.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::peers::Allocator;

/// What to start, and with what at its standard input.
#[derive(Clone, Debug)]
pub struct Program {
    pub words: Vec<String>,
    pub stdin: Option<PathBuf>,
    pub environment: Vec<(&'static str, String)>,
    /// Linked with an allocator of its own (Debian's redis with jemalloc):
    /// glibc's column then preloads glibc itself.
    pub brings_allocator: bool,
}

/// What a run cost. Seconds and KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub processor: f64,
    pub wall: f64,
    pub peak: u64,
}

/// A run that came to its end, or was ended.
#[derive(Debug)]
pub struct Outcome {
    pub cost: Cost,
    pub ending: String,
    /// Hash of all it wrote to its standard output.
    pub output: u64,
    pub killed: bool,
    pub last_words: String,
}

impl Outcome {
    /// Whether both runs look the same from outside.
    #[must_use]
    pub fn agrees_with(&self, other: &Outcome) -> bool {
        self.ending == other.ending && self.output == other.output
    }
}

/// The command of `program` under `allocator`, its output going to `folder`.
///
/// # Errors
/// When a file of the run cannot be opened.
pub fn command(program: &Program, allocator: &Allocator, folder: &Path) -> Result<Command> {
    let words: Vec<&String> = allocator.wrapper.iter().chain(&program.words).collect();
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .env_remove("LD_PRELOAD")
        .env_remove("HEAPWARDEN_OPTIONS")
        .env("LC_ALL", "C")
        .envs(program.environment.iter().map(|(key, value)| (*key, value)))
        .envs(allocator.environment.iter().map(|(key, value)| (*key, value)))
        .stdin(match &program.stdin {
            Some(path) => {
                File::open(path).with_context(|| format!("cannot open {}", path.display()))?.into()
            }
            None => Stdio::null(),
        })
        .stdout(File::create(folder.join("stdout"))?)
        .stderr(File::create(folder.join("stderr"))?);
    if !allocator.preload.is_empty() {
        command.env("LD_PRELOAD", allocator.preload_list());
    } else if program.brings_allocator {
        command.env("LD_PRELOAD", "libc.so.6");
    }
    Ok(command)
}

/// Runs the program to its end, or kills it at the deadline.
///
/// # Errors
/// When it cannot be started.
pub fn run(
    program: &Program,
    allocator: &Allocator,
    folder: &Path,
    limit: Duration,
) -> Result<Outcome> {
    let begin = Instant::now();
    let child = command(program, allocator, folder)?
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", program.words[0]))?;
    let (mut cost, ending, killed) = wait(child, limit)?;
    cost.wall = begin.elapsed().as_secs_f64();
    let output = hash_of(File::open(folder.join("stdout"))?)?;
    Ok(Outcome { cost, ending, killed, output, last_words: last_words(folder) })
}

/// Hash of everything a reader gives, by pieces.
///
/// # Errors
/// When it cannot be read.
pub fn hash_of(mut from: impl Read) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    let mut piece = [0; 4096];
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            // Byte by byte, so that where a piece ends makes no difference.
            length => piece[..length].iter().for_each(|byte| hasher.write_u8(*byte)),
        }
    }
}

/// The last line the run left on its standard error.
#[must_use]
pub fn last_words(folder: &Path) -> String {
    let text = std::fs::read(folder.join("stderr")).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("")
        .to_owned()
}

/// Whether a child has ended; it stays to be waited for.
#[must_use]
pub fn has_ended(child: &Child) -> bool {
    // SAFETY: siginfo_t is plain data, for which zeroes are valid.
    let mut news: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `news` is valid for writes, and the child is our own, not reaped yet.
    let answer = unsafe { libc::waitid(libc::P_PID, child.id(), &raw mut news, flags) };
    // SAFETY: waitid fills in the pid, or leaves it 0 when there is no news.
    answer != 0 || unsafe { news.si_pid() } != 0
}

/// Waits for a child and takes what the kernel charged it; kills its process
/// group at the deadline. Cost, how it ended, whether it was killed.
///
/// # Errors
/// When the kernel refuses the wait.
pub fn wait(child: Child, limit: Duration) -> Result<(Cost, String, bool)> {
    let pid = libc::pid_t::try_from(child.id()).context("pid")?;
    // The child is reaped by wait4 below, not by std.
    drop(child);
    let mut late = false;
    // SAFETY: pidfd_open takes two integers; `pid` is our own unreaped child.
    let handle = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if let Ok(handle @ 0..) = libc::c_int::try_from(handle) {
        let mut wanted = libc::pollfd { fd: handle, events: libc::POLLIN, revents: 0 };
        let milliseconds = libc::c_int::try_from(limit.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: one valid pollfd, and the count says one; the descriptor is ours to close.
        late = unsafe { libc::poll(&raw mut wanted, 1, milliseconds) } == 0;
        // SAFETY: `handle` was opened above and is closed once.
        unsafe { libc::close(handle) };
    }
    if late {
        // SAFETY: the child leads its own group (`process_group(0)`), and is not reaped yet.
        unsafe { libc::kill(-pid, libc::SIGKILL) };
    }
    let mut status = 0;
    // SAFETY: rusage is plain numbers, for which zeroes are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both places are valid for writes, and `pid` is our own unreaped child.
    let reaped = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    anyhow::ensure!(reaped == pid, "wait4: {}", std::io::Error::last_os_error());
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let cost = Cost {
        processor: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        wall: 0.0,
        peak: u64::try_from(usage.ru_maxrss).unwrap_or(0),
    };
    let ending = if late {
        format!("killed after {} s", limit.as_secs())
    } else {
        ExitStatus::from_raw(status).to_string()
    };
    Ok((cost, ending, late))
}
