//! Runs a program under ptrace(2) and makes one system call of the library
//! fail: the call is not done (its number becomes -1), its result is an errno.
//!
//! Children are followed, so a call may be one of the library's own child's.
//!
//! Invariant: all tracees are gone when [`run`] returns; the kernel kills them
//! if this process goes first (`PTRACE_O_EXITKILL`).

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// How the program ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Exited(i32),
    Signaled(i32),
}

/// What was seen of one run.
#[derive(Debug)]
pub struct Seen {
    pub end: End,
    /// Calls of the library that may fail.
    pub calls: u64,
    /// The one that failed.
    pub failed: Option<String>,
    /// What it and the library wrote.
    pub output: String,
}

/// The longest that a run may take; a sound one takes less than a second.
const LONGEST: libc::c_uint = 120;

/// Where a tracee stands.
#[derive(Default)]
struct Tracee {
    is_inside: bool,
    /// The result that its call shall have.
    result: Option<i64>,
    library: Vec<Range<u64>>,
}

/// The errno with which a system call fails, by its number and its second
/// argument; `None` if it shall not.
pub type Failing = fn(i64, u64) -> Option<i32>;

/// Runs the program; of the calls that are `failing` the `nth` does, from 1.
///
/// # Errors
/// ptrace is not to be had here.
pub fn run(mut command: Command, failing: Failing, nth: u64) -> io::Result<Seen> {
    let (mut output, input) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    // SAFETY: only calls that are safe after fork (signal-safety(7)).
    unsafe {
        command.pre_exec(|| {
            // A run that hangs dies by SIGALRM, and that is told.
            libc::alarm(LONGEST);
            match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
    let root = command.spawn()?.id() as i32;
    drop(command); // and our ends of the pipe
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
    });
    let mut seen = Seen { end: End::Exited(-1), calls: 0, failed: None, output: String::new() };
    let mut tracees = BTreeMap::new();
    let (_, status) = wait(root)?;
    assert!(libc::WIFSTOPPED(status), "it stops at exec: {status:#x}");
    let options = libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_EXITKILL
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK;
    // SAFETY: `root` is a stopped tracee.
    unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, root, 0, options) };
    go_on(root, 0);
    // Until nobody is left: the program's own children too.
    while let Ok((process, status)) = wait(-1) {
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            tracees.remove(&process);
            if process == root {
                seen.end = match libc::WIFEXITED(status) {
                    true => End::Exited(libc::WEXITSTATUS(status)),
                    false => End::Signaled(libc::WTERMSIG(status)),
                };
            }
            continue;
        }
        let signal = libc::WSTOPSIG(status);
        if signal == libc::SIGTRAP | 0x80 {
            at_call(process, tracees.entry(process).or_default(), failing, nth, &mut seen);
            go_on(process, 0);
        } else if status >> 16 != 0 || !tracees.contains_key(&process) {
            // A clone or fork; or the new one's first stop.
            tracees.entry(process).or_default();
            go_on(process, 0);
        } else {
            go_on(process, signal);
        }
    }
    seen.output = reader.join().expect("the reader lives")?;
    Ok(seen)
}

/// At the start or the end of a system call.
fn at_call(process: i32, tracee: &mut Tracee, failing: Failing, nth: u64, seen: &mut Seen) {
    // SAFETY: plain numbers.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    // SAFETY: a stopped tracee; room for its registers.
    if unsafe { libc::ptrace(libc::PTRACE_GETREGS, process, 0, &raw mut registers) } != 0 {
        return;
    }
    tracee.is_inside = !tracee.is_inside;
    if tracee.is_inside {
        if tracee.library.is_empty() {
            tracee.library = text_of_library(process);
        }
        let is_ours = tracee.library.iter().any(|text| text.contains(&registers.rip));
        let Some(errno) = failing(registers.orig_rax as i64, registers.rsi).filter(|_| is_ours)
        else {
            return;
        };
        seen.calls += 1;
        if seen.calls != nth {
            return;
        }
        seen.failed = Some(format!("system call {}", registers.orig_rax));
        tracee.result = Some(-i64::from(errno));
        registers.orig_rax = u64::MAX;
    } else if let Some(result) = tracee.result.take() {
        registers.rax = result as u64;
    } else {
        return;
    }
    // SAFETY: as above.
    unsafe { libc::ptrace(libc::PTRACE_SETREGS, process, 0, &raw const registers) };
}

/// With what a call may be refused; `None` for those that cannot, by their manual.
pub fn refused(number: i64, _: u64) -> Option<i32> {
    match number {
        libc::SYS_exit
        | libc::SYS_exit_group
        | libc::SYS_rt_sigreturn
        | libc::SYS_rt_sigprocmask
        | libc::SYS_rt_sigpending
        | libc::SYS_futex
        | libc::SYS_getpid
        | libc::SYS_gettid
        | libc::SYS_getppid
        | libc::SYS_getuid
        | libc::SYS_geteuid
        | libc::SYS_getgid
        | libc::SYS_getegid
        | libc::SYS_clock_gettime
        | libc::SYS_nanosleep
        | libc::SYS_sched_yield => None,
        libc::SYS_open | libc::SYS_openat | libc::SYS_memfd_create | libc::SYS_pipe2 => {
            Some(libc::EMFILE)
        }
        libc::SYS_read | libc::SYS_pread64 | libc::SYS_write | libc::SYS_writev => Some(libc::EIO),
        libc::SYS_clone | libc::SYS_clone3 | libc::SYS_fork | libc::SYS_vfork => Some(libc::EAGAIN),
        libc::SYS_mmap
        | libc::SYS_munmap
        | libc::SYS_mremap
        | libc::SYS_mprotect
        | libc::SYS_madvise
        | libc::SYS_brk => Some(libc::ENOMEM),
        _ => Some(libc::EPERM),
    }
}

/// Which calls a signal may interrupt (signal(7)), of those that are made here.
pub fn interrupted(number: i64, second: u64) -> Option<i32> {
    match number {
        libc::SYS_open
        | libc::SYS_openat
        | libc::SYS_read
        | libc::SYS_pread64
        | libc::SYS_write
        | libc::SYS_writev
        | libc::SYS_wait4
        | libc::SYS_waitid
        | libc::SYS_poll
        | libc::SYS_ppoll
        | libc::SYS_pselect6
        | libc::SYS_connect
        | libc::SYS_ftruncate
        | libc::SYS_fallocate
        | libc::SYS_nanosleep
        | libc::SYS_clock_nanosleep => Some(libc::EINTR),
        // Who waits may be interrupted, who wakes may not: nobody would be woken.
        libc::SYS_futex => [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET]
            .contains(&(second as i32 & libc::FUTEX_CMD_MASK))
            .then_some(libc::EINTR),
        _ => None,
    }
}

/// Where the library's instructions lie in a process; nothing while it has not
/// been loaded.
fn text_of_library(process: i32) -> Vec<Range<u64>> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
    maps.lines()
        .filter(|line| line.ends_with("libheapwarden.so") && line.contains(" r-xp "))
        .filter_map(|line| line.split(' ').next()?.split_once('-'))
        .filter_map(|(start, end)| {
            let number = |text| u64::from_str_radix(text, 16).ok();
            Some(number(start)?..number(end)?)
        })
        .collect()
}

/// Waits for tracees of this thread: another test may have its own.
fn wait(process: i32) -> io::Result<(i32, i32)> {
    let mut status = 0;
    // SAFETY: room for the status.
    match unsafe { libc::waitpid(process, &raw mut status, libc::__WALL | libc::__WNOTHREAD) } {
        -1 => Err(io::Error::last_os_error()),
        process => Ok((process, status)),
    }
}

/// On to the next call, with a signal or none.
fn go_on(process: i32, signal: i32) {
    // SAFETY: a stopped tracee, or one that was just killed, which is an error.
    unsafe { libc::ptrace(libc::PTRACE_SYSCALL, process, 0, signal) };
}
