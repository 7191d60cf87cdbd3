//! Changing a block's size where it is: the fast path of realloc.
//!
//! ```text
//!   slot   | block ………… | guard: pattern to the slot's end            |
//!   growth | block ………… now block …… | looked at | looked at at free  |
//! ```
//!
//! Of a long guard only what becomes the program's is looked at, and [`EDGE`]
//! bytes more; the rest stays guard, so free looks at it.

use super::allocate::arm;
use super::free::{Slot, guards_whole, slot_of};
use super::settings::{GATE_BARE, GATE_PLAIN};
use super::span;
use super::thread_heap::{ThreadHeap, current};
use crate::guard::{self, EDGE, GUARD_BYTES, Pattern, Tier};
use crate::ledger::Record;
use crate::memory::{GRANULE, Granule, Kind, Window};
use crate::slab::MEDIUM_LIMIT;
use crate::sync::atomics::{
    AtomicU64,
    Ordering::{Relaxed, Release},
};
use crate::trace::Entry;
use crate::units::{Family, MAX_REQUEST, align_up};
use core::ptr::null_mut;

/// Gives the live block at `pointer` `size` bytes (more than 0) where it is;
/// null, and nothing changed, when it takes [`super::resize`] to do it.
#[inline]
pub fn try_resize(pointer: usize, size: usize, entry: Entry) -> *mut u8 {
    let heap = current();
    if heap.is_null() || pointer.wrapping_sub(Window::base()) >= Window::extent() {
        return null_mut();
    }
    // SAFETY: the thread's own heap; the gate says nobody is inside.
    unsafe {
        if (*heap).gate() & !GATE_BARE != GATE_PLAIN {
            return null_mut();
        }
        let done = match slot_of(pointer) {
            Some(slot) => resize_slot(&mut *heap, &slot, pointer, size, entry),
            None => resize_span(&mut *heap, pointer, size, entry),
        };
        if done { pointer as *mut u8 } else { null_mut() }
    }
}

/// Whether a block of `size` bytes stays in a slot of `slot` bytes, rather
/// than move to a smaller one.
pub(super) fn keeps_slot(slot: usize, size: usize) -> bool {
    size <= slot - GUARD_BYTES
        && slot - size <= Record::MAX_SLACK
        && (size >= slot / 2 || slot == SMALLEST)
}

/// The smallest slot: there is nothing to move to.
const SMALLEST: usize = crate::slab::SizeClass(0).slot();

/// Whether the record is that of a live block that realloc takes.
fn is_resizable(word: Record) -> bool {
    const EITHER: u64 = (Family::Aligned as u64) << 3;
    word.0 & (Record::STATE_AND_FAMILY & !EITHER) == Record::LIVE_MALLOC
}

/// # Safety
/// `heap` is the calling thread's and nobody is inside; the slot begins at
/// `pointer`, and its block, if it is live, is the caller's.
unsafe fn resize_slot(
    heap: &mut ThreadHeap,
    found: &Slot,
    pointer: usize,
    size: usize,
    entry: Entry,
) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let (granule, word) = (found.granule, found.word);
        let slot = (*granule).slot as usize;
        if !is_resizable(word) || !keeps_slot(slot, size) {
            return false;
        }
        let old = slot - word.slack();
        let pattern = Pattern::of_slot((*granule).pattern, pointer);
        let is_whole = if slot <= Tier::WHOLE_LIMIT {
            guards_whole(pattern, pointer, word.slack(), slot)
        } else {
            let before = pattern.before(slot);
            let end = pointer + slot;
            guard::holds(pointer - 8, pointer, before)
                && is_near_whole(pointer, old, size, end, pattern)
                && guard::holds(end - 8, end, pattern)
        };
        if !is_whole {
            return false;
        }
        if size < old {
            // What lies behind the old end was not all looked at: it stays.
            arm(pointer + size, align_up(pointer + old, 8), pattern);
        }
        let record = (*granule).records.add(found.index as usize);
        finish(heap, &*record, word, slot - size, (old, size), entry);
    }
    true
}

/// The same for a span whose run need not change.
///
/// # Safety
/// As [`resize_slot`].
#[inline(never)]
unsafe fn resize_span(heap: &mut ThreadHeap, pointer: usize, size: usize, entry: Entry) -> bool {
    if size <= MEDIUM_LIMIT || size > MAX_REQUEST - (1 << 20) {
        return false;
    }
    let granule: *mut Granule = Window::granule_at(pointer - Window::base());
    // SAFETY: the caller's promise; a live span's granule is its owner's.
    unsafe {
        if (*granule).kind != Kind::Span || (*granule).first != pointer || (*granule).guarded {
            return false;
        }
        let word = Record((*granule).record.load(Relaxed));
        let old = (*granule).size;
        if !is_resizable(word) || size < old / 4 {
            return false;
        }
        let run = Window::address_of((*granule).head);
        let end = run + (*granule).run as usize * GRANULE;
        if (pointer + size + GUARD_BYTES).div_ceil(GRANULE) * GRANULE != end {
            return false;
        }
        let pattern = Pattern::at(pointer - Window::base());
        let armed = span::guard_end(pointer, old, end);
        let has_front = pointer != run;
        if has_front && !guard::holds(pointer - 16, pointer, pattern)
            || !is_near_whole(pointer, old, size, armed, pattern)
        {
            return false;
        }
        let wanted = span::guard_end(pointer, size, end);
        if size < old {
            arm(pointer + size, align_up(pointer + old, 8).min(wanted), pattern);
        } else if wanted > armed {
            arm(armed.max(pointer + size), wanted, pattern);
        }
        (*granule).size = size;
        finish(heap, &(*granule).record, word, 0, (old, size), entry);
    }
    true
}

/// Whether the guard that begins behind a block of `old` bytes and ends at
/// `end` is whole, as far as a block of `size` bytes reaches and a little more.
///
/// # Safety
/// The guard is the heap's.
unsafe fn is_near_whole(
    start: usize,
    old: usize,
    size: usize,
    end: usize,
    pattern: Pattern,
) -> bool {
    let to = (start + old.max(size) + EDGE).min(end);
    // SAFETY: the caller's promise.
    unsafe { guard::holds(start + old, to, pattern) }
}

/// Writes the block's new facts and counts them.
fn finish(
    heap: &mut ThreadHeap,
    record: &AtomicU64,
    word: Record,
    slack: usize,
    (old, size): (usize, usize),
    entry: Entry,
) {
    heap.enter();
    // SAFETY: realloc's caller pushed its return address there.
    let known = unsafe { heap.known_stack::<true>(entry) };
    // SAFETY: as above.
    let stack = known.unwrap_or_else(|| unsafe { heap.capture_unknown(entry) });
    let base = heap.live_base.load(Relaxed);
    record.store(Record::complete(base, word.family(), slack, stack).0, Release);
    heap.count_out(old);
    heap.count_in(size);
    heap.leave();
}
