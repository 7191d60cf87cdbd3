//! The process as a whole: its id, its end, its signals.

use super::syscall::call;

/// The process id. Asked afresh each time: vfork and raw clone share our memory.
pub fn id() -> u32 {
    // SAFETY: getpid(2) has no arguments and no effect.
    unsafe { call(libc::SYS_getpid, [0; 6]) }.unwrap_or(0) as u32
}

/// Ends the process at once with `status`, without flushing anything.
pub fn exit_now(status: i32) -> ! {
    loop {
        // SAFETY: exit_group(2) does not return.
        let _ = unsafe { call(libc::SYS_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Sends `signal` to the calling thread.
pub fn raise(signal: i32) {
    // SAFETY: tgkill(2) on ourselves; its effect is what the caller wants.
    let _ = unsafe {
        let thread = call(libc::SYS_gettid, [0; 6]).unwrap_or(0);
        call(libc::SYS_tgkill, [id() as usize, thread, signal as usize, 0, 0, 0])
    };
}

/// The kernel's form of a signal action (rt_sigaction(2)).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KernelAction {
    /// Handler, or `SIG_DFL` / `SIG_IGN`.
    pub handler: usize,
    /// `SA_*` flags.
    pub flags: u64,
    /// Code that returns from the handler (x86_64).
    pub restorer: usize,
    /// Signals blocked while the handler runs.
    pub mask: u64,
}

/// Processor time that the calling thread has used, in nanoseconds.
pub fn processor_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let clock = libc::CLOCK_THREAD_CPUTIME_ID as usize;
    // SAFETY: the kernel writes one timespec to our stack (clock_gettime(2)).
    let _ = unsafe { call(libc::SYS_clock_gettime, [clock, &raw mut time as usize, 0, 0, 0, 0]) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Puts the default action of `signal` back and unblocks it in this thread.
pub fn reset_signal(signal: i32) {
    let default = KernelAction { handler: libc::SIG_DFL, flags: 0, restorer: 0, mask: 0 };
    let set: u64 = 1 << (signal - 1);
    // SAFETY: both structures live on our stack and have the kernel's layout
    // (rt_sigaction(2), rt_sigprocmask(2): sets are 8 bytes).
    unsafe {
        let _ = call(
            libc::SYS_rt_sigaction,
            [signal as usize, &raw const default as usize, 0, 8, 0, 0],
        );
        let unblock = libc::SIG_UNBLOCK as usize;
        let _ = call(libc::SYS_rt_sigprocmask, [unblock, &raw const set as usize, 0, 8, 0, 0]);
    }
}

/// Blocks every signal in this thread; returns the old set.
pub fn block_signals() -> u64 {
    #[cfg(feature = "interleave")]
    if let Some(old) = crate::sync::interleave::set_blocked_signals(u64::MAX) {
        return old;
    }
    let all = u64::MAX;
    let mut old: u64 = 0;
    let how = libc::SIG_SETMASK as usize;
    // SAFETY: both sets live on our stack, 8 bytes as the kernel wants.
    let _ = unsafe {
        call(
            libc::SYS_rt_sigprocmask,
            [how, &raw const all as usize, &raw mut old as usize, 8, 0, 0],
        )
    };
    old
}

/// Sets this thread's blocked signals to `set`.
pub fn restore_signals(set: u64) {
    #[cfg(feature = "interleave")]
    if crate::sync::interleave::set_blocked_signals(set).is_some() {
        return;
    }
    let how = libc::SIG_SETMASK as usize;
    // SAFETY: the set lives on our stack, 8 bytes as the kernel wants.
    let _ = unsafe { call(libc::SYS_rt_sigprocmask, [how, &raw const set as usize, 0, 8, 0, 0]) };
}

/// Dies by SIGABRT, whatever handler or mask the program has set.
///
/// The program's own handler gets one chance first, as with abort(3).
pub fn abort() -> ! {
    let set: u64 = 1 << (libc::SIGABRT - 1);
    let how = libc::SIG_UNBLOCK as usize;
    // SAFETY: the set lives on our stack, 8 bytes as the kernel wants.
    let _ = unsafe { call(libc::SYS_rt_sigprocmask, [how, &raw const set as usize, 0, 8, 0, 0]) };
    raise(libc::SIGABRT);
    reset_signal(libc::SIGABRT);
    raise(libc::SIGABRT);
    exit_now(134)
}
