//! The segregated free lists: insert, remove, find, each in bounded time.
//!
//! ```text
//!  heads   | 0 | · | 0 | · | 0 | region's descriptor, never all 0
//!                ↓
//!              block A  next ──→ block B  next = 0
//!              slot = &head      slot = &A.next
//! ```
//!
//! A block remembers the word that points to it, so it leaves its list without
//! knowing its place in it.
//!
//! Invariant: every free block is in exactly one list, that of its size, and
//! its header is sealed.

use core::mem::size_of;

use super::block::{Block, load, store};
use super::classes;
use super::heap::Heap;
use super::layout::*;

impl<M: Mode> Heap<M> {
    /// The address of list `class`'s head.
    #[inline(always)]
    pub(super) fn head(&self, class: usize) -> usize {
        core::ptr::from_ref(self).addr() + size_of::<Self>() + class * WORD
    }

    /// Makes `[address, address + size)` a free block and enters it; of the word
    /// at `address`, PREVIOUS_FREE stays.
    ///
    /// # Safety
    /// The range is `size` bytes inside a locked region, at least
    /// `M::SMALLEST`, at a block's phase, and belongs to no block.
    #[inline(never)]
    pub(super) unsafe fn shelve(&mut self, address: usize, size: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.shelve_here(address, size) };
    }

    /// As `shelve`, for the caller in a hurry.
    ///
    /// # Safety
    /// As for `shelve`.
    #[inline(always)]
    pub(super) unsafe fn shelve_here(&mut self, address: usize, size: usize) {
        // SAFETY: the caller's promise is that of `Block::at`; heads hold blocks
        // of this heap, or 0.
        unsafe {
            let slot = self.head(classes::of(size));
            let next = load(slot);
            store(slot, address);
            let block = Block::<M>::at(address);
            block.set_footer(size);
            block.set_free(size, next, slot, self.secret());
            if next != 0 {
                Block::<M>::at(next).relink_slot(block.next_slot());
            }
        }
    }

    /// Takes `block` out of its list, if it is free and its header sound; whether
    /// it was. With the guard the header is sealed no longer.
    #[inline(never)]
    pub(super) fn unlink(&mut self, block: Block<M>) -> bool {
        self.unlink_here(block)
    }

    /// As `unlink`, for the caller in a hurry.
    #[inline(always)]
    pub(super) fn unlink_here(&mut self, block: Block<M>) -> bool {
        if !block.is_free() || !block.is_sealed_as(true, self.secret()) {
            return false;
        }
        let (next, slot) = (block.next(), block.slot());
        if M::GUARD {
            block.unseal(self.secret());
        }
        // SAFETY: the block was sealed, so its links lead to words of this heap:
        // a head or a link, and a block or nothing.
        unsafe {
            let from_heads = slot.wrapping_sub(self.head(0));
            if M::SEALS_LINKS && from_heads >= self.lists_end - self.head(0) {
                Block::<M>::at(slot - M::LINKS).relink_next(next);
            } else {
                store(slot, next);
            }
            if next != 0 {
                Block::<M>::at(next).relink_slot(slot);
            }
        }
        true
    }

    /// A block of at least `size` bytes, taken out of its list.
    ///
    /// Of the request's own class, whose blocks may be smaller, only the first
    /// is looked at: that bounds the time and loses little.
    #[inline(always)]
    pub(super) fn take(&mut self, size: usize) -> Option<Block<M>> {
        // SAFETY: a block's size.
        let mut slot = self.head(unsafe { classes::of(size) });
        loop {
            // SAFETY: a list's head, or a word of the first region up to its
            // first block's state, which is not 0.
            let first = unsafe { load(slot) };
            if first != 0 {
                if slot >= self.lists_end {
                    return None;
                }
                // SAFETY: heads hold blocks of this heap.
                let block = unsafe { Block::<M>::at(first) };
                if block.size() >= size {
                    if self.unlink(block) {
                        return Some(block);
                    }
                    // Its links lead nowhere: the list is done without until a
                    // check builds it anew.
                    self.explain(block);
                    // SAFETY: a head.
                    unsafe { store(slot, 0) };
                }
            }
            slot += WORD;
        }
    }
}
