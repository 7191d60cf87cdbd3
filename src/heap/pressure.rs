//! Pressure: what the heap does when memory runs out, and whom it asks.
//!
//! ```text
//!   general ─ watched? ─> refuses ─> null                    (on purpose)
//!      │
//!    place ─ no room ──> reclaim, again ─> ran_out ─ true ─> again
//!      │                                        └── false ─> null
//!      └ a run was taken past the alarm ─> alarm
//! ```
//!
//! The heap knows limits as numbers only; the floor above ([`Hooks`]) knows
//! where they come from, and reports.
//!
//! Invariant: hooks are called with no lock held and outside of every heap,
//! so they may allocate; the fast paths never come here.

use super::pool::{self, Entered};
use super::thread_heap::ThreadHeap;
use super::{central, quarantine, refill, settings};
use crate::sync::atomics::{
    AtomicBool, AtomicPtr, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::units::StackId;
use core::ptr::null_mut;

/// An allocation, as the hooks see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shortage {
    /// Bytes asked for.
    pub size: usize,
    /// Who asks; unknown before the thread has a heap.
    pub stack: StackId,
}

/// What the floor above does.
#[derive(Debug)]
pub struct Hooks {
    /// Whether this allocation fails on purpose. Asked only while watching.
    pub refuses: fn(&Shortage) -> bool,
    /// There was no memory, also after `reclaim`; whether to try again.
    pub ran_out: fn(&Shortage) -> bool,
    /// The heap's memory went past the alarm mark.
    pub alarm: fn(&Shortage),
}

static HOOKS: AtomicPtr<Hooks> = AtomicPtr::new(null_mut());
/// Bytes of heap memory at which to raise the alarm.
static ALARM: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Bytes of heap memory below which a shortage counts as over.
static CALM: AtomicUsize = AtomicUsize::new(0);
static IS_PENDING: AtomicBool = AtomicBool::new(false);
static WAS_CALM: AtomicBool = AtomicBool::new(true);
/// Memory has run out: quarantines are kept small until it is calm again.
static IS_SHORT: AtomicBool = AtomicBool::new(false);

/// Sets who is asked from now on.
pub fn set_hooks(hooks: &'static Hooks) {
    HOOKS.store((&raw const *hooks).cast_mut(), Release);
}

fn hooks() -> Option<&'static Hooks> {
    // SAFETY: only `set_hooks` stores here, and it takes a `'static` value.
    unsafe { HOOKS.load(Acquire).as_ref() }
}

/// Sets the marks, in bytes of heap memory: [`Hooks::alarm`] is called once
/// the heap is at `alarm` or above; below `calm` it counts as recovered.
pub fn set_marks(calm: usize, alarm: usize) {
    CALM.store(calm, Relaxed);
    ALARM.store(alarm, Relaxed);
    IS_PENDING.store(false, Relaxed);
}

/// Whether the heap was below the calm mark since the last call.
pub fn was_calm() -> bool {
    let is_calm = central::used() < CALM.load(Relaxed);
    WAS_CALM.swap(false, Relaxed) || is_calm
}

/// A run was taken, and `used` bytes are in use now. Called with the runs'
/// lock held.
#[inline]
pub(super) fn note(used: usize) {
    if used >= ALARM.load(Relaxed) {
        IS_PENDING.store(true, Relaxed);
    } else if used < CALM.load(Relaxed) {
        WAS_CALM.store(true, Relaxed);
        IS_SHORT.store(false, Relaxed);
    }
}

/// The quarantine's size while memory is short, else `bytes`.
#[inline]
pub(super) fn tightened(bytes: usize) -> usize {
    if IS_SHORT.load(Relaxed) { bytes.min(16 << 10) } else { bytes }
}

/// Whether the allocation is to fail on purpose.
#[cold]
pub(super) fn refuses(size: usize, stack: StackId) -> bool {
    hooks().is_some_and(|hooks| (hooks.refuses)(&Shortage { size, stack }))
}

/// Called after every general allocation, with the block's address or 0:
/// raises the alarm, or looks for memory and calls `again` until there is a
/// block or the floor above gives up.
#[inline]
pub(super) fn settle(
    start: usize,
    size: usize,
    stack: StackId,
    again: impl FnMut() -> usize,
) -> usize {
    if start != 0 && !IS_PENDING.load(Relaxed) {
        return start;
    }
    settle_slowly(start, size, stack, again)
}

#[cold]
#[inline(never)]
fn settle_slowly(
    mut start: usize,
    size: usize,
    stack: StackId,
    mut again: impl FnMut() -> usize,
) -> usize {
    let shortage = Shortage { size, stack };
    if start != 0 {
        if IS_PENDING.swap(false, Relaxed)
            && let Some(hooks) = hooks()
        {
            (hooks.alarm)(&shortage);
        }
        return start;
    }
    // A request for more than all there is says nothing about memory: the
    // quarantine could not meet it, and stays.
    if size <= central::used() {
        IS_SHORT.store(true, Relaxed);
        reclaim();
        start = again();
    }
    while start == 0 && hooks().is_some_and(|hooks| (hooks.ran_out)(&shortage)) {
        start = again();
    }
    start
}

/// There was no memory even for a thread's heap.
#[cold]
pub(super) fn without_heap(size: usize) {
    if let Some(hooks) = hooks() {
        (hooks.ran_out)(&Shortage { size, stack: StackId::UNKNOWN });
    }
}

/// Empties the calling thread's quarantine and those of threads that have
/// ended, and gives their empty slabs back. Other threads shrink theirs when
/// they next allocate or free.
pub(super) fn reclaim() {
    if let Some(mut heap) = pool::enter() {
        empty(&mut heap);
    }
    pool::for_each_pooled(|heap| {
        quarantine::flush(heap);
        refill::release_empty(heap);
    });
}

fn empty(heap: &mut Entered) {
    let heap: &mut ThreadHeap = heap;
    heap.finder = StackId::UNKNOWN;
    quarantine::flush(heap);
    refill::release_empty(heap);
}

/// Turns watching on or off: while on, every allocation asks
/// [`Hooks::refuses`] first.
pub fn set_watching(on: bool) {
    settings::watch_for(settings::Watcher::Failures, on);
}
