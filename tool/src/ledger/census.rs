//! The census: live blocks by the call stack that made them, and what else is
//! known of the heap at that moment.

use super::epochs::Epochs;
use super::heap::Heap;
use super::memory::{Memory, ReadError};
use super::root::LedgerRoot;
use super::threads::Threads;
use heapwarden::ledger::State;
use std::collections::HashMap;

/// Blocks of one call stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Live blocks.
    pub blocks: u64,
    /// Bytes that were asked for, in them.
    pub bytes: u64,
    /// Slots whose last block was the site's and is freed.
    pub freed: u64,
    /// When the oldest live block's epoch began; monotonic milliseconds.
    pub oldest_ms: u64,
}

impl Site {
    /// Share of its blocks that were freed, as far as free slots still tell.
    pub fn freed_share(&self) -> f64 {
        match self.freed + self.blocks {
            0 => 0.0,
            all => self.freed as f64 / all as f64,
        }
    }
}

/// The heap's sums at a moment.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// By stack id.
    pub sites: HashMap<u32, Site>,
    /// Live blocks.
    pub blocks: u64,
    /// Bytes that were asked for, in them.
    pub bytes: u64,
    /// Allocations made so far.
    pub allocations: u64,
    /// Bytes held back in quarantines.
    pub held: u64,
    /// Bytes in slabs and spans.
    pub in_use: u64,
    /// The most that ever was.
    pub peak: u64,
    /// Address space for the heap's own tables.
    pub metadata: u64,
    /// Bytes of heap memory allowed; 0 = no limit.
    pub limit: u64,
    /// Threads that have a heap.
    pub threads: u64,
}

impl Census {
    /// Counts.
    pub fn take(memory: &dyn Memory, root: &LedgerRoot) -> Result<Census, ReadError> {
        let heap = Heap::read(memory, root)?;
        let epochs = Epochs::read(memory, root)?;
        let threads = Threads::read(memory, root)?;
        let tables = &root.tables;
        let mut census = Census {
            allocations: threads.allocations(),
            held: threads.held(),
            in_use: heap.in_use(),
            peak: memory.word(tables.heap.peak)?.max(heap.in_use()),
            metadata: memory.word(tables.window.metadata)?,
            limit: memory.word(tables.heap.limit)?,
            threads: threads.alive() as u64,
            ..Census::default()
        };
        for block in heap.blocks() {
            let stack = block.record.stack().0;
            match block.record.state() {
                State::Live | State::Ignored => {
                    census.blocks += 1;
                    census.bytes += block.size;
                    let site = census.sites.entry(stack).or_default();
                    site.blocks += 1;
                    site.bytes += block.size;
                    if let Some(epoch) = epochs.epoch(block.record.stamp())
                        && (site.oldest_ms == 0 || epoch.begun_ms < site.oldest_ms)
                    {
                        site.oldest_ms = epoch.begun_ms;
                    }
                }
                State::Held | State::Free if stack != 0 => {
                    census.sites.entry(stack).or_default().freed += 1;
                }
                _ => {}
            }
        }
        Ok(census)
    }
}

/// Milliseconds of the monotonic clock, which all processes of this machine
/// share (but for those in a time namespace).
pub fn monotonic_ms() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| now.tv_sec() as u64 * 1000 + now.tv_nsec() as u64 / 1_000_000)
}
