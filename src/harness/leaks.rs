//! Leaks, by definition: who holds whom when the program ends.
//!
//! ```text
//!   reachable   a chain of pointers to starts leads there from the table
//!   possible    else, a chain begins with a pointer into a block that is held
//!   definite    else, the fewest blocks that lead to all that is left
//!   indirect    what those lead to
//! ```
//!
//! The blocks of a cycle that nothing leads to are equal: one of them is
//! definite, and which one is not said.

use super::model::Model;
use super::operation::SITES;
use std::vec;
use std::vec::Vec;

/// Blocks and bytes of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LeakSum {
    /// How many.
    pub blocks: usize,
    /// Bytes asked for, together.
    pub bytes: usize,
}

impl LeakSum {
    /// Adds one block.
    pub fn add(&mut self, bytes: usize) {
        self.blocks += 1;
        self.bytes += bytes;
    }
}

/// What is left at the end, by the site that allocated it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Leaks {
    /// Held by a pointer to its start.
    pub reachable: [LeakSum; SITES as usize],
    /// Held by pointers into it only.
    pub possible: [LeakSum; SITES as usize],
    /// Held by nobody, but for those of `cycles`.
    pub definite: [LeakSum; SITES as usize],
    /// Held by lost blocks, but for those of `cycles`.
    pub indirect: [LeakSum; SITES as usize],
    /// Cycles that nothing leads to: site and size of each block. One of each
    /// is definite, the others are indirect.
    pub cycles: Vec<Vec<(u8, usize)>>,
}

/// Whether any live block or hidden pointer points to the block.
pub(super) fn is_linked(model: &Model, id: usize) -> bool {
    model.blocks.iter().any(|block| block.links.iter().flatten().any(|&(held, _)| held == id))
}

pub(super) fn of(model: &Model) -> Leaks {
    let count = model.blocks.len();
    let live: Vec<bool> = model.blocks.iter().map(|block| block.freed.is_none()).collect();
    let links = |id: usize| {
        model.blocks[id].links.iter().flatten().copied().filter(|&(held, _)| live[held])
    };
    // A block that names its own start is held by pointers into it.
    let names_itself = |id: usize| links(id).any(|link| link == (id, 0));
    let is_start = |id: usize, inside: usize| inside == 0 || names_itself(id);

    let mut reachable = vec![false; count];
    let mut noted = Vec::new();
    let mut work: Vec<(usize, usize)> =
        model.places.iter().flatten().copied().filter(|&(id, _)| live[id]).collect();
    while let Some((id, inside)) = work.pop() {
        if !is_start(id, inside) {
            noted.push(id);
        } else if !reachable[id] {
            reachable[id] = true;
            work.extend(links(id));
        }
    }
    let mut possible = vec![false; count];
    while let Some(id) = noted.pop() {
        if !reachable[id] && !possible[id] {
            possible[id] = true;
            noted.extend(links(id).map(|(held, _)| held));
        }
    }

    let mut leaks = Leaks::default();
    let lost: Vec<usize> =
        (0..count).filter(|&id| live[id] && !reachable[id] && !possible[id]).collect();
    let reaches: Vec<Vec<bool>> = (0..count)
        .map(|id| if lost.contains(&id) { led_to(id, count, links) } else { vec![] })
        .collect();
    for id in (0..count).filter(|&id| live[id]) {
        let block = &model.blocks[id];
        let site = block.site as usize;
        if reachable[id] {
            leaks.reachable[site].add(block.size);
        } else if possible[id] {
            leaks.possible[site].add(block.size);
        }
    }
    for &id in &lost {
        let block = &model.blocks[id];
        let equals: Vec<usize> = lost
            .iter()
            .copied()
            .filter(|&other| reaches[id][other] && reaches[other][id])
            .collect();
        let is_led = lost.iter().any(|&other| reaches[other][id] && !reaches[id][other]);
        let site = block.site as usize;
        if is_led {
            leaks.indirect[site].add(block.size);
        } else if equals.len() <= 1 {
            leaks.definite[site].add(block.size);
        } else if equals[0] == id {
            let member = |&id: &usize| (model.blocks[id].site, model.blocks[id].size);
            leaks.cycles.push(equals.iter().map(member).collect());
        }
    }
    leaks
}

/// The blocks that a chain from `id` leads to, itself included.
fn led_to<I: Iterator<Item = (usize, usize)>>(
    id: usize,
    count: usize,
    links: impl Fn(usize) -> I,
) -> Vec<bool> {
    let mut seen = vec![false; count];
    let mut work = vec![id];
    while let Some(here) = work.pop() {
        if !core::mem::replace(&mut seen[here], true) {
            work.extend(links(here).map(|(held, _)| held));
        }
    }
    seen
}
