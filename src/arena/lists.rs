//! The segregated free lists: insert, remove, find, each in constant time.
//!
//! Invariant: every free block is in exactly one list, that of its size, and
//! its header is sealed; lists are doubly linked through the headers.

use super::block::Block;
use super::classes::{self, MAP_WORDS};
use super::heap::Heap;
use super::layout::*;

impl<M: Mode> Heap<M> {
    /// The word of the bitmap that covers list `class`.
    #[inline]
    fn map_word(&mut self, class: usize) -> &mut u32 {
        // SAFETY: sizes are at most `LARGEST_REGION`, whose class is below
        // `32 * MAP_WORDS` (a test in `tests.rs` keeps it so).
        unsafe { self.map.get_unchecked_mut(class / 32) }
    }

    /// Makes `[address, address + size)` a free block and enters it.
    ///
    /// # Safety
    /// The range is `size` bytes inside a locked region, at least
    /// `M::SMALLEST`, at a block's phase, and belongs to no block.
    #[inline(never)]
    pub(super) unsafe fn shelve(&mut self, address: usize, size: usize, flag: usize) {
        // SAFETY: the same promise.
        unsafe { self.shelve_here(address, size, flag) };
    }

    /// As `shelve`, for the caller in a hurry.
    ///
    /// # Safety
    /// As for `shelve`.
    #[inline(always)]
    pub(super) unsafe fn shelve_here(&mut self, address: usize, size: usize, flag: usize) {
        // SAFETY: the caller's promise is that of `Block::at`.
        let block = unsafe { Block::<M>::at(address) };
        let class = classes::of(size);
        let head = self.head(class);
        if head != 0 {
            // SAFETY: list heads are blocks of this heap.
            unsafe { Block::<M>::at(head) }.relink_previous(address);
        }
        self.set_head(class, address);
        *self.map_word(class) |= 1 << (class % 32);
        block.set_footer(size);
        block.set_free(size, flag, head, self.secret());
    }

    /// Takes a sealed free block out of its list.
    #[inline(never)]
    pub(super) fn unlink(&mut self, block: Block<M>) {
        self.unlink_here(block);
    }

    /// As `unlink`, for the caller in a hurry.
    #[inline(always)]
    pub(super) fn unlink_here(&mut self, block: Block<M>) {
        let (next, previous) = (block.next(), block.previous());
        if next != 0 {
            // SAFETY: the block is sealed, so its links are blocks of this heap.
            unsafe { Block::<M>::at(next) }.relink_previous(previous);
        }
        if previous != 0 {
            // SAFETY: as above.
            unsafe { Block::<M>::at(previous) }.relink_next(next);
        } else {
            self.behead(classes::of(block.size()), next);
        }
    }

    /// Gives list `class` a new head, perhaps none.
    #[inline]
    fn behead(&mut self, class: usize, next: usize) {
        self.set_head(class, next);
        if next == 0 {
            *self.map_word(class) &= !(1 << (class % 32));
        }
    }

    /// The lowest non-empty list from `class` on; without one, a number past
    /// the last.
    #[inline]
    fn non_empty_from(&mut self, class: usize) -> usize {
        let mut word = class / 32;
        let mut bits = *self.map_word(class) >> (class % 32) << (class % 32);
        while bits == 0 && word < MAP_WORDS - 1 {
            word += 1;
            bits = *self.map_word(word * 32);
        }
        word * 32 + bits.trailing_zeros() as usize
    }

    /// A block of at least `size` bytes, taken out of its list, or 0.
    ///
    /// Of the request's own class, whose blocks may be smaller, only the first
    /// is looked at: that bounds the time and loses little.
    #[inline(never)]
    pub(super) fn take(&mut self, size: usize) -> usize {
        loop {
            let mut class = classes::of(size);
            if class >= self.classes {
                return 0;
            }
            let mut found = self.head(class);
            // SAFETY: list heads are blocks of this heap.
            if found == 0 || unsafe { Block::<M>::at(found) }.size() < size {
                class = self.non_empty_from(class + 1);
                if class >= self.classes {
                    return 0;
                }
                found = self.head(class);
            }
            // SAFETY: list heads are blocks of this heap.
            let block = unsafe { Block::<M>::at(found) };
            if block.is_sealed_here(self.secret()) {
                // It heads its list, so it is out by making the next the head.
                let next = block.next();
                if next != 0 {
                    // SAFETY: a sealed block's link.
                    unsafe { Block::<M>::at(next) }.relink_previous(0);
                }
                self.behead(class, next);
                return found;
            }
            // The header was overwritten, so its links lead nowhere: do without
            // this list until a check builds it anew.
            self.explain(found);
            self.behead(class, 0);
        }
    }
}
