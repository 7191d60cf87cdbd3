//! Ordinals: which allocations of its call stack a record's blocks were (the
//! library's option `ordinals=1`).

use crate::record::Record;
use crate::report::words::grouped;
use serde::{Deserialize, Serialize};

/// A record's `site`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ordinals {
    /// All allocations of the call stack, freed ones too.
    pub allocations: u64,
    /// The smallest ordinals among the record's blocks, ascending.
    pub ordinals: Vec<u64>,
}

impl Ordinals {
    /// Adds what another record says of the same site. Which of its blocks
    /// were lost differs from run to run, so only the count stays.
    pub fn add(&mut self, other: &Ordinals) {
        self.allocations = self.allocations.saturating_add(other.allocations);
        self.ordinals.clear();
    }

    /// `2 of 4,000 blocks from here were never freed: #17, #402`.
    pub fn told(&self, blocks: u64) -> String {
        let were = if blocks == 1 { "was" } else { "were" };
        let (lost, made) = (grouped(blocks), grouped(self.allocations));
        let mut text = format!("{lost} of {made} blocks from here {were} never freed");
        for (index, ordinal) in self.ordinals.iter().enumerate() {
            let before = if index == 0 { ": #" } else { ", #" };
            text.push_str(before);
            text.push_str(&grouped(*ordinal));
        }
        if !self.ordinals.is_empty() && (self.ordinals.len() as u64) < blocks {
            text.push_str(", …");
        }
        text
    }
}

impl Record {
    /// Which allocations of its call stack the blocks were, if it says so.
    pub fn ordinals(&mut self) -> Option<&mut Ordinals> {
        match self {
            Record::Leak(leak) => leak.site.as_mut(),
            Record::HiddenLeak(leak) => leak.site.as_mut(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_named_and_of_many_the_first() {
        let mut site = Ordinals { allocations: 1_004_000, ordinals: vec![17, 1402] };
        assert_eq!(site.told(2), "2 of 1,004,000 blocks from here were never freed: #17, #1,402");
        assert_eq!(
            site.told(1234),
            "1,234 of 1,004,000 blocks from here were never freed: #17, #1,402, …"
        );
        site.add(&Ordinals { allocations: 1, ordinals: vec![1] });
        assert_eq!(site.told(3), "3 of 1,004,001 blocks from here were never freed");
    }
}
