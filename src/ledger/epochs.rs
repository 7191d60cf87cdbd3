//! The epoch log: which thread, and when, by a 22-bit stamp.
//!
//! A thread takes a new epoch when it begins, when some time has passed since
//! its last one, and when somebody sets a mark; each block carries the stamp
//! of its thread's epoch at birth. Epochs get longer with the process's age
//! (a 4096th of it), so a block's age is known to within 0.03 %, and a year of
//! 40 busy threads needs fewer than the 4 million stamps there are.
//!
//! Invariant: stamp 0 is unknown; entries are written once, before the stamp
//! is used, and reused only after [`sweep_with`] found no block that has them.

use crate::memory::{allocate_metadata, free_metadata};
use crate::outside::{Address, EpochPart};
use crate::platform::{Host, Platform};
use crate::sync::atomics::{
    AtomicPtr, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sync::{Lock, Rank};
use crate::units::ThreadNumber;
use core::mem::offset_of;
use core::ptr::NonNull;

/// What the log knows of one epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Epoch {
    /// The thread that allocated.
    pub thread: ThreadNumber,
    /// When the epoch began, in milliseconds of the monotonic clock.
    pub begun_ms: u64,
    /// About how many allocations the process had made before it.
    pub sequence: u64,
}

const STAMPS: u32 = 1 << super::Record::STAMP_BITS;
const CHUNK: u32 = 4096;
const CHUNKS: usize = (STAMPS / CHUNK) as usize;
const CHUNK_BYTES: usize = CHUNK as usize * size_of::<Entry>();

#[repr(C)]
struct Entry {
    /// thread << 40 | begun_ms
    who_and_when: AtomicU64,
    sequence: AtomicU64,
}

struct Log {
    /// Stamps handed out so far; the next one unless `spare` has some.
    next: u32,
    /// Stamps that a sweep found unused: first of a chain through `sequence`.
    spare: u32,
}

static LOG: Lock<Log> = Lock::new(Rank::Epochs, Log { next: 1, spare: 0 });
static ENTRIES: [AtomicPtr<Entry>; CHUNKS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; CHUNKS];
static CHUNKS_USED: AtomicU32 = AtomicU32::new(0);

/// The log, for readers outside the process.
pub const OUTSIDE: EpochPart<Address> = EpochPart {
    chunks: Address::of(&raw const ENTRIES),
    chunk_count: CHUNKS as u64,
    chunk_entries: CHUNK as u64,
};
const _: () = assert!(offset_of!(Entry, who_and_when) == 0 && size_of::<Entry>() == 16);

fn entry(stamp: u32) -> Option<&'static Entry> {
    let chunk = ENTRIES[(stamp / CHUNK) as usize % CHUNKS].load(Acquire);
    // SAFETY: a published chunk holds CHUNK zeroed or written entries and is
    // never freed.
    NonNull::new(chunk).map(|chunk| unsafe { chunk.add((stamp % CHUNK) as usize).as_ref() })
}

/// Begins an epoch of `thread` now; its stamp. `sequence` is the process's
/// count of allocations so far. 0 (unknown) when there is no memory for the
/// log or all stamps are in use.
pub fn new_epoch(thread: ThreadNumber, sequence: u64) -> u32 {
    let mut log = LOG.lock();
    let stamp = if log.spare != 0 {
        let stamp = log.spare;
        log.spare = entry(stamp).map_or(0, |entry| entry.sequence.load(Relaxed) as u32);
        stamp
    } else if log.next < STAMPS {
        log.next
    } else {
        return 0;
    };
    let chunk = &ENTRIES[(stamp / CHUNK) as usize];
    if chunk.load(Relaxed).is_null() {
        let Some(memory) = allocate_metadata(CHUNK_BYTES) else { return 0 };
        chunk.store(memory.as_ptr().cast(), Release);
        CHUNKS_USED.fetch_add(1, Relaxed);
    }
    if stamp == log.next {
        log.next += 1;
    }
    let Some(entry) = entry(stamp) else { return 0 };
    let now = Host::monotonic_ns() / 1_000_000;
    entry.who_and_when.store(u64::from(thread.0) << 40 | (now & ((1 << 40) - 1)), Relaxed);
    entry.sequence.store(sequence, Relaxed);
    stamp
}

/// What is known of a stamp.
pub fn epoch(stamp: u32) -> Option<Epoch> {
    if stamp == 0 {
        return None;
    }
    let entry = entry(stamp)?;
    let word = entry.who_and_when.load(Relaxed);
    (word != 0).then(|| Epoch {
        thread: ThreadNumber((word >> 40) as u32),
        begun_ms: word & ((1 << 40) - 1),
        sequence: entry.sequence.load(Relaxed),
    })
}

/// Whether few stamps are left, so that a sweep is worth its time.
pub fn sweep_needed() -> bool {
    let log = LOG.lock();
    log.spare == 0 && log.next > STAMPS - STAMPS / 8
}

/// Finds stamps that nobody uses. `visit` calls its argument with the stamp of
/// every block that is live or held and of every thread's current epoch;
/// blocks made while it runs carry current stamps, so it needs no stop.
pub fn sweep_with(visit: impl FnOnce(&mut dyn FnMut(u32))) {
    const BYTES: usize = STAMPS as usize / 8;
    let Some(bitmap) = allocate_metadata(BYTES) else { return };
    // SAFETY: fresh zeroed memory of BYTES bytes, ours until freed below.
    let used = unsafe { core::slice::from_raw_parts_mut(bitmap.as_ptr(), BYTES) };
    let limit = LOG.lock().next;
    visit(&mut |stamp| used[(stamp / 8) as usize % BYTES] |= 1 << (stamp % 8));
    let mut log = LOG.lock();
    for stamp in 1..limit {
        if used[(stamp / 8) as usize] & (1 << (stamp % 8)) == 0
            && let Some(entry) = entry(stamp)
            && entry.who_and_when.swap(0, Relaxed) != 0
        {
            entry.sequence.store(u64::from(log.spare), Relaxed);
            log.spare = stamp;
        }
    }
    drop(log);
    // SAFETY: allocated above with the same size, and `used` is not used again.
    unsafe { free_metadata(bitmap, BYTES) };
}

/// Bytes of memory that the log takes.
pub fn epoch_bytes() -> usize {
    CHUNKS_USED.load(Relaxed) as usize * CHUNK_BYTES
}

/// Takes the log's lock for a fork.
pub fn before_fork() {
    LOG.acquire();
}

/// The same within `limit_ns`; `false`: not taken.
pub fn before_fork_within(limit_ns: u64) -> bool {
    LOG.acquire_within(limit_ns)
}

/// Frees the log's lock after a fork.
///
/// # Safety
/// This thread, or its copy in the parent, called [`before_fork`].
pub unsafe fn after_fork() {
    // SAFETY: the caller's promise.
    unsafe { LOG.release() };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_knows_its_thread_and_its_order() {
        let first = new_epoch(ThreadNumber(3), 100);
        let second = new_epoch(ThreadNumber(4), 200);
        let (a, b) = (epoch(first).unwrap(), epoch(second).unwrap());
        assert_eq!((a.thread, a.sequence), (ThreadNumber(3), 100));
        assert_eq!((b.thread, b.sequence), (ThreadNumber(4), 200));
        assert!(a.begun_ms <= b.begun_ms);
        assert_eq!(epoch(0), None);
    }
}
