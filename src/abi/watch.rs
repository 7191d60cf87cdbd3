//! Checks of a running process that nobody calls for in its code: by a signal
//! (`check_signal`), or every N seconds (`check_interval_s`). And the clock
//! that hidden leaks are judged by: threads that allocate seldom begin a new
//! epoch seldom, so with `hidden_leaks` all threads do, 64 times in the
//! process's life so far.
//!
//! One thread sleeps until then; it is made at start, with all signals
//! blocked, and only if an option asks for it. A forked child has none: its
//! signals are counted and nothing more.
//!
//! A check by signal tells all there is. A check by the clock tells only what
//! is new since the last one, and only blocks that two checks in a row found
//! lost, so that a pointer on its way from hand to hand is not called lost.

use super::leaks;
use super::runtime::OPTIONS_BUFFER;
use crate::heap;
use crate::leak::{self, Caller, KnownBlocks, LeakOptions};
use crate::platform::linux::process;
use crate::platform::{Host, Platform};
use crate::sync::atomics::{
    AtomicU32,
    Ordering::{Acquire, Release},
};
use core::ffi::c_void;

/// Shortest epoch for the sake of hidden leaks.
const SHORTEST_EPOCH_NS: u64 = 10_000_000;
/// Blocks that the clock's checks remember.
const REMEMBERED: usize = 1 << 20;

static REQUESTS: AtomicU32 = AtomicU32::new(0);

/// Makes the thread, if an option asks for it.
pub(super) fn start() {
    let options = OPTIONS_BUFFER.get();
    let is_asked = options.check_signal.is_some() || options.check_interval_s > 0;
    if !options.detect_leaks || !is_asked && !options.hidden_leaks {
        return;
    }
    let mask = process::block_signals();
    let mut thread = 0;
    // SAFETY: plain pthread_create(3) of a function of ours, which needs no
    // argument and never ends.
    let made = unsafe {
        libc::pthread_create(&raw mut thread, core::ptr::null(), watch, core::ptr::null_mut()) == 0
            && libc::pthread_detach(thread) == 0
    };
    process::restore_signals(mask);
    if let Some(signal) = options.check_signal.filter(|_| made) {
        listen(signal as i32);
    }
}

fn listen(signal: i32) {
    // SAFETY: sigaction(2) with a handler of ours that only counts and wakes;
    // zero is a valid value of the structure.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigaction(signal, &raw const action, core::ptr::null_mut());
    }
}

extern "C" fn on_signal(_: i32) {
    REQUESTS.fetch_add(1, Release);
    Host::wake(&REQUESTS, 1);
}

extern "C" fn watch(_: *mut c_void) -> *mut c_void {
    leak::leave_out_thread(Host::thread_id());
    let options = OPTIONS_BUFFER.get();
    let interval = options.check_interval_s.min(1 << 30) * 1_000_000_000;
    let begun = Host::monotonic_ns();
    let mut clock = Clock::new();
    let mut served = 0;
    let mut check_due = if interval > 0 { begun + interval } else { u64::MAX };
    let mut epoch_due = if options.hidden_leaks { begun + SHORTEST_EPOCH_NS } else { u64::MAX };
    loop {
        let asked = REQUESTS.load(Acquire);
        let now = Host::monotonic_ns();
        if asked != served {
            served = asked;
            leaks::check_live(&Caller::here(), LeakOptions::LIVE);
        } else if now >= check_due {
            clock.check();
            check_due = Host::monotonic_ns() + interval;
        } else if now >= epoch_due {
            heap::mark();
            epoch_due = now + ((now - begun) / 64).max(SHORTEST_EPOCH_NS);
        } else {
            let due = check_due.min(epoch_due);
            Host::wait(&REQUESTS, asked, if due < u64::MAX { due - now } else { 0 });
        }
    }
}

/// What the clock's checks know.
struct Clock {
    /// Lost in the last check, in the one before, and told already.
    sets: Option<[KnownBlocks; 3]>,
    checks: u64,
}

impl Clock {
    fn new() -> Clock {
        let set = || KnownBlocks::new(REMEMBERED).ok();
        let sets = || Some([set()?, set()?, set()?]);
        Clock {
            sets: if OPTIONS_BUFFER.get().check_interval_s > 0 { sets() } else { None },
            checks: 0,
        }
    }

    fn check(&mut self) {
        let Some(sets) = &self.sets else {
            leaks::check_live(&Caller::here(), LeakOptions::LIVE);
            return;
        };
        let (now, before) = match self.checks % 2 {
            0 => (&sets[0], &sets[1]),
            _ => (&sets[1], &sets[0]),
        };
        now.clear();
        let options = LeakOptions {
            remember: Some(now),
            only_if_in: Some(before),
            only_if_not_in: Some(&sets[2]),
            remember_told: Some(&sets[2]),
            ..LeakOptions::LIVE
        };
        leaks::check_silently_if_clean(&Caller::here(), options);
        self.checks += 1;
    }
}
