//! Size classes of free blocks: two to each doubling, found in constant time.
//!
//! ```text
//!  sizes    16   24   32 … 47   48 … 63   64 … 95   96 … 127   128 … 191   …  (32-bit)
//!  class     2    3      4         5         6         7           8
//! ```
//!
//! After Masmano, Ripoll, Crespo, Real: *TLSF: a New Dynamic Memory Allocator
//! for Real-Time Systems* (ECRTS 2004); but the numbers of both its levels are
//! one number here, a floating-point size with a one-bit mantissa. So there are
//! so few lists (26 in 64 KiB, 42 in 16 MiB) that looking at their heads in turn
//! takes less code than a bitmap of them, and no longer; finer classes were
//! measured to use the memory no better.
//!
//! Invariant: `of(size)` never decreases with `size`, so every size of a class
//! above `of(size)` is larger than `size`.

use super::layout::ALIGNMENT;

/// Classes in each doubling of the size, as a power of two.
const MANTISSA_BITS: u32 = 1;
/// Below this size, every multiple of the alignment has its own class.
const SMALL: usize = ALIGNMENT << MANTISSA_BITS;

/// How many classes there are for requests of up to `largest` bytes: those of its
/// own doubling and the first of the next, for its block is larger. (Of a handful
/// of bytes it may be larger still: no region of that size holds it.)
#[inline(always)]
pub fn enough_for(largest: usize) -> usize {
    let doublings = usize::BITS - SMALL.trailing_zeros() - largest.leading_zeros();
    ((doublings << MANTISSA_BITS) + 2 + 1) as usize
}

/// The class of a free block of `size` bytes.
///
/// # Safety
/// `size` is at least `SMALL`, as every block's is, in all modes.
#[inline(always)]
pub unsafe fn of(size: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { core::hint::assert_unchecked(size >= SMALL) };
    let exponent = usize::BITS - 1 - size.leading_zeros();
    let mantissa = size >> (exponent - MANTISSA_BITS);
    ((exponent - SMALL.trailing_zeros()) << MANTISSA_BITS) as usize + mantissa
}
