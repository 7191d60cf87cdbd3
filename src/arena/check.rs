//! Walking the heap to find damage before the program does, all at once or a
//! bounded slice at a time, and mending what was found.
//!
//! Each crime is told once: what a walk tells, it repairs. A header that no
//! longer makes sense becomes a live block of unknown owner that reaches to the
//! next sound header, and the free lists are built anew.
//!
//! Invariant: a walk looks at each place at most once and always ends.

use super::block::{Block, load};
use super::door::Arena;
use super::event::ArenaViolation;
use super::heap::Heap;
use super::layout::*;
use super::pattern;
use super::region::ArenaCursor;

impl<M: Mode> Arena<M> {
    /// Checks the whole heap and tells every violation; returns their number.
    pub fn check(self, site: usize) -> usize {
        self.check_slice(&mut ArenaCursor::default(), usize::MAX, site)
    }

    /// Checks at most `blocks` blocks from `cursor` on and moves it; it is all
    /// zeros again when the end was reached. Slices need the guard: without
    /// check words a block that vanished between two slices cannot be told, so
    /// the whole heap is walked.
    pub fn check_slice(self, cursor: &mut ArenaCursor, blocks: usize, site: usize) -> usize {
        let mut left = if M::GUARD { blocks } else { usize::MAX };
        let mut violations = 0;
        let heap = self.enter_for(0, site);
        loop {
            // Every slice ends before a sound header, or at a region's end. Is it
            // none any more, then it has been absorbed since: begin its region
            // again.
            if heap.enter_region(cursor.block) != 0 {
                // SAFETY: a block's place, inside a region.
                let block = unsafe { Block::at(cursor.block) };
                if !heap.is_sealed(block) {
                    cursor.block = heap.first;
                }
            }
            // The cursor stands above a damaged block, mended or not.
            loop {
                let Some((block, flaw)) = heap.next_block(cursor) else {
                    self.leave();
                    return violations;
                };
                if left != 0 {
                    left -= 1;
                } else if flaw == 0 {
                    cursor.block = block.address();
                    self.leave();
                    return violations;
                }
                if heap.inspect(block, flaw, cursor.block) {
                    break;
                }
            }
            violations += 1;
            // The handler may use the heap.
            self.tell();
        }
    }

    /// Checks the block at `pointer` and both its neighbours; returns the
    /// number of violations. Without the guard, as for slices, the whole heap.
    pub fn check_block(self, pointer: *mut u8, site: usize) -> usize {
        let heap = self.heap();
        let before = heap.violations();
        let block = self.enter_claiming(pointer, site, 0);
        let told = heap.violations().wrapping_sub(before) as usize;
        let mut cursor = ArenaCursor::default();
        if let Some(block) = block
            && M::GUARD
        {
            cursor = heap.cursor_below(block);
        }
        self.leave();
        if block.is_none() {
            return told;
        }
        told + self.check_slice(&mut cursor, 3, site)
    }
}

impl<M: Mode> Heap<M> {
    /// Where a walk stands that begins with the block below `block`, if there is
    /// one in the region entered last.
    #[inline]
    fn cursor_below(&self, block: Block<M>) -> ArenaCursor {
        let mut below = self.nearest_sound(block.address(), ALIGNMENT.wrapping_neg());
        if below < self.first {
            below = block.address();
        }
        ArenaCursor { block: below }
    }

    /// Notices and mends the damage at one block of the region entered last, up to
    /// `above`, where the next one lies.
    #[inline(always)]
    fn inspect(&mut self, block: Block<M>, flaw: usize, above: usize) -> bool {
        if flaw != 0 || (!M::GUARD && above != block.end()) {
            self.explain(block);
            self.repair(block);
            return true;
        }
        if !block.is_free() {
            // The header above may be part of the same crime.
            // SAFETY: the next block's place, looked at only below the end.
            let next = unsafe { Block::<M>::at(above) };
            if M::GUARD {
                self.overrun(block);
                if self.event.kind != ArenaViolation::None
                    && above != self.end
                    && !self.is_sealed(next)
                {
                    self.repair(next);
                }
            }
        } else {
            let (footer, size) = (above - WORD, above - block.address());
            // SAFETY: the last word of a free block.
            if unsafe { load(footer) } != size {
                block.set_footer(size);
                self.notice(ArenaViolation::UseAfterFree, footer);
            }
            if M::GUARD {
                self.verify_poison(block, 0);
            }
        }
        self.event.kind != ArenaViolation::None
    }

    /// Makes a header sound again and builds the free lists anew; sets
    /// PREVIOUS_FREE right on the way. A header whose size is gone becomes that of
    /// a live block of unknown owner.
    #[inline(never)]
    fn repair(&mut self, block: Block<M>) {
        if self.is_plausible(block) {
            if M::GUARD {
                block.seal(self.flaw(block));
            }
        } else {
            let size = self.above(block) - block.address();
            let site = core::mem::replace(&mut self.event.site, 0);
            self.event.requested = size - M::HEADER - M::TAIL;
            self.trim(block, size);
            self.event.requested = 0;
            self.event.site = site;
        }
        // SAFETY: the lists' heads.
        unsafe { pattern::fill(self.head(0), self.lists_end, 0) };
        let mut cursor = ArenaCursor::default();
        self.used_bytes = 0;
        let mut below = 0;
        while let Some((block, flaw)) = self.next_block(&mut cursor) {
            let end = cursor.block;
            let size = end - block.address();
            block.set_state(block.state() & !M::PREVIOUS_FREE | below);
            below = 0;
            if flaw == 0 && block.is_free() {
                // SAFETY: a free block, in no list now; its range is its own.
                unsafe { self.shelve(block.address(), size) };
                below = M::PREVIOUS_FREE;
            } else {
                self.used_bytes += size;
            }
            if end == self.end {
                // SAFETY: the sentinel.
                unsafe { Block::<M>::at(end) }.set_state(below);
                below = 0;
            }
        }
    }
}
