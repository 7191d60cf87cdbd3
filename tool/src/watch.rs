//! Watching a running process: censuses one after the other, and what changed
//! between them.

use crate::ledger::census::monotonic_ms;
use crate::ledger::live::LiveMemory;
use crate::ledger::{Census, LedgerRoot, Names, ReadError, Site, Stacks};
use crate::record::Stack;
use anyhow::{Result, anyhow};
use std::collections::HashMap;
use std::time::Instant;

/// Tries at a census that finds its tables gone.
const TRIES: u32 = 3;

/// The exit code when the check itself could not be done.
pub const IMPOSSIBLE: u8 = 24;

/// One call site at a moment.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Its stack.
    pub stack: u32,
    /// What is counted.
    pub site: Site,
    /// Bytes a second by which it grew since the census before.
    pub rate: f64,
    /// Bytes by which it grew since the first census.
    pub growth: i64,
    /// Age of its oldest live block, milliseconds.
    pub age_ms: u64,
}

/// A process that is watched.
pub struct Watched {
    /// Its memory.
    pub memory: LiveMemory,
    /// Its name.
    pub name: String,
    root: LedgerRoot,
    stacks: Stacks,
    names: Names,
    first: Option<Census>,
    /// The census before the last, and when.
    before: Option<(Census, Instant)>,
    /// The last census, and when.
    now: Option<(Census, Instant)>,
}

impl Watched {
    /// Begins to watch `pid`.
    pub fn open(pid: u32) -> Result<Watched> {
        let memory = LiveMemory::open(pid)?;
        let gone = |error: anyhow::Error| anyhow!("process {pid}: {error}");
        let root = LedgerRoot::find(&memory).map_err(gone)?;
        let stacks = Stacks::read(&memory, &root).map_err(|error| gone(error.into()))?;
        let names = Names::of_process(pid);
        let name = memory.name();
        let (first, before, now) = (None, None, None);
        Ok(Watched { memory, name, root, stacks, names, first, before, now })
    }

    /// Takes a census.
    pub fn look(&mut self) -> Result<(), ReadError> {
        let mut taken = Err(ReadError::Gone);
        for _ in 0..TRIES {
            taken = Census::take(&self.memory, &self.root)
                .and_then(|census| self.stacks.refresh(&self.memory, &self.root).map(|()| census));
            if !matches!(taken, Err(ReadError::Unreadable(_))) {
                break;
            }
        }
        let census = match taken {
            Err(ReadError::Unreadable(_)) if !self.memory.is_alive() => {
                return Err(ReadError::Gone);
            }
            // It called exec: what was there is gone.
            other => other?,
        };
        self.first.get_or_insert_with(|| census.clone());
        self.before = self.now.take();
        self.now = Some((census, Instant::now()));
        Ok(())
    }

    /// The last census.
    pub fn census(&self) -> Option<&Census> {
        self.now.as_ref().map(|(census, _)| census)
    }

    /// Allocations a second since the census before.
    pub fn allocation_rate(&self) -> f64 {
        self.rate_of(|census| census.allocations as f64)
    }

    /// Bytes a second by which the live bytes grew since the census before.
    pub fn growth_rate(&self) -> f64 {
        self.rate_of(|census| census.bytes as f64)
    }

    fn rate_of(&self, value: impl Fn(&Census) -> f64) -> f64 {
        match (&self.before, &self.now) {
            (Some((before, then)), Some((now, at))) => {
                (value(now) - value(before)) / (*at - *then).as_secs_f64().max(1e-3)
            }
            _ => 0.0,
        }
    }

    /// Every site that has live blocks.
    pub fn rows(&self) -> Vec<Row> {
        let Some((census, at)) = &self.now else { return Vec::new() };
        let now_ms = monotonic_ms();
        let nothing = HashMap::new();
        let (before, seconds) = match &self.before {
            Some((before, then)) => (&before.sites, (*at - *then).as_secs_f64().max(1e-3)),
            None => (&census.sites, 1.0),
        };
        let first = self.first.as_ref().map_or(&nothing, |first| &first.sites);
        let bytes = |sites: &HashMap<u32, Site>, stack| {
            sites.get(stack).map_or(0, |site: &Site| site.bytes) as i64
        };
        let live = census.sites.iter().filter(|(_, site)| site.blocks > 0);
        live.map(|(stack, site)| Row {
            stack: *stack,
            site: *site,
            rate: (site.bytes as i64 - bytes(before, stack)) as f64 / seconds,
            growth: site.bytes as i64 - bytes(first, stack),
            age_ms: age_ms(site, now_ms),
        })
        .collect()
    }

    /// The frames of a stack.
    pub fn stack(&mut self, stack: u32) -> Stack {
        self.names.stack(&self.stacks, stack)
    }
}

/// Every site of a census that has live blocks, without a past.
pub fn rows_of(census: &Census, now_ms: u64) -> Vec<Row> {
    let live = census.sites.iter().filter(|(_, site)| site.blocks > 0);
    live.map(|(stack, site)| Row {
        stack: *stack,
        site: *site,
        rate: 0.0,
        growth: 0,
        age_ms: age_ms(site, now_ms),
    })
    .collect()
}

fn age_ms(site: &Site, now_ms: u64) -> u64 {
    if site.oldest_ms == 0 { 0 } else { now_ms.saturating_sub(site.oldest_ms) }
}
