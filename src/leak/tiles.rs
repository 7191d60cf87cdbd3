//! Tiles: the heap as a leak check sees it, copied from the granules.
//!
//! ```text
//!   tile 24 B, one a granule:  head 4 | groups 4 | slot 4 | magic 4 | pad 2 | slots 2 | kind 1
//!   group 32 B, one for 64 slots of a slab (one for a span):
//!        live 64 bits | mark 64 bits | scanned 64 bits | extra 64 bits
//! ```
//!
//! A slab's later granules have its head's tile. `live` are the blocks there
//! are, `mark` those found so far, `scanned` those whose words were read;
//! `extra` serves each pass as it needs.
//!
//! Invariant: every number in a tile was checked when it was made, so that a
//! damaged heap can mislead the check but not make it read or write elsewhere.

mod granules;

use granules::{SLAB, head_tile, record_of_span};
pub(super) use granules::{granule, group_count, record};

use super::pools::{self, PoolBlocks};
use super::scratch::{Scratch, Zeroed};
use crate::ledger::{self, Record, State};
use crate::memory::{GRANULE, Granule, Kind, Window};
use crate::units::StackId;

/// What a check keeps of one granule.
#[derive(Clone, Copy, Debug)]
pub struct Tile {
    /// The granule that heads the slab or span.
    pub head: u32,
    /// The first of its groups.
    pub groups: u32,
    /// Bytes from one slot to the next; 0 for a span.
    pub slot: u32,
    /// ⌊2^32 / (slot / 16)⌋ + 1.
    magic: u32,
    /// Bytes from the head granule's start to slot 0, in sixteens.
    pad: u16,
    /// Slots; 1 for a span.
    pub slots: u16,
    /// Nothing, a slab or a span.
    pub kind: TileKind,
}

// SAFETY: integers, and an enum whose first variant is zero.
unsafe impl Zeroed for Tile {}

/// What a tile belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum TileKind {
    /// No blocks.
    None,
    /// Blocks of one size class.
    Slab,
    /// One large block.
    Span,
}

/// State of 64 slots.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Blocks that are the program's.
    pub live: u64,
    /// Blocks that were found.
    pub mark: u64,
    /// Found blocks whose words were read.
    pub scanned: u64,
    /// As the pass needs.
    pub extra: u64,
}

// SAFETY: integers.
unsafe impl Zeroed for Group {}

/// A block, by where its state is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The granule that heads its slab or span.
    pub head: u32,
    /// Its slot.
    pub slot: u32,
}

/// A block.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Its address.
    pub address: usize,
    /// Bytes asked for.
    pub size: usize,
    /// Its record.
    pub record: Record,
}

/// The heap's tiles and groups.
pub struct Tiles<'s> {
    /// One a granule.
    pub tiles: &'s mut [Tile],
    /// All groups.
    pub groups: &'s mut [Group],
    /// First address of the window.
    pub base: usize,
    /// Granules whose description made no sense.
    pub damaged: u32,
    /// Whether a block is told to be ignored.
    pub has_ignored: bool,
    /// Blocks that the program cut from its own memory and marked.
    pub pools: PoolBlocks<'s>,
}

impl<'s> Tiles<'s> {
    /// Bytes of scratch that [`Tiles::read`] needs now.
    pub fn bytes_needed() -> usize {
        let count = (Window::extent() / GRANULE) as u32;
        let groups: usize = (0..count).map(|index| group_count(granule(index), index)).sum();
        count as usize * size_of::<Tile>() + groups * size_of::<Group>() + 128
    }

    /// Copies what the granules say. Threads are held, or this is a copy.
    pub fn read(scratch: &'s Scratch) -> Tiles<'s> {
        let count = (Window::extent() / GRANULE) as u32;
        let total: usize = (0..count).map(|index| group_count(granule(index), index)).sum();
        let tiles = scratch.take::<Tile>(count as usize);
        let groups = scratch.take::<Group>(total);
        let mut this = Tiles {
            tiles,
            groups,
            base: Window::base(),
            damaged: 0,
            has_ignored: false,
            pools: PoolBlocks::default(),
        };
        if this.tiles.len() == count as usize && this.groups.len() == total {
            this.fill();
        } else {
            this.tiles = &mut [];
            this.damaged = count;
        }
        this
    }

    fn fill(&mut self) {
        let mut next = 0;
        for index in 0..self.tiles.len() as u32 {
            let granule = granule(index);
            let wanted = group_count(granule, index);
            if wanted > 0 {
                self.tiles[index as usize] = head_tile(granule, index, next);
                for slot in 0..u32::from(self.tiles[index as usize].slots) {
                    let record = record(granule, slot);
                    if record.is_live() {
                        self.has_ignored |= record.state() == State::Ignored;
                        self.groups[next as usize + slot as usize / 64].live |= 1 << (slot % 64);
                    }
                }
                next += wanted as u32;
            } else if matches!(granule.kind, Kind::Slab | Kind::Inside) {
                self.fill_later(granule, index);
            } else if granule.kind == Kind::Span {
                self.damaged += u32::from(record_of_span(granule).is_live());
            }
        }
    }

    fn fill_later(&mut self, granule: &Granule, index: u32) {
        let head = granule.head;
        let Some(tile) = self.tiles.get(head as usize).filter(|_| head < index).copied() else {
            self.damaged += 1;
            return;
        };
        let fits = match tile.kind {
            TileKind::Slab => {
                granule.kind == Kind::Slab && ((index - head) as usize) < SLAB / GRANULE
            }
            TileKind::Span => granule.kind == Kind::Inside,
            // The rest of a slab or span that is not in use (any more).
            TileKind::None => return,
        };
        if fits {
            self.tiles[index as usize] = tile;
        } else {
            self.damaged += 1;
        }
    }

    /// The block that holds the byte `offset` bytes into the window, and the
    /// byte's offset in its slot; live or not.
    #[inline(always)]
    pub fn locate(&self, offset: usize) -> Option<(Place, usize)> {
        match self.pools.find(offset.wrapping_add(self.base)) {
            None => self.locate_slot(offset),
            marked => marked,
        }
    }

    /// The same, and the number of the block's group: of a slab's later granules
    /// too without a look at its head.
    #[inline(always)]
    pub fn locate_group(&self, offset: usize) -> Option<(Place, usize, usize)> {
        if self.pools.find(offset.wrapping_add(self.base)).is_some() {
            let (place, inside) = self.locate(offset)?;
            return Some((place, inside, self.bit(place).0));
        }
        let first = self.tiles.get(offset >> 16)?.groups as usize;
        let (place, inside) = self.locate_slot(offset)?;
        Some((place, inside, first + place.slot as usize / 64))
    }

    /// The same, whatever the program marked.
    #[inline(always)]
    pub fn locate_slot(&self, offset: usize) -> Option<(Place, usize)> {
        let tile = self.tiles.get(offset >> 16)?;
        match tile.kind {
            TileKind::Slab => {
                let distance = offset
                    .wrapping_sub((tile.head as usize) << 16)
                    .wrapping_sub(usize::from(tile.pad) << 4);
                if distance >= SLAB {
                    return None;
                }
                // Exact below 2^19 bytes: see `division_is_exact`.
                let slot = ((distance as u64 >> 4) * u64::from(tile.magic)) >> 32;
                if slot >= u64::from(tile.slots) {
                    return None;
                }
                let place = Place { head: tile.head, slot: slot as u32 };
                Some((place, distance - slot as usize * tile.slot as usize))
            }
            TileKind::Span => {
                let first = granule(tile.head).first.wrapping_sub(self.base);
                let distance = offset.checked_sub(first)?;
                Some((Place { head: tile.head, slot: 0 }, distance))
            }
            TileKind::None => None,
        }
    }

    /// The group of a place, by number, and the place's bit in it.
    #[inline(always)]
    pub fn bit(&self, place: Place) -> (usize, u64) {
        let tile = &self.tiles[place.head as usize];
        (tile.groups as usize + place.slot as usize / 64, 1 << (place.slot % 64))
    }

    /// The address of a place's block.
    #[inline(always)]
    pub fn address(&self, place: Place) -> usize {
        let tile = &self.tiles[place.head as usize];
        match tile.kind {
            TileKind::Span => granule(place.head).first,
            _ => {
                self.base
                    + ((place.head as usize) << 16)
                    + (usize::from(tile.pad) << 4)
                    + place.slot as usize * tile.slot as usize
            }
        }
    }

    /// What is known of a place's block.
    #[inline(always)]
    pub fn block(&self, place: Place) -> Block {
        let tile = &self.tiles[place.head as usize];
        let granule = granule(place.head);
        let record = match tile.kind {
            TileKind::Span => record_of_span(granule),
            _ => record(granule, place.slot),
        };
        let size = match tile.kind {
            TileKind::Span => granule.size,
            _ => (tile.slot as usize).saturating_sub(record.slack()),
        };
        let address = self.address(place);
        if self.pools.is_any()
            && let Some((address, size)) = pools::marked_by(address, size)
        {
            return Block { address, size, record };
        }
        Block { address, size, record }
    }

    /// Which of its stack's allocations a place's block was; 0 = not known.
    pub fn ordinal(&self, place: Place) -> u32 {
        if ledger::has_ordinals() { ledger::ordinal(self.address(place)) } else { 0 }
    }

    /// Whether the place holds a block of the program's that the check sees.
    pub fn is_live(&self, place: Place) -> bool {
        let (group, bit) = self.bit(place);
        self.groups[group].live & bit != 0
    }

    /// Takes a block out of the check.
    pub fn hide(&mut self, place: Place) {
        let (group, bit) = self.bit(place);
        self.groups[group].live &= !bit;
    }

    /// Takes marked blocks out that are lost together with the block they lie
    /// in: its bytes are theirs too.
    pub fn hide_lost_in_lost(&mut self) {
        let pools = core::mem::take(&mut self.pools);
        pools.for_each(|start, ticket| {
            let is_lost = |place| {
                let (group, bit) = self.bit(place);
                self.groups[group].live & !self.groups[group].mark & bit != 0
            };
            let pool = self.locate_slot(start.wrapping_sub(self.base));
            if is_lost(ticket) && pool.is_some_and(|(place, _)| is_lost(place)) {
                self.hide(ticket);
            }
        });
        self.pools = pools;
    }

    /// Calls `visit` with the stack that made the last block of each slot that
    /// was freed and not used again, and with the epoch of its birth while it
    /// is held in a quarantine (later nobody knows).
    pub fn for_each_freed(&self, mut visit: impl FnMut(StackId, Option<u32>)) {
        for (index, tile) in self.tiles.iter().enumerate() {
            if tile.kind != TileKind::Slab || tile.head as usize != index {
                continue;
            }
            let granule = granule(tile.head);
            for slot in 0..u32::from(tile.slots) {
                let record = record(granule, slot);
                match record.state() {
                    State::Held => visit(record.stack(), Some(record.stamp())),
                    State::Free => visit(record.stack(), None),
                    _ => {}
                }
            }
        }
    }

    /// The head tile whose groups include `group`.
    pub fn tile_of_group(&self, group: usize) -> Option<usize> {
        // Heads' first groups ascend with their index.
        self.tiles.iter().enumerate().position(|(index, tile)| {
            let first = tile.groups as usize;
            tile.kind != TileKind::None
                && tile.head as usize == index
                && (first..first + usize::from(tile.slots).div_ceil(64)).contains(&group)
        })
    }

    /// Calls `visit` with each place whose bit `choose` has in its group.
    pub fn for_each(&self, choose: impl Fn(&Group) -> u64, mut visit: impl FnMut(Place)) {
        for (index, tile) in self.tiles.iter().enumerate() {
            if tile.kind == TileKind::None || tile.head as usize != index {
                continue;
            }
            for part in 0..usize::from(tile.slots).div_ceil(64) {
                let mut bits = choose(&self.groups[tile.groups as usize + part]);
                while bits != 0 {
                    let slot = (part * 64) as u32 + bits.trailing_zeros();
                    visit(Place { head: tile.head, slot });
                    bits &= bits - 1;
                }
            }
        }
    }
}
