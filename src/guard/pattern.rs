//! The pattern: one 64-bit word a slot that names the slot.
//!
//! ```text
//!   byte 7   byte 6   byte 5   byte 4   byte 3   byte 2   byte 1   byte 0
//!  | 0x9D   | 0xC7   | 0xA0|5 | 7<<1|1 | 0x80|6 | 0x80|6 | 0x80|6 | 0x80|6 |
//!                      start,   start,   granule, bits     bits     bits
//!                      11..7    6..0     5..0     11..6    17..12   23..18
//! ```
//!
//! * Not canonical, whichever page-table depth, also read askew: following a
//!   pointer read from free memory faults at once on x86_64 (Intel SDM vol. 1,
//!   3.3.7.1).
//! * *start* is in units of 16 bytes from the granule's. Its bits lie side by
//!   side: a slot's word is the address, shifted, plus a number that its granule
//!   keeps. So the word of the slot before is the word less the slot's size,
//!   shifted; where no slot lies before, it borrows from byte 5 and names none.
//! * The granule's lowest bits are in byte 3: a word with a field's offset added
//!   names no granule near by.
//! * No byte is zero: a string that runs one byte over, which writes a zero,
//!   changes the guard.
//! * It decodes to the slot, so the fault handler can name the block.
//!
//! Bytes are anchored to addresses: the byte at address `a` is byte `a % 8` of
//! its slot's word.

use crate::units::{GRANULE, WINDOW, byte_at};

/// Bytes of guard that follow every block at least.
pub const GUARD_BYTES: usize = 8;

const TAG: u64 = 0x9dc7 << 48;
const ONES: u64 = 0xa0 << 40 | 1 << 32 | 0x8080_8080;
const ZEROS: u64 = 0x40 << 40 | 0x4040_4040;
/// From a byte's address to its slot's start in the word.
const SHIFT: u32 = 33 - 4;

/// A slot's word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Pattern(pub u64);

impl Pattern {
    /// What [`Pattern::of_slot`] takes for the granule with this index, for
    /// addresses from where the window begins at `base` (0: offsets).
    pub const fn of_granule(index: u32, base: usize) -> u64 {
        let i = index as u64;
        let bits = (i & 0x3f) << 24 | (i >> 6 & 0x3f) << 16 | (i >> 12 & 0x3f) << 8 | i >> 18;
        let start = (base + index as usize * GRANULE) as u64;
        (TAG | ONES | bits).wrapping_sub(start << SHIFT)
    }

    /// The word of the slot that starts at `address`, in a granule whose part
    /// is `granule`.
    #[inline(always)]
    pub const fn of_slot(granule: u64, address: usize) -> Pattern {
        Pattern(granule.wrapping_add((address as u64) << SHIFT))
    }

    /// The word of a slot of `slot` bytes right before this word's.
    #[inline(always)]
    pub const fn before(self, slot: usize) -> Pattern {
        Pattern(self.0.wrapping_sub((slot as u64) << SHIFT))
    }

    /// Whether `word` is what [`before`](Pattern::before) gives.
    #[inline(always)]
    pub const fn is_before(self, slot: usize, word: u64) -> bool {
        word.wrapping_add((slot as u64) << SHIFT) == self.0
    }

    /// The word of the slot that starts `offset` bytes into the window.
    #[inline]
    pub const fn at(offset: usize) -> Pattern {
        Pattern::of_slot(Pattern::of_granule((offset / GRANULE) as u32, 0), offset)
    }

    /// The slot's offset in the window, if the word is a pattern at all.
    pub const fn decode(word: u64) -> Option<usize> {
        if word & (0xffff << 48 | ONES) != TAG | ONES || word & ZEROS != 0 {
            return None;
        }
        let unit = word >> 33 & 0xfff;
        let granule = word >> 24 & 0x3f
            | (word >> 16 & 0x3f) << 6
            | (word >> 8 & 0x3f) << 12
            | (word & 0x3f) << 18;
        let offset = granule as usize * GRANULE + unit as usize * 16;
        if offset < WINDOW { Some(offset) } else { None }
    }

    /// The word as eight bytes at `address` read (little-endian).
    #[inline(always)]
    pub const fn seen_from(self, address: usize) -> u64 {
        self.0.rotate_right((address as u32 & 7) * 8)
    }

    /// The byte at `address`.
    #[inline(always)]
    pub const fn byte(self, address: usize) -> u8 {
        byte_at(self.0 as usize, address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_start_decodes_to_itself_and_no_byte_is_zero() {
        let base = (2 << 40) + 0x1234 * GRANULE;
        for granule in [0usize, 1, 63, 64, 4095, 4096, 0x3ffff, 0xff_ffff] {
            for unit in 0..4096 {
                let offset = granule * GRANULE + unit * 16;
                let word = Pattern::at(offset);
                assert_eq!(Pattern::decode(word.0), Some(offset));
                assert!(word.0.to_le_bytes().iter().all(|&byte| byte != 0));
                let part = Pattern::of_granule(granule as u32, base);
                assert_eq!(Pattern::of_slot(part, base + offset), word);
                for turned in 0..8 {
                    let upper = word.0.rotate_left(turned * 8) >> 56;
                    let next = word.0.rotate_left(turned * 8) >> 48 & 0xff;
                    assert!(!matches!((upper, next), (0, _) | (0xff, 0xc0..)), "{word:x?}");
                }
            }
        }
    }

    #[test]
    fn the_word_before_is_its_slots_or_nobodys() {
        for (unit, slot) in [(2usize, 32usize), (100, 320), (4095, 1152), (3, 64), (0, 36864)] {
            let offset = 7 * GRANULE + unit * 16;
            let before = Pattern::at(offset).before(slot);
            let there = Pattern::decode(before.0);
            assert_eq!(there, (unit * 16 >= slot).then(|| offset - slot));
            assert!(before.0.to_le_bytes().iter().all(|&byte| byte != 0));
        }
    }

    #[test]
    fn words_are_not_canonical_and_ordinary_words_are_no_patterns() {
        let word = Pattern::at(0x12_3450).0;
        assert!(!matches!(word >> 47, 0 | 0x1ffff));
        assert!(!matches!(word >> 56, 0 | 0xff));
        for other in [0, u64::MAX, 0x7fff_ffff_ffff, word ^ 0x40, word ^ 1 << 63] {
            assert_eq!(Pattern::decode(other), None);
        }
    }
}
