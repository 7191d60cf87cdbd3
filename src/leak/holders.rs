//! Holders: the chain from a reachable block back to a root.

use super::mappings::Mappings;
use super::parents::{Parent, Parents};
use super::roots::{Foreign, Root, RootKind};
use super::sites::{BlockSummary, HeldBy};
use super::tiles::{Place, Tiles};
use crate::memory::Window;

/// Longest chain that is followed.
const STEPS: u32 = 1 << 20;

/// Who holds the block at `address`.
pub fn held_by(
    tiles: &Tiles<'_>,
    parents: &Parents<'_>,
    roots: &[Root],
    foreign: &[Foreign],
    mappings: &Mappings<'_>,
    address: usize,
) -> Option<HeldBy> {
    let (mut here, _) = tiles.locate(address.wrapping_sub(Window::base()))?;
    let mut answer = HeldBy { root: RootKind::Pinned, word: 0, task: 0, steps: 0, holder: None };
    loop {
        match parents.of(tiles, here) {
            Parent::Nobody => return Some(answer),
            Parent::Root(index) => {
                let root = roots.get(index as usize)?;
                answer.root = root.kind;
                answer.task = root.task;
                if !matches!(root.kind, RootKind::Pinned | RootKind::Registers | RootKind::Kernel) {
                    mappings.readable(root.start, root.end, |start, end| {
                        if answer.word == 0 {
                            answer.word = word_that_holds(tiles, here, start, end);
                        }
                    });
                }
                return Some(answer);
            }
            Parent::Foreign(index) => {
                answer.root = RootKind::Foreign;
                answer.word = foreign.get(index as usize)?.start;
                return Some(answer);
            }
            Parent::Block(place) => {
                if answer.holder.is_none() {
                    answer.holder = Some(BlockSummary::of(&tiles.block(place)));
                }
                answer.steps += 1;
                here = place;
                if answer.steps == STEPS {
                    return Some(answer);
                }
            }
        }
    }
}

/// The first word in a readable range that points to the block; 0 = none.
fn word_that_holds(tiles: &Tiles<'_>, place: Place, start: usize, end: usize) -> usize {
    let block = tiles.block(place);
    let first = start.next_multiple_of(8);
    (first..end.saturating_sub(7))
        .step_by(8)
        .find(|&at| {
            // SAFETY: aligned, and in a range that the memory map calls
            // readable and the flood has read before.
            let word = unsafe { (at as *const usize).read_volatile() };
            word.wrapping_sub(block.address) <= block.size
        })
        .unwrap_or(0)
}
