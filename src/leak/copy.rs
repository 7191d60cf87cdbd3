//! A forked copy of the process that does something with its memory as it
//! was, while the process goes on.
//!
//! The copy is no child that the program can see: it ends without SIGCHLD and
//! its wait functions do not find it (clone(2), exit signal 0). It holds none
//! of the program's files open, dies with the process, writes no core, is the
//! first to go when memory runs out, and has a time limit: of processor time,
//! because on a busy machine a copy that stands back may get little of it.
//!
//! Invariant: between clone and exit the copy runs only code of this crate
//! that takes no lock.

use crate::platform::linux::files::{File, write};
use crate::platform::linux::process;
use crate::platform::linux::syscall::call;
use crate::platform::linux::{cgroup, limits};
use crate::platform::{Host, OsError, Platform};

const CLONE_PIDFD: usize = 0x1000;

/// How many times its limit of processor time a copy may live.
const PATIENCE: u64 = 30;

/// A copy that runs.
pub struct Copy {
    process: usize,
    /// Readable when the copy has ended; -1 where the kernel has none.
    descriptor: i32,
}

/// How a copy ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// Whether the control group could hold all private memory of this process twice.
pub fn is_room_for_a_copy() -> bool {
    match (cgroup::memory_room(), limits::private_bytes()) {
        (Some(room), Some(bytes)) => bytes <= room,
        _ => true,
    }
}

impl Copy {
    /// Forks; in the copy, runs `work` and ends. The caller has blocked all
    /// signals. `limit_ns` is the copy's processor time, `is_idle` whether it stands back
    /// when others want the processor.
    pub fn start(
        limit_ns: u64,
        is_idle: bool,
        work: impl FnOnce() -> i32,
    ) -> Result<Copy, OsError> {
        let parent = process::id();
        let mut descriptor: i32 = -1;
        let place = &raw mut descriptor as usize;
        // SAFETY: a plain fork: no memory is shared, both sides go on from
        // here on their own copy of this stack (clone(2) with a null stack).
        let result = unsafe { call(libc::SYS_clone, [CLONE_PIDFD, 0, place, 0, 0, 0]) };
        let result = match result {
            // Kernels before 5.2 know no CLONE_PIDFD.
            Err(OsError(libc::EINVAL)) => {
                // SAFETY: as above.
                unsafe { call(libc::SYS_clone, [0; 6]) }
            }
            other => other,
        };
        match result? {
            0 => {
                settle(parent, limit_ns, is_idle);
                process::exit_now(work())
            }
            process => Ok(Copy { process, descriptor }),
        }
    }

    /// Waits for the end; kills the copy when it has used `limit_ns` of
    /// processor time, got none for that long, or lives [`PATIENCE`] times as
    /// long.
    pub fn wait(self, limit_ns: u64) -> End {
        let begun = Host::monotonic_ns();
        let (mut used, mut since) = (0, begun);
        let mut is_killed = false;
        loop {
            let now = Host::monotonic_ns();
            if let Some(time) = self.processor_ns().filter(|&time| time > used) {
                (used, since) = (time, now);
            }
            let is_late = used >= limit_ns
                || now - since >= limit_ns
                || now - begun >= limit_ns.saturating_mul(PATIENCE);
            if is_late && !is_killed {
                // SAFETY: kill(2) on our own child, which nobody else reaps.
                let _ = unsafe {
                    call(libc::SYS_kill, [self.process, libc::SIGKILL as usize, 0, 0, 0, 0])
                };
                is_killed = true;
            }
            if let Some(end) = self.reap() {
                return end;
            }
            self.sleep(if is_killed { 10_000_000 } else { (limit_ns / 4).clamp(1, 1_000_000_000) });
        }
    }

    /// Processor time that the copy has used; `None` if the kernel does not
    /// tell (clock_getcpuclockid(3)).
    fn processor_ns(&self) -> Option<u64> {
        const SCHEDULER: usize = 2;
        let clock = !self.process << 3 | SCHEDULER;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let place = &raw mut time as usize;
        // SAFETY: the kernel writes one timespec to our stack.
        unsafe { call(libc::SYS_clock_gettime, [clock, place, 0, 0, 0, 0]) }.ok()?;
        Some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }

    fn reap(&self) -> Option<End> {
        let mut status: i32 = 0;
        let options = (libc::__WALL | libc::WNOHANG) as usize;
        // SAFETY: the kernel writes one int to our stack.
        let result = unsafe {
            call(libc::SYS_wait4, [self.process, &raw mut status as usize, options, 0, 0, 0])
        };
        match result {
            Ok(0) | Err(OsError(libc::EINTR)) => None,
            Ok(_) if libc::WIFSIGNALED(status) => Some(End::Killed(libc::WTERMSIG(status))),
            Ok(_) => Some(End::Exited(libc::WEXITSTATUS(status))),
            // Somebody else reaped it: waitpid(-1, …, __WALL).
            Err(_) => Some(End::Exited(0)),
        }
    }

    fn sleep(&self, nanoseconds: u64) {
        let time = libc::timespec {
            tv_sec: (nanoseconds / 1_000_000_000) as i64,
            tv_nsec: (nanoseconds % 1_000_000_000) as i64,
        };
        let mut poll = libc::pollfd { fd: self.descriptor, events: libc::POLLIN, revents: 0 };
        if self.descriptor < 0 {
            let short = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            // SAFETY: reads one timespec from our stack.
            let _ =
                unsafe { call(libc::SYS_nanosleep, [&raw const short as usize, 0, 0, 0, 0, 0]) };
            return;
        }
        // SAFETY: the structures live on our stack (ppoll(2)).
        let _ = unsafe {
            call(libc::SYS_ppoll, [&raw mut poll as usize, 1, &raw const time as usize, 0, 8, 0])
        };
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if self.descriptor >= 0 {
            // SAFETY: the descriptor is ours.
            let _ = unsafe { call(libc::SYS_close, [self.descriptor as usize, 0, 0, 0, 0, 0]) };
        }
    }
}

/// Makes the copy a quiet guest. What the kernel refuses is done without.
fn settle(parent: u32, limit_ns: u64, is_idle: bool) {
    // SAFETY: each call changes only this new process, by plain numbers or by
    // structures on this stack in the kernel's layout.
    unsafe {
        let kill = libc::SIGKILL as usize;
        let _ = call(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as usize, kill, 0, 0, 0, 0]);
        if call(libc::SYS_getppid, [0; 6]) != Ok(parent as usize) {
            process::exit_now(0);
        }
        let name = b"heapwarden-scan\0";
        let _ =
            call(libc::SYS_prctl, [libc::PR_SET_NAME as usize, name.as_ptr() as usize, 0, 0, 0, 0]);
        let _ = call(libc::SYS_close_range, [0, u32::MAX as usize, 0, 0, 0, 0]);
        let none = [0u64; 2];
        let core = libc::RLIMIT_CORE as usize;
        let _ = call(libc::SYS_prlimit64, [0, core, &raw const none as usize, 0, 0, 0]);
        for signal in [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGILL,
            libc::SIGFPE,
            libc::SIGABRT,
            libc::SIGALRM,
            libc::SIGXCPU,
        ] {
            process::reset_signal(signal);
        }
        let seconds = (limit_ns / 1_000_000_000).max(1);
        let time = [seconds, seconds + 5];
        let processor = libc::RLIMIT_CPU as usize;
        let _ = call(libc::SYS_prlimit64, [0, processor, &raw const time as usize, 0, 0, 0]);
        // Where nobody waits any more.
        let timer = [0u64, 0, seconds.saturating_mul(PATIENCE), 0];
        let _ = call(libc::SYS_setitimer, [0, &raw const timer as usize, 0, 0, 0, 0]);
        if is_idle {
            // Not SCHED_IDLE, nor far back: on a busy machine that may take for
            // ever, and while the copy lives, the program's writes copy pages.
            let zero: i32 = 0;
            let batch = libc::SCHED_BATCH as usize;
            let zero = &raw const zero as usize;
            let _ = call(libc::SYS_sched_setscheduler, [0, batch, zero, 0, 0, 0]);
            let _ = call(libc::SYS_setpriority, [libc::PRIO_PROCESS as usize, 0, 5, 0, 0, 0]);
        }
    }
    if let Ok(file) = File::open(b"/proc/self/oom_score_adj\0", libc::O_WRONLY, 0) {
        let _ = write(file.descriptor(), b"1000");
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn copy(limit_ns: u64, work: impl FnOnce() -> i32) -> End {
        let mask = process::block_signals();
        let copy = Copy::start(60_000_000_000, false, work);
        process::restore_signals(mask);
        copy.unwrap().wait(limit_ns)
    }

    #[test]
    fn a_copy_ends_as_it_likes_and_the_program_cannot_wait_for_it() {
        assert_eq!(copy(10_000_000_000, || 7), End::Exited(7));
        let mask = process::block_signals();
        let child = Copy::start(60_000_000_000, false, || 0).unwrap();
        process::restore_signals(mask);
        // SAFETY: waits for any ordinary child, of which there is none.
        let found = unsafe { libc::waitpid(child.process as i32, std::ptr::null_mut(), 0) };
        assert_eq!(found, -1);
        assert_eq!(child.wait(10_000_000_000), End::Exited(0));
    }

    #[test]
    fn a_copy_that_crashes_or_hangs_is_told_apart() {
        let crash = || {
            // SAFETY: none: the copy is to die of it.
            unsafe { core::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
            0
        };
        assert_eq!(copy(10_000_000_000, crash), End::Killed(libc::SIGSEGV));
        let begun = std::time::Instant::now();
        let hang = || loop {
            core::hint::spin_loop();
        };
        assert_eq!(copy(50_000_000, hang), End::Killed(libc::SIGKILL));
        assert!(begun.elapsed().as_secs() < 30);
    }
}
