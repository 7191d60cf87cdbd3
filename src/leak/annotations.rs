//! Annotations: what the program tells leak checks about its memory.
//!
//! *Root regions* are scanned like global variables. The *pointer mask* says
//! which bits of a tagged pointer are its address. Blocks to be ignored carry
//! that in their record ([`State::Ignored`](crate::ledger::State)).
//!
//! Invariant: a region of no bytes is never kept; a check reads the table
//! without a lock, because it holds no thread inside these functions.

use crate::outside::{Address, Pairs};
use crate::sync::atomics::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Lock, Rank};

const REGIONS: usize = 1024;

#[repr(C)]
struct Region {
    start: AtomicUsize,
    end: AtomicUsize,
}

static TABLE: [Region; REGIONS] =
    [const { Region { start: AtomicUsize::new(0), end: AtomicUsize::new(0) } }; REGIONS];
/// The table, for readers outside the process.
pub const OUTSIDE: Pairs<Address> =
    Pairs { table: Address::of(&raw const TABLE), count: REGIONS as u64 };
const _: () = assert!(size_of::<Region>() == 16 && core::mem::offset_of!(Region, start) == 0);

static WRITERS: Lock<()> = Lock::new(Rank::Check, ());

/// Takes `bytes` bytes at `start` as a root from now on (LeakSanitizer's
/// `__lsan_register_root_region`). `false`: no room, or no bytes.
pub fn add_root(start: usize, bytes: usize) -> bool {
    if start == 0 || bytes == 0 {
        return false;
    }
    let _writing = WRITERS.lock();
    let Some(free) = TABLE.iter().find(|region| region.start.load(Relaxed) == 0) else {
        return false;
    };
    free.end.store(start.saturating_add(bytes), Relaxed);
    free.start.store(start, Relaxed);
    true
}

/// Takes back one [`add_root`] with the same arguments. `false`: there was
/// none.
pub fn remove_root(start: usize, bytes: usize) -> bool {
    let _writing = WRITERS.lock();
    let end = start.saturating_add(bytes);
    let is_it = |region: &&Region| {
        start != 0 && region.start.load(Relaxed) == start && region.end.load(Relaxed) == end
    };
    let Some(region) = TABLE.iter().find(is_it) else { return false };
    region.start.store(0, Relaxed);
    true
}

static POINTER_MASK: AtomicUsize = AtomicUsize::new(0);

/// From now on checks also try each word with the bits outside of `mask`
/// cleared; 0 = no more. The mask before.
pub fn set_pointer_mask(mask: usize) -> usize {
    POINTER_MASK.swap(mask, Relaxed)
}

/// The last [`set_pointer_mask`]; 0 = none.
pub fn pointer_mask() -> usize {
    POINTER_MASK.load(Relaxed)
}

/// Calls `visit` with each registered region.
pub(super) fn for_each_region(mut visit: impl FnMut(usize, usize)) {
    for region in &TABLE {
        let (start, end) = (region.start.load(Relaxed), region.end.load(Relaxed));
        if start != 0 {
            visit(start, end);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn a_region_is_kept_until_it_is_taken_back() {
        let seen = |wanted| {
            let mut found = 0;
            for_each_region(|start, end| found += usize::from((start, end) == wanted));
            found
        };
        assert!(add_root(0x5000, 16) && add_root(0x5000, 16));
        assert_eq!(seen((0x5000, 0x5010)), 2);
        assert!(remove_root(0x5000, 16) && remove_root(0x5000, 16));
        assert!(!remove_root(0x5000, 16) && !add_root(0x5000, 0) && !remove_root(0, 0));
        assert_eq!(seen((0x5000, 0x5010)), 0);
    }
}
