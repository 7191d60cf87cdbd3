//! Which anonymous mappings are the warden's: a leak check must not take them
//! for the program's memory.
//!
//! Invariant: a range is here from soon after it is mapped until just before
//! it is unmapped; without room here, a range is taken for the program's.

use crate::outside::{self, Address};
use crate::sync::atomics::{
    AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

const RANGES: usize = 512;

static RANGE: [[AtomicUsize; 2]; RANGES] =
    [const { [AtomicUsize::new(0), AtomicUsize::new(0)] }; RANGES];

/// The table, for readers outside the process.
pub const OUTSIDE: outside::Pairs<Address> =
    outside::Pairs { table: Address::of(&raw const RANGE), count: RANGES as u64 };

/// Notes a range; once is enough.
pub fn note(start: usize, bytes: usize) {
    let mut free = None;
    for (place, [first, end]) in RANGE.iter().enumerate() {
        match first.load(Acquire) {
            0 => free = free.or(Some(place)),
            known if known == start => return end.store(start + bytes, Release),
            _ => {}
        }
    }
    for [first, end] in &RANGE[free.unwrap_or(RANGES)..] {
        if first.compare_exchange(0, start, AcqRel, Relaxed).is_ok() {
            return end.store(start + bytes, Release);
        }
    }
}

/// Forgets the range that begins at `start`.
pub fn forget(start: usize) {
    if let Some([first, end]) = RANGE.iter().find(|[first, _]| first.load(Acquire) == start) {
        end.store(0, Release);
        first.store(0, Release);
    }
}

/// Calls `visit` with the parts of `start..end` that are not the warden's.
pub fn without(start: usize, end: usize, mut visit: impl FnMut(usize, usize)) {
    let mut from = start;
    while from < end {
        // Our first range that ends behind `from`.
        let mut next = (end, end);
        for [first, last] in &RANGE {
            let (first, last) = (first.load(Acquire), last.load(Acquire));
            if first != 0 && last > from && first < next.0 {
                next = (first, last);
            }
        }
        if from < next.0 {
            visit(from, next.0);
        }
        from = next.1.max(from + 1);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn noted_ranges_are_cut_out() {
        let parts = |from, to| {
            let mut parts = std::vec::Vec::new();
            without(from, to, |from, to| parts.push((from, to)));
            parts
        };
        note(0x10_0000, 0x1000);
        note(0x10_3000, 0x2000);
        assert_eq!(parts(0x10_0000, 0x10_1000), []);
        assert_eq!(
            parts(0xf_f000, 0x10_6000),
            [(0xf_f000, 0x10_0000), (0x10_1000, 0x10_3000), (0x10_5000, 0x10_6000)]
        );
        assert_eq!(parts(0x10_4000, 0x10_4800), []);
        forget(0x10_3000);
        assert_eq!(parts(0x10_1000, 0x10_6000), [(0x10_1000, 0x10_6000)]);
        forget(0x10_0000);
    }
}
