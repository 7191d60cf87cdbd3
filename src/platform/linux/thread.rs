//! Threads and time: ids, the monotonic clock, sleeping on a word.

use super::syscall::call;
use crate::sync::atomics::AtomicU32;

pub(super) fn thread_id() -> u32 {
    // SAFETY: gettid(2) has no arguments and no effect.
    unsafe { call(libc::SYS_gettid, [0; 6]) }.unwrap_or(0) as u32
}

pub(super) fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let clock = libc::CLOCK_MONOTONIC as usize;
    // SAFETY: clock_gettime(2) writes one timespec, which lives on our stack.
    let _ = unsafe { call(libc::SYS_clock_gettime, [clock, &raw mut now as usize, 0, 0, 0, 0]) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

pub(super) fn wait(word: &AtomicU32, expected: u32, timeout_ns: u64) {
    let limit = libc::timespec {
        tv_sec: (timeout_ns / 1_000_000_000) as i64,
        tv_nsec: (timeout_ns % 1_000_000_000) as i64,
    };
    let limit = if timeout_ns == 0 { 0 } else { &raw const limit as usize };
    let operation = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as usize;
    // SAFETY: futex(2) reads `word`, which the reference keeps alive, and the
    // timespec above.
    let _ = unsafe {
        call(libc::SYS_futex, [word.as_ptr() as usize, operation, expected as usize, limit, 0, 0])
    };
}

pub(super) fn wake(word: &AtomicU32, count: u32) {
    let operation = (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG) as usize;
    // SAFETY: FUTEX_WAKE uses the address only as a key.
    let _ = unsafe {
        call(libc::SYS_futex, [word.as_ptr() as usize, operation, count as usize, 0, 0, 0])
    };
}
