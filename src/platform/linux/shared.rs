//! Helper processes: a copy of this one on a stack of its own, memory that
//! both see, and its end (clone(2), mmap(2), wait4(2)).

use super::files::{self, File};
use super::process;
use super::syscall::call;
use crate::platform::OsError;
use core::ptr::NonNull;

/// Maps `bytes` of zeroed memory that forked processes share.
pub fn map(bytes: usize) -> Result<NonNull<u8>, OsError> {
    let access = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize;
    // SAFETY: a fresh mapping at an address of the kernel's choice.
    let address = unsafe { call(libc::SYS_mmap, [0, bytes, access, flags, usize::MAX, 0]) }?;
    NonNull::new(address as *mut u8).ok_or(OsError(libc::ENOMEM))
}

/// Unmaps what [`map`] returned.
///
/// # Safety
/// `start` and `bytes` are those of [`map`], and nothing points into it.
pub unsafe fn unmap(start: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller promises that the mapping is its own.
    let _ = unsafe { call(libc::SYS_munmap, [start.as_ptr() as usize, bytes, 0, 0, 0, 0]) };
}

/// Copies this process as fork(2) does, without SIGCHLD and atfork handlers;
/// the copy calls `entry(argument)` on the stack that ends at `stack_top`.
/// The copy's process id.
///
/// # Safety
/// The stack is mapped, unused and 16-aligned at its top; `entry` runs in a
/// process whose other threads are gone in the middle of whatever they did.
pub unsafe fn fork_onto(
    stack_top: usize,
    entry: extern "C" fn(*mut u8) -> !,
    argument: *mut u8,
) -> Result<u32, OsError> {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: clone(2) without flags: a copy of the process that goes on at
    // the same instruction with rax = 0 and rsp = stack_top. It never gets
    // past the call; the parent skips it, and its registers are restored.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") 0usize, in("rsi") stack_top, in("rdx") 0usize, in("r10") 0usize,
            in("r8") 0usize, in("r12") argument, in("r13") entry,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above, by the aarch64 convention.
    unsafe {
        core::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "blr x21",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone,
            inlateout("x0") 0isize => result,
            in("x1") stack_top, in("x2") 0usize, in("x3") 0usize, in("x4") 0usize,
            in("x20") argument, in("x21") entry,
        );
    }
    if result < 0 { Err(OsError(-result as i32)) } else { Ok(result as u32) }
}

/// In a helper process: ends with its parent, leaves no core file, runs none
/// of the program's signal handlers, keeps none of its files open.
pub fn become_helper() {
    process::block_signals();
    for signal in
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGABRT]
    {
        process::reset_signal(signal);
    }
    // Where memory is short, this copy dies before its parent (proc(5)).
    if let Ok(file) = File::open(b"/proc/self/oom_score_adj\0", libc::O_WRONLY, 0) {
        let _ = files::write(file.descriptor(), b"1000");
    }
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: these change only this process, which is a helper; the limit
    // lives on our stack.
    unsafe {
        let die = libc::PR_SET_PDEATHSIG as usize;
        let _ = call(libc::SYS_prctl, [die, libc::SIGKILL as usize, 0, 0, 0, 0]);
        let core = libc::RLIMIT_CORE as usize;
        let limit = &raw const none as usize;
        let _ = call(libc::SYS_prlimit64, [0, core, limit, 0, 0, 0]);
        let _ = call(libc::SYS_close_range, [0, u32::MAX as usize, 0, 0, 0, 0]);
    }
}

/// Whether helper `child` has ended, and its wait status (wait4(2), `__WALL`).
pub fn reap(child: u32) -> Result<Option<i32>, OsError> {
    let mut status = 0i32;
    let options = (libc::WNOHANG | libc::__WALL) as usize;
    // SAFETY: wait4(2) writes one int, which lives on our stack.
    let found = unsafe {
        call(libc::SYS_wait4, [child as usize, &raw mut status as usize, options, 0, 0, 0])
    };
    match found {
        Ok(0) | Err(OsError(libc::EINTR)) => Ok(None),
        Ok(_) => Ok(Some(status)),
        Err(error) => Err(error),
    }
}

/// Kills helper `child`, which is not reaped yet.
pub fn kill(child: u32) {
    // SAFETY: the id cannot have been reused before we reap it.
    let _ = unsafe { call(libc::SYS_kill, [child as usize, libc::SIGKILL as usize, 0, 0, 0, 0]) };
}
