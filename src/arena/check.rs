//! Walking the heap to find damage before the program does, all at once or a
//! bounded slice at a time, and mending what was found.
//!
//! Each crime is told once: what a walk reports, it repairs. A header that no
//! longer makes sense becomes a live block of unknown owner that reaches to the
//! next sound header, and the free lists are built anew from what the walk sees.
//!
//! Invariant: a walk visits each block at most once and always ends.

use super::block::{Block, load};
use super::door::Arena;
use super::event::{ArenaEvent, ArenaViolation};
use super::heap::Heap;
use super::layout::*;
use super::pattern;
use super::region::Region;

/// Where a sliced check goes on; all zeros = at the beginning.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArenaCursor {
    region: usize,
    block: usize,
}

impl<M: Mode> Arena<M> {
    /// Checks the whole heap and raises an event for each violation; returns
    /// their number. The lock is held for one event-free stretch at a time.
    pub fn check(self, site: usize) -> usize {
        let mut cursor = ArenaCursor::default();
        self.check_slice(&mut cursor, usize::MAX, site)
    }

    /// Checks at most `blocks` blocks from `cursor` on and moves it; it is all
    /// zeros again when the end was reached. Slices need the guard: without
    /// check words a block that vanished between two slices cannot be told, and
    /// the whole heap is walked.
    pub fn check_slice(self, cursor: &mut ArenaCursor, blocks: usize, site: usize) -> usize {
        let mut left = if M::GUARD { blocks } else { usize::MAX };
        let mut violations = 0;
        while let Some(event) = self.locked(|heap| heap.inspect_from(cursor, &mut left, site)) {
            violations += 1;
            self.raise(&event);
        }
        violations
    }

    /// Checks the block at `pointer` and its two neighbours; returns the number
    /// of violations.
    pub fn check_block(self, pointer: *mut u8, site: usize) -> usize {
        let payload = pointer.addr();
        let verdict = self.locked(|heap| {
            let block = match heap.judge(payload) {
                Ok(block) if heap.canary_damage(block).is_some() => {
                    return Some(heap.judgement(payload, ArenaViolation::Overflow, site, false));
                }
                Ok(block) => block,
                Err(violation) => return Some(heap.judgement(payload, violation, site, false)),
            };
            let region = heap.region_of(block.address())?;
            if block.end() < region.end()
                && let Some(event) = heap.inspect(region, block.end(), site)
            {
                return Some(event);
            }
            if block.state() & PREVIOUS_FREE != 0 {
                // SAFETY: PREVIOUS_FREE says that a footer is there.
                let below = block.address().wrapping_sub(unsafe { load(block.address() - WORD) });
                if below < region.first::<M>() || below >= block.address() {
                    let place = heap.locate(region, block.address() - 1);
                    return heap.inspect(region, place.block?.address(), site);
                }
                return heap.inspect(region, below, site);
            }
            None
        });
        match verdict {
            Some(event) => {
                self.raise(&event);
                1
            }
            None => 0,
        }
    }
}

impl<M: Mode> Heap<M> {
    /// Walks on from `cursor`; returns the first violation, already mended.
    fn inspect_from(
        &mut self,
        cursor: &mut ArenaCursor,
        left: &mut usize,
        site: usize,
    ) -> Option<ArenaEvent> {
        if *left == 0 {
            return None;
        }
        if cursor.region == 0 {
            *cursor = ArenaCursor { region: self.regions, block: 0 };
        }
        loop {
            // SAFETY: descriptors are never moved; the cursor came from here.
            let Some(region) = (unsafe { Region::at(cursor.region) }) else {
                *left = 0;
                return None;
            };
            let mut at = cursor.block;
            // SAFETY: `region_of` vouches for the address.
            let sound = at != 0 && unsafe { Block::<M>::at(at) }.is_sealed(self.secret);
            if !sound {
                // First slice, or the block has been absorbed since.
                at = region.first::<M>();
            }
            while at < region.end() {
                // SAFETY: inside the region, at a block's phase.
                let block = unsafe { Block::<M>::at(at) };
                // A header that is not sealed is dealt with before the pause,
                // so a cursor that is not sealed later means a block that went.
                if *left == 0 && block.is_sealed(self.secret) {
                    cursor.block = at;
                    return None;
                }
                *left = left.saturating_sub(1);
                if let Some(event) = self.inspect(region, at, site) {
                    cursor.block = at;
                    return Some(event);
                }
                at = block.end();
            }
            *cursor = ArenaCursor { region: region.next_address(), block: 0 };
            if cursor.region == 0 {
                *left = 0;
                return None;
            }
        }
    }

    /// The violation at one block, mended.
    fn inspect(&mut self, region: Region, at: usize, site: usize) -> Option<ArenaEvent> {
        let Some(block) = self.plausible(region, at) else {
            let place = self.locate(region, at);
            let violation = self.explain_damage(&place);
            return Some(self.damaged_header(region, at, violation, place.below, site));
        };
        if !block.is_sealed(self.secret) {
            let place = self.locate(region, at);
            let mut violation = self.explain_damage(&place);
            if violation == ArenaViolation::Underflow && block.is_free() {
                violation = ArenaViolation::UseAfterFree;
            }
            return Some(self.damaged_header(region, at, violation, place.below, site));
        }
        if !block.is_free() {
            let address = self.canary_damage(block)?;
            let mut event = self.event(ArenaViolation::Overflow, address, site);
            event.block = self.describe(block);
            self.arm(block);
            return Some(event);
        }
        let footer = block.end() - WORD;
        let damage = match self.poison_damage(block, footer) {
            Some(address) => address,
            // SAFETY: the last word of a free block.
            None if unsafe { load(footer) } != block.size() => footer,
            None => return None,
        };
        let mut event = self.event(ArenaViolation::UseAfterFree, damage, site);
        event.block = self.describe(block);
        block.set_footer(block.size());
        if M::GUARD {
            let from = block.address() + M::FREE_HEADER;
            let to = from.saturating_add(self.config.poison_window).min(footer);
            // SAFETY: between header and footer of a free block.
            unsafe { pattern::fill(from, to, pattern::POISON) };
        }
        Some(event)
    }

    /// Reports and mends a header that is not sealed or makes no sense.
    fn damaged_header(
        &mut self,
        region: Region,
        at: usize,
        violation: ArenaViolation,
        below: Option<Block<M>>,
        site: usize,
    ) -> ArenaEvent {
        let mut event = self.event(violation, at, site);
        if violation == ArenaViolation::Overflow {
            if let Some(below) = below {
                event.address = self.canary_damage(below).unwrap_or(at);
                event.block = self.describe(below);
                self.arm(below);
            }
        } else if let Some(block) = self.plausible(region, at) {
            event.address = block.payload();
            event.block = self.describe(block);
        }
        self.repair(region, at, below);
        event
    }

    /// Mends the header at a block of a free list that was found unsealed.
    #[cold]
    #[inline(never)]
    pub(super) fn repair_at(&mut self, at: usize) {
        self.notice(ArenaViolation::UseAfterFree, at);
        if let Some(region) = self.region_of(at) {
            let place = self.locate(region, at);
            if place.block.is_none() {
                self.noticed = self.explain_damage(&place);
            }
            self.repair(region, place.stopped, place.below);
        }
    }

    /// Makes the header at `at` sound and rebuilds the free lists.
    fn repair(&mut self, region: Region, at: usize, below: Option<Block<M>>) {
        // SAFETY: inside the region, at a block's phase.
        let block = unsafe { Block::<M>::at(at) };
        if self.plausible(region, at).is_none() {
            let mut end = at + M::SMALLEST;
            while end < region.end() {
                // SAFETY: below the region's end.
                let next = unsafe { Block::<M>::at(end) };
                let size = next.size();
                // The size first: it keeps the rest of the header in the region.
                if M::GUARD
                    && size >= M::SMALLEST
                    && size <= region.end() - end
                    && next.is_sealed(self.secret)
                {
                    break;
                }
                end += ALIGNMENT;
            }
            let end = if end < region.end() { end } else { region.end() };
            let flag = match below {
                Some(below) if below.is_free() => PREVIOUS_FREE,
                _ => 0,
            };
            block.set_state((end - at) | flag);
            block.set_owner(0, self.birth());
            // SAFETY: the next block or the sentinel.
            let next = unsafe { Block::<M>::at(end) };
            next.set_state(next.state() & !PREVIOUS_FREE);
        }
        block.seal(self.secret);
        self.rebuild_lists();
    }

    /// Forgets all free lists and enters every free block anew.
    fn rebuild_lists(&mut self) {
        for class in 0..self.levels * super::classes::SECOND {
            self.set_head(class, 0);
        }
        self.first_map = 0;
        // Not `= [0; FIRST]`: that would call memset.
        for map in &mut self.second_maps {
            *map = 0;
        }
        self.free_bytes = 0;
        // SAFETY: 0 or the newest descriptor.
        let mut region = unsafe { Region::at(self.regions) };
        while let Some(current) = region {
            let mut at = current.first::<M>();
            while at < current.end() {
                let Some(block) = self.plausible(current, at) else { break };
                let size = block.size();
                if block.is_free() {
                    self.free_bytes += size;
                    let flag = block.state() & PREVIOUS_FREE;
                    // SAFETY: a free block in no list; its range is its own.
                    unsafe { self.shelve(at, size, flag) };
                }
                at += size;
            }
            region = current.next();
        }
    }
}
