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
use super::rules::Rules;
use std::string::String;
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
    /// Blocks of other cycles, which lost blocks lead to, by site: indirect, but
    /// for those of an allocator that lets each cycle begin with itself
    /// ([`Rules::led_cycles`](super::Rules::led_cycles)).
    pub led: [usize; SITES as usize],
}

/// Whether any live block or hidden pointer points to the block.
pub(super) fn is_linked(model: &Model, id: usize) -> bool {
    model.blocks.iter().any(|block| block.links.iter().flatten().any(|&(held, _)| held == id))
}

pub(super) fn of(model: &Model, rules: &Rules) -> Leaks {
    let count = model.blocks.len();
    let live: Vec<bool> = model.blocks.iter().map(|block| block.freed.is_none()).collect();
    let links = |id: usize| {
        model.blocks[id].links.iter().flatten().copied().filter(|&(held, _)| live[held])
    };
    let names_itself =
        |id: usize| rules.pools_hold_themselves && links(id).any(|link| link == (id, 0));
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
            leaks.led[site] += usize::from(!rules.led_cycles && equals.len() > 1);
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

impl Leaks {
    /// Blocks of all kinds.
    pub fn blocks(&self) -> usize {
        let sums = [&self.reachable, &self.possible, &self.definite, &self.indirect];
        let told: usize = sums.iter().flat_map(|sums| sums.iter()).map(|sum| sum.blocks).sum();
        told + self.cycles.iter().map(Vec::len).sum::<usize>()
    }

    /// Whether there is any leak: more than what is reachable.
    pub fn are_lost(&self) -> bool {
        self.blocks() > self.reachable.iter().map(|sum| sum.blocks).sum()
    }

    /// Compares with what was `seen` of a kind (by its name in reports) from a
    /// site.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn compare(&self, seen: impl Fn(&str, u8) -> LeakSum) -> Result<(), String> {
        for (kind, sums) in [("reachable", &self.reachable), ("possible", &self.possible)] {
            for (site, sum) in sums.iter().enumerate() {
                let seen = seen(kind, site as u8);
                if seen != *sum {
                    return Err(std::format!(
                        "{kind} from site_{site}: {seen:?} instead of {sum:?}"
                    ));
                }
            }
        }
        let (mut definite, mut leaders) = (0, self.cycles.len());
        for site in 0..SITES as usize {
            let (lost, held) = (seen("definite", site as u8), seen("indirect", site as u8));
            let both =
                LeakSum { blocks: lost.blocks + held.blocks, bytes: lost.bytes + held.bytes };
            let (wanted, most) = self.lost_from(site);
            let least = self.definite[site].blocks;
            if both != wanted || !(least..=most).contains(&lost.blocks) {
                return Err(std::format!(
                    "from site_{site}: definite {lost:?}, indirect {held:?} instead of {:?}, {:?} and cycles {:?}",
                    self.definite[site],
                    self.indirect[site],
                    self.cycles
                ));
            }
            definite += lost.blocks;
            leaders += least;
        }
        let most = leaders + self.led.iter().sum::<usize>();
        match (leaders..=most).contains(&definite) {
            true => Ok(()),
            false => Err(std::format!("{definite} definite blocks instead of {leaders}")),
        }
    }

    /// What is definite or indirect from a site, and how many blocks of it can
    /// be definite.
    fn lost_from(&self, site: usize) -> (LeakSum, usize) {
        let (mut sum, mut most) = (self.definite[site], self.definite[site].blocks);
        most += self.led[site];
        sum.blocks += self.indirect[site].blocks;
        sum.bytes += self.indirect[site].bytes;
        for cycle in &self.cycles {
            let here: Vec<_> = cycle.iter().filter(|member| member.0 as usize == site).collect();
            here.iter().for_each(|member| sum.add(member.1));
            most += usize::from(!here.is_empty());
        }
        (sum, most)
    }
}
