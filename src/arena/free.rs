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

impl<M: Mode> Heap<M> {
    /// Makes a live block of the region entered last free.
    #[inline(always)]
    pub(super) fn discard(&mut self, block: Block<M>) {
        let address = block.address();
        let state = block.state();
        let size = Block::<M>::size_in(state);
        let mut flag = state & PREVIOUS_FREE;
        let mut start = address;
        let mut end = address + size;
        self.free_bytes += size;
        let mut dirty_from = address + M::FREE_HEADER;
        let mut dirty_to = end - WORD;
        if flag != 0 {
            let below = self.free_below(address);
            if below != 0 {
                // SAFETY: a free block.
                let below_block = unsafe { Block::<M>::at(below) };
                self.unlink_here(below_block);
                flag = below_block.state() & PREVIOUS_FREE;
                start = below;
                block.unseal(pattern::POISON);
                dirty_from = address - WORD;
            }
        }
        // SAFETY: a block's end is the next block or the sentinel.
        let next = unsafe { Block::<M>::at(end) };
        if !next.is_free() {
            next.set_state(next.state() | PREVIOUS_FREE);
        } else if next.is_sealed_here(self.secret()) {
            dirty_to = end + M::FREE_HEADER;
            end = next.end();
            self.unlink_here(next);
            next.unseal(pattern::POISON);
        }
        if M::GUARD {
            let limit = start + M::FREE_HEADER + self.window(end - start);
            let to = if dirty_to < limit { dirty_to } else { limit };
            // SAFETY: inside the block about to be shelved, above its header
            // and below its footer.
            unsafe { pattern::fill(dirty_from, to, pattern::POISON) };
        }
        // SAFETY: the joined range belongs to no list any more.
        unsafe { self.shelve_here(start, end - start, flag) };
    }

    /// The free block that ends at `address`, by its footer, or 0. Damage there
    /// is a write into free memory: it is noticed, and the blocks stay apart.
    #[inline]
    fn free_below(&mut self, address: usize) -> usize {
        // SAFETY: PREVIOUS_FREE says that a footer is there.
        let size = unsafe { load(address - WORD) };
        let at = address.wrapping_sub(size);
        if size.is_multiple_of(ALIGNMENT) && size <= address - self.first {
            // SAFETY: inside a region, at a block's phase.
            let block = unsafe { Block::<M>::at(at) };
            // Of a footer of 0, this is the live block itself, whose state is not.
            let state = size << M::SIZE_SHIFT | FREE;
            if block.state() & !PREVIOUS_FREE == state && block.is_sealed_free(size, self.secret())
            {
                return at;
            }
        }
        self.notice(ArenaViolation::UseAfterFree, address - WORD, 0);
        0
    }
}
