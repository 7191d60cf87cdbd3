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
        let heap = self.enter_for(site, 0);
        if cursor.block != 0 {
            // SAFETY: a block's place, from an earlier slice.
            let block = unsafe { Block::<M>::at(cursor.block) };
            if !M::GUARD || !block.is_sealed(heap.secret()) {
                // Every slice ends before a sound header, so this one has been
                // absorbed since: begin its region again.
                cursor.block = 0;
            }
        }
        while let Some(address) = self.heap().next_place(cursor) {
            // SAFETY: a header's place.
            let block = unsafe { Block::<M>::at(address) };
            if left == 0 && block.is_sealed(self.heap().secret()) {
                break;
            }
            left = left.saturating_sub(1);
            if self.heap().inspect(block) {
                violations += 1;
                self.tell();
            }
            cursor.block = block.end();
        }
        self.leave();
        violations
    }

    /// Checks the block at `pointer` and both its neighbours; returns the
    /// number of violations.
    pub fn check_block(self, pointer: *mut u8, site: usize) -> usize {
        let heap = self.enter_for(site, 0);
        let before = heap.violations;
        if let Some(block) = self.claim_or_tell(pointer) {
            if block.end() < heap.end {
                // SAFETY: a block's end is the next block's place.
                heap.inspect(unsafe { Block::at(block.end()) });
            }
            if M::GUARD
                && !self.has_finding()
                && let Some(below) = heap.sound_header(block.address())
            {
                heap.inspect(below);
            }
        }
        if self.has_finding() {
            self.tell();
        }
        let after = self.heap().violations;
        self.leave();
        after.wrapping_sub(before) as usize
    }
}

impl<M: Mode> Heap<M> {
    /// Notices and mends the damage at one block of the region entered last.
    #[inline(never)]
    fn inspect(&mut self, block: Block<M>) -> bool {
        let address = block.address();
        if !block.is_sealed(self.secret()) || (!M::GUARD && !self.is_plausible(block)) {
            self.explain(block);
            self.repair(block);
            return true;
        }
        let size = block.size();
        if !block.is_free() {
            if self.claim(block.payload()).is_some() {
                return false;
            }
            // The header above may be part of the same crime.
            // SAFETY: the next block's place, looked at only below the end.
            let next = unsafe { Block::<M>::at(address + size) };
            if address + size < self.end && !next.is_sealed(self.secret()) {
                self.repair(next);
            }
            return true;
        }
        let footer = address + size - WORD;
        let mut damage = 0;
        // SAFETY: between header and footer of a free block, and the footer.
        unsafe {
            if load(footer) != size {
                damage = footer;
            }
            if M::GUARD {
                let from = address + M::FREE_HEADER;
                let to = from + self.window(size);
                let place = pattern::mend(from, to, pattern::POISON);
                if place != 0 {
                    damage = place;
                }
            }
        }
        if damage != 0 {
            block.set_footer(size);
            self.notice(ArenaViolation::UseAfterFree, damage, 0);
        }
        damage != 0
    }

    /// Makes a header sound again and rebuilds the free lists.
    fn repair(&mut self, block: Block<M>) {
        let address = block.address();
        if !self.is_plausible(block) {
            // The size is gone: find the next header by its seal.
            let mut end = address + M::SMALLEST;
            loop {
                if !M::GUARD || end >= self.end {
                    end = self.end;
                    break;
                }
                // SAFETY: at a block's phase, with room for a header.
                if unsafe { Block::<M>::at(end) }.is_sealed(self.secret()) {
                    break;
                }
                end += ALIGNMENT;
            }
            block.set_live((end - address) << M::SIZE_SHIFT, 0, 0, 0, self.secret());
            self.arm(block);
        }
        block.seal(self.secret());
        self.rebuild_lists();
    }

    /// Forgets all free lists and enters every free block anew; sets
    /// PREVIOUS_FREE right on the way.
    fn rebuild_lists(&mut self) {
        // SAFETY: the bitmap and the heads after it, up to the sentinel's, which
        // stays 0, are the heap's.
        unsafe {
            let map = self.map.as_ptr().addr();
            pattern::fill(map, self.head(self.last_class + 1), 0);
        }
        let (word, bit) = self.bit(self.last_class + 1);
        *word = bit;
        let mut cursor = ArenaCursor::default();
        self.free_bytes = 0;
        let mut flag = 0;
        while let Some(address) = self.next_place(&mut cursor) {
            // SAFETY: a header's place.
            let block = unsafe { Block::<M>::at(address) };
            if !self.is_plausible(block) {
                cursor.block = self.end;
                continue;
            }
            let size = block.size();
            cursor.block = address + size;
            if block.is_free() {
                self.free_bytes += size;
                // SAFETY: a free block, in no list now; its range is its own.
                unsafe { self.shelve(address, size, flag) };
                flag = M::PREVIOUS_FREE;
            } else {
                block.set_state(block.state() & !M::PREVIOUS_FREE | flag);
                flag = 0;
            }
            if cursor.block == self.end {
                // SAFETY: the sentinel.
                unsafe { Block::<M>::at(cursor.block) }.set_state(flag);
                flag = 0;
            }
        }
    }
}
