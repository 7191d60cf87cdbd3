//! Regions: the stretches of memory that a heap manages.
//!
//! ```text
//!  | next | end | blocks …                                  | sentinel |
//!   ^region      ^first                                      ^end
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

/// The address of a region's descriptor.
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

    /// The region added before this one.
    #[inline]
    pub fn next(self) -> Option<Region> {
        // SAFETY: the promise of `Region::at`.
        unsafe { Region::at(load(self.0)) }
    }

    /// The descriptor of the region added before this one, 0 = none.
    #[inline]
    pub fn next_address(self) -> usize {
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
        first_block::<M>(self.0)
    }
}

/// The lowest block address after a descriptor at `region`.
#[inline]
fn first_block<M: Mode>(region: usize) -> usize {
    let lowest = region + 2 * WORD;
    lowest + (M::PHASE.wrapping_sub(lowest) & (ALIGNMENT - 1))
}

impl<M: Mode> Heap<M> {
    /// Gives `[from, limit)` to the heap; too short a range is ignored, one
    /// longer than the heap's lists can hold is cut into several regions.
    ///
    /// # Safety
    /// The range is memory that nothing else uses as long as the heap is used.
    pub(super) unsafe fn add_region(&mut self, from: usize, limit: usize) {
        let widest = self.widest();
        let mut region = (from + WORD - 1) & !(WORD - 1);
        while region < limit {
            let first = first_block::<M>(region);
            let room = limit.saturating_sub(first + WORD) & !(ALIGNMENT - 1);
            let size = room.min(widest);
            if size < M::SMALLEST {
                break;
            }
            let end = first + size;
            // SAFETY: descriptor, blocks and sentinel lie in the caller's range;
            // the one block tiles the region.
            unsafe {
                store(region, self.regions);
                store(region + WORD, end);
                store(end, PREVIOUS_FREE);
                if M::GUARD && self.config.poison_window != 0 {
                    super::pattern::fill(first, end, super::pattern::POISON);
                }
                self.shelve(first, size, 0);
            }
            self.regions = region;
            self.total_bytes += size;
            self.free_bytes += size;
            self.least_free += size;
            region = end + WORD;
        }
    }

    /// The largest block size that has a list.
    fn widest(&self) -> usize {
        // The last list of the last level ends just below the next power of two.
        let largest = classes::SMALL << (self.levels - 1);
        (largest - ALIGNMENT).min(M::LARGEST_REGION) & !(ALIGNMENT - 1)
    }

    /// The region that holds a payload at `address`.
    #[inline]
    pub(super) fn region_of(&self, address: usize) -> Option<Region> {
        // SAFETY: `regions` is 0 or the newest descriptor.
        let mut region = unsafe { Region::at(self.regions) };
        while let Some(candidate) = region {
            let first = candidate.first::<M>();
            if address.wrapping_sub(first) < candidate.end() - first {
                return Some(candidate);
            }
            region = candidate.next();
        }
        None
    }

    /// The block that begins at `address` if its header can be right: its size
    /// keeps it inside `region`, and, when its seal is broken, leads to a block
    /// whose seal is not.
    #[inline]
    pub(super) fn plausible(&self, region: Region, address: usize) -> Option<Block<M>> {
        // SAFETY: `address` was reached by walking up from the region's first
        // block and lies below its end, so a state word is there.
        let block = unsafe { Block::<M>::at(address) };
        let size = block.size();
        if size < M::SMALLEST || size > region.end() - address || size % ALIGNMENT != 0 {
            return None;
        }
        if M::GUARD && !block.is_sealed(self.secret) && block.end() < region.end() {
            // Trust the size of a damaged header only if it leads to a sound one.
            // SAFETY: below the region's end.
            let next = unsafe { Block::<M>::at(block.end()) };
            if !next.is_sealed(self.secret) {
                return None;
            }
        }
        Some(block)
    }
}
