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
use super::heap::Heap;
use super::layout::*;
use super::pattern;
use crate::units::{align_down, align_up};

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
    /// The block that comes next, or the end of the region just left.
    pub(super) block: usize,
}

impl<M: Mode> Heap<M> {
    /// Gives `[from, limit)` to the heap; too short a range is ignored, and what
    /// goes beyond the largest block that the lists can hold stays unused.
    ///
    /// # Safety
    /// The range is memory that nothing else uses as long as the heap is used.
    #[inline(never)]
    pub(super) unsafe fn add_region(&mut self, from: usize, limit: usize) {
        let region = Region(align_up(from, ALIGNMENT));
        let first = region.first::<M>();
        // The sentinel takes two words, so that the last place of a header that
        // a wrong pointer can name is readable as a header.
        if limit < first + M::SMALLEST + ALIGNMENT {
            return;
        }
        let room = limit - first - ALIGNMENT;
        let size = align_down(if room < self.largest { room } else { self.largest }, ALIGNMENT);
        let end = first + size;
        // SAFETY: descriptor, blocks and sentinel lie in the caller's range;
        // the one block tiles the region.
        unsafe {
            store(region.0, self.regions);
            store(region.0 + WORD, end);
            store(end, M::PREVIOUS_FREE);
            if M::GUARD {
                // No sound header of an earlier life of this memory is left.
                pattern::fill(first, end, pattern::POISON);
            }
            store(first, 0);
            self.shelve(first, size);
        }
        self.regions = region.0;
    }

    /// The descriptor of the region that the header at `address` lies in, 0 =
    /// none; `first` and `end` are that region's from then on.
    #[inline(never)]
    pub(super) fn enter_region(&mut self, address: usize) -> usize {
        let mut next = self.regions;
        // SAFETY: `regions` is the newest descriptor.
        while let Some(region) = unsafe { Region::at(next) } {
            self.enter(region);
            if self.is_inside(address) {
                break;
            }
            next = region.next();
        }
        next
    }

    /// Whether `address` lies in the region entered last.
    #[inline(always)]
    pub(super) fn is_inside(&self, address: usize) -> bool {
        address.wrapping_sub(self.first) < self.end - self.first
    }

    #[inline(always)]
    fn enter(&mut self, region: Region) {
        self.first = region.first::<M>();
        self.end = region.end();
    }

    /// As `enter_region`, for the caller in a hurry: most often it is the region
    /// entered last.
    #[inline(always)]
    pub(super) fn enter_region_of(&mut self, address: usize) -> bool {
        self.is_inside(address) || self.enter_region(address) != 0
    }

    /// The flaw of a header, 0 = none.
    #[inline(never)]
    pub(super) fn flaw(&self, block: Block<M>) -> usize {
        block.flaw(self.secret())
    }

    /// Whether a header is as the heap wrote it; always true without guard.
    #[inline(always)]
    pub(super) fn is_sealed(&self, block: Block<M>) -> bool {
        !M::GUARD || self.flaw(block) == 0
    }

    /// The nearest sound header from `address` on, not that at `address`, by
    /// steps of `step`, in the region entered last; or where the steps left the
    /// region: at its end, or below its first block.
    #[inline(never)]
    pub(super) fn nearest_sound(&self, address: usize, step: usize) -> usize {
        let mut at = address;
        loop {
            at = at.wrapping_add(step);
            // SAFETY: looked at only at a block's phase inside the region; the
            // sentinel is as long as what is read of a header's last place.
            let block = unsafe { Block::<M>::at(at) };
            if at < self.first || at >= self.end || self.flaw(block) == 0 {
                return at;
            }
        }
    }

    /// Where the header above that of `block` lies, which makes no sense or has just
    /// been mended, in the region entered last: the nearest one that does make
    /// sense, or, without check words to tell it by, where the size leads, if that
    /// is inside, and the region's end.
    #[inline(never)]
    pub(super) fn above(&self, block: Block<M>) -> usize {
        let lowest = block.address() + M::SMALLEST;
        if M::GUARD {
            return self.nearest_sound(lowest - ALIGNMENT, ALIGNMENT);
        }
        let above = block.end_in_scan();
        if above >= lowest && above <= self.end { above } else { self.end }
    }

    /// The next live block of a walk; headers that make no sense are passed over.
    #[inline(never)]
    pub(super) fn next_live(&mut self, cursor: &mut ArenaCursor) -> Option<Block<M>> {
        loop {
            let (block, flaw) = self.next_block(cursor)?;
            if flaw == 0 && !block.is_free() {
                return Some(block);
            }
        }
    }

    /// The next block of a walk and its flaw, its region entered; the cursor moves
    /// to the one above. Regions from the newest to the oldest, blocks upwards,
    /// `None` and all zeros at the end.
    #[inline(never)]
    pub(super) fn next_block(&mut self, cursor: &mut ArenaCursor) -> Option<(Block<M>, usize)> {
        if !self.enter_region_of(cursor.block) {
            // At the beginning, or at a region's end.
            let below = self.enter_region(cursor.block.wrapping_sub(WORD));
            let region = if below == 0 {
                self.regions
            } else {
                // SAFETY: a descriptor.
                unsafe { load(below) }
            };
            cursor.block = 0;
            // SAFETY: a descriptor, or none.
            self.enter(unsafe { Region::at(region) }?);
            cursor.block = self.first;
        }
        // SAFETY: a header's place, reached by the sizes below it.
        let block = unsafe { Block::<M>::at(cursor.block) };
        let flaw = if M::GUARD { self.flaw(block) } else { 0 };
        cursor.block = if M::GUARD && flaw == 0 { block.end_in_scan() } else { self.above(block) };
        Some((block, flaw))
    }
}
