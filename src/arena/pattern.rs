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

/// Fills a range with `pattern`, two words at a time.
///
/// # Safety
/// The range is word-aligned memory that the caller owns.
#[inline]
pub unsafe fn fill(mut from: usize, to: usize, pattern: usize) {
    // SAFETY: inside the caller's range.
    unsafe {
        let last = to - WORD;
        while from < last {
            store(from, pattern);
            store(from + WORD, pattern);
            from += 2 * WORD;
        }
        if from < to {
            store(from, pattern);
        }
    }
}

/// The address of the first word of a range that differs from `pattern`, 0 =
/// none.
///
/// # Safety
/// The range is word-aligned readable memory.
#[inline]
pub unsafe fn first_difference(mut from: usize, to: usize, pattern: usize) -> usize {
    // SAFETY: inside the caller's range.
    unsafe {
        // Two words at a time as long as all is well, then one.
        let last = to - WORD;
        while from < last {
            if (load(from) ^ pattern) | (load(from + WORD) ^ pattern) != 0 {
                break;
            }
            from += 2 * WORD;
        }
        while from < to {
            if load(from) != pattern {
                return from;
            }
            from += WORD;
        }
    }
    0
}

/// The bits of the word around `start` that lie at or after it.
#[inline]
fn mask(start: usize) -> usize {
    let bits = (start % WORD * 8) as u32;
    if cfg!(target_endian = "big") { usize::MAX >> bits } else { usize::MAX << bits }
}

/// Writes the canary into `[start, end)`, `start` at any byte; the bytes before
/// it are kept.
///
/// # Safety
/// The words touched by the range are the caller's.
#[inline]
pub unsafe fn arm(start: usize, end: usize, canary: usize) {
    let mut at = start & !(WORD - 1);
    // SAFETY: inside the caller's range.
    unsafe {
        let word = load(at);
        store(at, word ^ ((word ^ canary) & mask(start)));
        at += WORD;
        while at < end {
            store(at, canary);
            at += WORD;
        }
    }
}

/// Whether the canary in `[start, end)` is whole.
///
/// # Safety
/// The words touched by the range are readable.
#[inline]
pub unsafe fn is_whole(start: usize, end: usize, canary: usize) -> bool {
    let mut at = start & !(WORD - 1);
    // SAFETY: inside the caller's range.
    unsafe {
        let mut difference = (load(at) ^ canary) & mask(start);
        at += WORD;
        let last = end - WORD;
        while at < last {
            difference |= (load(at) ^ canary) | (load(at + WORD) ^ canary);
            at += 2 * WORD;
        }
        // The last word, once or twice.
        difference | (load(last) ^ canary) == 0
    }
}

/// The address of the first damaged word of a canary that is not whole, or
/// `start` if that is in its first word.
///
/// # Safety
/// The words touched by the range are readable.
pub unsafe fn first_damage(start: usize, end: usize, canary: usize) -> usize {
    // SAFETY: inside the caller's range.
    let at = unsafe { first_difference((start + WORD - 1) & !(WORD - 1), end, canary) };
    // SAFETY: as above.
    let first = unsafe { load(start & !(WORD - 1)) };
    if at == 0 || (first ^ canary) & mask(start) != 0 { start } else { at }
}
