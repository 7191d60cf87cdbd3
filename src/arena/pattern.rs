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
/// terminating zero written one past the end always shows.
#[inline]
pub fn canary(secret: usize, address: usize) -> usize {
    !(secret ^ address.rotate_left(16)) | (usize::MAX / 0xff)
}

/// Fills a range with `pattern`.
///
/// # Safety
/// The range is word-aligned memory that the caller owns.
#[inline]
pub unsafe fn fill(mut from: usize, to: usize, pattern: usize) {
    while from < to {
        // SAFETY: inside the caller's range.
        unsafe { store(from, pattern) };
        from += WORD;
    }
}

/// The address of the first word of a range that differs from `pattern`.
///
/// # Safety
/// The range is word-aligned readable memory.
#[inline]
pub unsafe fn first_difference(mut from: usize, to: usize, pattern: usize) -> Option<usize> {
    while from < to {
        // SAFETY: inside the caller's range.
        if unsafe { load(from) } != pattern {
            return Some(from);
        }
        from += WORD;
    }
    None
}

/// The address of the first damaged byte of a canary in `[start, end)`, `start`
/// at any byte, exact to the word after the first; 0 = none. With `mend`, the
/// canary is written instead, and the user's bytes before it are kept.
///
/// # Safety
/// The words touched by the range are the caller's to read and, with `mend`, to
/// write.
#[inline]
pub unsafe fn canary_damage(start: usize, end: usize, canary: usize, mend: bool) -> usize {
    let bits = (start % WORD * 8) as u32;
    let mut mask =
        if cfg!(target_endian = "big") { usize::MAX >> bits } else { usize::MAX << bits };
    let mut at = start & !(WORD - 1);
    while at < end {
        // SAFETY: inside the caller's range.
        unsafe {
            let word = load(at);
            let difference = (word ^ canary) & mask;
            if mend {
                store(at, word ^ difference);
            } else if difference != 0 {
                return if at < start { start } else { at };
            }
        }
        mask = usize::MAX;
        at += WORD;
    }
    0
}
