//! Checks of a running process that nobody calls for in its code: by
//! `heapwarden check PID`, by a signal (`check_signal`), or every N seconds
//! (`check_interval_s`). And the clock that hidden leaks are judged by: threads
//! that allocate seldom begin a new epoch seldom, so with `hidden_leaks` all
//! threads do, 64 times in the process's life so far.
//!
//! One thread sleeps until then, with all signals blocked. It is made at start
//! if an option asks for it, else when the first request comes, in the handler:
//! if the interrupted code is at a place where that is safe
//! ([`safe_place`](super::safe_place)); else who asked asks again. Where no thread
//! can be had the interrupted one does the check itself. A forked child has no
//! thread until it is asked.
//!
//! A check by signal tells all there is. A check by the clock tells only what
//! is new since the last one, and only blocks that two checks in a row found
//! lost, so that a pointer on its way from hand to hand is not called lost.

use super::leaks::{self, Verdict};
use super::runtime::{OPTIONS_BUFFER, REPORTER};
use super::{faults, safe_place};
use crate::heap;
use crate::leak::{self, Caller, KnownBlocks, LeakOptions, Progress};
use crate::platform::linux::{auxv, process};
use crate::platform::{Host, Platform};
use crate::sync::atomics::{
    AtomicBool, AtomicI32, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use core::ffi::c_void;

/// Shortest epoch for the sake of hidden leaks.
const SHORTEST_EPOCH_NS: u64 = 10_000_000;
/// Age of the process at which the kernel first notes which pages are used, and
/// how many times as old it is when that begins anew: seldom, because a check
/// that comes soon after has nothing to tell.
const FIRST_WINDOW_NS: u64 = 250_000_000;
const WINDOW_GROWTH: u64 = 16;
/// Blocks that the clock's checks remember.
const REMEMBERED: usize = 1 << 20;

static REQUESTS: AtomicU32 = AtomicU32::new(0);

/// Whether there is a thread that serves requests.
static THREAD: AtomicU32 = AtomicU32::new(NO_THREAD);
const NO_THREAD: u32 = 0;
const MAKING: u32 = 1;
const THERE: u32 = 2;

/// What the board shows; see [`Progress`].
static BEGUN: AtomicU32 = AtomicU32::new(0);
static ENDED: AtomicU32 = AtomicU32::new(0);
static VERDICT: AtomicU32 = AtomicU32::new(0);
static DESCRIPTOR: AtomicI32 = AtomicI32::new(-1);
static HAS_BOARD: AtomicBool = AtomicBool::new(false);

/// Makes the thread, if an option asks for it, and lets requests come in.
pub(super) fn start() {
    let options = OPTIONS_BUFFER.get();
    if !auxv::is_secure() {
        safe_place::learn();
        HAS_BOARD.store(leak::accept(on_request, &progress()).is_ok(), Relaxed);
    }
    let is_asked = options.check_signal.is_some() || options.check_interval_s > 0;
    if !options.detect_leaks || !is_asked && !options.hidden_leaks {
        return;
    }
    THREAD.store(MAKING, Release);
    let made = make_thread();
    THREAD.store(if made { THERE } else { NO_THREAD }, Release);
    if let Some(signal) = options.check_signal.filter(|_| made) {
        listen(signal as i32);
    }
}

/// What the board is to show now.
pub(super) fn progress() -> Progress {
    Progress {
        begun: BEGUN.load(Relaxed),
        ended: ENDED.load(Relaxed),
        verdict: VERDICT.load(Relaxed),
        descriptor: DESCRIPTOR.load(Relaxed),
    }
}

/// Whether `signal` is the one that requests come by.
pub(super) fn is_taken(signal: i32) -> bool {
    HAS_BOARD.load(Relaxed) && leak::is_own_signal(signal)
}

/// The threads of the parent are not here.
pub(super) fn after_fork_in_child() {
    THREAD.store(NO_THREAD, Release);
    REQUESTS.store(0, Release);
    leak::end_window();
}

fn make_thread() -> bool {
    let mask = process::block_signals();
    let mut thread = 0;
    // SAFETY: plain pthread_create(3) of a function of ours, which needs no
    // argument and never ends.
    let made = unsafe {
        libc::pthread_create(&raw mut thread, core::ptr::null(), watch, core::ptr::null_mut()) == 0
            && libc::pthread_detach(thread) == 0
    };
    process::restore_signals(mask);
    made
}

fn listen(signal: i32) {
    // SAFETY: sigaction(2) with a handler of ours that only counts and wakes;
    // zero is a valid value of the structure.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK | libc::SA_SIGINFO;
        (&raw mut action.sa_mask).cast::<u64>().write(u64::MAX);
        libc::sigaction(signal, &raw const action, core::ptr::null_mut());
    }
}

extern "C" fn on_signal(_: i32, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a whole context (sigaction(2), SA_SIGINFO).
    on_request(unsafe { &*context.cast::<libc::ucontext_t>() });
}

/// A check is asked for; this is a signal's handler, all signals are blocked.
fn on_request(context: &libc::ucontext_t) {
    REQUESTS.fetch_add(1, Release);
    Host::wake(&REQUESTS, 1);
    if THREAD.compare_exchange(NO_THREAD, MAKING, AcqRel, Acquire).is_err() {
        return;
    }
    // SAFETY: errno is this thread's own.
    let errno = unsafe { *libc::__errno_location() };
    let mut next = NO_THREAD;
    if safe_place::is_safe(context) {
        let mut work = Work { context, next: NO_THREAD };
        // The program's stack may be a small alternate one.
        faults::on_own_stack(serve_interrupted, (&raw mut work).cast());
        next = work.next;
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    THREAD.store(next, Release);
}

struct Work<'a> {
    context: &'a libc::ucontext_t,
    next: u32,
}

extern "C" fn serve_interrupted(work: *mut c_void) {
    // SAFETY: `on_request` passes its own `Work` and waits for us.
    let work = unsafe { &mut *work.cast::<Work<'_>>() };
    match make_thread() {
        true => work.next = THERE,
        false => {
            REPORTER.notice(format_args!(
                "no thread can be made for the leak check, so the program waits for it"
            ));
            serve(&Caller::interrupted(work.context));
            REQUESTS.store(0, Release);
        }
    }
}

/// One check that was asked for.
fn serve(caller: &Caller) {
    let number = BEGUN.fetch_add(1, Relaxed) + 1;
    announce();
    let verdict = leaks::check_live(caller, LeakOptions::LIVE);
    VERDICT.store(
        match verdict {
            Verdict::Clean => 0,
            Verdict::Leaks => 1,
            Verdict::Impossible => 2,
        },
        Relaxed,
    );
    DESCRIPTOR.store(REPORTER.descriptor(), Relaxed);
    ENDED.store(number, Relaxed);
    announce();
}

fn announce() {
    if HAS_BOARD.load(Relaxed) {
        let _ = leak::announce(&progress());
    }
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
    let mut window_due = if options.hidden_leaks { begun + FIRST_WINDOW_NS } else { u64::MAX };
    loop {
        let asked = REQUESTS.load(Acquire);
        let now = Host::monotonic_ns();
        if asked != served {
            served = asked;
            serve(&Caller::here());
        } else if now >= check_due {
            clock.check();
            check_due = Host::monotonic_ns() + interval;
        } else if now >= window_due {
            // A new epoch, so that blocks born before can be told from later ones.
            heap::mark();
            leak::begin_window(now / 1_000_000);
            window_due = begun.saturating_add((now - begun).saturating_mul(WINDOW_GROWTH));
        } else if now >= epoch_due {
            heap::mark();
            epoch_due = now + ((now - begun) / 64).max(SHORTEST_EPOCH_NS);
        } else {
            let due = check_due.min(epoch_due).min(window_due);
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
