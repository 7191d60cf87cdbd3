//! Reading: the words of blocks and roots, and what one that may be a pointer
//! does.
//!
//! A word goes through a pipeline: where it leads to is asked for from memory
//! when the word is seen and looked at some words later. Blocks are asked for
//! before they are read, too.
//!
//! Invariant: only live blocks and readable, touched mappings are read.

use super::Marker;
use crate::leak::heuristics;
use crate::leak::live_block::LiveBlock;
use crate::leak::mappings::Touched;
use crate::leak::pipeline::{Found, Pipeline, prefetch};
use crate::leak::tiles::{Place, Tile, TileKind, Tiles};

/// How many blocks before it is read a block's first lines are asked for.
const AHEAD: usize = 6;

/// The blocks of a group that will be read soon.
struct Ahead {
    bits: u64,
    /// Slot of the group's first bit.
    first: u32,
}

impl Ahead {
    /// Asks for the next one's first two lines.
    #[inline(always)]
    fn step(&mut self, tiles: &Tiles<'_>, tile: &Tile, head: u32) {
        if self.bits != 0 && tile.kind == TileKind::Slab {
            let slot = self.first + self.bits.trailing_zeros();
            self.bits &= self.bits - 1;
            let address = tiles.address(Place { head, slot });
            prefetch(address);
            prefetch(address + 64);
        }
    }
}

impl Marker<'_, '_> {
    /// Reads the marked blocks of a slab or span that were not read yet.
    pub(super) fn read_slab<const STARTS: bool>(&mut self, head: u32, pipeline: &mut Pipeline) {
        let tile = self.tiles.tiles[head as usize];
        for (part, group) in self.groups_of(head as usize).enumerate() {
            let state = &mut self.tiles.groups[group];
            let mut bits = state.mark & !state.scanned;
            state.scanned |= bits;
            let mut ahead = Ahead { bits, first: (part * 64) as u32 };
            (0..AHEAD).for_each(|_| ahead.step(&self.tiles, &tile, head));
            while bits != 0 {
                let slot = (part * 64) as u32 + bits.trailing_zeros();
                bits &= bits - 1;
                ahead.step(&self.tiles, &tile, head);
                if let Some(parents) = &self.parents {
                    let state = self.tiles.groups[group];
                    self.source = parents.number(group, state.live, 1 << (slot % 64));
                }
                let block = self.tiles.block(Place { head, slot });
                let end = block.address + block.size;
                if self.tiles.pools.first_in(block.address, end).is_some() {
                    self.read_with_pools::<STARTS>(Place { head, slot }, block.address, end);
                } else if tile.kind == TileKind::Span {
                    self.read_range::<STARTS>(block.address, block.address + block.size);
                } else {
                    self.read_words::<STARTS>(block.address, block.size, pipeline);
                }
            }
        }
    }

    /// Reads a marked block, whose ticket lies at `place` and whose pool it
    /// keeps; or a block that has such in it.
    #[cold]
    fn read_with_pools<const STARTS: bool>(&mut self, place: Place, start: usize, end: usize) {
        if self.tiles.pools.find(start).is_none_or(|(ticket, _)| ticket != place) {
            return self.read_range::<STARTS>(start, end);
        }
        if let Some((pool, _)) = self.tiles.locate_slot(start.wrapping_sub(self.tiles.base)) {
            self.mark(pool, self.source);
        }
        self.read_whole_range::<STARTS>(start, end);
    }

    /// Reads a range without the marked blocks in it.
    pub(super) fn read_range<const STARTS: bool>(&mut self, mut start: usize, end: usize) {
        while let Some((from, to)) = self.tiles.pools.first_in(start, end) {
            self.read_whole_range::<STARTS>(start, from);
            start = to;
        }
        self.read_whole_range::<STARTS>(start, end);
    }

    /// Reads the readable, touched parts of a range.
    fn read_whole_range<const STARTS: bool>(&mut self, start: usize, end: usize) {
        let mut pipeline = Pipeline::new();
        let mappings = self.mappings;
        let touched = core::mem::replace(&mut self.touched, Touched::unknown());
        mappings.readable(start, end, |from, to| {
            touched.for_each(from, to, |from, to| {
                self.read_words::<STARTS>(from, to - from, &mut pipeline);
            });
        });
        self.touched = touched;
        self.flush::<STARTS>(&mut pipeline);
    }

    #[inline(always)]
    fn read_words<const STARTS: bool>(
        &mut self,
        start: usize,
        bytes: usize,
        pipeline: &mut Pipeline,
    ) {
        self.bytes_read += bytes as u64;
        if self.reading.step != 8 || self.reading.mask != usize::MAX {
            return self.read_unusual::<STARTS>(start, bytes, pipeline);
        }
        let (base, extent) = (self.tiles.base, self.extent);
        let mut at = (start + 7) & !7;
        let end = start + bytes;
        while at + 8 <= end {
            // SAFETY: aligned, and inside a live block or a readable mapping;
            // volatile, because the program's threads may own it.
            let word = unsafe { (at as *const usize).read_volatile() };
            let offset = word.wrapping_sub(base);
            if offset < extent {
                self.found::<STARTS>(offset, pipeline);
            } else if word.wrapping_sub(self.foreign_low) < self.foreign_bytes {
                self.reach_foreign::<STARTS>(word);
            }
            at += 8;
        }
    }

    #[cold]
    fn read_unusual<const STARTS: bool>(
        &mut self,
        start: usize,
        bytes: usize,
        pipeline: &mut Pipeline,
    ) {
        let step = self.reading.step.clamp(1, 8);
        let mut at = start.next_multiple_of(step);
        while at + 8 <= start + bytes {
            // SAFETY: inside a live block or a readable mapping.
            let word = unsafe { (at as *const usize).read_unaligned() };
            for word in [word, word & self.reading.mask] {
                let offset = word.wrapping_sub(self.tiles.base);
                if offset < self.extent {
                    self.found::<STARTS>(offset, pipeline);
                } else if word.wrapping_sub(self.foreign_low) < self.foreign_bytes {
                    self.reach_foreign::<STARTS>(word);
                }
            }
            at += step;
        }
    }

    #[inline(always)]
    fn found<const STARTS: bool>(&mut self, offset: usize, pipeline: &mut Pipeline) {
        let Some((place, inside, group)) = self.tiles.locate_group(offset) else { return };
        prefetch(&raw const self.tiles.groups[group] as usize);
        let found = Found { place, group: group as u32, source: self.source, inside };
        let due = pipeline.pass(found);
        self.settle::<STARTS>(due);
    }

    /// Settles what is still on its way.
    pub(super) fn flush<const STARTS: bool>(&mut self, pipeline: &mut Pipeline) {
        for found in pipeline.empty() {
            self.settle::<STARTS>(found);
        }
    }

    #[inline(always)]
    fn settle<const STARTS: bool>(&mut self, found: Found) {
        if found.place.head == u32::MAX {
            return;
        }
        if found.inside == 0 {
            self.mark_in(found.group as usize, found.place, found.source);
        } else {
            self.settle_inside::<STARTS>(found);
        }
    }

    #[inline(never)]
    fn settle_inside<const STARTS: bool>(&mut self, found: Found) {
        let (group, bit) = self.tiles.bit(found.place);
        let state = self.tiles.groups[group];
        let is_noted = state.extra & bit != 0;
        if state.live & !state.mark & bit == 0 || (STARTS && is_noted && !self.reading.heuristics) {
            return;
        }
        let block = self.tiles.block(found.place);
        if found.inside > block.size {
            return;
        }
        let counts_as_start = || {
            let seen = LiveBlock { block: &block, mappings: self.mappings };
            self.reading.heuristics
                && (heuristics::counts_as_start(&seen, found.inside as u64)
                    || !is_noted && heuristics::holds_itself(&seen))
        };
        if !STARTS || counts_as_start() {
            self.mark(found.place, found.source);
        } else {
            self.tiles.groups[group].extra |= bit;
        }
    }

    #[cold]
    fn reach_foreign<const STARTS: bool>(&mut self, address: usize) {
        if let Some((place, inside)) = self.tiles.pools.find(address) {
            let group = self.tiles.bit(place).0 as u32;
            self.settle::<STARTS>(Found { place, group, source: self.source, inside });
        }
        let after = self.foreign.partition_point(|foreign| foreign.start <= address);
        let Some(foreign) = after.checked_sub(1).and_then(|i| self.foreign.get_mut(i)) else {
            return;
        };
        if address < foreign.end {
            foreign.is_reached = true;
        }
    }
}
