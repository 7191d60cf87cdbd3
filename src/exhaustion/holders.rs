//! Who holds the memory: live blocks by call stack, the largest first.
//!
//! ```text
//!   walk 1   every block ─> table of stacks           (exact while it has room)
//!                       └─> sums by hash of the stack (never full)
//!   walk 2   only if the table was full: stacks whose sum is among the
//!            largest, exactly
//! ```
//!
//! The second walk finds every stack that holds more than the last of the
//! chosen sums, so a few large holders are found among millions of stacks.
//!
//! Invariant: nothing is allocated; memory is the static table's, which costs
//! nothing until it is first used.

use crate::units::StackId;

/// Stacks that one walk tells apart.
const STACKS: usize = 1 << 13;
/// Sums by hash.
const SUMS: usize = 1 << 13;
/// Sums whose stacks the second walk looks at.
const CHOSEN: usize = 256;
/// Call sites in a report.
pub const TOP: usize = 20;

/// A call stack that holds memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Site {
    /// The stack.
    pub stack: StackId,
    /// Live blocks.
    pub blocks: u32,
    /// Live bytes.
    pub bytes: u64,
}

/// Room for a census.
pub struct Holders {
    sites: [Site; STACKS],
    used: usize,
    sums: [u64; SUMS],
    /// The least sum that is looked at in the second walk.
    least: u64,
    top: [Site; TOP],
    /// Blocks in no site.
    left_out: u64,
}

impl Holders {
    /// Room, all zero.
    pub const fn new() -> Self {
        let nobody = Site { stack: StackId::UNKNOWN, blocks: 0, bytes: 0 };
        Holders {
            sites: [nobody; STACKS],
            used: 0,
            sums: [0; SUMS],
            least: 0,
            top: [nobody; TOP],
            left_out: 0,
        }
    }

    /// Counts what `walk` passes to its visitor (it may be called twice); the
    /// largest holders, and how many blocks belong to stacks that found no
    /// room in any table.
    pub fn count(&mut self, walk: impl Fn(&mut dyn FnMut(StackId, usize))) -> (&[Site], u64) {
        self.clear();
        self.sums.fill(0);
        self.least = 0;
        walk(&mut |stack, size| self.add(stack, size as u64, true));
        if self.left_out > 0 {
            self.least = self.least_of_the_chosen();
            self.clear();
            walk(&mut |stack, size| self.add(stack, size as u64, false));
        }
        let found = self.choose_top();
        (&self.top[..found], self.left_out)
    }

    fn clear(&mut self) {
        self.sites.fill(Site::default());
        self.used = 0;
        self.left_out = 0;
    }

    fn add(&mut self, stack: StackId, bytes: u64, is_first_walk: bool) {
        let hash = stack.0.wrapping_mul(0x9e37_79b9);
        let sum = &mut self.sums[(hash >> 7) as usize % SUMS];
        if is_first_walk {
            *sum = sum.saturating_add(bytes);
        } else if *sum < self.least {
            return;
        }
        let mut place = (hash >> 15) as usize;
        loop {
            let site = &mut self.sites[place % STACKS];
            if site.blocks == 0 {
                if self.used >= STACKS / 8 * 7 {
                    self.left_out += 1;
                    return;
                }
                self.used += 1;
                *site = Site { stack, blocks: 1, bytes };
                return;
            }
            if site.stack == stack {
                site.blocks = site.blocks.saturating_add(1);
                site.bytes = site.bytes.saturating_add(bytes);
                return;
            }
            place += 1;
        }
    }

    /// The sum that [`CHOSEN`] sums reach: found bit by bit, from the highest.
    fn least_of_the_chosen(&self) -> u64 {
        let mut least = 0u64;
        for bit in (0..64).rev() {
            let higher = least | 1 << bit;
            if self.sums.iter().filter(|&&sum| sum >= higher).count() >= CHOSEN {
                least = higher;
            }
        }
        least.max(1)
    }

    fn choose_top(&mut self) -> usize {
        let mut found = 0;
        for site in self.sites.iter().filter(|site| site.blocks > 0) {
            let is_larger = |other: &Site| (site.bytes, site.blocks) > (other.bytes, other.blocks);
            let place = self.top[..found].iter().position(is_larger).unwrap_or(found);
            if place < TOP {
                found = (found + 1).min(TOP);
                self.top[place..found].rotate_right(1);
                self.top[place] = *site;
            }
        }
        found
    }
}

impl Default for Holders {
    fn default() -> Self {
        Holders::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::boxed::Box;
    use std::collections::HashMap;
    use std::vec::Vec;

    fn count(blocks: &[(u32, usize)]) -> (Vec<Site>, u64) {
        let mut holders = Box::new(Holders::new());
        let (top, left_out) = holders.count(|visit| {
            blocks.iter().for_each(|&(stack, size)| visit(StackId(stack), size));
        });
        (top.to_vec(), left_out)
    }

    proptest! {
        #[test]
        fn agrees_with_a_hash_map(blocks in proptest::collection::vec((0u32..60, 0usize..5000), 0..400)) {
            let mut sums: HashMap<u32, (u32, u64)> = HashMap::new();
            for (stack, size) in &blocks {
                let sum = sums.entry(*stack).or_default();
                *sum = (sum.0 + 1, sum.1 + *size as u64);
            }
            let mut expected: Vec<_> = sums.values().map(|&(blocks, bytes)| (bytes, blocks)).collect();
            expected.sort_unstable_by(|a, b| b.cmp(a));
            expected.truncate(TOP);
            let (top, left_out) = count(&blocks);
            prop_assert_eq!(left_out, 0);
            for site in &top {
                prop_assert_eq!(sums[&site.stack.0], (site.blocks, site.bytes));
            }
            let found: Vec<_> = top.iter().map(|site| (site.bytes, site.blocks)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_large_holder_is_found_though_it_comes_last_of_two_hundred_thousand() {
        let mut blocks: Vec<(u32, usize)> =
            (1..=200_000).map(|stack| (stack, 16 + stack as usize % 64)).collect();
        blocks.extend((0..50).map(|_| (700_001, 100_000)));
        blocks.extend((0..50).map(|_| (700_002, 90_000)));
        let (top, _) = count(&blocks);
        assert_eq!(top[0], Site { stack: StackId(700_001), blocks: 50, bytes: 5_000_000 });
        assert_eq!(top[1], Site { stack: StackId(700_002), blocks: 50, bytes: 4_500_000 });
    }

    #[test]
    fn an_empty_heap_has_no_holders() {
        assert_eq!(count(&[]), (Vec::new(), 0));
    }
}
