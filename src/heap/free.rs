//! Freeing: the fast path, and the general one behind it.
//!
//! The fast path does the judge's work for the common case in line: one range
//! check, one exact division, one compare of the record's state and family,
//! four overlapping compares of the guards.

use super::allocate::{arm, tier_of};
use super::pool::{self, Entered};
use super::quarantine::{self, Held};
use super::settings::{GATE_UNPOISONED, mode};
use super::thread_heap::{ThreadHeap, current};
use super::{address_words, check, crime, judge, refill, span};
use crate::guard::{self, Pattern, SHORT, Tier, Violation, ViolationKind};
use crate::ledger::{Record, State};
use crate::memory::{GRANULE, Granule, Window};
use crate::sync::atomics::Ordering::{Relaxed, Release};
use crate::trace::Entry;
use crate::units::{Family, StackId};

/// Frees the block at `pointer` by the function of the family with number
/// `FAMILY` on the fast path, if it is one and all is well (and, with `SIZED`,
/// it has `size` bytes); else changes nothing and calls `otherwise`, which is
/// to call [`general`].
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
    // SAFETY: the thread's own heap; the gate says nobody is inside.
    unsafe {
        match (*heap).gate() {
            0 => retire::<FAMILY, SIZED, true, _>(pointer, size, entry, heap, otherwise),
            GATE_UNPOISONED => {
                retire::<FAMILY, SIZED, false, _>(pointer, size, entry, heap, otherwise);
            }
            _ => otherwise(pointer, size, entry),
        }
    }
}

/// Goes into `heap` and retires the block.
///
/// # Safety
/// `heap` is the calling thread's, and nobody is inside; `pointer` is below
/// the extent of the window.
#[inline(never)]
unsafe fn retire<const FAMILY: u8, const SIZED: bool, const POISONED: bool, Otherwise>(
    pointer: usize,
    expected: usize,
    entry: Entry,
    heap: *mut ThreadHeap,
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
            return otherwise(pointer, expected, entry);
        };
        let slot = (*granule).slot as usize;
        let size = slot - word.slack();
        let pattern = Pattern::of_slot((*granule).pattern, pointer);
        if word.0 & (Record::STATE_AND_FAMILY & !either)
            != Record::LIVE_MALLOC | (FAMILY as u64) << 3
            || SIZED && expected != size
            || !guards_whole((*granule).pattern, pointer, word.slack(), slot)
        {
            return otherwise(pointer, expected, entry);
        }
        let heap = &mut *heap;
        heap.enter();
        let stack = heap.capture(entry);
        // Read again: cheaper than to keep them through the call.
        let record = (*granule).records.add(index as usize);
        let word = Record((*record).load(Relaxed));
        let slot = (*granule).slot as usize;
        let size = slot - word.slack();
        heap.count_out(size);
        if POISONED {
            if address_words::may_hold(pointer, slot) {
                heap.note_children(pointer, size, word, stack);
            }
            if slot <= SHORT {
                guard::fill_short(pointer, slot, pattern);
            } else {
                fill_long(pointer, size, slot, pattern);
            }
        } else if heap.quarantine.limit == 0 {
            let slab = Window::granule((*granule).head);
            if (*slab).owner.load(Relaxed) == &raw const *heap as usize {
                refill::home(heap, slab, index as u16, word.freed(stack));
                heap.leave();
                return;
            }
        }
        (*record).store(word.0 ^ Record::LIVE_TO_HELD, Release);
        heap.quarantine.append(Held::slot((*granule).held, index, stack), slot);
        if heap.quarantine.is_full() {
            heap.finder = stack;
            quarantine::turn(heap);
        }
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

/// A slot that begins exactly at some address.
pub(super) struct Slot {
    pub(super) granule: *mut Granule,
    pub(super) index: u32,
    pub(super) word: Record,
}

/// The slot that begins at `pointer`, if one does.
///
/// # Safety
/// `pointer` is below the extent of the window.
#[inline(always)]
pub(super) unsafe fn slot_of(pointer: usize) -> Option<Slot> {
    let base = Window::base();
    let granule = kept(Window::granule_from(base, (pointer - base) / GRANULE));
    // SAFETY: granules below the extent are mapped; a slot number below
    // `slots` has a record.
    unsafe {
        let index = (*granule).slot_at(pointer.wrapping_sub((*granule).first));
        if index >= (*granule).slots {
            return None;
        }
        let word = Record((*(*granule).records.add(index as usize)).load(Relaxed));
        Some(Slot { granule, index, word })
    }
}

/// The same pointer. The compiler does not see where it comes from, and so
/// keeps it in one register instead of its summands in two.
#[inline(always)]
fn kept(granule: *mut Granule) -> *mut Granule {
    let mut address = granule as usize;
    // SAFETY: no instruction.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) address,
            options(pure, nomem, nostack, preserves_flags));
    }
    address as *mut Granule
}

/// The size of the live block in a slot at `pointer`, if it is one and its
/// guards are whole; `None` for the general path to look closer.
#[inline(always)]
pub fn try_size_of(pointer: usize) -> Option<usize> {
    let offset = pointer.wrapping_sub(Window::base());
    if offset >= Window::extent() {
        return None;
    }
    // SAFETY: as in `retire`; nothing is written.
    unsafe {
        let Slot { granule, word, .. } = slot_of(pointer)?;
        if word.state() != State::Live {
            return None;
        }
        let slot = (*granule).slot as usize;
        let whole = guards_whole((*granule).pattern, pointer, word.slack(), slot);
        whole.then_some(slot - word.slack())
    }
}

/// Whether the guard behind the block and the word before it are whole; may
/// say no when they are, for the general path to look closer. `slack` is at
/// least 8.
///
/// # Safety
/// The slot is the heap's.
#[inline(always)]
pub(super) unsafe fn guards_whole(granule: u64, start: usize, slack: usize, slot: usize) -> bool {
    let pattern = Pattern::of_slot(granule, start);
    let before = Pattern::of_slot(granule, start.wrapping_sub(slot));
    let last = start + slot - 8;
    let end = start + slot - slack;
    // The first aligned word that `end`'s does not cover, if there is one.
    let second = if (end + 8) & !7 < last { (end + 8) & !7 } else { last };
    // SAFETY: `end + 8`, `second + 8` and `last + 8` lie within the slot; the
    // word before a slot is the previous slot's or the pad's.
    unsafe {
        let difference = (((start - 8) as *const u64).read() ^ before.0)
            | ((end as *const u64).read_unaligned() ^ pattern.seen_from(end))
            | ((second as *const u64).read() ^ pattern.0)
            | ((last as *const u64).read() ^ pattern.0);
        difference == 0 && (slack <= 24 || rest_whole(end + 16, last, pattern))
    }
}

/// # Safety
/// `[from, to)` is inside the heap's slot; `to` is a multiple of 8.
#[inline(never)]
unsafe fn rest_whole(from: usize, to: usize, pattern: Pattern) -> bool {
    let mut at = from & !7;
    let mut difference = 0;
    while at < to {
        // SAFETY: aligned words within the slot: rounding `from` down stays
        // behind the block's end, because 16 guard bytes lie before it.
        difference |= unsafe { (at as *const u64).read() } ^ pattern.0;
        at += 8;
    }
    difference == 0
}

/// Frees in every other case: no heap yet, inside already, other modes, a
/// span, or a crime.
#[cold]
#[inline(never)]
pub fn general(pointer: usize, family: Family, entry: Entry) {
    let Some(mut heap) = pool::enter() else { return };
    let stack = heap.capture(entry);
    heap.finder = stack;
    check::count_operation(&mut heap);
    let verdict = match judge::judge(pointer) {
        Ok(block) => examine(&block, family),
        Err((kind, block)) => Err((kind, block)),
    };
    match verdict {
        Ok(block) => note_and_finish(&mut heap, &block, stack),
        Err((kind, block)) => {
            drop(heap);
            let violation = Violation {
                kind,
                address: pointer,
                block: block.map_or(0, |block| block.start),
                changed: 0,
                family,
                given: 0,
                stack,
            };
            if crime::report(&violation) && kind == ViolationKind::Mismatch {
                // Wrong function, right block: it is freed all the same.
                if let (Some(block), Some(mut heap)) = (block, pool::enter()) {
                    note_and_finish(&mut heap, &block, stack);
                }
            }
        }
    }
}

/// Retires a live block that its owner frees, and remembers what it held.
fn note_and_finish(heap: &mut Entered, block: &judge::Block, stack: StackId) {
    // A guard page lies behind the block's last sixteenth byte.
    let is_readable = block.size >= 32 || !block.is_guarded();
    // SAFETY: a live block, given up by its owner; its own bytes are read, and
    // where it is a slot those behind them.
    unsafe {
        let is_small = block.size < 256;
        if address_words::is_watched()
            && is_readable
            && (is_small || address_words::may_hold(block.start, block.size & !15))
        {
            heap.note_children(block.start, block.size, block.record, stack);
        }
    }
    finish(heap, block, stack);
}

/// Compares the family; the guards are looked at when the block is retired.
fn examine(
    block: &judge::Block,
    family: Family,
) -> Result<judge::Block, (ViolationKind, Option<judge::Block>)> {
    let made = block.record.family();
    let fits = made == family
        || matches!(
            (made, family),
            (Family::Aligned | Family::Malloc, Family::Malloc | Family::Aligned)
        );
    if fits { Ok(*block) } else { Err((ViolationKind::Mismatch, Some(*block))) }
}

/// Retires a live block: guards, poison, record, quarantine.
pub(super) fn finish(heap: &mut Entered, block: &judge::Block, stack: StackId) {
    crime::check_guards(block, stack);
    heap.count_out(block.size);
    if block.is_span() {
        span::retire(heap, block, stack);
        return;
    }
    let modes = heap.modes.load(Relaxed);
    let pattern = Pattern::at(block.start - Window::base());
    // SAFETY: a live block's slot, given up by its owner.
    unsafe {
        if modes & mode::POISON_NONE == 0 {
            guard::fill(block.start, block.slot, pattern, tier_of(modes, block.slot));
            if block.slot > Tier::WHOLE_LIMIT {
                crime::fill_end(block.start, block.size, pattern);
            }
        } else {
            arm(block.start + block.size, block.start + block.slot, pattern);
        }
        let record = (*block.granule).records.add(block.index as usize);
        (*record).store(block.record.with_state(State::Held).0, Release);
    }
    // SAFETY: the block's granule describes its slab while it lives.
    let slab = unsafe { (*block.granule).held };
    quarantine::hold(heap, Held::slot(slab, block.index, stack), block.slot);
}
