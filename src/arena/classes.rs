//! Size classes of free blocks: two levels, found in constant time.
//!
//! ```text
//!  first level   0          1            2            3
//!  sizes         0 … 63     64 … 127     128 … 255    256 … 511   (32-bit)
//!  second level  8 lists of equal width in each
//! ```
//!
//! After Masmano, Ripoll, Crespo, Real: *TLSF: a New Dynamic Memory Allocator
//! for Real-Time Systems* (ECRTS 2004).
//!
//! Invariant: `of(size)` never decreases with `size`, and every size of class
//! `at_least(size)` or above is at least `size`.

use super::layout::ALIGNMENT;

/// Lists on the second level, as a power of two.
pub const SECOND_BITS: u32 = 3;
/// Lists on the second level.
pub const SECOND: usize = 1 << SECOND_BITS;
/// Below this size, every multiple of the alignment has its own list.
pub const SMALL: usize = ALIGNMENT * SECOND;
/// First levels a heap can have at most: sizes up to the whole address space
/// on 32-bit targets, 2^34 on 64-bit ones.
pub const FIRST: usize = 28;

#[inline]
fn log2(size: usize) -> u32 {
    usize::BITS - 1 - size.leading_zeros()
}

/// The class of a free block of `size` bytes.
#[inline]
pub fn of(size: usize) -> usize {
    if size < SMALL {
        return size / ALIGNMENT;
    }
    let level = log2(size);
    // `size >> (level - SECOND_BITS)` lies in SECOND..2*SECOND.
    ((level - log2(SMALL)) as usize) * SECOND + (size >> (level - SECOND_BITS))
}

/// The first class all of whose blocks hold `size` bytes.
#[inline]
pub fn at_least(size: usize) -> usize {
    if size < SMALL {
        return of(size);
    }
    of(size + (1 << (log2(size) - SECOND_BITS)) - 1)
}

/// First levels needed for blocks of up to `size` bytes.
pub fn levels(size: usize) -> usize {
    of(size) / SECOND + 1
}
