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
    let mut answer =
        HeldBy { root: RootKind::Pinned, word: 0, frame: 0, task: 0, steps: 0, holder: None };
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
                if root.kind == RootKind::Stack && answer.word != 0 {
                    answer.frame = frame_of(mappings, root.start, answer.word);
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

/// Bytes of stack that are searched for a return address.
const FRAME: usize = 64 * 1024;

/// A return address into the function whose frame holds the word at `word`, in
/// a stack that is live from `start` on: the nearest one below, where the call
/// to the next function left it. 0 in the innermost frame. A stale one in an
/// array that was never written may be taken for it.
fn frame_of(mappings: &Mappings<'_>, start: usize, word: usize) -> usize {
    let lowest = start.max(word.saturating_sub(FRAME)).next_multiple_of(8);
    let mut at = word;
    while at > lowest {
        at -= 8;
        if let Some(value) = mappings.word(at)
            && follows_a_call(mappings, value)
        {
            return value;
        }
    }
    0
}

/// Whether an address lies in the constant part of a file, behind an
/// instruction that calls (x86-64: E8 rel32, FF /2).
fn follows_a_call(mappings: &Mappings<'_>, address: usize) -> bool {
    let before = address.wrapping_sub(8);
    let is_code = |address| {
        mappings.find(address).is_some_and(|it| it.is_file && it.is_constant && it.is_readable)
    };
    if address < 4096 || !is_code(address) || !is_code(before) {
        return false;
    }
    // SAFETY: both ends lie in readable mappings of files, and mappings are
    // whole pages.
    let bytes = unsafe { (before as *const [u8; 8]).read_unaligned() };
    let calls_indirectly = |at: usize| bytes[at] == 0xff && bytes[at + 1] & 0x38 == 0x10;
    bytes[3] == 0xe8 || [1, 2, 4, 5, 6].into_iter().any(calls_indirectly)
}
