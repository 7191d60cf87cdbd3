//! The segregated free lists: insert, remove, find, each in constant time.
//!
//! Invariant: every free block is in exactly one list, that of its size, and
//! its header is sealed; lists are doubly linked through the headers.

use super::block::Block;
use super::classes::{self, MAP_WORDS};
use super::heap::Heap;
use super::layout::*;

/// Blocks looked at in the request's own class when no larger class has any:
/// a bound, so that the time stays constant.
const PROBES: usize = 4;

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

    /// The lowest class from `class` on that has a block; past the last one,
    /// a class that has none.
    #[inline]
    fn first_class(&mut self, class: usize) -> usize {
        let mut word = class / 32;
        let mut bits = *self.map_word(class) & (u32::MAX << (class % 32));
        while bits == 0 && word + 1 < MAP_WORDS {
            word += 1;
            bits = *self.map_word(word * 32);
        }
        if bits == 0 { usize::MAX } else { word * 32 + bits.trailing_zeros() as usize }
    }

    /// A block of at least `size` bytes, taken out of its list.
    #[inline]
    pub(super) fn take(&mut self, size: usize) -> Option<Block<M>> {
        loop {
            let mut class = self.first_class(classes::at_least(size));
            let mut found = if class == usize::MAX { 0 } else { self.head(class) };
            if found == 0 {
                class = classes::of(size);
                found = self.probe(class, size);
                if found == 0 {
                    return None;
                }
            }
            // SAFETY: found in a list of this heap.
            let block = unsafe { Block::<M>::at(found) };
            if block.is_sealed(self.secret()) {
                self.unlink(block);
                return Some(block);
            }
            // The header was overwritten, so its links lead nowhere: do without
            // this list until a check builds it anew.
            self.explain(found);
            self.behead(class, 0);
        }
    }

    /// Looks for a large enough block among the first of the request's own
    /// class, whose blocks may be smaller or larger than it.
    #[inline]
    fn probe(&mut self, class: usize, size: usize) -> usize {
        if class >= self.classes {
            return 0;
        }
        let mut found = self.head(class);
        let mut probes = PROBES;
        while found != 0 {
            // SAFETY: reached through sealed links from a list head.
            let block = unsafe { Block::<M>::at(found) };
            if block.size() >= size || !block.is_sealed(self.secret()) {
                break;
            }
            probes -= 1;
            found = if probes == 0 { 0 } else { block.next() };
        }
        found
    }
}
