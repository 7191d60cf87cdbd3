//! All samples of a session, and the figures made of them.
//!
//! Ratios are of the lowest sample of each side: noise on a shared machine only
//! ever adds. The median's ratio stands beside it in the summary, so that a
//! lucky minimum shows.

use std::collections::BTreeMap;

use crate::measure::Cost;
use crate::workloads::Set;

/// What is read off a sample.
#[derive(Clone, Copy, Debug)]
pub enum Figure {
    Processor,
    Wall,
    Peak,
}

/// How a workload went under one allocator.
#[derive(Clone, Debug)]
pub enum Cell {
    Samples(Vec<Cost>),
    /// Killed when it had taken this many times glibc's wall time.
    TooSlow(f64),
    /// Output or ending differed from glibc's: why.
    Broken(String),
}

#[derive(Debug)]
pub struct Row {
    pub workload: &'static str,
    pub set: Set,
    /// How many runs make one sample.
    pub repeats: u32,
    pub cells: BTreeMap<&'static str, Cell>,
}

impl Row {
    /// The lowest sample of an allocator; none if it has none or is broken.
    #[must_use]
    pub fn lowest(&self, allocator: &str, figure: Figure) -> Option<f64> {
        self.sorted(allocator, figure)?.first().copied()
    }

    /// The middle sample.
    #[must_use]
    pub fn median(&self, allocator: &str, figure: Figure) -> Option<f64> {
        let samples = self.sorted(allocator, figure)?;
        let middle = samples.len() / 2;
        if samples.len() % 2 == 1 {
            Some(samples[middle])
        } else {
            Some((samples[middle - 1] + samples[middle]) / 2.0)
        }
    }

    fn sorted(&self, allocator: &str, figure: Figure) -> Option<Vec<f64>> {
        let Some(Cell::Samples(costs)) = self.cells.get(allocator) else { return None };
        let mut values: Vec<f64> = costs
            .iter()
            .map(|cost| match figure {
                Figure::Processor => cost.processor,
                Figure::Wall => cost.wall,
                Figure::Peak => cost.peak as f64,
            })
            .collect();
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then_some(values)
    }

    /// One allocator's lowest over another's.
    #[must_use]
    pub fn ratio(&self, allocator: &str, to: &str, figure: Figure) -> Option<f64> {
        Some(self.lowest(allocator, figure)? / self.lowest(to, figure)?)
    }
}

/// Geometric mean; none of an empty list.
#[must_use]
pub fn geomean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let logarithms: Vec<f64> = values.into_iter().map(f64::ln).collect();
    (!logarithms.is_empty())
        .then(|| (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(samples: &[(&'static str, &[f64])]) -> Row {
        let cells = samples
            .iter()
            .map(|(name, times)| {
                let costs =
                    times.iter().map(|&processor| Cost { processor, ..Cost::default() }).collect();
                (*name, Cell::Samples(costs))
            })
            .collect();
        Row { workload: "test", set: Set::Loops, repeats: 1, cells }
    }

    #[test]
    fn ratio_is_of_the_lowest_samples() {
        let row = row(&[("ours", &[3.0, 2.0, 9.0]), ("glibc", &[1.0, 4.0])]);
        assert_eq!(row.ratio("ours", "glibc", Figure::Processor), Some(2.0));
        assert_eq!(row.median("ours", Figure::Processor), Some(3.0));
        assert_eq!(row.median("glibc", Figure::Processor), Some(2.5));
        assert_eq!(row.ratio("ours", "absent", Figure::Processor), None);
    }

    #[test]
    fn broken_cells_give_no_figure() {
        let mut row = row(&[("glibc", &[1.0])]);
        row.cells.insert("ours", Cell::Broken("output differs".to_owned()));
        assert_eq!(row.ratio("ours", "glibc", Figure::Processor), None);
    }

    #[test]
    fn geomean_of_a_value_and_its_inverse_is_one() {
        assert!((geomean([4.0, 0.25]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(geomean([]), None);
    }
}
