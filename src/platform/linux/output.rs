//! What writing a report needs besides write(2): the date, waiting until a
//! pipe takes more, and undoing the signal that a closed pipe raises.

use super::syscall::call;

/// Seconds since 1970 and nanoseconds, by the clock people use
/// (CLOCK_REALTIME).
pub fn realtime() -> (u64, u32) {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let clock = libc::CLOCK_REALTIME as usize;
    // SAFETY: clock_gettime(2) writes one timespec, which lives on our stack.
    let _ = unsafe { call(libc::SYS_clock_gettime, [clock, &raw mut now as usize, 0, 0, 0, 0]) };
    (now.tv_sec as u64, now.tv_nsec as u32)
}

/// Waits until `descriptor` takes bytes, at most `timeout_ms`; whether it does
/// (ppoll(2)).
pub fn wait_writable(descriptor: i32, timeout_ms: u64) -> bool {
    let mut entry = libc::pollfd { fd: descriptor, events: libc::POLLOUT, revents: 0 };
    let limit = libc::timespec {
        tv_sec: (timeout_ms / 1000) as i64,
        tv_nsec: (timeout_ms % 1000 * 1_000_000) as i64,
    };
    // SAFETY: ppoll(2) reads and writes one pollfd and reads the timespec; both
    // live on our stack.
    let ready = unsafe {
        let (entry, limit) = (&raw mut entry as usize, &raw const limit as usize);
        call(libc::SYS_ppoll, [entry, 1, limit, 0, 8, 0])
    };
    ready == Ok(1) && entry.revents & libc::POLLOUT != 0
}

/// The signals that wait for this thread or its process (rt_sigpending(2)).
pub fn pending_signals() -> u64 {
    let mut set: u64 = 0;
    // SAFETY: rt_sigpending(2) writes one set of 8 bytes, which lives on our
    // stack.
    let _ = unsafe { call(libc::SYS_rt_sigpending, [&raw mut set as usize, 8, 0, 0, 0, 0]) };
    set
}

/// Takes the blocked signals in `set` out of the waiting ones, without
/// running a handler (rt_sigtimedwait(2)).
pub fn discard_signals(set: u64) {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: reads the set and the timespec, which live on our stack.
    while unsafe {
        let (set, now) = (&raw const set as usize, &raw const now as usize);
        call(libc::SYS_rt_sigtimedwait, [set, 0, now, 8, 0, 0])
    }
    .is_ok()
    {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_after_this_was_written() {
        assert!(realtime().0 > 1_760_000_000);
    }

    #[test]
    fn a_descriptor_that_is_not_open_is_not_writable() {
        assert!(!wait_writable(1_000_000, 1));
    }
}
