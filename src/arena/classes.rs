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

use super::layout::{ALIGNMENT, WORD};

/// Lists on the second level, as a power of two.
const SECOND_BITS: u32 = 3;
/// Below this size, every multiple of the alignment has its own list.
const SMALL: usize = ALIGNMENT << SECOND_BITS;
/// Words in the bitmap of all lists; a test keeps it wide enough for any size.
pub const MAP_WORDS: usize = if WORD == 4 { 7 } else { 8 };

/// The class of a free block of `size` bytes.
#[inline]
pub fn of(size: usize) -> usize {
    // The first level, counted in bits, and the second with a leading one.
    let level = usize::BITS - 1 - (size | SMALL).leading_zeros();
    let mantissa = size >> (level - SECOND_BITS);
    ((level - SMALL.trailing_zeros()) << SECOND_BITS) as usize + mantissa
}
