//! Giving memory back: join the free neighbours, poison, shelve.
//!
//! ```text
//!  previous, free |F| block, live  |C| next, free
//!  ^start          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not poison yet   (F footer, C canary)
//! ```
//!
//! Invariant: after `discard` no two free blocks touch, unless a footer or
//! header between them was overwritten; headers that were absorbed are never
//! sealed.

use super::block::{Block, load};
use super::event::ArenaViolation;
use super::heap::Heap;
use super::layout::*;
use super::pattern;
use crate::units::align_down;

impl<M: Mode> Heap<M> {
    /// Makes a live block of the region entered last free.
    #[inline(always)]
    pub(super) fn discard(&mut self, block: Block<M>) {
        let mut start = block.address();
        let mut end = block.end();
        self.free_bytes += end - start;
        let mut flag = block.state() & M::PREVIOUS_FREE;
        let mut dirty_from = start + M::FREE_HEADER;
        let mut dirty_to = end - WORD;
        if flag != 0 {
            let footer = start - WORD;
            match self.free_below(block) {
                Some(below) => {
                    // Were the one below it free too, they would be one.
                    flag = 0;
                    self.unlink(below);
                    block.unseal(self.secret());
                    start = below.address();
                    dirty_from = footer;
                }
                // Damage there is a write into free memory, and the blocks stay
                // apart.
                None => self.notice(ArenaViolation::UseAfterFree, footer, 0),
            }
        }
        // SAFETY: a block's end is the next block or the sentinel.
        let next = unsafe { Block::<M>::at(end) };
        if self.is_sound_free(next) {
            dirty_to = end + M::FREE_HEADER;
            end = next.end();
            self.unlink(next);
            next.unseal(self.secret());
        } else {
            next.set_state(next.state() | M::PREVIOUS_FREE);
        }
        if M::GUARD {
            let limit = start + M::FREE_HEADER + self.window(end - start);
            let to = if dirty_to < limit { dirty_to } else { limit };
            if dirty_from < to {
                // SAFETY: inside the block about to be shelved, above its header
                // and below its footer.
                unsafe { pattern::fill(dirty_from, to, pattern::POISON) };
            }
        }
        // SAFETY: the joined range belongs to no list any more.
        unsafe { self.shelve(start, end - start, flag) };
    }

    /// The free block that ends where `block` begins, by its footer.
    #[inline(always)]
    fn free_below(&self, block: Block<M>) -> Option<Block<M>> {
        let address = block.address();
        // SAFETY: PREVIOUS_FREE says that a footer is there.
        let size = unsafe { load(address - WORD) };
        if size > address - self.first {
            return None;
        }
        // SAFETY: inside a region; at a block's phase, so that no damage makes
        // it an unaligned access.
        let below = unsafe { Block::<M>::at(address - align_down(size, ALIGNMENT)) };
        // Of a footer of 0, this is the live block itself, which is none such.
        if below.is_free_of(size, self.secret()) { Some(below) } else { None }
    }
}
