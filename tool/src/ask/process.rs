//! Another process, as far as /proc shows it: its board, its threads, its
//! files; and the request that is sent to it.

use super::board::Board;
use nix::libc;
use std::fmt;
use std::fs;
use std::io::{Error, ErrorKind};
use std::path::PathBuf;

/// The word that tells a request from any other signal (src/leak/request.rs).
const REQUEST: u64 = u64::from_be_bytes(*b"HWcheck\x01");

/// Why a process cannot be checked; the text is for the user.
#[derive(Debug)]
pub enum Refusal {
    NoProcess(u32),
    Ended(i32),
    Forbidden(i32),
    NotWatched(i32, String),
    SignalTaken(i32, i32),
    Blocked(i32, i32),
    Stopped(i32),
    NoAnswer(i32),
    NoEnd(u64),
    System(i32, Error),
}

impl Refusal {
    /// Whether the process is there and ours, but cannot check itself.
    pub fn may_be_looked_into(&self) -> bool {
        use Refusal::{Blocked, NoAnswer, SignalTaken, Stopped};
        matches!(self, Blocked(..) | Stopped(_) | NoAnswer(_) | SignalTaken(..))
    }

    /// Whether it may be otherwise in a moment.
    pub fn may_pass(&self) -> bool {
        matches!(self, Refusal::Blocked(..) | Refusal::Stopped(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoProcess(id) => write!(out, "there is no process {id}"),
            Refusal::Ended(id) => write!(out, "process {id} has ended"),
            Refusal::Forbidden(id) => {
                write!(out, "process {id} may not be looked at: run this as its user, or as root")
            }
            Refusal::NotWatched(id, name) => write!(
                out,
                "process {id} ({name}) does not run under heapwarden; start it by \
                 `heapwarden run -- …` or with LD_PRELOAD"
            ),
            Refusal::SignalTaken(id, signal) => {
                write!(out, "process {id} has taken signal {signal}, by which it was to be asked")
            }
            Refusal::Blocked(id, signal) => write!(
                out,
                "all threads of process {id} block signal {signal}, by which it is to be asked"
            ),
            Refusal::Stopped(id) => {
                write!(out, "process {id} is stopped and cannot answer")
            }
            Refusal::NoAnswer(id) => write!(out, "process {id} was asked and does not answer"),
            Refusal::NoEnd(seconds) => {
                write!(out, "the check has begun but not ended within {seconds} s; it goes on")
            }
            Refusal::System(id, error) => write!(out, "process {id}: {error}"),
        }
    }
}

/// An open file of the process.
pub struct OpenFile {
    /// The link in /proc by which it can be opened from outside.
    pub link: PathBuf,
    /// What the link says.
    pub path: PathBuf,
    pub is_regular: bool,
    pub length: u64,
}

/// A process that runs under heapwarden.
pub struct Process {
    id: i32,
}

impl Process {
    pub fn open(id: u32) -> Result<Process, Refusal> {
        if fs::metadata(format!("/proc/{id}")).is_err() {
            return Err(Refusal::NoProcess(id));
        }
        Ok(Process { id: id as i32 })
    }

    pub fn id(&self) -> i32 {
        self.id
    }

    fn read(&self, file: &str) -> Result<String, Refusal> {
        match fs::read(format!("/proc/{}/{file}", self.id)) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Err(Refusal::Forbidden(self.id))
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT | libc::ESRCH) => Err(Refusal::Ended(self.id)),
                _ => Err(Refusal::System(self.id, error)),
            },
        }
    }

    /// The board as it is now.
    pub fn board(&self) -> Result<Board, Refusal> {
        let maps = self.read("maps")?;
        if maps.is_empty() {
            // A zombie, or a thread of the kernel.
            let state = field(&self.read("status")?, "State:").to_owned();
            if state.starts_with('Z') || state.starts_with('X') {
                return Err(Refusal::Ended(self.id));
            }
        }
        Board::find(&maps).ok_or_else(|| {
            let name = self.read("comm").unwrap_or_default();
            Refusal::NotWatched(self.id, name.trim_end().to_owned())
        })
    }

    /// Sends a request to one of the threads that do not block its signal and
    /// have none waiting.
    pub fn request(&self, attempt: usize) -> Result<(), Refusal> {
        let signal = self.board()?.signal;
        let bit = 1u64 << (signal - 1);
        let has = |status: &str, name| {
            u64::from_str_radix(field(status, name), 16).unwrap_or(0) & bit != 0
        };
        if !has(&self.read("status")?, "SigCgt:") {
            return Err(Refusal::SignalTaken(self.id, signal));
        }
        let mut open = Vec::new();
        for thread in self.threads() {
            let status = self.read(&format!("task/{thread}/status")).unwrap_or_default();
            if has(&status, "SigPnd:") {
                return Ok(());
            }
            let state = field(&status, "State:");
            if !has(&status, "SigBlk:") && !state.is_empty() && !state.starts_with('Z') {
                open.push(thread);
            }
        }
        if open.is_empty() {
            return Err(match self.silence() {
                Refusal::NoAnswer(id) => Refusal::Blocked(id, signal),
                other => other,
            });
        }
        send(self.id, open[attempt % open.len()], signal).or_else(|error| {
            match error.raw_os_error() {
                // That thread has ended; another will do.
                Some(libc::ESRCH) => Ok(()),
                Some(libc::EPERM) => Err(Refusal::Forbidden(self.id)),
                _ => Err(Refusal::System(self.id, error)),
            }
        })
    }

    /// The threads, the first of the process before the others.
    fn threads(&self) -> Vec<i32> {
        let entries = fs::read_dir(format!("/proc/{}/task", self.id));
        let names = entries.into_iter().flatten().flatten();
        let mut threads: Vec<i32> =
            names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        threads.sort_unstable_by_key(|&thread| (thread != self.id, thread));
        threads
    }

    /// Why it may be that no answer comes.
    pub fn silence(&self) -> Refusal {
        let status = self.read("status").unwrap_or_default();
        match field(&status, "State:").chars().next() {
            Some('T' | 't') => Refusal::Stopped(self.id),
            _ => Refusal::NoAnswer(self.id),
        }
    }

    /// An open file.
    pub fn file(&self, descriptor: i32) -> Option<OpenFile> {
        let link = PathBuf::from(format!("/proc/{}/fd/{descriptor}", self.id));
        let path = fs::read_link(&link).ok()?;
        let facts = fs::metadata(&link).ok()?;
        Some(OpenFile { link, path, is_regular: facts.is_file(), length: facts.len() })
    }
}

/// The value behind a name of proc_pid_status(5).
fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim()
}

/// Queues the request for one thread (rt_tgsigqueueinfo(2)).
fn send(process: i32, thread: i32, signal: i32) -> Result<(), Error> {
    // SAFETY: all-zero is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    info.si_signo = signal;
    info.si_code = libc::SI_QUEUE;
    /// What follows the three numbers of siginfo_t for a queued signal
    /// (sigaction(2)): 4 bytes of padding, then these.
    #[repr(C)]
    struct Queued {
        numbers: [i32; 4],
        process: i32,
        user: u32,
        value: u64,
    }
    // SAFETY: siginfo_t is larger than these fields, which lie there in this
    // order on 64-bit Linux.
    let result = unsafe {
        let queued = &mut *(&raw mut info).cast::<Queued>();
        // Not our number: in the process's namespace it may be its own.
        queued.process = 0;
        queued.user = libc::getuid();
        queued.value = REQUEST;
        libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signal, &raw const info)
    };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
