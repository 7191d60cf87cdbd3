//! Words written where nobody may write: poison in free memory, canaries after
//! payloads.
//!
//! Invariant: these functions only move words between an address range and a
//! pattern; they know nothing of blocks. A range runs from a word-aligned
//! `from` up to a word-aligned `to` and is empty when `from >= to`.
//!
//! A canary begins at a byte, not at a word:
//!
//! ```text
//!   … u u u|C C C C C|      u = user's byte, C = canary byte
//!   |--word--|--word--|     the first word is shared: a mask keeps its u
//! ```

use super::block::{load, store};
use super::layout::WORD;

/// Free memory: an odd value, so a pointer read from it faults on Cortex-M and
/// RISC-V as soon as it is used as an aligned address, and no small number.
pub const POISON: usize = usize::MAX / 0xff * 0xf5;

/// The canary of the block at `address`. Every byte is odd: a string's
/// terminating zero written one past the end always shows. Not by exclusive or,
/// as check words are: a header could be found in a canary.
#[inline]
pub fn canary(secret: usize, address: usize) -> usize {
    address.wrapping_sub(secret) | (usize::MAX / 0xff)
}

/// Fills a range with `pattern`.
///
/// # Safety
/// The range, not empty, is word-aligned memory that the caller owns.
#[inline(always)]
pub unsafe fn fill(mut from: usize, to: usize, pattern: usize) {
    loop {
        // SAFETY: inside the caller's range.
        unsafe { store(from, pattern) };
        from += WORD;
        if from >= to {
            return;
        }
    }
}

/// As `fill`, two words at a time: of an odd number, one too many.
///
/// # Safety
/// As for `fill`.
#[inline(always)]
pub unsafe fn fill_pairs(mut from: usize, to: usize, pattern: usize) {
    loop {
        // SAFETY: inside the caller's range.
        unsafe {
            store(from, pattern);
            store(from + WORD, pattern);
        }
        from += 2 * WORD;
        if from >= to {
            return;
        }
    }
}

/// Makes sure that `[start, end)` holds `pattern`: the address of the first byte
/// that was another, 0 = none. `start` may be any byte of a word, `end` is
/// word-aligned.
///
/// # Safety
/// The range is memory that the caller owns.
#[inline(never)]
pub unsafe fn mend(start: usize, end: usize, pattern: usize) -> usize {
    let mut first = 0;
    let mut at = end;
    while at > start {
        at -= WORD;
        // SAFETY: the word lies in the caller's range, but for the bytes below
        // `start`, which are written back as they are.
        let mut difference = unsafe { load(at) } ^ pattern;
        if difference != 0 {
            // Bytes below `start` in its word are the user's.
            if at < start {
                difference = above(difference, (start % WORD * 8) as u32);
            }
            if difference != 0 {
                first = at + first_byte(difference);
                // SAFETY: as above.
                unsafe { store(at, load(at) ^ difference) };
            }
        }
    }
    first
}

/// `word` without the `bits` that lie lowest in memory.
#[inline(always)]
fn above(word: usize, bits: u32) -> usize {
    if cfg!(target_endian = "big") { word << bits >> bits } else { word >> bits << bits }
}

/// The place in memory of the first byte of `word` that is not 0.
#[inline(always)]
fn first_byte(word: usize) -> usize {
    let bits =
        if cfg!(target_endian = "big") { word.leading_zeros() } else { word.trailing_zeros() };
    bits as usize / 8
}
