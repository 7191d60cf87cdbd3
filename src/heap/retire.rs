//! The fast path of free.
//!
//! ```text
//!   free ─→ retire ─→ done
//!     │       ├─→ retire_unknown   the stack takes a walk
//!     │       ├─→ fill_and_hold    a longer slot, or one that held addresses
//!     │       └─→ turn             the quarantine is looked at
//!     └─→ retire_as_told           other gates
//! ```
//!
//! It does the judge's work for the common case in line: one range check, one
//! exact division, one compare of the record's state and family, the guards by
//! two vectors and a word. Like malloc's (see `take`) a chain of jumps.
//!
//! Invariant: until all is proved well nothing is changed.

use super::free::{Slot, guards_whole, slot_of};
use super::quarantine::{self, Held};
use super::settings::{GATE_BARE, GATE_CALLER, GATE_PLAIN, GATE_UNPOISONED};
use super::thread_heap::{ThreadHeap, current};
use super::{address_words, crime, refill};
use crate::guard::{self, Pattern, SHORT, SHORTEST, Tier};
use crate::ledger::Record;
use crate::memory::{Granule, Window};
use crate::sync::atomics::Ordering::{Relaxed, Release};
use crate::trace::Entry;
use crate::units::{Family, StackId};

/// Frees the block at `pointer` by the function of the family with number
/// `FAMILY` on the fast path, if it is one and all is well (and, with `SIZED`,
/// it has `size` bytes); else changes nothing and calls `otherwise`, which is
/// to call [`super::free_general`].
#[inline(always)]
pub fn free<const FAMILY: u8, const SIZED: bool>(
    pointer: usize,
    size: usize,
    entry: Entry,
    otherwise: impl FnOnce(usize, usize, Entry),
) {
    let heap = current();
    if heap.is_null() || pointer.wrapping_sub(Window::base()) >= Window::extent() {
        return otherwise(pointer, size, entry);
    }
    // SAFETY: the thread's own heap.
    unsafe {
        if (*heap).gate() != GATE_PLAIN {
            return retire_as_told::<FAMILY, SIZED, _>(pointer, size, entry, heap, otherwise);
        }
        retire::<FAMILY, SIZED, true, true, _>(pointer, size, entry, heap, otherwise);
    }
}

/// [`retire`], for gates that are not the usual.
///
/// # Safety
/// As [`retire`], but somebody may be inside.
#[inline(never)]
unsafe fn retire_as_told<const FAMILY: u8, const SIZED: bool, Otherwise>(
    pointer: usize,
    size: usize,
    entry: Entry,
    heap: *mut ThreadHeap,
    otherwise: Otherwise,
) where
    Otherwise: FnOnce(usize, usize, Entry),
{
    // SAFETY: the caller's promise; the gate says that nobody is inside.
    unsafe {
        match (*heap).gate() {
            GATE_BARE => {
                retire::<FAMILY, SIZED, false, false, _>(pointer, size, entry, heap, otherwise);
            }
            GATE_UNPOISONED => {
                retire::<FAMILY, SIZED, false, true, _>(pointer, size, entry, heap, otherwise);
            }
            GATE_CALLER => {
                retire::<FAMILY, SIZED, true, false, _>(pointer, size, entry, heap, otherwise);
            }
            _ => otherwise(pointer, size, entry),
        }
    }
}

/// Goes into `heap` and retires the block. `POISONED`: its slot is filled;
/// `DEEP`: more than the caller is kept.
///
/// # Safety
/// `heap` is the calling thread's, and nobody is inside; `pointer` is below
/// the extent of the window.
#[inline(never)]
unsafe fn retire<
    const FAMILY: u8,
    const SIZED: bool,
    const POISONED: bool,
    const DEEP: bool,
    Otherwise,
>(
    pointer: usize,
    expected: usize,
    entry: Entry,
    heap: *mut ThreadHeap,
    otherwise: Otherwise,
) where
    Otherwise: FnOnce(usize, usize, Entry),
{
    // SAFETY: the caller's promise.
    unsafe {
        let heap = &mut *heap;
        heap.enter();
        match heap.known_stack::<DEEP>(entry) {
            Some(stack) => retire_known::<FAMILY, SIZED, POISONED, _>(
                pointer, expected, entry, heap, stack, otherwise,
            ),
            None => {
                retire_unknown::<FAMILY, SIZED, POISONED, _>(
                    pointer, expected, entry, heap, otherwise,
                );
            }
        }
    }
}

/// [`retire`] from a stack that one look does not tell.
///
/// # Safety
/// As [`retire`], but the thread is inside.
#[inline(never)]
unsafe fn retire_unknown<const FAMILY: u8, const SIZED: bool, const POISONED: bool, Otherwise>(
    pointer: usize,
    expected: usize,
    entry: Entry,
    heap: &mut ThreadHeap,
    otherwise: Otherwise,
) where
    Otherwise: FnOnce(usize, usize, Entry),
{
    let stack = heap.capture_unknown(entry);
    // SAFETY: the caller's promise.
    unsafe {
        retire_known::<FAMILY, SIZED, POISONED, _>(
            pointer, expected, entry, heap, stack, otherwise,
        );
    }
}

/// # Safety
/// As [`retire`], but the thread is inside.
#[inline(always)]
unsafe fn retire_known<const FAMILY: u8, const SIZED: bool, const POISONED: bool, Otherwise>(
    pointer: usize,
    expected: usize,
    entry: Entry,
    heap: &mut ThreadHeap,
    stack: StackId,
    otherwise: Otherwise,
) where
    Otherwise: FnOnce(usize, usize, Entry),
{
    // What free frees comes from malloc or from the aligned family.
    const EITHER: u64 = (Family::Aligned as u64) << 3;
    let either = if FAMILY == Family::Malloc as u8 { EITHER } else { 0 };
    // SAFETY: the caller's promise; a live record's slot is memory of the heap.
    unsafe {
        let Some(Slot { granule, index, word }) = slot_of(pointer) else {
            heap.leave();
            return otherwise(pointer, expected, entry);
        };
        let slot = (*granule).slot as usize;
        let size = slot - word.slack();
        let pattern = Pattern::of_slot((*granule).pattern, pointer);
        if word.0 & (Record::STATE_AND_FAMILY & !either)
            != Record::LIVE_MALLOC | (FAMILY as u64) << 3
            || SIZED && expected != size
            || !guards_whole(pattern, pointer, word.slack(), slot)
        {
            heap.leave();
            return otherwise(pointer, expected, entry);
        }
        heap.count_out(size);
        let slot = Slot { granule, index, word };
        if !POISONED && heap.quarantine.limit == 0 {
            return send_home(heap, slot, stack);
        }
        if POISONED {
            if slot.bytes() > SHORTEST || address_words::may_hold(pointer, slot.bytes()) {
                return fill_and_hold(pointer, heap, granule, index, stack);
            }
            guard::fill_short::<SHORTEST>(pointer, slot.bytes(), pattern);
        }
        hold(heap, slot, stack);
    }
}

/// The rest of [`retire`] for slots that are not of the shortest, or may have
/// held the addresses of others.
///
/// # Safety
/// The slot is one that a block was freed in just now, from `stack`; the
/// thread is inside.
#[inline(never)]
unsafe fn fill_and_hold(
    pointer: usize,
    heap: &mut ThreadHeap,
    granule: *mut Granule,
    index: u32,
    stack: StackId,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let word = Record((*(*granule).records.add(index as usize)).load(Relaxed));
        let slot = Slot { granule, index, word };
        let (bytes, size) = (slot.bytes(), slot.bytes() - word.slack());
        if address_words::may_hold(pointer, bytes) {
            heap.note_children(pointer, size, word, stack);
        }
        let pattern = Pattern::of_slot((*granule).pattern, pointer);
        if bytes > SHORTEST && bytes <= SHORT {
            guard::fill_short::<SHORT>(pointer, bytes, pattern);
        } else {
            fill_long(pointer, size, bytes, pattern);
        }
        hold(heap, slot, stack);
    }
}

/// Puts a retired slot into the quarantine and leaves the heap.
///
/// # Safety
/// As [`fill_and_hold`]; the slot is filled.
#[inline(always)]
unsafe fn hold(heap: &mut ThreadHeap, slot: Slot, stack: StackId) {
    // SAFETY: the caller's promise.
    unsafe {
        let record = (*slot.granule).records.add(slot.index as usize);
        (*record).store(slot.word.0 ^ Record::LIVE_TO_HELD, Release);
        let held = Held::slot((*slot.granule).held, slot.index, stack);
        if heap.quarantine.append(held, slot.bytes()) {
            return turn(heap, stack);
        }
        heap.leave();
    }
}

/// The quarantine's [turn](quarantine::turn), and out.
#[cold]
#[inline(never)]
fn turn(heap: &mut ThreadHeap, stack: StackId) {
    heap.finder = stack;
    quarantine::turn(heap);
    heap.leave();
}

/// Puts a retired slot back on its slab's list and leaves the heap: there is no
/// quarantine.
///
/// # Safety
/// As [`hold`].
#[inline(always)]
unsafe fn send_home(heap: &mut ThreadHeap, slot: Slot, stack: StackId) {
    // SAFETY: the caller's promise.
    unsafe {
        let slab = Window::granule((*slot.granule).head);
        if (*slab).owner.load(Relaxed) != &raw const *heap as usize {
            return hold(heap, slot, stack);
        }
        refill::home(heap, slab, slot.index as u16, slot.word.freed(stack));
        heap.leave();
    }
}

/// Fills a freed slot that is not short.
///
/// # Safety
/// The slot is the caller's, and its block of `size` bytes not the program's
/// any more.
#[inline(never)]
unsafe fn fill_long(start: usize, size: usize, slot: usize, pattern: Pattern) {
    // SAFETY: the caller's promise.
    unsafe {
        guard::fill(start, slot, pattern, Tier::of(slot));
        if slot > Tier::WHOLE_LIMIT {
            crime::fill_end(start, size, pattern);
        }
    }
}
