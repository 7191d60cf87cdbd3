//! What all threads share: the free runs behind one lock, and the limit.

use super::{epoch, pressure};
use crate::memory::{self, Run, Runs, Window};
use crate::outside::Address;
use crate::sync::atomics::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Lock, Rank};

/// What the central lock guards.
pub(super) struct Central {
    pub(super) runs: Runs,
}

pub(super) static CENTRAL: Lock<Central> = Lock::new(Rank::Window, Central { runs: Runs::new() });

static LIMIT: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// For readers outside the process: limit and peak.
pub(super) const OUTSIDE: [Address; 2] =
    [Address::of(&raw const LIMIT), Address::of(&raw const PEAK)];

/// Takes a run of granules, under the limit; `describe` is called with the
/// lock held. `None` without memory.
pub(super) fn take_run(length: u32, alignment: usize, describe: impl FnOnce(&Run)) -> Option<Run> {
    Window::settle();
    let mut central = CENTRAL.lock();
    let bytes = length as usize * memory::GRANULE;
    if !within_limit(&central.runs, bytes) {
        return None;
    }
    let run = central.runs.take(length, alignment).ok()?;
    count_growth(&central.runs);
    describe(&run);
    Some(run)
}

/// Whether `bytes` more are within the limit.
pub(super) fn within_limit(runs: &Runs, bytes: usize) -> bool {
    let limit = LIMIT.load(Relaxed);
    limit == 0 || runs.in_use().saturating_add(metadata()).saturating_add(bytes) <= limit
}

/// After a run was taken or grew: the peak, and the marks of `pressure`.
pub(super) fn count_growth(runs: &Runs) {
    PEAK.fetch_max(runs.in_use(), Relaxed);
    let used = runs.in_use() + metadata();
    pressure::note(used);
}

/// Bytes of heap memory in use, the blocks' and the metadata's.
pub fn used() -> usize {
    CENTRAL.lock().runs.in_use() + metadata()
}

/// Bytes mapped for what the heap knows.
fn metadata() -> usize {
    memory::metadata_mapped() + Window::table_bytes()
}

/// Sets the bytes of heap memory allowed; 0 = no limit of ours.
pub fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Relaxed);
}

/// The bytes of heap memory allowed; 0 = no limit of ours.
pub fn limit() -> usize {
    LIMIT.load(Relaxed)
}

/// The heap's memory, in bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Memory {
    /// In slabs and spans.
    pub in_use: usize,
    /// The most that `in_use` ever was.
    pub peak: usize,
    /// The most bytes that the program ever had at once, as of the last time
    /// each thread took a slab.
    pub peak_live: usize,
    /// Mapped from the operating system for blocks.
    pub mapped: usize,
    /// The longest run that is free without asking the operating system.
    pub largest_free: usize,
    /// Address space for metadata: records, stacks, logs, the table.
    pub metadata: usize,
    /// The limit in force; 0 = none.
    pub limit: usize,
}

/// How much memory the heap has.
pub fn memory() -> Memory {
    let metadata = metadata();
    let central = CENTRAL.lock();
    Memory {
        in_use: central.runs.in_use(),
        peak: PEAK.load(Relaxed),
        peak_live: epoch::peak_live(),
        mapped: central.runs.mapped(),
        largest_free: central.runs.largest_free(),
        metadata,
        limit: limit(),
    }
}

/// Gives free memory back to the operating system (malloc_trim(3)); whether
/// any was.
pub fn trim() -> bool {
    pressure::reclaim();
    CENTRAL.lock().runs.trim()
}
