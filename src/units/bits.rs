//! Rounding and range arithmetic on plain integers.

/// Rounds `value` down to a multiple of `alignment` (a power of two).
#[inline]
pub const fn align_down(value: usize, alignment: usize) -> usize {
    value & !(alignment - 1)
}

/// Rounds `value` up to a multiple of `alignment` (a power of two).
/// The caller knows that the result does not overflow.
#[inline]
pub const fn align_up(value: usize, alignment: usize) -> usize {
    align_down(value.wrapping_add(alignment - 1), alignment)
}

/// Rounds `value` up to a multiple of `alignment` (a power of two), or `None`
/// when that does not fit a `usize`.
#[inline]
pub const fn checked_align_up(value: usize, alignment: usize) -> Option<usize> {
    match value.checked_add(alignment - 1) {
        Some(sum) => Some(align_down(sum, alignment)),
        None => None,
    }
}

/// Whether `value` is a multiple of `alignment` (a power of two).
#[inline]
pub const fn is_aligned(value: usize, alignment: usize) -> bool {
    value & (alignment - 1) == 0
}

/// Whether `[a, a + a_len)` and `[b, b + b_len)` share a byte.
#[inline]
pub const fn ranges_overlap(a: usize, a_len: usize, b: usize, b_len: usize) -> bool {
    a < b.saturating_add(b_len) && b < a.saturating_add(a_len)
}

/// The byte at `address` of memory that is filled with `word`, so that words lie
/// at multiples of their size: guards and poison begin and end at any byte.
#[inline]
pub const fn byte_at(word: usize, address: usize) -> u8 {
    let bits = (address as u32) << 3;
    // Of a rotation, only the bits that make it less than a whole turn count.
    if cfg!(target_endian = "big") {
        word.rotate_left(bits.wrapping_add(8)) as u8
    } else {
        word.rotate_right(bits) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_goes_to_multiples_and_refuses_to_wrap() {
        assert_eq!(align_up(1, 16), 16);
        assert_eq!(align_up(16, 16), 16);
        assert_eq!(align_down(31, 16), 16);
        assert_eq!(checked_align_up(usize::MAX - 3, 4096), None);
        assert_eq!(checked_align_up(4097, 4096), Some(8192));
    }

    #[test]
    fn ranges_that_only_touch_do_not_overlap() {
        assert!(!ranges_overlap(0, 16, 16, 16));
        assert!(ranges_overlap(0, 17, 16, 16));
    }
    #[test]
    fn the_bytes_of_a_filled_range_are_anchored_to_addresses() {
        let memory = [(usize::MAX / 0xff * 0x12) ^ 0x0301; 2];
        let start = memory.as_ptr().addr();
        for at in 0..size_of_val(&memory) {
            // SAFETY: inside the array.
            let byte = unsafe { memory.as_ptr().cast::<u8>().add(at).read() };
            assert_eq!(byte_at(memory[0], start + at), byte);
        }
    }
}
