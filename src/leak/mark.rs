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

mod words;

use super::mappings::{Mappings, Touched};
use super::parents::Parents;
use super::pipeline::Pipeline;
use super::roots::{Foreign, Root, RootKind};
use super::scratch::Scratch;
use super::tiles::{Place, TileKind, Tiles};
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
}
