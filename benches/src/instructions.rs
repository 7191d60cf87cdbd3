//! Instructions an allocation costs, its free included, as callgrind counts them:
//! exact and free of the machine's noise, but blind to caches and predictors.
//!
//! Each loop runs twice, the second time with twice the allocations; the
//! difference is free of start-up. The loop's own work is inside; the bump
//! allocator's column tells how much that is (where realloc copies, it tells nothing).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;

use crate::measure::{self, Program};
use crate::peers::Allocator;
use crate::workloads::{LOOPS, Loop};

/// Instructions an allocation, by loop and allocator; none when the run broke.
pub type Counts = Vec<(&'static str, BTreeMap<&'static str, f64>)>;

/// Counts every loop of one thread under every allocator.
///
/// # Errors
/// When a run cannot be started at all.
pub fn count(
    bench: &Path,
    binaries: &Path,
    allocators: &[Allocator],
    chosen: impl Fn(&str) -> bool,
    bar: &ProgressBar,
) -> Result<Counts> {
    let loops: Vec<&Loop> = LOOPS
        .iter()
        .filter(|item| !item.name().starts_with("threads") && chosen(item.name()))
        .collect();
    bar.set_length((loops.len() * allocators.len()) as u64);
    let mut counts = Counts::new();
    for item in loops {
        let mut row = BTreeMap::new();
        for allocator in allocators {
            bar.set_message(format!("{} under {}", item.name(), allocator.name));
            let once = collected(bench, binaries, item, allocator, item.round)?;
            let twice = collected(bench, binaries, item, allocator, item.round * 2)?;
            if let (Some(once), Some(twice)) = (once, twice) {
                row.insert(allocator.name, twice.saturating_sub(once) as f64 / item.round as f64);
            }
            bar.inc(1);
        }
        counts.push((item.name(), row));
    }
    Ok(counts)
}

fn collected(
    bench: &Path,
    binaries: &Path,
    item: &Loop,
    allocator: &Allocator,
    allocations: u64,
) -> Result<Option<u64>> {
    let log = bench.join("callgrind.log");
    let _ = fs::remove_file(&log);
    let wrapper = [
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        "--callgrind-out-file=/dev/null".to_owned(),
        format!("--log-file={}", log.display()),
    ];
    let allocator = Allocator { wrapper: wrapper.to_vec(), ..allocator.clone() };
    let binary = binaries.join(item.name());
    let program = Program {
        words: vec![binary.display().to_string(), allocations.to_string()],
        stdin: None,
        environment: Vec::new(),
        brings_allocator: false,
    };
    let outcome =
        measure::run(&program, &allocator, bench, Duration::from_secs(120)).context("valgrind")?;
    if outcome.ending != "exit status: 0" {
        return Ok(None);
    }
    let text = fs::read_to_string(&log).unwrap_or_default();
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    Ok(line.and_then(|(_, number)| number.trim().parse().ok()))
}

/// The counts as a table. Subtract the bump column for the allocator's own work.
#[must_use]
pub fn markdown(counts: &Counts, allocators: &[Allocator]) -> String {
    let columns: Vec<&str> = allocators.iter().map(|allocator| allocator.name).collect();
    let line = "---|".repeat(columns.len());
    let mut text = format!("| loop | {} |\n|---|{line}\n", columns.join(" | "));
    for (name, row) in counts {
        text += &format!("| {name} |");
        for column in &columns {
            text += &row.get(column).map_or(" - |".to_owned(), |count| format!(" {count:.0} |"));
        }
        text += "\n";
    }
    text
}
