//! The watch: when to look at the heap, and whom to tell what was seen.
//!
//! ```text
//!   used ──0────────── calm ───── warn ──────── limit
//!              armed again │        │ Early        │ Refused
//!   peaks:     a picture at each step of a 32nd    │ (also when the OS refuses)
//! ```
//!
//! Each level speaks once; it is armed again when the heap was below the calm
//! mark (7/8 of the warning's), and even then at most once a second.
//!
//! Invariant: one picture is made at a time, by the thread that caused it; a
//! thread that comes meanwhile goes on without one.

use super::holders::{Holders, Site};
use super::limit::{self, Limit, LimitSource};
use super::{failing, reserve};
use crate::heap::{self, Hooks, Shortage};
use crate::platform::linux::limits::{self, Resource};
use crate::platform::linux::process;
use crate::platform::{Host, Platform};
use crate::sync::atomics::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::units::{KIB, MIB, StackId, WINDOW};
use core::cell::UnsafeCell;
use core::ptr::null_mut;

/// Why the heap was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// `warn_at_percent` of the limit is in use.
    Early,
    /// A request could not be served.
    Refused,
    /// More is in use than ever before.
    Peak,
}

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// Why.
    pub level: Level,
    /// Bytes asked for by the call that caused it.
    pub requested: usize,
    /// That call.
    pub stack: StackId,
    /// The limit in force.
    pub limit: Limit,
    /// Bytes that the program asked for and has not freed.
    pub live: usize,
    /// The most that `live` was, as far as it was noticed.
    pub peak: usize,
    /// Bytes of memory in use for them: with gaps, guards, freed blocks that
    /// are held back, and metadata.
    pub heap: usize,
    /// Bytes of freed blocks that are held back.
    pub held: usize,
    /// Bytes in the longest free run.
    pub largest_free: usize,
    /// Who holds most, the largest first.
    pub top: &'a [Site],
    /// Blocks in no site: there are too many sites.
    pub left_out: u64,
}

/// What the options say.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Bytes that the heap may use; 0 = no limit; `None` = the smallest that
    /// the system sets.
    pub limit: Option<usize>,
    /// Percent of the limit at which [`Level::Early`] comes; 0 = never.
    pub warn_at_percent: u32,
    /// Whether there is a picture at each new peak.
    pub draws_peaks: bool,
    /// What is called with each picture; it may end the process.
    pub listener: fn(&Picture<'_>),
    /// Whether an allocation fails on purpose.
    pub refuses: fn(&Shortage) -> bool,
}

/// Asked when memory has run out: may free some and return nonzero, then the
/// allocation is tried again.
pub type Handler = unsafe extern "C" fn(size: usize) -> i32;

const AUTO: usize = usize::MAX;
/// Bytes in use before an automatic limit is looked up at all.
const FIRST_LOOK: usize = 4 * MIB;
const SECOND: u64 = 1_000_000_000;
/// Least time between two looks at the limit, when allocations fail.
const LOOK_PAUSE: u64 = SECOND / 10;
/// Pictures of peaks take at most one part in this of the time.
const PEAK_SHARE: u64 = 20;

static CHOICE: AtomicUsize = AtomicUsize::new(AUTO);
static WARN_AT: AtomicU32 = AtomicU32::new(0);
static DRAWS_PEAKS: AtomicBool = AtomicBool::new(false);
static NEXT_PEAK: AtomicUsize = AtomicUsize::new(0);
static PEAK_PAUSE_UNTIL: AtomicU64 = AtomicU64::new(0);
static SOURCE: AtomicU8 = AtomicU8::new(0);
static LAST_LOOK: AtomicU64 = AtomicU64::new(0);
static LISTENER: AtomicPtr<()> = AtomicPtr::new(null_mut());
static REFUSES: AtomicPtr<()> = AtomicPtr::new(null_mut());
static HANDLER: AtomicPtr<()> = AtomicPtr::new(null_mut());
static REFUSED_BY_SYSTEM: AtomicBool = AtomicBool::new(false);
static EARLY: Gate = Gate::new();
static REFUSED: Gate = Gate::new();
static OVERSIZED: Gate = Gate::new();

static HOOKS: Hooks = Hooks { refuses, ran_out, alarm };

/// Takes over the options. Called once, while the process starts.
pub fn configure(setup: &Setup) {
    WARN_AT.store(setup.warn_at_percent, Relaxed);
    DRAWS_PEAKS.store(setup.draws_peaks, Relaxed);
    LISTENER.store(setup.listener as *mut (), Release);
    REFUSES.store(setup.refuses as *mut (), Release);
    set_limit(setup.limit);
    reserve::REPORT.hold();
    reserve::CHECK.hold();
    heap::set_hooks(&HOOKS);
}

/// Sets the limit: bytes, 0 = none, or `None` = the smallest that the system
/// sets, which is looked up when it may matter.
pub fn set_limit(limit: Option<usize>) {
    CHOICE.store(limit.unwrap_or(AUTO), Relaxed);
    match limit {
        Some(bytes) => install(Limit { bytes, source: LimitSource::Option }),
        None if limits::soft_limit(Resource::AddressSpace).is_some()
            || limits::soft_limit(Resource::Data).is_some() =>
        {
            install(limit::find());
        }
        None => {
            heap::set_limit(0);
            heap::set_marks(0, FIRST_LOOK);
        }
    }
}

/// Sets who is asked when memory has run out; `None` = nobody. The last one.
pub fn set_handler(handler: Option<Handler>) -> Option<Handler> {
    let new = handler.map_or(null_mut(), |handler| handler as *mut ());
    as_handler(HANDLER.swap(new, AcqRel))
}

/// Whether the operating system ever refused memory that the limit allowed, or
/// the limit was one that the system would enforce on our own mappings as well.
pub fn was_refused_by_system() -> bool {
    REFUSED_BY_SYSTEM.load(Relaxed)
}

fn as_handler(pointer: *mut ()) -> Option<Handler> {
    // SAFETY: only `set_handler` stores there, and it takes a `Handler`; a
    // function pointer is never null.
    (!pointer.is_null()).then(|| unsafe { core::mem::transmute::<*mut (), Handler>(pointer) })
}

fn refuses(shortage: &Shortage) -> bool {
    let pointer = REFUSES.load(Acquire);
    // SAFETY: only `configure` stores there, before the hooks are set, and it
    // takes a function of this type.
    let refuses: fn(&Shortage) -> bool = unsafe { core::mem::transmute(pointer) };
    failing::plan().is_active() && refuses(shortage)
}

/// The limit as it is now, in force from here on.
fn renew() -> Limit {
    if CHOICE.load(Relaxed) == AUTO {
        install(limit::find());
    }
    LAST_LOOK.store(Host::monotonic_ns(), Relaxed);
    current()
}

fn current() -> Limit {
    Limit { bytes: heap::memory_limit(), source: LimitSource::from_bits(SOURCE.load(Relaxed)) }
}

fn install(limit: Limit) {
    SOURCE.store(limit.source as u8, Relaxed);
    heap::set_limit(limit.bytes);
    set_marks(limit);
}

/// Bytes in use at which [`Level::Early`] is due; `None` = never.
fn warn_mark(limit: Limit) -> Option<usize> {
    let percent = WARN_AT.load(Relaxed) as usize;
    (limit.bytes > 0 && percent > 0).then(|| limit.bytes / 100 * percent)
}

/// Tells the heap at how many bytes in use to call again.
fn set_marks(limit: Limit) {
    let used = heap::used();
    let mut alarm = usize::MAX;
    if let Some(mark) = warn_mark(limit) {
        let later = (used + (limit.bytes / 64).max(64 * KIB)).min(limit.bytes - limit.bytes / 256);
        alarm = mark.max(if used >= mark { later } else { 0 });
    }
    if CHOICE.load(Relaxed) == AUTO {
        alarm = alarm.min(used + (limit.bytes / 64).max(MIB));
    }
    if DRAWS_PEAKS.load(Relaxed) {
        alarm = alarm.min(NEXT_PEAK.load(Relaxed).max(used + used / 64));
    }
    let ceiling = if limit.bytes > 0 { limit.bytes } else { used };
    let calm = warn_mark(limit).unwrap_or(ceiling / 8 * 7) / 8 * 7;
    heap::set_marks(calm, alarm);
}

/// The heap's memory went past the alarm mark.
fn alarm(shortage: &Shortage) {
    let Some(mut turn) = Turn::take() else { return };
    let limit = renew();
    let used = heap::used();
    let now = Host::monotonic_ns();
    let is_near = warn_mark(limit).is_some_and(|mark| used >= mark);
    let is_due =
        used >= NEXT_PEAK.load(Relaxed) && (is_near || now >= PEAK_PAUSE_UNTIL.load(Relaxed));
    if DRAWS_PEAKS.load(Relaxed) && is_due {
        NEXT_PEAK.store(used + (used / 32).max(256 * KIB), Relaxed);
        turn.show(Level::Peak, shortage, limit);
        let end = Host::monotonic_ns();
        PEAK_PAUSE_UNTIL.store(end + (end - now) * PEAK_SHARE, Relaxed);
    }
    set_marks(limit);
    if is_near && EARLY.may_speak(heap::was_calm()) {
        turn.show(Level::Early, shortage, limit);
    }
}

/// There was no memory; whether to try again.
fn ran_out(shortage: &Shortage) -> bool {
    if shortage.size > WINDOW {
        // No shortage: nobody's memory would be enough. The abi warns.
        return false;
    }
    let before = heap::memory_limit();
    if Host::monotonic_ns() - LAST_LOOK.load(Relaxed) > LOOK_PAUSE {
        let limit = renew();
        set_marks(limit);
        if limit.bytes > before && before != 0 {
            return true;
        }
    }
    if let Some(handler) = as_handler(HANDLER.load(Acquire))
        && let Some(_asking) = Asking::begin()
    {
        // SAFETY: the program gave us a function of this type; nothing of
        // ours is locked, so it may allocate and free.
        if unsafe { handler(shortage.size) } != 0 {
            return true;
        }
    }
    if let Some(mut turn) = Turn::take()
        && gate_of(shortage.size).may_speak(heap::was_calm())
    {
        reserve::REPORT.release();
        turn.show(Level::Refused, shortage, blame(shortage.size));
        reserve::REPORT.hold();
    }
    false
}

/// A request that is larger than the whole limit has a gate of its own: it may
/// be a probe, and must not silence the report of the real shortage after it.
fn gate_of(size: usize) -> &'static Gate {
    let limit = heap::memory_limit();
    if limit > 0 && size > limit { &OVERSIZED } else { &REFUSED }
}

/// Whose limit made a request of `size` bytes fail.
fn blame(size: usize) -> Limit {
    let limit = current();
    let used = heap::used();
    if limit.bytes > 0 && used.saturating_add(size) > limit.bytes {
        let binds_us = matches!(limit.source, LimitSource::AddressSpace | LimitSource::Data);
        REFUSED_BY_SYSTEM.fetch_or(binds_us, Relaxed);
        return limit;
    }
    // Ours had room: the operating system refused.
    REFUSED_BY_SYSTEM.store(true, Relaxed);
    let system = limit::find();
    match system.source {
        LimitSource::AddressSpace | LimitSource::Data => system,
        _ => Limit { bytes: used, source: LimitSource::None },
    }
}

/// Whether a level may speak now.
struct Gate {
    is_shut: AtomicBool,
    last: AtomicU64,
}

impl Gate {
    const fn new() -> Self {
        Gate { is_shut: AtomicBool::new(false), last: AtomicU64::new(0) }
    }

    /// `was_calm` arms every level.
    fn may_speak(&self, was_calm: bool) -> bool {
        if was_calm {
            EARLY.is_shut.store(false, Relaxed);
            REFUSED.is_shut.store(false, Relaxed);
            OVERSIZED.is_shut.store(false, Relaxed);
        }
        self.pass(Host::monotonic_ns())
    }

    fn pass(&self, now: u64) -> bool {
        let last = self.last.load(Relaxed);
        if last != 0 && now - last < SECOND || self.is_shut.swap(true, Relaxed) {
            return false;
        }
        self.last.store(now, Relaxed);
        true
    }
}

/// The right to make a picture, and the room for it.
struct Turn(());

struct Room(UnsafeCell<Holders>);
// SAFETY: reached only through the one `Turn`.
unsafe impl Sync for Room {}
static ROOM: Room = Room(UnsafeCell::new(Holders::new()));
/// The process whose thread has the turn; 0 = nobody. A forked child does not
/// inherit its parent's turn.
static TAKEN: AtomicU32 = AtomicU32::new(0);

impl Turn {
    fn take() -> Option<Turn> {
        let own = process::id();
        let other = TAKEN.load(Relaxed);
        let is_free = other != own;
        (is_free && TAKEN.compare_exchange(other, own, Acquire, Relaxed).is_ok())
            .then_some(Turn(()))
    }

    fn show(&mut self, level: Level, shortage: &Shortage, limit: Limit) {
        let listener = LISTENER.load(Acquire);
        if listener.is_null() {
            return;
        }
        // SAFETY: only `configure` stores there, and it takes a function of
        // this type.
        let listener: fn(&Picture<'_>) = unsafe { core::mem::transmute(listener) };
        // SAFETY: there is one turn at a time.
        let holders = unsafe { &mut *ROOM.0.get() };
        let (memory, statistics) = (heap::memory(), heap::statistics());
        let (top, left_out) = holders.count(|visit| heap::for_each_live(visit));
        listener(&Picture {
            level,
            requested: shortage.size,
            stack: shortage.stack,
            limit,
            live: statistics.live_bytes,
            peak: memory.peak_live.max(statistics.live_bytes),
            heap: memory.in_use + memory.metadata,
            held: statistics.held_bytes,
            largest_free: memory.largest_free,
            top,
            left_out,
        });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TAKEN.store(0, Release);
    }
}

/// Marks that the calling thread is in the program's handler, whose own
/// shortages do not ask it again.
struct Asking(usize);

static ASKING: [AtomicU32; 16] = [const { AtomicU32::new(0) }; 16];

impl Asking {
    fn begin() -> Option<Asking> {
        let thread = Host::thread_id();
        if ASKING.iter().any(|place| place.load(Relaxed) == thread) {
            return None;
        }
        let is_taken =
            |place: &AtomicU32| place.compare_exchange(0, thread, Acquire, Relaxed).is_ok();
        ASKING.iter().position(is_taken).map(Asking)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKING[self.0].store(0, Release);
    }
}

#[cfg(test)]
mod tests;
