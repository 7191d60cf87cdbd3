//! The fast path of malloc.
//!
//! ```text
//!   allocate ─→ take ─→ done
//!      │         ├─→ take_unknown        the stack takes a walk
//!      │         └─→ take_after_refill   the slab is used up
//!      └─→ take_larger, take_as_told    other sizes, other gates
//! ```
//!
//! A chain of functions that end in jumps: nothing on it is called, so that it
//! needs no stack frame and saves next to no registers. Whatever takes a call
//! is a function of its own, off the path.
//!
//! Invariant: whoever is inside leaves the heap before it goes elsewhere.

use super::allocate::arm;
use super::settings::{GATE_BARE, GATE_CALLER, GATE_PLAIN, GATE_UNPOISONED};
use super::thread_heap::{ThreadHeap, current};
use super::{guard_page, refill};
use crate::guard::{self, GUARD_BYTES, LAST, MEDIUM, Pattern, SHORT, SHORTEST, Tier};
use crate::ledger::Record;
use crate::memory::NO_SLOT;
use crate::slab::SizeClass;
use crate::sync::atomics::Ordering::{Relaxed, Release};
use crate::trace::Entry;
use crate::units::{Family, StackId};

/// The largest blocks that have a shortest, a short and a medium slot.
const SHORTEST_LIMIT: usize = SHORTEST - GUARD_BYTES;
const SHORT_LIMIT: usize = SHORT - GUARD_BYTES;
const MEDIUM_LIMIT: usize = MEDIUM - GUARD_BYTES;
/// The largest small slot.
const SMALL: usize = Tier::WHOLE_LIMIT;

/// Allocates `size` bytes aligned to 16 for the family with number `FAMILY` on
/// the fast path; where that cannot be, what `otherwise` gives, which is to
/// call [`super::allocate_general`].
#[inline(always)]
pub fn allocate<const FAMILY: u8>(
    size: usize,
    entry: Entry,
    otherwise: impl FnOnce(usize, Entry) -> *mut u8,
) -> *mut u8 {
    let heap = current();
    if heap.is_null() {
        return otherwise(size, entry);
    }
    // SAFETY: the thread's heap, alive while the thread is.
    unsafe {
        if (*heap).gate() == GATE_PLAIN {
            if size > SHORTEST_LIMIT {
                return take_larger::<FAMILY, _>(size, entry, heap, otherwise);
            }
            return take::<FAMILY, SHORTEST, true, true, _>(size, entry, heap, otherwise);
        }
        if (*heap).gate() == GATE_BARE && size <= SizeClass::SMALL_LIMIT {
            return take::<FAMILY, SMALL, false, false, _>(size, entry, heap, otherwise);
        }
        take_as_told::<FAMILY, _>(size, entry, heap, otherwise)
    }
}

/// [`take`] for what has no slot of the shortest.
///
/// # Safety
/// As [`take`], but `size` may be any.
#[inline(never)]
unsafe fn take_larger<const FAMILY: u8, Otherwise>(
    size: usize,
    entry: Entry,
    heap: *mut ThreadHeap,
    otherwise: Otherwise,
) -> *mut u8
where
    Otherwise: FnOnce(usize, Entry) -> *mut u8,
{
    // SAFETY: the caller's promise.
    unsafe {
        if size <= SHORT_LIMIT {
            return take::<FAMILY, SHORT, true, true, _>(size, entry, heap, otherwise);
        }
        if size <= MEDIUM_LIMIT {
            return take::<FAMILY, MEDIUM, true, true, _>(size, entry, heap, otherwise);
        }
        if size > SizeClass::SMALL_LIMIT {
            return otherwise(size, entry);
        }
        take::<FAMILY, SMALL, true, true, _>(size, entry, heap, otherwise)
    }
}

/// [`take`], for any gate.
///
/// # Safety
/// As [`take`], but somebody may be inside, and `size` may be any.
#[inline(never)]
unsafe fn take_as_told<const FAMILY: u8, Otherwise>(
    size: usize,
    entry: Entry,
    heap: *mut ThreadHeap,
    otherwise: Otherwise,
) -> *mut u8
where
    Otherwise: FnOnce(usize, Entry) -> *mut u8,
{
    if size > SizeClass::SMALL_LIMIT {
        return otherwise(size, entry);
    }
    // SAFETY: the caller's promise; the gate says that nobody is inside.
    unsafe {
        match (*heap).gate() {
            GATE_BARE => take::<FAMILY, SMALL, false, false, _>(size, entry, heap, otherwise),
            GATE_UNPOISONED => take::<FAMILY, SMALL, false, true, _>(size, entry, heap, otherwise),
            GATE_CALLER if size <= SHORTEST_LIMIT => {
                take::<FAMILY, SHORTEST, true, false, _>(size, entry, heap, otherwise)
            }
            GATE_CALLER => take::<FAMILY, SMALL, true, false, _>(size, entry, heap, otherwise),
            GATE_PLAIN => take::<FAMILY, SMALL, true, true, _>(size, entry, heap, otherwise),
            _ => otherwise(size, entry),
        }
    }
}

/// Goes into `heap` and takes a slot of the current slab, which has slots of at
/// most `LARGEST` bytes. `POISONED`: it must hold its pattern; `DEEP`: more than
/// the caller is kept.
///
/// # Safety
/// `heap` is the calling thread's, and nobody is inside; `size` is small.
#[inline(never)]
unsafe fn take<
    const FAMILY: u8,
    const LARGEST: usize,
    const POISONED: bool,
    const DEEP: bool,
    Otherwise,
>(
    size: usize,
    entry: Entry,
    heap: *mut ThreadHeap,
    otherwise: Otherwise,
) -> *mut u8
where
    Otherwise: FnOnce(usize, Entry) -> *mut u8,
{
    // SAFETY: the caller's promise.
    unsafe {
        let heap = &mut *heap;
        heap.enter_from(entry);
        match heap.known_stack::<DEEP>(entry) {
            Some(stack) => {
                take_known::<FAMILY, LARGEST, POISONED, false, _>(size, heap, stack, otherwise)
            }
            None => take_unknown::<FAMILY, POISONED, _>(size, heap, otherwise),
        }
    }
}

/// [`take`] from a stack that one look does not tell.
///
/// # Safety
/// As [`take`], but the thread is inside.
#[inline(never)]
unsafe fn take_unknown<const FAMILY: u8, const POISONED: bool, Otherwise>(
    size: usize,
    heap: &mut ThreadHeap,
    otherwise: Otherwise,
) -> *mut u8
where
    Otherwise: FnOnce(usize, Entry) -> *mut u8,
{
    // SAFETY: the entry's call came by a fast path.
    let stack = unsafe { heap.capture_unknown(heap.entry()) };
    // SAFETY: the caller's promise.
    unsafe { take_known::<FAMILY, SMALL, POISONED, true, _>(size, heap, stack, otherwise) }
}

/// `LONG`: a guard of more than [`LAST`] bytes is armed here, not in a function
/// of its own.
///
/// # Safety
/// As [`take`], but the thread is inside.
#[inline(always)]
unsafe fn take_known<
    const FAMILY: u8,
    const LARGEST: usize,
    const POISONED: bool,
    const LONG: bool,
    Otherwise,
>(
    size: usize,
    heap: &mut ThreadHeap,
    stack: StackId,
    otherwise: Otherwise,
) -> *mut u8
where
    Otherwise: FnOnce(usize, Entry) -> *mut u8,
{
    // SAFETY: the caller's promise; a small size's unit is below `SMALL_UNITS`,
    // and its slab this heap's (or the empty one): its first line and its
    // records are this thread's to change.
    unsafe {
        let slab = *heap.direct.get_unchecked(SizeClass::unit(size));
        let index = (*slab).free as usize;
        if index == usize::from(NO_SLOT) {
            heap.finder = stack;
            return take_after_refill::<FAMILY, _>(size, heap, otherwise);
        }
        let slot = (*slab).slot as usize;
        let start = (*slab).first + index * slot;
        let pattern = Pattern::of_slot((*slab).pattern, start);
        if !POISONED {
            if slot - size > LAST {
                if !LONG {
                    return take_long_guard::<FAMILY, _>(size, heap, stack, otherwise);
                }
                arm(start + size, start + slot, pattern);
            }
            guard::fill_before(start + slot, pattern);
        } else if !is_whole::<LARGEST>(start, slot, pattern) {
            return give_up(size, heap, otherwise);
        }
        let record = (*slab).records.add(index);
        let next = Record((*record).load(Relaxed)).next();
        (*slab).free = next;
        prefetch((*slab).records.wrapping_add(next.into()) as usize);
        fetch_ahead::<LARGEST, POISONED>((*slab).first + usize::from(next) * slot);
        let base = heap.live_base.load(Relaxed);
        let live = Record::complete(base, Family::from_bits(FAMILY), slot - size, stack);
        (*record).store(live.0, Release);
        heap.count_in(size);
        heap.leave();
        start as *mut u8
    }
}

/// [`take_known`] of an unpoisoned slot with a guard of more than [`LAST`] bytes.
///
/// # Safety
/// As [`take`], but the thread is inside.
#[inline(never)]
unsafe fn take_long_guard<const FAMILY: u8, Otherwise>(
    size: usize,
    heap: &mut ThreadHeap,
    stack: StackId,
    otherwise: Otherwise,
) -> *mut u8
where
    Otherwise: FnOnce(usize, Entry) -> *mut u8,
{
    // SAFETY: the caller's promise.
    unsafe { take_known::<FAMILY, SMALL, false, true, _>(size, heap, stack, otherwise) }
}

/// Has the processor fetch the slot that is next in its class, which was not
/// touched since it went into the quarantine.
#[inline(always)]
fn fetch_ahead<const LARGEST: usize, const POISONED: bool>(start: usize) {
    let lines = match LARGEST {
        _ if !POISONED => 1,
        SHORTEST => 1,
        SHORT => 2,
        _ => 4,
    };
    for line in 0..lines {
        prefetch(start.wrapping_add(line * 64));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch(address: usize) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: SSE is part of x86_64; where nothing is mapped, nothing happens.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address as *const i8) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn prefetch(_address: usize) {}

/// Somebody wrote into the slot: leaves the heap, for the general path to look.
#[cold]
#[inline(never)]
fn give_up<Otherwise>(size: usize, heap: &mut ThreadHeap, otherwise: Otherwise) -> *mut u8
where
    Otherwise: FnOnce(usize, Entry) -> *mut u8,
{
    let entry = heap.entry();
    heap.leave();
    otherwise(size, entry)
}

/// The current slab is used up: takes a slot of the next one that has room.
///
/// # Safety
/// As [`take`], but the thread is inside, and its stack is the heap's finder.
#[cold]
#[inline(never)]
unsafe fn take_after_refill<const FAMILY: u8, Otherwise>(
    size: usize,
    heap: &mut ThreadHeap,
    otherwise: Otherwise,
) -> *mut u8
where
    Otherwise: FnOnce(usize, Entry) -> *mut u8,
{
    let entry = heap.entry();
    let is_filled = !guard_page::is_due(heap) && refill::refill_from_own(heap, SizeClass::of(size));
    heap.leave();
    if !is_filled {
        return otherwise(size, entry);
    }
    // SAFETY: the caller's promise, and the thread has left the heap.
    unsafe { take_as_told::<FAMILY, _>(size, entry, heap, otherwise) }
}

/// Whether a small slot of at most `LARGEST` bytes holds its pattern.
///
/// # Safety
/// The slot is free and the caller's.
#[inline(always)]
unsafe fn is_whole<const LARGEST: usize>(start: usize, slot: usize, pattern: Pattern) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        match LARGEST {
            SMALL => is_whole_in_a_call(start, slot, pattern),
            _ => guard::verify_short::<LARGEST>(start, slot, pattern),
        }
    }
}

/// # Safety
/// As [`is_whole`].
#[inline(never)]
unsafe fn is_whole_in_a_call(start: usize, slot: usize, pattern: Pattern) -> bool {
    // SAFETY: the caller's promise.
    unsafe { guard::verify(start, slot, pattern, Tier::Whole) }
}
