//! Parents: who was first seen to hold each reachable block.
//!
//! Kept only when somebody asks who holds what: four bytes a block. The flood
//! goes breadth first, more or less, so the chain from a block to its root is
//! short.
//!
//! ```text
//!   parent   1 | index of a root, 31 bits          ROOT
//!            01 | index of foreign memory, 30      FOREIGN
//!            00 | number of a block + 1, 30        0 = nobody
//! ```

use super::scratch::Scratch;
use super::tiles::{Group, Place, Tiles};

/// The parents of all live blocks.
pub struct Parents<'s> {
    /// By group: the number of its first live block.
    first: &'s mut [u32],
    /// By number of the block.
    parent: &'s mut [u32],
}

/// Who holds a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parent {
    /// Nobody that was seen: it is told to be ignored.
    Nobody,
    /// The root with this index.
    Root(u32),
    /// The foreign memory with this index.
    Foreign(u32),
    /// Another block.
    Block(Place),
}

impl<'s> Parents<'s> {
    /// No parent.
    pub const NOBODY: u32 = 0;
    /// Bit of roots.
    pub const ROOT: u32 = 1 << 31;
    /// Bit of foreign memory.
    pub const FOREIGN: u32 = 1 << 30;

    /// Bytes of scratch that [`Parents::new`] needs at most, if the tiles'
    /// groups take `tile_bytes`.
    pub fn bytes_at_most(tile_bytes: usize) -> usize {
        tile_bytes / size_of::<Group>() * (4 + 64 * 4) + 256
    }

    /// No block has a parent yet. `None` without room.
    pub fn new(scratch: &'s Scratch, tiles: &Tiles<'_>) -> Option<Parents<'s>> {
        let blocks: usize = tiles.groups.iter().map(live).sum();
        let first = scratch.take::<u32>(tiles.groups.len());
        let parent = scratch.take::<u32>(blocks);
        if first.len() != tiles.groups.len() || parent.len() != blocks {
            return None;
        }
        let mut next = 0;
        for (first, group) in first.iter_mut().zip(tiles.groups.iter()) {
            *first = next;
            next += live(group) as u32;
        }
        Some(Parents { first, parent })
    }

    /// What stands for a block as a parent.
    pub fn number(&self, group: usize, live: u64, bit: u64) -> u32 {
        self.first[group] + (live & (bit - 1)).count_ones() + 1
    }

    /// Sets a block's parent.
    pub fn set(&mut self, group: usize, live: u64, bit: u64, source: u32) {
        let number = self.number(group, live, bit) as usize - 1;
        if let Some(parent) = self.parent.get_mut(number) {
            *parent = source;
        }
    }

    /// A block's parent. The groups' `live` bits are still those of all blocks.
    pub fn of(&self, tiles: &Tiles<'_>, place: Place) -> Parent {
        let (group, bit) = tiles.bit(place);
        let number = self.number(group, tiles.groups[group].live, bit) as usize - 1;
        match self.parent.get(number).copied().unwrap_or(Self::NOBODY) {
            Self::NOBODY => Parent::Nobody,
            root if root & Self::ROOT != 0 => Parent::Root(root & !Self::ROOT),
            foreign if foreign & Self::FOREIGN != 0 => Parent::Foreign(foreign & !Self::FOREIGN),
            number => self.place(tiles, number - 1).map_or(Parent::Nobody, Parent::Block),
        }
    }

    /// The place of the block with this number.
    fn place(&self, tiles: &Tiles<'_>, number: u32) -> Option<Place> {
        let group = self.first.partition_point(|&first| first <= number).checked_sub(1)?;
        let mut bits = tiles.groups[group].live;
        for _ in self.first[group]..number {
            bits &= bits.wrapping_sub(1);
        }
        let tile = tiles.tile_of_group(group)?;
        let part = (group - tiles.tiles[tile].groups as usize) as u32;
        Some(Place { head: tile as u32, slot: part * 64 + bits.trailing_zeros() })
    }
}

fn live(group: &Group) -> usize {
    group.live.count_ones() as usize
}
