//! Figures: what was tried, printed at the end of each test.

use core::fmt;
use core::ops::AddAssign;
use std::io::Write;

/// How much was tried.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Programs.
    pub programs: u64,
    /// Actions that a machine did.
    pub actions: u64,
    /// States of the model, one after each step that did something, that what
    /// was seen agreed with.
    pub states: u64,
    /// Verdicts that had to come, and came.
    pub verdicts: u64,
    /// Blocks handed out.
    pub blocks: u64,
    /// Leaks told apart at the end, reachable blocks among them.
    pub leaks: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.programs += other.programs;
        self.actions += other.actions;
        self.states += other.states;
        self.verdicts += other.verdicts;
        self.blocks += other.blocks;
        self.leaks += other.leaks;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { programs, actions, states, verdicts, blocks, leaks } = self;
        write!(out, "{programs} programs, {actions} operations, {states} states, {blocks} blocks")?;
        if *verdicts > 0 {
            write!(out, ", {verdicts} verdicts predicted")?;
        }
        if *leaks > 0 {
            write!(out, ", {leaks} blocks left and sorted")?;
        }
        Ok(())
    }
}

/// How many cases a test tries: `usual`, times the environment's
/// `HEAPWARDEN_PROOF_SCALE` (a number, also 0.1; soak runs set it), at least 1.
pub fn cases(usual: u32) -> u32 {
    let scale = std::env::var("HEAPWARDEN_PROOF_SCALE").ok();
    let scale: f64 = scale.and_then(|text| text.parse().ok()).unwrap_or(1.0);
    ((f64::from(usual) * scale) as u32).max(1)
}

/// Prints one line that `cargo test` does not swallow, and adds it to the file
/// that `HEAPWARDEN_PROOF_LOG` names.
pub fn told(test: &str, figures: &dyn fmt::Display) {
    let line = std::format!("proof: {test}: {figures}\n");
    // The test runner captures what macros print, not this; in one piece.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(log) = std::env::var_os("HEAPWARDEN_PROOF_LOG") {
        let _ = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(log)
            .and_then(|mut log| log.write_all(line.as_bytes()));
    }
}
