//! Regions: the stretches of memory that a heap manages.
//!
//! ```text
//!  | next | end | gap | blocks …                            | sentinel |
//!   ^region            ^first                                ^end
//! ```
//!
//! Invariants: blocks tile `[first, end)` without gaps; the sentinel at `end`
//! is a state word of size 0 that is never free, so the block below it always
//! has a neighbour to look at. A walk ends at `end` or at the first header that
//! cannot be right, and every step moves up: it always ends.

use super::block::{Block, load, store};
use super::classes;
use super::heap::Heap;
use super::layout::*;
use super::pattern;

/// The address of a region's descriptor, a multiple of `ALIGNMENT`.
#[derive(Clone, Copy)]
pub struct Region(usize);

impl Region {
    /// The region whose descriptor is at `address`; 0 = none.
    ///
    /// # Safety
    /// `address` is 0 or a descriptor written by `Heap::add_region`.
    #[inline]
    pub unsafe fn at(address: usize) -> Option<Region> {
        if address == 0 { None } else { Some(Region(address)) }
    }

    /// The descriptor of the region added before this one, 0 = none.
    #[inline]
    pub fn next(self) -> usize {
        // SAFETY: the promise of `Region::at`.
        unsafe { load(self.0) }
    }

    /// Where the sentinel lies.
    #[inline]
    pub fn end(self) -> usize {
        // SAFETY: the promise of `Region::at`.
        unsafe { load(self.0 + WORD) }
    }

    /// Where the first block lies.
    #[inline]
    pub fn first<M: Mode>(self) -> usize {
        self.0 + 2 * WORD + M::PHASE
    }
}

/// Where a walk goes on; all zeros = at the beginning.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArenaCursor {
    pub(super) region: usize,
    pub(super) block: usize,
}

impl<M: Mode> Heap<M> {
    /// Gives `[from, limit)` to the heap; too short a range is ignored, and what
    /// goes beyond the largest block that the heap's lists can hold stays
    /// unused.
    ///
    /// # Safety
    /// The range is memory that nothing else uses as long as the heap is used.
    pub(super) unsafe fn add_region(&mut self, from: usize, limit: usize) {
        let region = Region((from + ALIGNMENT - 1) & !(ALIGNMENT - 1));
        let first = region.first::<M>();
        if limit < first + M::SMALLEST + WORD {
            return;
        }
        let room = (limit - first - WORD) & !(ALIGNMENT - 1);
        let widest = classes::widest(self.classes);
        let size = if room < widest { room } else { widest };
        let end = first + size;
        // SAFETY: descriptor, blocks and sentinel lie in the caller's range;
        // the one block tiles the region.
        unsafe {
            store(region.0, self.regions);
            store(region.0 + WORD, end);
            store(end, PREVIOUS_FREE);
            if M::GUARD {
                pattern::fill(first, end, pattern::POISON);
            }
            self.shelve(first, size, 0);
        }
        self.regions = region.0;
        self.first = first;
        self.end = end;
        self.total_bytes += size;
        self.free_bytes += size;
        self.least_free += size;
    }

    /// Whether the header at `address` lies in a region; `first` and `end` are
    /// that region's from then on.
    #[inline]
    pub(super) fn enter_region(&mut self, address: usize) -> bool {
        address.wrapping_sub(self.first) < self.end - self.first || self.search_region(address)
    }

    /// As `enter_region`, with room for a header.
    #[inline(always)]
    pub(super) fn enter_region_of_header(&mut self, address: usize) -> bool {
        address.wrapping_sub(self.first) <= self.end - self.first - M::SMALLEST
            || self.search_region(address) && address <= self.end - M::SMALLEST
    }

    #[inline(never)]
    fn search_region(&mut self, address: usize) -> bool {
        let mut next = self.regions;
        // SAFETY: `regions` is 0 or the newest descriptor.
        while let Some(region) = unsafe { Region::at(next) } {
            let (first, end) = (region.first::<M>(), region.end());
            if address.wrapping_sub(first) < end - first {
                self.first = first;
                self.end = end;
                return true;
            }
            next = region.next();
        }
        false
    }

    /// Whether the header at `address`, in the region entered last, can be
    /// right: its size keeps it inside, and, where there are check words, leads
    /// to a sound header.
    #[inline(never)]
    pub(super) fn is_plausible(&self, address: usize) -> bool {
        // SAFETY: at a block's phase, below the region's end: a state word.
        let size = unsafe { Block::<M>::at(address) }.size();
        let room = self.end - address;
        // SAFETY: with room for a header below the region's end.
        size == room
            || size >= M::SMALLEST
                && size <= room - M::SMALLEST
                && unsafe { Block::<M>::at(address + size) }.is_sealed(self.secret())
    }

    /// The next live block of a walk; regions from the newest to the oldest,
    /// blocks upwards, `None` and all zeros at the end. What lies above a
    /// header that makes no sense is left out.
    #[inline(never)]
    pub(super) fn next_live(&mut self, cursor: &mut ArenaCursor) -> Option<Block<M>> {
        loop {
            let address = self.next_place(cursor)?;
            // SAFETY: `next_place` gives places of headers.
            let block = unsafe { Block::<M>::at(address) };
            if !block.is_sealed(self.secret()) && !self.is_plausible(address) {
                cursor.block = self.end;
                continue;
            }
            cursor.block = block.end();
            if !block.is_free() {
                return Some(block);
            }
        }
    }

    /// Where the walk stands: the next header's place, its region entered.
    pub(super) fn next_place(&mut self, cursor: &mut ArenaCursor) -> Option<usize> {
        let mut next = cursor.region;
        if next == 0 {
            next = self.regions;
        }
        // SAFETY: descriptors are never moved; the cursor came from here.
        while let Some(region) = unsafe { Region::at(next) } {
            let mut address = cursor.block;
            if address == 0 {
                address = region.first::<M>();
            }
            if address < region.end() {
                self.first = region.first::<M>();
                self.end = region.end();
                *cursor = ArenaCursor { region: next, block: address };
                return Some(address);
            }
            next = region.next();
            cursor.block = 0;
        }
        *cursor = ArenaCursor::default();
        None
    }
}
