//! Lost blocks: who among them holds whom.
//!
//! A lost block that no other lost block leads to is *definite*; what it leads
//! to is *indirect*, and goes away with it. Of a cycle one block is definite.
//! The order in which a depth-first walk leaves the blocks, backwards, names
//! the fewest leaders that lead to all (Kosaraju; Sharir 1981): the last one
//! left is in a component that nothing leads to.
//!
//! ```text
//!   group.live & !group.mark   the lost blocks
//!   group.extra                number of the group's first lost block
//!   group.scanned              visited by the walk
//! ```

use super::mappings::Touched;
use super::scratch::{Scratch, Zeroed};
use super::tiles::{Block, Group, Place, Tiles};
use super::tree::Trees;
use crate::ledger::{Holder, Orphan, epoch};
use crate::memory::Window;
use crate::units::MIB;

/// No block.
pub const NONE: u32 = u32::MAX;

/// A lost block.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// Where its state is.
    pub place: Place,
    /// Bytes asked for.
    pub size: usize,
    /// How far the walk has read it.
    position: usize,
    /// The lost block that holds it, [`NONE`] for a leader.
    pub parent: u32,
    /// The leader that leads to it; itself for a leader.
    pub leader: u32,
    /// Blocks that a leader leads to, itself not counted.
    pub held_blocks: u32,
    /// The walk's way back.
    back: u32,
    /// Their bytes.
    pub held_bytes: u64,
    /// Its node in the tree of what its leader leads to; 0 = none (yet).
    node: u32,
    /// For a leader: number of the orphan that says why, [`NONE`] if unknown.
    because: u32,
}

// SAFETY: integers.
unsafe impl Zeroed for Lost {}
// SAFETY: integers.
unsafe impl Zeroed for Orphan {}

/// All lost blocks.
pub struct LostBlocks<'s> {
    /// By address.
    pub blocks: &'s mut [Lost],
    /// Those of which it is known why they are lost.
    orphans: &'s mut [Orphan],
    /// Blocks for which there was no room; none of them is in `blocks`.
    pub unlisted: usize,
}

impl LostBlocks<'_> {
    /// Most blocks that are told apart; beyond, all count as definite.
    const MOST: usize = 1 << 26;

    /// How many lost blocks there are.
    pub fn count(tiles: &Tiles<'_>) -> usize {
        tiles.groups.iter().map(|group| lost(group).count_ones() as usize).sum()
    }

    /// Bytes of scratch that [`LostBlocks::find`] needs for `count` blocks.
    pub fn bytes_needed(count: usize) -> usize {
        count.min(Self::MOST) * (size_of::<Lost>() + size_of::<Orphan>() + 8) + 512
    }
}

fn lost(group: &Group) -> u64 {
    group.live & !group.mark
}

impl<'s> LostBlocks<'s> {
    /// Lists the lost blocks, finds the leaders, and adds what they hold to
    /// `trees`.
    pub fn find(
        scratch: &'s Scratch,
        tiles: &mut Tiles<'_>,
        trees: &mut Trees<'_>,
    ) -> LostBlocks<'s> {
        let count = Self::count(tiles);
        let blocks = scratch.take::<Lost>(count);
        let order = scratch.take::<u32>(count);
        let queue = scratch.take::<u32>(count);
        if blocks.len() != count || order.len() != count || queue.len() != count {
            return LostBlocks { blocks: &mut [], orphans: &mut [], unlisted: count };
        }
        let mut next = 0;
        for group in tiles.groups.iter_mut() {
            group.extra = next;
            group.scanned = 0;
            next += u64::from(lost(group).count_ones());
        }
        let mut at = 0;
        tiles.for_each(lost, |place| {
            let size = tiles.block(place).size;
            blocks[at] = Lost {
                place,
                size,
                position: 0,
                parent: NONE,
                leader: NONE,
                held_blocks: 0,
                back: NONE,
                held_bytes: 0,
                node: 0,
                because: NONE,
            };
            at += 1;
        });
        let mut walk = Walk { tiles, blocks, touched: Touched::open(), run: (0, 0) };
        walk.leave_order(order);
        walk.name_leaders(order, queue, trees);
        LostBlocks { blocks: walk.blocks, orphans: &mut [], unlisted: 0 }
    }

    /// Finds for each leader the freed block that held its address, if anybody
    /// remembers: `orphans` calls its argument with each that is remembered.
    /// Of several the latest counts.
    pub fn find_causes(
        &mut self,
        scratch: &'s Scratch,
        tiles: &Tiles<'_>,
        orphans: impl FnOnce(&mut dyn FnMut(&Orphan)),
    ) {
        let kept = scratch.take::<Orphan>(self.blocks.len());
        let mut count = 0;
        orphans(&mut |orphan| {
            let Some(number) = lost_at(tiles, orphan.child()) else { return };
            let Some(lost) = self.blocks.get_mut(number as usize) else { return };
            if lost.parent != NONE || tiles.block(lost.place).record != orphan.record() {
                return;
            }
            let when = |orphan: &Orphan| epoch(orphan.holder().stamp).map(|epoch| epoch.sequence);
            if let Some(known) = kept.get_mut(lost.because as usize) {
                if when(known) <= when(orphan) {
                    *known = *orphan;
                }
            } else if let Some(slot) = kept.get_mut(count) {
                *slot = *orphan;
                lost.because = count as u32;
                count += 1;
            }
        });
        self.orphans = kept;
    }

    /// The freed block that held a leader's address, if it is known.
    pub fn cause(&self, lost: &Lost) -> Option<Holder> {
        self.orphans.get(lost.because as usize).map(Orphan::holder)
    }

    /// What is known of a lost block.
    pub fn block(&self, tiles: &Tiles<'_>, number: u32) -> Option<Block> {
        self.blocks.get(number as usize).map(|lost| tiles.block(lost.place))
    }
}

struct Walk<'s, 't, 'w> {
    tiles: &'w mut Tiles<'t>,
    blocks: &'s mut [Lost],
    touched: Touched,
    /// The touched part of a large block that was read last.
    run: (usize, usize),
}

impl Walk<'_, '_, '_> {
    /// Walks depth first; `order` receives the blocks as they are left.
    fn leave_order(&mut self, order: &mut [u32]) {
        let mut left = 0;
        for start in 0..self.blocks.len() as u32 {
            if !self.visit(start) {
                continue;
            }
            let mut here = start;
            while here != NONE {
                match self.next_child(here) {
                    Some(child) if self.visit(child) => {
                        self.blocks[child as usize].back = here;
                        here = child;
                    }
                    Some(_) => {}
                    None => {
                        order[left] = here;
                        left += 1;
                        here = self.blocks[here as usize].back;
                    }
                }
            }
        }
    }

    fn name_leaders(&mut self, order: &[u32], queue: &mut [u32], trees: &mut Trees<'_>) {
        for group in self.tiles.groups.iter_mut() {
            group.scanned = 0;
        }
        for lost in self.blocks.iter_mut() {
            lost.position = 0;
        }
        for &leader in order.iter().rev() {
            if !self.visit(leader) {
                continue;
            }
            self.blocks[leader as usize].leader = leader;
            queue[0] = leader;
            let (mut first, mut end) = (0, 1);
            while first < end {
                let here = queue[first];
                first += 1;
                while let Some(child) = self.next_child(here) {
                    if self.visit(child) {
                        let size = self.blocks[child as usize].size;
                        self.blocks[child as usize].parent = here;
                        self.blocks[child as usize].leader = leader;
                        self.hang(trees, here, child);
                        let head = &mut self.blocks[leader as usize];
                        head.held_blocks += 1;
                        head.held_bytes += size as u64;
                        queue[end] = child;
                        end += 1;
                    }
                }
            }
        }
    }

    /// Hangs a block into the tree, under the one that holds it.
    fn hang(&mut self, trees: &mut Trees<'_>, holder: u32, child: u32) {
        let stack = |lost: &Lost| self.tiles.block(lost.place).record.stack();
        let above = &self.blocks[holder as usize];
        let above = match above.parent {
            NONE => trees.root(stack(above)),
            _ => above.node,
        };
        let below = &self.blocks[child as usize];
        let node = trees.add(above, stack(below), below.size as u64);
        self.blocks[child as usize].node = node;
    }

    /// Marks a lost block as visited; whether it was not before.
    fn visit(&mut self, number: u32) -> bool {
        let (group, bit) = self.tiles.bit(self.blocks[number as usize].place);
        let scanned = &mut self.tiles.groups[group].scanned;
        let is_new = *scanned & bit == 0;
        *scanned |= bit;
        is_new
    }

    /// The next lost block that `number` points to, from where its reading
    /// stands.
    fn next_child(&mut self, number: u32) -> Option<u32> {
        let Lost { place, size, mut position, .. } = self.blocks[number as usize];
        let address = self.tiles.block(place).address;
        let end = address + size;
        let mut child = None;
        while child.is_none() && position + 8 <= size {
            let at = address + position;
            if size > MIB && !(self.run.0 <= at && at + 8 <= self.run.1) {
                match self.touched.next(at, end) {
                    Some((from, to)) => {
                        self.run = (from, to.max(from + 8));
                        position = (from - address).next_multiple_of(8).max(position);
                        if from > at {
                            continue;
                        }
                    }
                    None => position = size,
                }
                if position + 8 > size {
                    break;
                }
            }
            // SAFETY: aligned and inside a live block, of which the window is
            // mapped; the program's threads are held or this is a copy.
            let word = unsafe { (at as *const usize).read_volatile() };
            position += 8;
            child = self.number_of(word);
        }
        self.blocks[number as usize].position = position;
        child
    }

    /// The lost block that `word` points to or into.
    fn number_of(&self, word: usize) -> Option<u32> {
        let (number, inside) = number_at(self.tiles, word)?;
        (inside <= self.blocks.get(number as usize)?.size).then_some(number)
    }
}

/// The lost block whose slot `word` points into, and how far.
fn number_at(tiles: &Tiles<'_>, word: usize) -> Option<(u32, usize)> {
    let offset = word.wrapping_sub(tiles.base);
    if offset >= Window::extent() {
        return None;
    }
    let (place, inside) = tiles.locate(offset)?;
    let (group, bit) = tiles.bit(place);
    let group = &tiles.groups[group];
    let is_lost = lost(group) & bit != 0;
    let number = group.extra as u32 + (lost(group) & (bit.wrapping_sub(1))).count_ones();
    is_lost.then_some((number, inside))
}

/// The lost block that starts at `address`.
fn lost_at(tiles: &Tiles<'_>, address: usize) -> Option<u32> {
    number_at(tiles, address).filter(|&(_, inside)| inside == 0).map(|(number, _)| number)
}
