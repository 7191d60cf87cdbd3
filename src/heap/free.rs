//! Freeing by the general path, behind the fast one ([`super::retire`]), and
//! what both and realloc look at: the slot at an address, and its guards.

use super::allocate::{arm, tier_of};
use super::pool::{self, Entered};
use super::quarantine::{self, Held};
use super::settings::mode;
use super::{address_words, check, crime, judge, span};
use crate::guard::{self, LAST, Pattern, Tier, Violation, ViolationKind};
use crate::ledger::{Record, State};
use crate::memory::{Granule, Window};
use crate::sync::atomics::Ordering::{Relaxed, Release};
use crate::trace::Entry;
use crate::units::{Family, StackId};

/// A slot that begins exactly at some address.
pub(super) struct Slot {
    pub(super) granule: *mut Granule,
    pub(super) index: u32,
    pub(super) word: Record,
}

impl Slot {
    /// Bytes from this slot to the next.
    #[inline(always)]
    pub(super) fn bytes(&self) -> usize {
        // SAFETY: a slot's granule describes its slab while the slot is out.
        unsafe { (*self.granule).slot as usize }
    }
}

/// The slot that begins at `pointer`, if one does.
///
/// # Safety
/// `pointer` is below the extent of the window.
#[inline(always)]
pub(super) unsafe fn slot_of(pointer: usize) -> Option<Slot> {
    let granule = Window::granule_of(pointer);
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
        let pattern = Pattern::of_slot((*granule).pattern, pointer);
        let whole = guards_whole(pattern, pointer, word.slack(), slot);
        whole.then_some(slot - word.slack())
    }
}

/// Whether the guard behind the block and the word before it are whole; may
/// say no when they are, for the general path to look closer. `slack` is at
/// least 8; `pattern` is the slot's.
///
/// # Safety
/// The slot is the heap's.
#[inline(always)]
pub(super) unsafe fn guards_whole(
    pattern: Pattern,
    start: usize,
    slack: usize,
    slot: usize,
) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        word_before_whole(pattern, start, slot)
            && match slack <= LAST {
                true => guard::holds_before(start + slot, slack, pattern),
                false => long_guard_whole(start + slot - slack, start + slot, pattern),
            }
    }
}

/// Whether the word before the slot at `start` is whole.
///
/// # Safety
/// The slot is the heap's, of `slot` bytes, and `pattern` its own.
#[inline(always)]
pub(super) unsafe fn word_before_whole(pattern: Pattern, start: usize, slot: usize) -> bool {
    // SAFETY: the word before a slot is the previous slot's or the pad's.
    unsafe { pattern.is_before(slot, ((start - 8) as *const u64).read()) }
}

/// # Safety
/// `[from, to)` is inside the heap's slot.
#[inline(never)]
unsafe fn long_guard_whole(from: usize, to: usize, pattern: Pattern) -> bool {
    // SAFETY: the caller's promise.
    unsafe { guard::holds(from, to, pattern) }
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
