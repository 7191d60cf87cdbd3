//! Which of its call stack's allocations the blocks of a group were.
//!
//! Invariant: what is kept are the smallest ordinals of those that were added,
//! ascending; 0 stands behind the last.

/// How many are kept.
const KEPT: usize = 8;

/// The ordinals of a group's blocks: the 17th allocation of their stack, the
/// 402nd, …
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ordinals {
    /// All allocations that the stack made, as long as they were counted; 0 =
    /// not known.
    pub allocations: u64,
    smallest: [u32; KEPT],
}

impl Ordinals {
    /// Adds a block's; 0 is not known and not kept.
    pub(super) fn add(&mut self, ordinal: u32) {
        let at = self.smallest.iter().position(|&kept| kept == 0 || ordinal < kept);
        if let Some(at) = at.filter(|_| ordinal != 0) {
            self.smallest[at..].rotate_right(1);
            self.smallest[at] = ordinal;
        }
    }

    /// The smallest, ascending.
    pub fn smallest(&self) -> &[u32] {
        let known = self.smallest.iter().position(|&kept| kept == 0).unwrap_or(KEPT);
        &self.smallest[..known]
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_smallest_are_kept_in_order(mut all in prop::collection::vec(0u32..50, 0..30)) {
            let mut ordinals = Ordinals::default();
            all.iter().for_each(|&ordinal| ordinals.add(ordinal));
            all.retain(|&ordinal| ordinal != 0);
            all.sort_unstable();
            all.truncate(KEPT);
            prop_assert_eq!(ordinals.smallest(), &all[..]);
        }
    }
}
