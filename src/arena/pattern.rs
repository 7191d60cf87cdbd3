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
use crate::units::{align_down, byte_at};

/// Free memory: an odd value, so a pointer read from it faults on Cortex-M and
/// RISC-V as soon as it is used as an aligned address, and no small number.
pub const POISON: usize = usize::MAX / 0xff * 0xf5;

/// The canary of the block at `address`. Every byte is odd: a string's
/// terminating zero written one past the end always shows.
#[inline]
pub fn canary(secret: usize, address: usize) -> usize {
    (secret ^ address) | (usize::MAX / 0xff)
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

/// The bits in which some word of a range differs from `pattern`, 0 = whole.
///
/// # Safety
/// The range is word-aligned readable memory.
#[inline(always)]
pub unsafe fn difference(mut from: usize, to: usize, pattern: usize) -> usize {
    let mut difference = 0;
    while from < to {
        // SAFETY: inside the caller's range.
        difference |= unsafe { load(from) } ^ pattern;
        from += WORD;
    }
    difference
}

/// Writes `pattern` into `[start, end)`, which may begin and end at any byte;
/// returns the address of the first byte that was another, 0 = none.
///
/// # Safety
/// The range is memory that the caller owns.
#[cold]
#[inline(never)]
pub unsafe fn mend(start: usize, end: usize, pattern: usize) -> usize {
    let mut first = 0;
    let mut at = end;
    while at > start {
        at -= 1;
        let byte = core::ptr::with_exposed_provenance_mut::<u8>(at);
        let right = byte_at(pattern, at);
        // SAFETY: inside the caller's range.
        unsafe {
            if byte.read() != right {
                first = at;
            }
            byte.write(right);
        }
    }
    first
}

/// The bits of the word around `start` that lie at or after it.
#[inline]
fn mask(start: usize) -> usize {
    let bits = (start % WORD * 8) as u32;
    if cfg!(target_endian = "big") { usize::MAX >> bits } else { usize::MAX << bits }
}

/// Whether the canary in `[start, end)`, at least a word, is whole.
///
/// # Safety
/// The words touched by the range are readable.
#[inline(always)]
pub unsafe fn is_whole(start: usize, end: usize, canary: usize) -> bool {
    let mut at = align_down(start, WORD);
    let last = end - WORD;
    // SAFETY: inside the caller's range.
    unsafe {
        let mut difference = (load(at) ^ canary) & mask(start);
        at += WORD;
        if at < last {
            loop {
                let (one, two) = (load(at), load(at + WORD));
                at += 2 * WORD;
                difference |= (one ^ canary) | (two ^ canary);
                if at >= last {
                    break;
                }
            }
        }
        // The last word, once or twice.
        difference | (load(last) ^ canary) == 0
    }
}
