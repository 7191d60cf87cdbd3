//! The whole-heap check: every guard and every freed byte that is still held.
//!
//! Other threads may run meanwhile: a block is judged damaged only if its
//! record reads the same before and after the look, and the damage is still
//! there the second time.

use super::allocate::tier_of;
use super::central::CENTRAL;
use super::judge::{self, Block, Found};
use super::pool::Entered;
use super::settings::{self, Watcher, mode};
use super::{crime, span};
use crate::guard::{self, Pattern};
use crate::ledger::{Record, State};
use crate::memory::{GRANULE, Kind, Window};
use crate::sync::atomics::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed},
};
use crate::units::StackId;

/// Checks every block; how many were damaged. Damage is reported and mended.
/// `finder` is who asked.
pub fn check_heap(finder: StackId) -> usize {
    let mut damaged = 0;
    judge::for_each_block(|block| damaged += usize::from(!check_one(&block, finder)));
    damaged
}

/// Granules that one slice of a bounded check looks at.
const SLICE: u32 = 16;
static NEXT_SLICE: AtomicU32 = AtomicU32::new(0);

/// Checks the next 1 MiB of the heap, going round; how many blocks were
/// damaged.
pub fn check_slice(finder: StackId) -> usize {
    let count = (Window::extent() / GRANULE) as u32;
    if count == 0 {
        return 0;
    }
    let first = NEXT_SLICE.fetch_add(SLICE, Relaxed) % count;
    let mut damaged = 0;
    judge::for_each_block_in(first..(first + SLICE).min(count), |block| {
        damaged += usize::from(!check_one(&block, finder));
    });
    damaged
}

static EVERY: AtomicU64 = AtomicU64::new(0);

/// Checks a slice of the heap after every `operations` allocations and frees
/// of a thread; 0 = never.
pub fn set_check_every(operations: u64) {
    EVERY.store(operations, Relaxed);
    settings::watch_for(Watcher::Checks, operations > 0);
}

/// Counts one operation of the calling thread; checks a slice when it is time.
/// Must not be called inside the heap's own structures half changed.
pub(super) fn count_operation(heap: &mut Entered) {
    let every = EVERY.load(Relaxed);
    if every == 0 {
        return;
    }
    if heap.until_check > 1 {
        heap.until_check -= 1;
        return;
    }
    heap.until_check = every;
    check_slice(heap.finder);
}

/// Whether nothing around the live block, or in the freed one, is damaged.
/// Reports nothing.
pub fn is_whole(block: &Block) -> bool {
    match block.record.state() {
        State::Live | State::Ignored => crime::guards_hold(block),
        State::Held | State::Free => poison_whole(block),
        State::Fresh => true,
    }
}

/// Makes the guard or the poison of a block whole again, without a word.
pub(super) fn mend(block: &Block) {
    if block.is_live() {
        crime::mend_guard(block);
    } else if !block.is_span() && reread(block) == block.record {
        let pattern = Pattern::at(block.start - Window::base());
        // SAFETY: a slot that is not the program's.
        unsafe {
            guard::fill(block.start, block.slot, pattern, tier_of(settings::modes(), block.slot))
        };
    }
}

/// Checks the block that `pointer` points at or into; `None` when it points
/// at none, else whether the block is whole.
pub fn check_block(pointer: usize, finder: StackId) -> Option<bool> {
    match judge::locate(pointer) {
        Found::Inside(block, _) => Some(check_one(&block, finder)),
        _ => None,
    }
}

fn reread(block: &Block) -> Record {
    // SAFETY: the block's granule and index were valid when it was found, and
    // tables are never unmapped.
    unsafe {
        match (*block.granule).kind {
            Kind::Span => Record((*block.granule).record.load(Acquire)),
            Kind::Slab => judge::record_at(block.granule, block.index),
            _ => Record(0),
        }
    }
}

/// Whether the block's memory is the heap's own: a slab that comes or goes
/// while it is read shows fields of two slabs, or none.
fn lies_in_window(block: &Block) -> bool {
    let bytes = if block.is_span() { block.size } else { block.slot };
    block
        .start
        .checked_sub(Window::base())
        .and_then(|offset| offset.checked_add(bytes))
        .is_some_and(|end| end <= Window::extent())
}

fn check_one(block: &Block, finder: StackId) -> bool {
    // What is torn is somebody's at this moment, and is looked at next time.
    if !lies_in_window(block) || is_whole(block) || !is_damaged_for_sure(block) {
        return true;
    }
    match block.record.state() {
        State::Live | State::Ignored => crime::check_guards(block, finder),
        _ => !damaged_again(block, finder),
    }
}

/// Looks again while no slab can come or go: the block must still be where and
/// what it was, before the look and after it.
fn is_damaged_for_sure(block: &Block) -> bool {
    let _central = CENTRAL.lock();
    match judge::locate(block.start) {
        Found::Inside(now, true) if now.slot == block.slot && now.record == block.record => {
            !is_whole(&now) && reread(&now) == now.record
        }
        _ => false,
    }
}

fn poison_whole(block: &Block) -> bool {
    let modes = settings::modes();
    if modes & mode::POISON_NONE != 0 || block.is_guarded() {
        return true;
    }
    let pattern = Pattern::at(block.start - Window::base());
    // SAFETY: the block's granule describes mapped memory of the heap.
    unsafe {
        if block.is_span() {
            let tier = tier_of(modes, span::held_bytes(&*block.granule));
            return guard::verify(block.start, span::covered(&*block.granule), pattern, tier)
                && crime::end_holds(block.start, block.size);
        }
        guard::verify(block.start, block.slot, pattern, tier_of(modes, block.slot))
            && (block.record.state() != State::Held || crime::end_holds(block.start, block.size))
    }
}

/// Reports and mends a block whose poison is disturbed; whether it was.
fn damaged_again(block: &Block, finder: StackId) -> bool {
    if poison_whole(block) {
        return false;
    }
    let modes = settings::modes();
    let pattern = Pattern::at(block.start - Window::base());
    // SAFETY: as in `poison_whole`; the block is not the program's.
    unsafe {
        if block.is_span() {
            return !span::verify_held(block.granule, finder);
        }
        let tier = tier_of(modes, block.slot);
        if guard::verify(block.start, block.slot, pattern, tier) {
            crime::check_end(block.start, block.size, modes, finder);
            return true;
        }
        crime::write_after_free(block.start, block.slot, pattern, tier, finder);
        if reread(block) == block.record {
            guard::fill(block.start, block.slot, pattern, tier);
            if block.record.state() == State::Held {
                crime::fill_end(block.start, block.size, pattern);
            }
        }
    }
    true
}
