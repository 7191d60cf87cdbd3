//! What is done now and then: epochs, the process's live bytes, and each
//! quarantine's share of them.

use super::central::CENTRAL;
use super::pool::{THREADS, heaps, threads_in_use};
use super::thread_heap::ThreadHeap;
use super::{pressure, settings};
use crate::ledger::{self, Record};
use crate::outside::Address;
use crate::platform::ticks;
use crate::sync::atomics::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use crate::units::{KIB, MIB};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK_LIVE: AtomicUsize = AtomicUsize::new(0);
/// Where that is, for readers outside the process.
pub(super) const OUTSIDE: Address = Address::of(&raw const PEAK_LIVE);
static SEQUENCE: AtomicU64 = AtomicU64::new(0);
static STARTED: AtomicU64 = AtomicU64::new(0);
/// When free memory decayed last, in ticks.
static DECAYED: AtomicU64 = AtomicU64::new(0);
/// Ticks from one decay to the next: about a second.
const DECAY_TICKS: u64 = 3_000_000_000;

/// Bytes that the quarantine of a process holds at least, unless told.
pub(super) const LEAST_QUARANTINE: usize = 256 * KIB;

/// Called before the first heap is made.
pub(super) fn begin() {
    if STARTED.load(Relaxed) == 0 {
        STARTED.store(ticks().max(1), Relaxed);
    }
}

/// The most bytes that were ever live at once, as far as threads published.
pub(super) fn peak_live() -> usize {
    PEAK_LIVE.load(Relaxed)
}

/// Things done now and then: counts are published, the epoch and the
/// quarantine's size are renewed.
#[inline]
pub(super) fn tick(heap: &mut ThreadHeap) {
    let now = ticks();
    let age = now.wrapping_sub(STARTED.load(Relaxed));
    let length = (age >> 12).max(1 << 21);
    if now.wrapping_sub(heap.epoch_ticks) > length {
        renew(heap);
    }
    publish(heap);
}

/// Begins a new epoch for the heap's thread.
pub(super) fn renew(heap: &mut ThreadHeap) {
    let made = heap.allocations.load(Relaxed);
    let sequence =
        SEQUENCE.fetch_add(made - heap.epoch_sequence, Relaxed) + made - heap.epoch_sequence;
    heap.epoch_sequence = made;
    heap.epoch_ticks = ticks();
    let last = DECAYED.load(Relaxed);
    if heap.epoch_ticks.wrapping_sub(last) > DECAY_TICKS
        && DECAYED.compare_exchange(last, heap.epoch_ticks, Relaxed, Relaxed).is_ok()
        && let Some(mut central) = CENTRAL.try_lock()
    {
        central.runs.decay();
    }
    if ledger::sweep_needed() {
        sweep_epochs();
    }
    let stamp = ledger::new_epoch(heap.number, sequence);
    heap.live_base.store(Record::live_base(stamp), Relaxed);
}

fn sweep_epochs() {
    ledger::sweep_with(|used| {
        heaps().for_each(|heap| used(heap.stamp()));
        super::judge::for_each_record(|record| {
            if record.is_live() || record.state() == ledger::State::Held {
                used(record.stamp());
            }
        });
    });
}

/// Adds what the thread counted to the process's live bytes, and gives its
/// quarantine its share.
pub(super) fn publish(heap: &mut ThreadHeap) {
    let live = heap.live_bytes.load(Relaxed);
    let change = live.wrapping_sub(heap.published_live);
    heap.published_live = live;
    let total = LIVE.fetch_add(change, Relaxed).wrapping_add(change);
    let total = if total > isize::MAX as usize { 0 } else { total };
    if total > PEAK_LIVE.load(Relaxed) {
        PEAK_LIVE.store(total, Relaxed);
    }
    let held_limit = match settings::quarantine() {
        Some(bytes) => bytes / threads_in_use(),
        None => ((total / 16).clamp(LEAST_QUARANTINE, 64 * MIB) / threads_in_use()).max(64 * KIB),
    };
    heap.quarantine.limit = pressure::tightened(held_limit);
}

/// Begins a new epoch in every thread, so that blocks born from now on can be
/// told from older ones; the smallest stamp age that counts as new is the
/// returned millisecond of the monotonic clock, and the sequence reached.
pub fn mark() -> u64 {
    let _threads = THREADS.lock();
    let made = heaps().fold(0, |sum, heap| sum + heap.allocations.load(Relaxed));
    let sequence = SEQUENCE.load(Relaxed).max(made) + 1;
    SEQUENCE.fetch_max(sequence, Relaxed);
    for heap in heaps() {
        let stamp = ledger::new_epoch(heap.number, sequence);
        heap.live_base.store(Record::live_base(stamp), Relaxed);
    }
    sequence
}

#[cfg(test)]
mod tests {
    use super::super::failure_tests::entry;
    use super::super::{Found, Request, allocate_general, free_general, locate};
    use crate::ledger;
    use crate::units::Family;
    use std::thread;
    use std::time::{Duration, Instant};

    fn allocate() -> usize {
        let request = Request { size: 64, alignment: 16, family: Family::Malloc, zeroed: false };
        allocate_general(&request, entry()) as usize
    }

    /// When the epoch began that the block at `start` was born in.
    fn born_ms(start: usize) -> u64 {
        let Found::Inside(block, _) = locate(start) else { panic!("{start:#x} is a block") };
        ledger::epoch(block.record.stamp()).expect("an epoch").begun_ms
    }

    #[test]
    fn a_block_that_is_born_later_in_the_same_thread_is_younger() {
        let work = || {
            let first = allocate();
            thread::sleep(Duration::from_millis(50));
            // Epochs get longer with the process's age: until a new one begins.
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(30) {
                let block = allocate();
                let later = born_ms(block) - born_ms(first);
                free_general(block, Family::Malloc, entry());
                if later > 0 {
                    return later;
                }
            }
            0
        };
        let later = thread::spawn(work).join().expect("no panic");
        assert!(later >= 49, "{later} ms");
    }
}
