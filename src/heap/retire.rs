//! The fast path of free.
//!
//! ```text
//!   free ─→ retire ─→ done
//!     │       ├─→ retire_unknown   the stack takes a walk
//!     │       ├─→ fill_and_hold    a longer slot
//!     │       ├─→ note_and_hold    a still longer one, or one that held addresses
//!     │       └─→ turn             the quarantine is looked at
//!     └─→ retire_as_told           other gates
//! ```
//!
//! It does the judge's work for the common case in line: one range check, one
//! exact division, one compare of the record's state and family, the guards by
//! two vectors and a word. Like malloc's (see `take`) a chain of jumps.
//!
//! Invariant: until all is proved well nothing is changed.

use super::free::{Slot, slot_of, word_before_whole};
use super::quarantine::{self, Held};
use super::settings::{GATE_BARE, GATE_CALLER, GATE_PLAIN, GATE_UNPOISONED};
use super::thread_heap::{ThreadHeap, current};
use super::{address_words, crime, refill};
use crate::guard::{self, LAST, MEDIUM, Pattern, SHORT, SHORTEST, Tier};
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
        if (*heap).gate() == GATE_PLAIN {
            return retire::<FAMILY, SIZED, true, true, _>(pointer, size, entry, heap, otherwise);
        }
        if (*heap).gate() == GATE_BARE {
            return retire::<FAMILY, SIZED, false, false, _>(pointer, size, entry, heap, otherwise);
        }
        retire_as_told::<FAMILY, SIZED, _>(pointer, size, entry, heap, otherwise);
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
        heap.enter_from(entry);
        match heap.known_stack::<DEEP>(entry) {
            Some(stack) => retire_known::<FAMILY, SIZED, POISONED, _>(
                pointer, expected, heap, stack, otherwise,
            ),
            None => {
                retire_unknown::<FAMILY, SIZED, POISONED, _>(pointer, expected, heap, otherwise);
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
    heap: &mut ThreadHeap,
    otherwise: Otherwise,
) where
    Otherwise: FnOnce(usize, usize, Entry),
{
    // SAFETY: the entry's call came by a fast path.
    let stack = unsafe { heap.capture_unknown(heap.entry()) };
    // SAFETY: the caller's promise.
    unsafe {
        retire_known::<FAMILY, SIZED, POISONED, _>(pointer, expected, heap, stack, otherwise);
    }
}

/// # Safety
/// As [`retire`], but the thread is inside.
#[inline(always)]
unsafe fn retire_known<const FAMILY: u8, const SIZED: bool, const POISONED: bool, Otherwise>(
    pointer: usize,
    expected: usize,
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
        let Some(slot) = slot_of(pointer) else {
            return give_up(pointer, expected, heap, otherwise);
        };
        let (slack, bytes) = (slot.word.slack(), slot.bytes());
        let pattern = Pattern::of_slot((*slot.granule).pattern, pointer);
        if slot.word.0 & (Record::STATE_AND_FAMILY & !either)
            != Record::LIVE_MALLOC | (FAMILY as u64) << 3
            || SIZED && expected != bytes - slack
            || !word_before_whole(pattern, pointer, bytes)
        {
            return give_up(pointer, expected, heap, otherwise);
        }
        if slack > LAST {
            let (granule, index) = (slot.granule, slot.index as usize);
            return retire_long_guard::<POISONED, _>(
                pointer, expected, heap, granule, index, stack, otherwise,
            );
        }
        if !guard::holds_before(pointer + bytes, slack, pattern) {
            return give_up(pointer, expected, heap, otherwise);
        }
        finish::<POISONED>(pointer, heap, slot, bytes, pattern, stack);
    }
}

/// The rest of [`retire`] for blocks with a guard of more than [`LAST`] bytes.
///
/// # Safety
/// As [`finish`], but nobody has looked at the guard yet.
#[inline(never)]
unsafe fn retire_long_guard<const POISONED: bool, Otherwise>(
    pointer: usize,
    expected: usize,
    heap: &mut ThreadHeap,
    granule: *mut Granule,
    index: usize,
    stack: StackId,
    otherwise: Otherwise,
) where
    Otherwise: FnOnce(usize, usize, Entry),
{
    // SAFETY: the caller's promise.
    unsafe {
        let slot = slot_again(granule, index);
        let pattern = Pattern::of_slot((*granule).pattern, pointer);
        let bytes = slot.bytes();
        let end = pointer + bytes;
        if !guard::holds(end - slot.word.slack(), end, pattern) {
            return give_up(pointer, expected, heap, otherwise);
        }
        finish::<POISONED>(pointer, heap, slot, bytes, pattern, stack);
    }
}

/// Not a block, or not whole: leaves the heap, for the general path to look.
#[cold]
#[inline(never)]
fn give_up<Otherwise>(pointer: usize, expected: usize, heap: &mut ThreadHeap, otherwise: Otherwise)
where
    Otherwise: FnOnce(usize, usize, Entry),
{
    let entry = heap.entry();
    heap.leave();
    otherwise(pointer, expected, entry);
}

/// All is proved: retires the block at `pointer`, in a slot of `bytes` bytes.
///
/// # Safety
/// The slot is that of a live block that its owner gave up, freed from `stack`;
/// the thread is inside.
#[inline(always)]
unsafe fn finish<const POISONED: bool>(
    pointer: usize,
    heap: &mut ThreadHeap,
    slot: Slot,
    bytes: usize,
    pattern: Pattern,
    stack: StackId,
) {
    // SAFETY: the caller's promise.
    unsafe {
        heap.count_out(bytes - slot.word.slack());
        if !POISONED && heap.quarantine.limit == 0 {
            return send_home(heap, slot, stack);
        }
        if POISONED {
            if bytes > SHORTEST {
                return fill_and_hold(pointer, heap, slot.granule, slot.index as usize, stack);
            }
            if address_words::may_hold(pointer, bytes) {
                return note_and_hold(pointer, heap, slot.granule, slot.index as usize, stack);
            }
            guard::fill_short::<SHORTEST>(pointer, bytes, pattern);
        }
        hold(heap, slot, bytes, stack);
    }
}

/// The rest of [`retire`] for slots that are not of the shortest.
///
/// # Safety
/// The slot is one that a block was freed in just now, from `stack`; the
/// thread is inside.
#[inline(never)]
unsafe fn fill_and_hold(
    pointer: usize,
    heap: &mut ThreadHeap,
    granule: *mut Granule,
    index: usize,
    stack: StackId,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let slot = slot_again(granule, index);
        let bytes = slot.bytes();
        if bytes > MEDIUM || address_words::may_hold(pointer, bytes) {
            return note_and_hold(pointer, heap, granule, index, stack);
        }
        let pattern = Pattern::of_slot((*granule).pattern, pointer);
        if bytes <= SHORT {
            guard::fill_short::<SHORT>(pointer, bytes, pattern);
        } else {
            guard::fill_short::<MEDIUM>(pointer, bytes, pattern);
        }
        hold(heap, slot, bytes, stack);
    }
}

/// The same for slots that are larger still, or may have held addresses of others.
///
/// # Safety
/// As [`fill_and_hold`].
#[inline(never)]
unsafe fn note_and_hold(
    pointer: usize,
    heap: &mut ThreadHeap,
    granule: *mut Granule,
    index: usize,
    stack: StackId,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let slot = slot_again(granule, index);
        let bytes = slot.bytes();
        let size = bytes - slot.word.slack();
        if address_words::may_hold(pointer, bytes) {
            heap.note_children(pointer, size, slot.word, stack);
        }
        let pattern = Pattern::of_slot((*granule).pattern, pointer);
        fill_long(pointer, size, bytes, pattern);
        hold(heap, slot, bytes, stack);
    }
}

/// The slot with this number.
///
/// # Safety
/// As [`fill_and_hold`].
#[inline(always)]
unsafe fn slot_again(granule: *mut Granule, index: usize) -> Slot {
    // SAFETY: the caller's promise.
    let word = Record(unsafe { (*(*granule).records.add(index)).load(Relaxed) });
    Slot { granule, index: index as u32, word }
}

/// Puts a retired slot into the quarantine and leaves the heap.
///
/// # Safety
/// As [`fill_and_hold`]; the slot is filled.
#[inline(always)]
unsafe fn hold(heap: &mut ThreadHeap, slot: Slot, bytes: usize, stack: StackId) {
    // SAFETY: the caller's promise.
    unsafe {
        let record = (*slot.granule).records.add(slot.index as usize);
        (*record).store(slot.word.0 ^ Record::LIVE_TO_HELD, Release);
        let held = Held::slot((*slot.granule).held, slot.index, stack);
        if heap.quarantine.append(held, bytes) {
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

/// Puts a retired slot back on its slab's list and leaves: there is no quarantine.
///
/// # Safety
/// As [`hold`].
#[inline(always)]
unsafe fn send_home(heap: &mut ThreadHeap, slot: Slot, stack: StackId) {
    // SAFETY: the caller's promise.
    unsafe {
        let slab = Window::granule((*slot.granule).head);
        if (*slab).owner.load(Relaxed) != &raw const *heap as usize {
            let bytes = slot.bytes();
            return hold(heap, slot, bytes, stack);
        }
        if refill::home(slab, slot.index as u16, slot.word.freed(stack)) {
            return notice(heap, slab);
        }
        heap.leave();
    }
}

/// [Looks](refill::notice) at a slab, and out.
///
/// # Safety
/// As [`refill::notice`]; the thread is inside.
#[cold]
#[inline(never)]
unsafe fn notice(heap: &mut ThreadHeap, slab: *mut Granule) {
    // SAFETY: the caller's promise.
    unsafe { refill::notice(heap, slab) };
    heap.leave();
}

/// Fills a freed slot of any size.
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
