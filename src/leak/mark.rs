//! Marking: finds every block that the roots lead to.
//!
//! The work list holds slabs, not blocks: a slab in it has marked blocks whose
//! words were not read yet, so blocks that lie together are read together and
//! the list cannot overflow (Knyszek and Clements, "Green Tea" collector, Go
//! issue 73581, 2025). Two floods, one after the other:
//!
//! ```text
//!   flood 1   pointers to a block's start          -> reachable
//!             pointers into a block: noted in `extra`
//!   flood 2   from the noted blocks and from foreign memory that nothing
//!             reached, by any pointer              -> possible
//! ```
//!
//! A pointer counts up to the size asked for, that byte included: the address
//! right behind a block still belongs to it (C23 6.5.7), and lies in its own
//! guard.

use super::heuristics;
use super::mappings::{Mappings, Touched};
use super::parents::Parents;
use super::pipeline::{Found, Pipeline, prefetch};
use super::roots::{Foreign, Root, RootKind};
use super::scratch::Scratch;
use super::tiles::{Place, Tile, TileKind, Tiles};
use crate::memory::Window;

/// How pointers are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Bytes from one candidate word to the next: 8, or 4 for packed data.
    pub step: usize,
    /// Bits that a program that tags its pointers keeps for the address;
    /// words are tried as they are and with all other bits cleared. `!0`: no
    /// tags.
    pub mask: usize,
    /// Whether some pointers into a block count like pointers to its start.
    pub heuristics: bool,
}

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

/// Marks blocks.
pub struct Marker<'s, 'm> {
    /// The heap.
    pub tiles: Tiles<'s>,
    mappings: &'m Mappings<'m>,
    /// Foreign memory; a range that was read is empty.
    pub foreign: &'m mut [Foreign],
    /// Range that holds all foreign memory not reached yet.
    foreign_low: usize,
    foreign_bytes: usize,
    touched: Touched,
    queue: &'s mut [u32],
    queued: &'s mut [u8],
    first: usize,
    waiting: usize,
    reading: Reading,
    extent: usize,
    /// What is read now, for [`Parents`].
    source: u32,
    /// Who was seen to hold each block, if anybody asks.
    pub parents: Option<Parents<'s>>,
    /// Bytes read.
    pub bytes_read: u64,
}

/// Bytes of scratch that [`Marker::new`] needs besides the tiles'.
pub fn bytes_needed() -> usize {
    Window::extent() / crate::memory::GRANULE * 5 + 256
}

impl<'s, 'm> Marker<'s, 'm> {
    /// A marker that has found nothing yet.
    pub fn new(
        scratch: &'s Scratch,
        tiles: Tiles<'s>,
        mappings: &'m Mappings<'m>,
        foreign: &'m mut [Foreign],
        reading: Reading,
    ) -> Marker<'s, 'm> {
        let count = tiles.tiles.len();
        let mut marker = Marker {
            tiles,
            mappings,
            foreign,
            foreign_low: 0,
            foreign_bytes: 0,
            touched: Touched::open(),
            queue: scratch.take(count),
            queued: scratch.take(count),
            first: 0,
            waiting: 0,
            reading,
            extent: Window::extent(),
            source: Parents::NOBODY,
            parents: None,
            bytes_read: 0,
        };
        marker.bound_foreign();
        marker
    }

    fn bound_foreign(&mut self) {
        let unreached = || {
            self.foreign.iter().filter(|foreign| !foreign.is_reached && foreign.start < foreign.end)
        };
        let low = unreached().map(|foreign| foreign.start).min().unwrap_or(0);
        let high = unreached().map(|foreign| foreign.end).max().unwrap_or(0);
        // Marked blocks outside of the heap are looked for there too.
        let (first, last) = self.tiles.pools.range();
        let (low, high) = match self.tiles.pools.is_any() {
            true if high > low => (low.min(first), high.max(last)),
            true => (first, last),
            false => (low, high),
        };
        (self.foreign_low, self.foreign_bytes) = (low, high - low);
    }

    /// Flood 1: all that `roots` lead to.
    pub fn flood_reachable(&mut self, roots: impl Iterator<Item = Root>) {
        for (index, root) in roots.enumerate() {
            self.source = Parents::ROOT | index as u32;
            if root.kind == RootKind::Pinned {
                let offset = root.start.wrapping_sub(self.tiles.base);
                if let Some((place, _)) = self.tiles.locate(offset) {
                    self.mark(place, self.source);
                }
            } else {
                self.read_range::<true>(root.start, root.end);
            }
        }
        if self.tiles.has_ignored {
            self.mark_ignored();
        }
        loop {
            self.drain::<true>();
            if !self.read_foreign::<true>() {
                break;
            }
        }
    }

    /// Leaves only what flood 1 did not find; `extra` seeds flood 2. What is
    /// found there is the *possible* blocks: `mark`; those that not only
    /// foreign memory holds are in `extra` then.
    pub fn flood_possible(&mut self) {
        for group in self.tiles.groups.iter_mut() {
            group.live &= !group.mark;
            group.mark = group.extra & group.live;
            group.scanned = 0;
        }
        for head in 0..self.tiles.tiles.len() {
            let tile = self.tiles.tiles[head];
            if tile.kind != TileKind::None && tile.head as usize == head {
                let groups = self.groups_of(head);
                if groups.into_iter().any(|group| self.tiles.groups[group].mark != 0) {
                    self.enqueue(head as u32);
                }
            }
        }
        self.drain::<false>();
        for group in self.tiles.groups.iter_mut() {
            group.extra = group.mark;
        }
        self.read_foreign::<false>();
        self.drain::<false>();
    }

    /// Reads the foreign memory that was reached and not read yet; in flood 2
    /// the memory that was never reached. Whether there was any.
    fn read_foreign<const REACHED: bool>(&mut self) -> bool {
        let mut any = false;
        for index in 0..self.foreign.len() {
            let foreign = &mut self.foreign[index];
            let (start, end) = (foreign.start, foreign.end);
            if foreign.is_reached == REACHED && start < end {
                foreign.end = start;
                any = true;
                self.source = Parents::FOREIGN | index as u32;
                self.read_range::<REACHED>(start, end);
            }
        }
        if any {
            self.bound_foreign();
        }
        any
    }

    fn groups_of(&self, head: usize) -> core::ops::Range<usize> {
        let tile = &self.tiles.tiles[head];
        let first = tile.groups as usize;
        first..first + usize::from(tile.slots).div_ceil(64)
    }

    fn mark_ignored(&mut self) {
        for head in 0..self.tiles.tiles.len() {
            let tile = self.tiles.tiles[head];
            if tile.kind == TileKind::None || tile.head as usize != head {
                continue;
            }
            for slot in 0..u32::from(tile.slots) {
                let place = Place { head: tile.head, slot };
                if self.tiles.block(place).record.state() == crate::ledger::State::Ignored {
                    self.mark(place, Parents::NOBODY);
                }
            }
        }
    }

    /// Marks a live block that is not marked yet, and puts it on the list.
    #[inline(always)]
    fn mark(&mut self, place: Place, source: u32) {
        let (number, _) = self.tiles.bit(place);
        self.mark_in(number, place, source);
    }

    /// The same, for who knows the number of the place's group.
    #[inline(always)]
    fn mark_in(&mut self, number: usize, place: Place, source: u32) {
        let bit = 1 << (place.slot % 64);
        let group = &mut self.tiles.groups[number];
        if group.live & !group.mark & bit != 0 {
            group.mark |= bit;
            if let Some(parents) = &mut self.parents {
                parents.set(number, group.live, bit, source);
            }
            self.enqueue(place.head);
        }
    }

    #[inline(always)]
    fn enqueue(&mut self, head: u32) {
        let queued = &mut self.queued[head as usize];
        if *queued == 0 {
            *queued = 1;
            let capacity = self.queue.len();
            let mut at = self.first + self.waiting;
            if at >= capacity {
                at -= capacity;
            }
            self.queue[at] = head;
            self.waiting += 1;
        }
    }

    fn drain<const STARTS: bool>(&mut self) {
        let mut pipeline = Pipeline::new();
        while self.waiting > 0 {
            let head = self.queue[self.first];
            self.first = if self.first + 1 == self.queue.len() { 0 } else { self.first + 1 };
            self.waiting -= 1;
            self.queued[head as usize] = 0;
            self.read_slab::<STARTS>(head, &mut pipeline);
            if self.waiting == 0 {
                self.flush::<STARTS>(&mut pipeline);
            }
        }
    }

    fn read_slab<const STARTS: bool>(&mut self, head: u32, pipeline: &mut Pipeline) {
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
    fn read_range<const STARTS: bool>(&mut self, mut start: usize, end: usize) {
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

    fn flush<const STARTS: bool>(&mut self, pipeline: &mut Pipeline) {
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
            self.reading.heuristics
                && (heuristics::counts_as_start(&block, found.inside, self.mappings)
                    || !is_noted && heuristics::holds_itself(&block))
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
