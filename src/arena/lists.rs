//! The segregated free lists: insert, remove, find, each in constant time.
//!
//! Invariant: every free block is in exactly one list, that of its size, and
//! its header is sealed; lists are doubly linked through the headers.

use super::block::Block;
use super::classes::{self, SECOND};
use super::heap::Heap;
use super::layout::*;

/// Blocks looked at in the request's own class when no larger class has any:
/// a bound, so that the time stays constant.
const PROBES: usize = 4;

impl<M: Mode> Heap<M> {
    #[inline]
    fn second_map(&mut self, level: usize) -> &mut u8 {
        // SAFETY: levels come from classes of this heap's sizes, and `create`
        // made sure that those lie below `classes::FIRST`.
        unsafe { self.second_maps.get_unchecked_mut(level) }
    }

    /// Makes `[address, address + size)` a free block and enters it.
    ///
    /// # Safety
    /// The range is `size` bytes inside a locked region, at least
    /// `M::SMALLEST`, at a block's phase, and belongs to no block.
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
        self.first_map |= 1 << (class / SECOND);
        *self.second_map(class / SECOND) |= 1 << (class % SECOND);
        block.set_state(size | FREE | flag);
        block.set_links(head, 0);
        block.set_footer(size);
        block.seal(self.secret);
    }

    /// Takes a sealed free block out of its list.
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
    fn behead(&mut self, class: usize, next: usize) {
        self.set_head(class, next);
        if next == 0 {
            let map = self.second_map(class / SECOND);
            *map &= !(1 << (class % SECOND));
            if *map == 0 {
                self.first_map &= !(1 << (class / SECOND));
            }
        }
    }

    /// The lowest non-empty class from `class` on.
    #[inline]
    fn class_from(&mut self, class: usize) -> Option<usize> {
        let mut level = class / SECOND;
        if level >= self.levels {
            return None;
        }
        let mut map = u32::from(*self.second_map(level)) & (u32::MAX << (class % SECOND));
        if map == 0 {
            let first = self.first_map & (u32::MAX << 1 << level);
            if first == 0 {
                return None;
            }
            level = first.trailing_zeros() as usize;
            map = u32::from(*self.second_map(level));
        }
        Some(level * SECOND + map.trailing_zeros() as usize)
    }

    /// A block of at least `size` bytes, taken out of its list.
    pub(super) fn take(&mut self, size: usize) -> Option<Block<M>> {
        let mut found = 0;
        if let Some(class) = self.class_from(classes::at_least(size)) {
            found = self.head(class);
        }
        if found == 0 {
            found = self.probe(size);
        }
        if found == 0 {
            return None;
        }
        // SAFETY: found in a list of this heap.
        let block = unsafe { Block::<M>::at(found) };
        if !block.is_sealed(self.secret) {
            // Its links lead nowhere: mend the heap, then look again.
            self.repair_at(found);
            return self.take(size);
        }
        self.unlink(block);
        Some(block)
    }

    /// Looks for a large enough block among the first of the request's own
    /// class, whose blocks may be smaller or larger than it.
    fn probe(&mut self, size: usize) -> usize {
        let class = classes::of(size);
        if class / SECOND >= self.levels {
            return 0;
        }
        let mut found = self.head(class);
        for _ in 0..PROBES {
            if found == 0 {
                break;
            }
            // SAFETY: reached through sealed links from a list head.
            let block = unsafe { Block::<M>::at(found) };
            if block.size() >= size || !block.is_sealed(self.secret) {
                return found;
            }
            found = block.next();
        }
        0
    }
}
