//! The whole-heap check: every guard and every freed byte that is still held.
//!
//! Other threads may run meanwhile: a block is judged damaged only if its
//! record reads the same before and after the look, and the damage is still
//! there the second time.

use super::allocate::tier_of;
use super::judge::{self, Block, Found};
use super::settings::{self, mode};
use super::{crime, span};
use crate::guard::{self, Pattern};
use crate::ledger::{Record, State};
use crate::memory::{Kind, Window};
use crate::units::StackId;
use core::sync::atomic::Ordering::Acquire;

/// Checks every block; how many were damaged. Damage is reported and mended.
pub fn check_heap() -> usize {
    let mut damaged = 0;
    judge::for_each_block(|block| damaged += usize::from(!check_one(&block)));
    damaged
}

/// Checks the block that `pointer` points at or into; `None` when it points
/// at none, else whether the block is whole.
pub fn check_block(pointer: usize) -> Option<bool> {
    match judge::locate(pointer) {
        Found::Inside(block, _) => Some(check_one(&block)),
        _ => None,
    }
}

fn reread(block: &Block) -> Record {
    // SAFETY: the block's granule and index were valid when it was found, and
    // tables are never unmapped.
    unsafe {
        match (*block.granule).kind {
            Kind::Span => Record((*block.granule).record.load(Acquire)),
            Kind::Slab => {
                Record((*(*block.granule).records.add(block.index as usize)).load(Acquire))
            }
            _ => Record(0),
        }
    }
}

fn check_one(block: &Block) -> bool {
    match block.record.state() {
        State::Live | State::Ignored => {
            looks_whole(block)
                || reread(block) != block.record
                || crime::check_guards(block, StackId::UNKNOWN)
        }
        State::Held | State::Free => {
            poison_whole(block) || reread(block) != block.record || !damaged_again(block)
        }
        State::Fresh => true,
    }
}

fn looks_whole(block: &Block) -> bool {
    crime::guards_hold(block)
}

fn poison_whole(block: &Block) -> bool {
    let modes = settings::modes();
    if modes & mode::POISON_NONE != 0 {
        return true;
    }
    let pattern = Pattern::at(block.start - Window::base());
    // SAFETY: the block's granule describes mapped memory of the heap.
    unsafe {
        if block.is_span() {
            let tier = tier_of(modes, span::held_bytes(&*block.granule));
            return guard::verify(block.start, span::covered(&*block.granule), pattern, tier);
        }
        guard::verify(block.start, block.slot, pattern, tier_of(modes, block.slot))
    }
}

/// Reports and mends a block whose poison is disturbed; whether it was.
fn damaged_again(block: &Block) -> bool {
    if poison_whole(block) {
        return false;
    }
    let modes = settings::modes();
    let pattern = Pattern::at(block.start - Window::base());
    // SAFETY: as in `poison_whole`; the block is not the program's.
    unsafe {
        if block.is_span() {
            return !span::verify_held(block.granule);
        }
        let tier = tier_of(modes, block.slot);
        crime::write_after_free(block.granule, block.index, block.start, block.slot, pattern, tier);
        if reread(block) == block.record {
            guard::fill(block.start, block.slot, pattern, tier);
        }
    }
    true
}
