//! The segregated free lists: insert, remove, find, each in constant time.
//!
//! ```text
//!  heads   | 0 | · | 0 | · | 0: the sentinel, whose bit is always set
//!                ↓
//!              block A  next ──→ block B  next = 0
//!              slot = &head      slot = &A.next
//! ```
//!
//! A block remembers the word that points to it, so it leaves its list without
//! knowing its place in it; only the last one to leave clears the list's bit.
//!
//! Invariant: every free block is in exactly one list, that of its size, and
//! its header is sealed; bit `c` of the map is set iff head `c` is not 0, or `c`
//! is the sentinel.

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

    /// The word of the bitmap that covers list `class`, and its bit there.
    #[inline(always)]
    pub(super) fn bit(&mut self, class: usize) -> (&mut usize, usize) {
        let bits = usize::BITS as usize;
        // SAFETY: classes are at most `last_class + 1`, which `create` computed
        // from a size; a test keeps `MAP_WORDS` wide enough for any size.
        (unsafe { self.map.get_unchecked_mut(class / bits) }, 1 << (class % bits))
    }

    /// Makes `[address, address + size)` a free block and enters it.
    ///
    /// # Safety
    /// The range is `size` bytes inside a locked region, at least
    /// `M::SMALLEST`, at a block's phase, and belongs to no block.
    #[inline(never)]
    pub(super) unsafe fn shelve(&mut self, address: usize, size: usize, flag: usize) {
        let class = classes::of(size);
        let slot = self.head(class);
        let (word, bit) = self.bit(class);
        *word |= bit;
        // SAFETY: the caller's promise is that of `Block::at`; heads hold blocks
        // of this heap, or 0.
        unsafe {
            let next = load(slot);
            store(slot, address);
            let block = Block::<M>::at(address);
            block.set_footer(size);
            block.set_free(size, flag, next, slot, self.secret());
            if next != 0 {
                Block::<M>::at(next).relink_slot(block.next_slot());
            }
        }
    }

    /// Whether `block` is free and its header sound.
    #[inline(always)]
    pub(super) fn is_sound_free(&self, block: Block<M>) -> bool {
        block.is_free() && block.is_sealed_as(true, self.secret())
    }

    /// Takes a free block with a sound header out of its list.
    #[inline(never)]
    pub(super) fn unlink(&mut self, block: Block<M>) {
        let (next, slot) = (block.next(), block.slot());
        // SAFETY: the block is sealed, so its links lead to words of this heap:
        // a head or a link, and a block or nothing.
        unsafe {
            if M::SEALS_LINKS && self.class_of_head(slot) > self.last_class {
                Block::<M>::at(slot - M::LINKS).relink_next(next);
            } else {
                store(slot, next);
            }
            if next != 0 {
                Block::<M>::at(next).relink_slot(slot);
            } else {
                self.clear(slot);
            }
        }
    }

    /// The class whose head lies at `slot`; a number past the last, of another
    /// word.
    #[inline(always)]
    fn class_of_head(&self, slot: usize) -> usize {
        slot.wrapping_sub(self.head(0)) / WORD
    }

    /// Clears the bit of the list whose head lies at `slot`, if that is a head.
    #[inline(always)]
    fn clear(&mut self, slot: usize) {
        let class = self.class_of_head(slot);
        if class <= self.last_class {
            let (word, bit) = self.bit(class);
            *word &= !bit;
        }
    }

    /// The head of the lowest non-empty list from `class` on, or the sentinel.
    #[inline(always)]
    fn non_empty_from(&mut self, class: usize) -> usize {
        let (word, bit) = self.bit(class);
        let mut bits = *word & bit.wrapping_neg();
        let mut word: *const usize = word;
        while bits == 0 {
            // SAFETY: the sentinel's bit is set and not below `class`, so the
            // search ends inside the map.
            bits = unsafe {
                word = word.add(1);
                word.read()
            };
        }
        let below = (word.addr() - self.map.as_ptr().addr()) / WORD * usize::BITS as usize;
        self.head(below + bits.trailing_zeros() as usize)
    }

    /// A block of at least `size` bytes, taken out of its list.
    ///
    /// Of the request's own class, whose blocks may be smaller, only the first
    /// is looked at: that bounds the time and loses little.
    #[inline(never)]
    pub(super) fn take(&mut self, size: usize) -> Option<Block<M>> {
        let class = classes::of(size);
        let mut slot = self.head(class);
        // SAFETY: heads hold blocks of this heap, or 0, which is not looked at.
        let block = unsafe {
            let mut found = load(slot);
            if found == 0 || Block::<M>::at(found).size() < size {
                slot = self.non_empty_from(class + 1);
                found = load(slot);
                if found == 0 {
                    return None;
                }
            }
            Block::<M>::at(found)
        };
        if !self.is_sound_free(block) {
            return self.take_another(size, block, slot);
        }
        self.unlink(block);
        Some(block)
    }

    /// As `take`, after the header of `block`, first in its list, was found to be
    /// overwritten, so that its links lead nowhere: does without that list until
    /// a check builds it anew.
    #[cold]
    #[inline(never)]
    fn take_another(&mut self, size: usize, block: Block<M>, slot: usize) -> Option<Block<M>> {
        self.explain(block);
        block.set_free(size, 0, 0, slot, self.secret());
        self.unlink(block);
        self.take(size)
    }
}
