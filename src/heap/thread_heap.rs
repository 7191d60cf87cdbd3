//! A thread's heap: its current slabs, its quarantine, its counters.
//!
//! ```text
//!   gate | bins: one current slab a class | partial: slabs with room, a list a class
//!   quarantine: blocks this thread freed, oldest first  | epoch | counters | trace
//! ```
//!
//! Invariant: only the owning thread touches it, except `remote_slabs`,
//! `modes` and the counters, which are atomics; while `busy` is set the owner
//! is inside, and a signal handler that allocates takes another heap.

use super::orphans::Orphans;
use super::quarantine::Quarantine;
use super::{pool, settings};
use crate::ledger::Record;
use crate::memory::Granule;
use crate::platform::linux::tls;
use crate::slab::{CLASSES, SMALL_UNITS, SizeClass};
use crate::sync::atomics::{
    AtomicU8, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
    compiler_fence,
};
use crate::trace::{Entry, ThreadTrace};
use crate::units::{StackId, ThreadNumber};

/// What a thread needs to allocate.
#[repr(C, align(64))]
pub struct ThreadHeap {
    /// Byte 0: the owner is inside. Byte 1: modes that leave the fast path.
    pub(super) busy: AtomicU8,
    pub(super) modes: AtomicU8,
    /// Times the thread's exit was announced (pthread key destructors).
    pub(super) exit_rounds: u8,
    pub(super) is_fallback: bool,
    /// Scopes open in which new blocks are ignored by leak checks.
    pub(super) ignore_depth: u16,
    /// Slabs whose `remote` list became non-empty: index + 1 of the first.
    pub(super) remote_slabs: AtomicU32,
    /// The record word of a block born now: stamp, malloc, live.
    pub(super) live_base: AtomicU64,
    /// Bytes asked for minus bytes freed by this thread (wraps below zero).
    pub(super) live_bytes: AtomicUsize,
    /// Allocations this thread made.
    pub(super) allocations: AtomicU64,
    /// What this thread freed and may not be reused yet.
    pub(super) quarantine: Quarantine,
    /// The call under way on a slow path: who finds what it comes upon.
    pub(super) finder: StackId,
    /// Where the call came from that is inside by a fast path: kept here, not in
    /// registers, since only the other paths want it.
    entry: Entry,
    /// The allocation, by number, that is the next to get guard pages.
    pub(super) next_guarded: u64,
    /// Operations until the next slice of the heap is checked.
    pub(super) until_check: u64,
    /// The same slabs as in `bins`, for each small size in units of 16 bytes
    /// with its guard: one load less for malloc.
    pub(super) direct: [*mut Granule; SMALL_UNITS],
    /// The slab each class takes from.
    bins: [*mut Granule; CLASSES],
    /// Slabs with returned slots: index + 1 of first and last, a class.
    pub(super) partial: [(u32, u32); CLASSES],
    /// When the current epoch began, in ticks, and its stamp.
    pub(super) epoch_ticks: u64,
    pub(super) epoch_sequence: u64,
    /// What the process's live bytes know of `live_bytes`.
    pub(super) published_live: usize,
    pub(super) number: ThreadNumber,
    pub(super) kernel_id: AtomicU32,
    /// In use by a thread (1), by nobody (0), by a thread lost in a fork (2).
    pub(super) state: AtomicU8,
    pub(super) taken: AtomicU32,
    pub(super) next: *mut ThreadHeap,
    /// What the blocks held that this thread freed.
    pub(super) orphans: Orphans,
    /// What the stack walk keeps between captures.
    pub(super) trace: ThreadTrace,
}

// SAFETY: shared only through its atomics; see the invariant above.
unsafe impl Sync for ThreadHeap {}

/// Where a bin without a slab points: a slab with nothing free.
pub(super) struct Nothing(Granule);
// SAFETY: never written (its free list is empty and stays so).
unsafe impl Sync for Nothing {}
static NOTHING: Nothing = Nothing(Granule::EMPTY);

/// The slab of a bin that has none.
#[inline(always)]
pub(super) fn no_slab() -> *mut Granule {
    (&raw const NOTHING.0).cast_mut()
}

/// Totals over all threads.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// Bytes that the program asked for and has not freed.
    pub live_bytes: usize,
    /// Allocations made so far.
    pub allocations: u64,
    /// Bytes of slots held back in quarantines.
    pub held_bytes: usize,
    /// Threads that have a heap.
    pub threads: u32,
}

/// Sums what all threads counted. Exact when no other thread allocates.
pub fn statistics() -> Statistics {
    let mut sum = Statistics::default();
    pool::for_each_heap(|heap| {
        sum.live_bytes = sum.live_bytes.wrapping_add(heap.live_bytes.load(Relaxed));
        sum.allocations += heap.allocations.load(Relaxed);
        sum.held_bytes += heap.quarantine.held_bytes();
        sum.threads += u32::from(heap.state.load(Relaxed) == 1);
    });
    sum
}

/// The number of the calling thread; 0 before its first allocation.
pub fn current_thread() -> ThreadNumber {
    let heap = current();
    if heap.is_null() {
        return ThreadNumber(0);
    }
    // SAFETY: a thread's heap lives as long as the thread.
    unsafe { (*heap).number }
}

/// The calling thread's heap; null before its first allocation.
#[inline(always)]
pub(super) fn current() -> *mut ThreadHeap {
    tls::get() as *mut ThreadHeap
}

impl ThreadHeap {
    /// Both bytes of the gate: 0 iff the fast paths may be taken.
    #[inline(always)]
    pub(super) fn gate(&self) -> u16 {
        // SAFETY: two adjacent bytes at the start of a 64-byte aligned value;
        // each is only ever written whole.
        unsafe { (&raw const *self).cast::<u16>().read_volatile() }
    }

    /// The slab that a class takes from.
    #[inline(always)]
    pub(super) fn bin(&self, class: SizeClass) -> *mut Granule {
        self.bins[class.0 as usize]
    }

    /// From now on a class takes from this slab.
    pub(super) fn set_bin(&mut self, class: SizeClass, slab: *mut Granule) {
        self.bins[class.0 as usize] = slab;
        if let Some(units) = class.units() {
            self.direct[units].fill(slab);
        }
    }

    /// No class has a slab.
    pub(super) fn empty_bins(&mut self) {
        self.bins = [no_slab(); CLASSES];
        self.direct = [no_slab(); SMALL_UNITS];
    }

    /// The owner goes in.
    #[inline(always)]
    pub(super) fn enter(&self) {
        self.busy.store(1, Relaxed);
        compiler_fence(SeqCst);
    }

    /// The owner goes in by a fast path; `entry` is [kept](Self::entry).
    #[inline(always)]
    pub(super) fn enter_from(&mut self, entry: Entry) {
        self.enter();
        // SAFETY: fields of this heap. Volatile: or the values stay in registers
        // until they are asked for.
        unsafe {
            (&raw mut self.entry.sp).write_volatile(entry.sp);
            (&raw mut self.entry.fp).write_volatile(entry.fp);
        }
    }

    /// Where the call came from that went in last by [`enter_from`](Self::enter_from).
    #[inline(always)]
    pub(super) fn entry(&self) -> Entry {
        // SAFETY: fields of this heap.
        unsafe {
            let (sp, fp) = (&raw const self.entry.sp, &raw const self.entry.fp);
            Entry { sp: sp.read_volatile(), fp: fp.read_volatile() }
        }
    }

    /// The owner comes out.
    #[inline(always)]
    pub(super) fn leave(&self) {
        compiler_fence(SeqCst);
        self.busy.store(0, Relaxed);
    }

    /// The caller's stack if one look tells, for the fast paths; `DEEP`: more
    /// than the caller is kept. The thread is inside.
    ///
    /// # Safety
    /// `entry.sp` is where the caller's call put its return address.
    #[inline(always)]
    pub(super) unsafe fn known_stack<const DEEP: bool>(&self, entry: Entry) -> Option<StackId> {
        // SAFETY: the caller's promise; a signal handler takes another heap.
        unsafe {
            match DEEP {
                true => self.trace.known(entry),
                false => self.trace.known_caller(entry),
            }
        }
    }

    /// Interns the caller's stack.
    #[inline(always)]
    pub(super) fn capture(&mut self, entry: Entry) -> StackId {
        self.trace.capture(entry, settings::depth())
    }

    /// Interns the caller's stack, which [`known_stack`](Self::known_stack) did
    /// not know just now.
    ///
    /// # Safety
    /// As for [`known_stack`](Self::known_stack).
    #[inline(always)]
    pub(super) unsafe fn capture_unknown(&mut self, entry: Entry) -> StackId {
        // SAFETY: the caller's promise.
        let known = unsafe { self.trace.known_further(entry) };
        known.unwrap_or_else(|| self.trace.capture_unknown(entry, settings::depth()))
    }

    /// Counts a block of `size` bytes in.
    #[inline(always)]
    pub(super) fn count_in(&self, size: usize) {
        self.live_bytes.store(self.live_bytes.load(Relaxed).wrapping_add(size), Relaxed);
        self.allocations.store(self.allocations.load(Relaxed) + 1, Relaxed);
    }

    /// Counts a block of `size` bytes out.
    #[inline(always)]
    pub(super) fn count_out(&self, size: usize) {
        self.live_bytes.store(self.live_bytes.load(Relaxed).wrapping_sub(size), Relaxed);
    }

    /// The stamp that blocks born now carry.
    pub(super) fn stamp(&self) -> u32 {
        Record(self.live_base.load(Relaxed)).stamp()
    }
}
