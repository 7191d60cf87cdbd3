//! Size classes of free blocks: two levels, found in constant time.
//!
//! ```text
//!  first level   0          1            2            3
//!  sizes         0 … 63     64 … 127     128 … 255    256 … 511   (32-bit)
//!  second level  8 lists of equal width in each
//! ```
//!
//! After Masmano, Ripoll, Crespo, Real: *TLSF: a New Dynamic Memory Allocator
//! for Real-Time Systems* (ECRTS 2004); but the numbers of both levels are one
//! number here, a floating-point size with a three-bit mantissa, and one bitmap
//! covers all lists.
//!
//! Invariant: `of(size)` never decreases with `size`, so every size of a class
//! above `of(size)` is larger than `size`.

use super::layout::ALIGNMENT;

/// Lists on the second level, as a power of two.
const SECOND_BITS: u32 = 3;
/// Lists on the second level.
pub const SECOND: usize = 1 << SECOND_BITS;
/// Below this size, every multiple of the alignment has its own list.
const SMALL: usize = ALIGNMENT * SECOND;
/// Words of 32 bits in the bitmap of all lists: sizes up to 2^31 on 32-bit
/// targets, 2^32 on 64-bit ones.
pub const MAP_WORDS: usize = 7;

/// The first level of `size`, counted in bits.
#[inline]
fn level(size: usize) -> u32 {
    usize::BITS - 1 - (size | SMALL).leading_zeros()
}

/// Classes below first level `level`, less the `SECOND` that its smallest
/// mantissa adds.
#[inline]
fn base(level: u32) -> usize {
    (level - SMALL.trailing_zeros()) as usize * SECOND
}

/// The class of a free block of `size` bytes.
#[inline]
pub fn of(size: usize) -> usize {
    let level = level(size);
    base(level) + (size >> (level - SECOND_BITS))
}

/// Lists needed for blocks of up to `size` bytes.
pub fn count(size: usize) -> usize {
    of(size) + 1
}

/// The largest block size that a heap with `count` lists keeps apart.
pub fn widest(count: usize) -> usize {
    // The last class's lower bound: class = base + mantissa, mantissa >= SECOND.
    let last = count - 1;
    if last < SECOND {
        return last * ALIGNMENT;
    }
    (last % SECOND + SECOND) << (last / SECOND - 1) << ALIGNMENT.trailing_zeros()
}
