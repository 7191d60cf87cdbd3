//! Giving memory back: judge the pointer, look at the canary, join the free
//! neighbours, poison.
//!
//! ```text
//!  previous, free |F| block, live  |C| next, free
//!  ^start          ^^^^^^^^^^^^^^^^^^^^^^^^^^ not poison yet   (F footer, C canary)
//! ```
//!
//! Invariant: after `discard` no two free blocks touch, unless the lower one's
//! footer was overwritten; headers that were absorbed are never sealed.

use super::block::{Block, load};
use super::event::ArenaViolation;
use super::heap::Heap;
use super::layout::*;
use super::pattern;

impl<M: Mode> Heap<M> {
    /// Frees the block at `payload`. On anything but `None` the block is still
    /// as it was, for the report to describe.
    pub(super) fn release(&mut self, payload: usize) -> ArenaViolation {
        match self.judge(payload) {
            Ok(block) => {
                if self.canary_damage(block).is_some() {
                    return ArenaViolation::Overflow;
                }
                self.discard(block);
                ArenaViolation::None
            }
            Err(violation) => violation,
        }
    }

    /// Makes a live block free, whatever its canary says.
    pub(super) fn discard(&mut self, block: Block<M>) {
        let address = block.address();
        let mut start = address;
        let mut end = block.end();
        let mut flag = 0;
        self.free_bytes += end - start;
        self.frees = self.frees.wrapping_add(1);
        let mut dirty_from = start + M::FREE_HEADER;
        if block.state() & PREVIOUS_FREE != 0 {
            flag = PREVIOUS_FREE;
            if let Some(previous) = self.free_below(address) {
                self.unlink(previous);
                flag = previous.state() & PREVIOUS_FREE;
                start = previous.address();
                block.unseal(pattern::POISON);
                dirty_from = address - WORD;
            }
        }
        // SAFETY: a block's end is the next block or the sentinel.
        let next = unsafe { Block::<M>::at(end) };
        let mut dirty_to = end - WORD;
        if next.is_free() {
            if next.is_sealed(self.secret) {
                self.unlink(next);
                end = next.end();
                next.unseal(pattern::POISON);
                dirty_to = next.address() + M::FREE_HEADER;
            } else {
                self.notice(ArenaViolation::Corrupt, next.address());
            }
        } else {
            next.set_state(next.state() | PREVIOUS_FREE);
        }
        if M::GUARD {
            let window_end = (start + M::FREE_HEADER).saturating_add(self.config.poison_window);
            // SAFETY: inside the block about to be shelved, above its header
            // and below its footer.
            unsafe { pattern::fill(dirty_from, dirty_to.min(window_end), pattern::POISON) };
        }
        // SAFETY: the joined range belongs to no list any more.
        unsafe { self.shelve(start, end - start, flag) };
    }

    /// The free block that ends at `address`, by its footer. Damage there is a
    /// write into free memory: it is noticed, and the blocks stay apart.
    #[inline]
    fn free_below(&mut self, address: usize) -> Option<Block<M>> {
        // SAFETY: PREVIOUS_FREE says that a footer is there.
        let size = unsafe { load(address - WORD) };
        let region = self.region_of(address)?;
        if size <= address - region.first::<M>() && size & (ALIGNMENT - 1) == 0 && size != 0 {
            // SAFETY: inside the region, at a block's phase.
            let block = unsafe { Block::<M>::at(address - size) };
            if block.is_free() && block.size() == size && block.is_sealed(self.secret) {
                return Some(block);
            }
        }
        self.notice(ArenaViolation::UseAfterFree, address - WORD);
        None
    }
}
