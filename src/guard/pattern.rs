//! The pattern: one 64-bit word a slot that names the slot.
//!
//! ```text
//!   byte 7   byte 6   byte 5   byte 4   byte 3   byte 2   byte 1   byte 0
//!  | 0x9D   | 0xC7   | 0x80|6 | 0x80|6 | 0x80|6 | 0x80|6 | 0x80|6 | 0x80|6 |
//!                      granule, bits     start,   granule, bits     start,
//!                      23..18   17..12   11..6    11..6    5..0     5..0
//! ```
//!
//! * Not canonical, whichever page-table depth: following a pointer read from
//!   free memory faults at once on x86_64 (Intel SDM vol. 1, 3.3.7.1).
//! * *start* is in units of 16 bytes from the granule's: doubled by
//!   a shift and masked, its two halves are where they belong.
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
const TOP_BITS: u64 = 0x8080_8080_8080;

/// A slot's word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Pattern(pub u64);

impl Pattern {
    /// The part of the word that the granule with this index gives.
    pub const fn of_granule(index: u32) -> u64 {
        let i = index as u64;
        TAG | TOP_BITS
            | (i & 0x3f) << 8
            | (i >> 6 & 0x3f) << 16
            | (i >> 12 & 0x3f) << 32
            | (i >> 18 & 0x3f) << 40
    }

    /// The word of the slot that starts `offset` bytes into the window, in a
    /// granule whose part is `granule`.
    #[inline(always)]
    pub const fn of_slot(granule: u64, offset: usize) -> Pattern {
        let unit = (offset as u64 & 0xffff) >> 4;
        Pattern(granule | ((unit | unit << 18) & 0x3f00_003f))
    }

    /// The word of the slot that starts `offset` bytes into the window.
    pub const fn at(offset: usize) -> Pattern {
        Pattern::of_slot(Pattern::of_granule((offset / GRANULE) as u32), offset)
    }

    /// The slot's offset in the window, if the word is a pattern at all.
    pub const fn decode(word: u64) -> Option<usize> {
        if word & (0xffff << 48 | TOP_BITS) != TAG | TOP_BITS || word & 0x4040_4040_4040 != 0 {
            return None;
        }
        let unit = word & 0x3f | (word >> 24 & 0x3f) << 6;
        let granule = word >> 8 & 0x3f
            | (word >> 16 & 0x3f) << 6
            | (word >> 32 & 0x3f) << 12
            | (word >> 40 & 0x3f) << 18;
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
        for granule in [0usize, 1, 63, 64, 4095, 4096, 0x3ffff, 0xff_ffff] {
            for unit in 0..4096 {
                let offset = granule * GRANULE + unit * 16;
                let word = Pattern::at(offset);
                assert_eq!(Pattern::decode(word.0), Some(offset));
                assert!(word.0.to_le_bytes().iter().all(|&byte| byte >= 0x80));
            }
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
