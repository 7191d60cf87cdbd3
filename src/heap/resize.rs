//! Changing a block's size: in place where slot or span allow, else by moving.

use super::allocate::{self, Request, arm};
use super::in_place::keeps_slot;
use super::judge::{self, Block};
use super::pool::{self, Entered};
use super::settings::mode;
use super::{crime, free, pressure, span};
use crate::guard::{Pattern, Violation, ViolationKind};
use crate::ledger::{self, Record};
use crate::memory::Window;
use crate::sync::atomics::Ordering::{Relaxed, Release};
use crate::trace::Entry;
use crate::units::{Family, MAX_REQUEST, StackId};
use core::ptr::{self, null_mut};

/// Gives the live block at `pointer` `size` bytes (more than 0); its new
/// address, or null: then the block is as it was (C23 7.24.4.5), or `pointer`
/// was no block, which was reported.
pub fn resize(pointer: usize, size: usize, entry: Entry) -> *mut u8 {
    if size > MAX_REQUEST - (1 << 20) {
        return null_mut();
    }
    let Some(mut heap) = pool::enter() else {
        pressure::without_heap(size);
        return null_mut();
    };
    let stack = heap.capture(entry);
    let is_watched = heap.modes.load(Relaxed) & mode::WATCH != 0;
    drop(heap);
    let grows = || judge::judge(pointer).is_ok_and(|block| size > block.size);
    if is_watched && grows() && pressure::refuses(size, stack) {
        return null_mut();
    }
    let attempt = || match try_resize(pointer, size, stack) {
        Ok(start) => start,
        Err(Refusal::NoMemory) => 0,
        Err(Refusal::NoBlock) => NO_BLOCK,
    };
    let start = attempt();
    match pressure::settle(start, size, stack, attempt) {
        NO_BLOCK => null_mut(),
        start => {
            if is_watched && start != 0 {
                ledger::note_ordinal(start, stack);
            }
            start as *mut u8
        }
    }
}

/// Why a block was not resized.
enum Refusal {
    /// There is no room.
    NoMemory,
    /// The pointer is none of ours, which was reported.
    NoBlock,
}

/// [`Refusal::NoBlock`] where an address is wanted; no block starts there.
const NO_BLOCK: usize = usize::MAX;

fn try_resize(pointer: usize, size: usize, stack: StackId) -> Result<usize, Refusal> {
    let mut heap = pool::enter().ok_or(Refusal::NoMemory)?;
    heap.finder = stack;
    let block = match judge::judge(pointer) {
        Ok(block) => block,
        Err((kind, block)) => {
            drop(heap);
            let kind = match kind {
                ViolationKind::DoubleFree => ViolationKind::UseAfterFree,
                other => other,
            };
            tell(kind, pointer, block.as_ref(), stack);
            return Err(Refusal::NoBlock);
        }
    };
    if !matches!(block.record.family(), Family::Malloc | Family::Aligned) {
        drop(heap);
        tell(ViolationKind::Mismatch, pointer, Some(&block), stack);
        heap = pool::enter().ok_or(Refusal::NoMemory)?;
    }
    crime::check_guards(&block, stack);
    if in_place(&block, size) {
        heap.count_out(block.size);
        heap.count_in(size);
        rewrite(&block, size, heap.stamp(), stack);
        return Ok(pointer);
    }
    let request = Request { size, alignment: 16, family: Family::Malloc, zeroed: false };
    if block.is_span()
        && let Some(start) = span::move_to(&mut heap, &block, &request, stack)
    {
        heap.count_out(block.size);
        heap.count_in(size);
        return Ok(start);
    }
    let start = allocate::place(&mut heap, &request, stack);
    if start == 0 {
        return Err(Refusal::NoMemory);
    }
    move_contents(&mut heap, &block, start, size, stack);
    Ok(start)
}

fn move_contents(heap: &mut Entered, block: &Block, to: usize, size: usize, stack: StackId) {
    // SAFETY: the new block is `size` bytes and not handed out yet; the old
    // one is live, and its owner asked for the move.
    unsafe {
        ptr::copy_nonoverlapping(block.start as *const u8, to as *mut u8, block.size.min(size));
    }
    free::finish(heap, block, stack);
}

/// Whether the block keeps its place with `size` bytes; if so its guard is
/// where it belongs afterwards.
fn in_place(block: &Block, size: usize) -> bool {
    if block.is_span() {
        // A span that shrinks to a small part of itself moves to a slot.
        return size > crate::slab::MEDIUM_LIMIT
            && size >= block.size / 4
            && span::resize_in_place(block, size);
    }
    let fits = keeps_slot(block.slot, size);
    if fits && size < block.size {
        let pattern = Pattern::at(block.start - Window::base());
        // SAFETY: bytes of the block that its owner gives up.
        unsafe { arm(block.start + size, block.start + block.slot, pattern) };
    }
    fits
}

/// Writes the block's new facts.
fn rewrite(block: &Block, size: usize, stamp: u32, stack: StackId) {
    let span = block.is_span();
    let slack = if span { 0 } else { block.slot - size };
    let record = Record::live(block.record.family(), slack, stamp, stack);
    // SAFETY: a live block that its owner is resizing.
    unsafe {
        if span {
            (*block.granule).record.store(record.0, Release);
        } else {
            (*(*block.granule).records.add(block.index as usize)).store(record.0, Release);
        }
    }
}

fn tell(kind: ViolationKind, pointer: usize, block: Option<&Block>, stack: StackId) {
    crime::report(&Violation {
        kind,
        address: pointer,
        block: block.map_or(0, |block| block.start),
        changed: 0,
        family: Family::Malloc,
        given: 0,
        stack,
    });
}

/// The size that was asked for of the live block at `pointer`; `None` when it
/// is none, which was reported.
pub fn usable_size(pointer: usize, entry: Entry) -> Option<usize> {
    match judge::judge(pointer) {
        Ok(block) => {
            if !crime::guards_hold(&block) {
                crime::check_guards(&block, pool::capture(entry));
            }
            Some(block.size)
        }
        Err((kind, block)) => {
            let kind = match kind {
                ViolationKind::DoubleFree => ViolationKind::UseAfterFree,
                other => other,
            };
            tell(kind, pointer, block.as_ref(), pool::capture(entry));
            None
        }
    }
}
