//! Filling memory with a slot's word, and verifying that it is still there.
//!
//! Two tiers by slot size: *whole* (every byte) up to [`Tier::WHOLE_LIMIT`],
//! *edges* above (the first and last 128 bytes and one word of each 64). Loops
//! that end after a data-dependent number of rounds cost a mispredicted branch a
//! call, so up to 256 bytes are done by overlapping vectors (as memcpy does it).
//! Slots start and end at multiples of 16.

use super::pattern::Pattern;
use super::vector::{Vector, all, and, bits, broadcast, equal, store};

/// Bytes at each end of a large free block that are covered whole.
pub const EDGE: usize = 128;

/// How much of a free slot is covered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tier {
    /// Every byte.
    Whole,
    /// The first and last [`EDGE`] bytes, and one word of each 64 bytes.
    Edges,
}

impl Tier {
    /// The largest slot that is covered whole by default: it holds 1 KiB
    /// blocks and their guard.
    pub const WHOLE_LIMIT: usize = 1152;

    /// The default for slots of `bytes` bytes.
    #[inline(always)]
    pub const fn of(bytes: usize) -> Tier {
        if bytes <= Tier::WHOLE_LIMIT { Tier::Whole } else { Tier::Edges }
    }
}

/// Slots up to these sizes are shortest, short and medium: done in line.
pub const SHORTEST: usize = 64;
/// See [`SHORTEST`].
pub const SHORT: usize = 128;
/// See [`SHORTEST`].
pub const MEDIUM: usize = 256;

/// Fills a slot of at most `LARGEST` bytes, [`SHORTEST`], [`SHORT`] or [`MEDIUM`].
///
/// # Safety
/// As [`fill`]; `bytes` is at most `LARGEST`, and at least half of it.
#[inline(always)]
pub unsafe fn fill_short<const LARGEST: usize>(start: usize, bytes: usize, pattern: Pattern) {
    let value = broadcast(pattern.0);
    let at = start as *mut u8;
    // SAFETY: every store below lies within `bytes` of `start`.
    unsafe {
        match LARGEST {
            SHORTEST => fill_pairs::<1>(at, bytes, value),
            SHORT => fill_pairs::<2>(at, bytes, value),
            _ => fill_pairs::<4>(at, bytes, value),
        }
    }
}

/// Whether such a slot still holds its word.
///
/// # Safety
/// As [`verify`]; `bytes` is at most `LARGEST`, and at least half of it.
#[inline(always)]
pub unsafe fn verify_short<const LARGEST: usize>(
    start: usize,
    bytes: usize,
    pattern: Pattern,
) -> bool {
    let want = broadcast(pattern.0);
    let at = start as *const u8;
    // SAFETY: every load below lies within `bytes` of `start`.
    unsafe {
        match LARGEST {
            SHORTEST => all(same_pairs::<1>(at, bytes, want)),
            SHORT => all(same_pairs::<2>(at, bytes, want)),
            _ => all(same_pairs::<4>(at, bytes, want)),
        }
    }
}

/// Bytes before a slot's end that [`holds_before`] can look at.
pub const LAST: usize = 32;

/// Whether the last `bytes` (1 to [`LAST`]) bytes before `end` are the
/// pattern's.
///
/// # Safety
/// `end` ends a slot.
#[inline(always)]
pub unsafe fn holds_before(end: usize, bytes: usize, pattern: Pattern) -> bool {
    let want = broadcast(pattern.0);
    // SAFETY: a slot has at least `LAST` bytes and ends at a multiple of 16.
    let same = unsafe {
        let at = end as *const u8;
        bits(equal(at.sub(32), want)) | bits(equal(at.sub(16), want)) << 16
    };
    // The sign fills up. The count is taken modulo 32: none for 32 bytes.
    (same as i32).wrapping_shr((bytes as u32).wrapping_neg()) == -1
}

/// Writes the pattern into the last [`LAST`] bytes before `end`.
///
/// # Safety
/// `end` ends a slot of which nothing there is needed.
#[inline(always)]
pub unsafe fn fill_before(end: usize, pattern: Pattern) {
    let value = broadcast(pattern.0);
    // SAFETY: a slot has at least `LAST` bytes.
    unsafe {
        let at = end as *mut u8;
        store(at.sub(32), value);
        store(at.sub(16), value);
    }
}

/// Fills the slot at `start` with its word, as far as `tier` covers it.
///
/// # Safety
/// `bytes` (a multiple of 16, at least 32) bytes at `start` (a multiple of 16)
/// are writable and hold nothing that is needed.
#[inline]
pub unsafe fn fill(start: usize, bytes: usize, pattern: Pattern, tier: Tier) {
    let value = broadcast(pattern.0);
    let at = start as *mut u8;
    // SAFETY: every store below lies within `bytes` of `start`.
    unsafe {
        if bytes <= SHORTEST {
            fill_short::<SHORTEST>(start, bytes, pattern);
        } else if bytes <= SHORT {
            fill_short::<SHORT>(start, bytes, pattern);
        } else if bytes <= MEDIUM {
            fill_short::<MEDIUM>(start, bytes, pattern);
        } else if tier == Tier::Whole {
            fill_run(at, bytes, value);
        } else {
            fill_run(at, EDGE, value);
            fill_run(at.add(bytes - EDGE), EDGE, value);
            let mut offset = EDGE;
            while offset < bytes - EDGE {
                at.add(offset).cast::<u64>().write(pattern.0);
                offset += 64;
            }
        }
    }
}

/// `2 * N` blocks of 32 bytes, from both ends, overlapping in the middle.
///
/// # Safety
/// As [`fill`], with `bytes >= 32 * N`.
#[inline(always)]
unsafe fn fill_pairs<const N: usize>(at: *mut u8, bytes: usize, value: Vector) {
    for i in 0..N {
        // SAFETY: 32 * N <= bytes.
        unsafe {
            store(at.add(i * 32), value);
            store(at.add(i * 32 + 16), value);
            store(at.add(bytes - i * 32 - 32), value);
            store(at.add(bytes - i * 32 - 16), value);
        }
    }
}

/// # Safety
/// As [`fill`], with `bytes >= 64`.
#[inline(always)]
unsafe fn fill_run(at: *mut u8, bytes: usize, value: Vector) {
    let mut offset = 0;
    // SAFETY: whole lines below the last one, which ends at `bytes`.
    unsafe {
        while offset < bytes - 64 {
            fill_pairs::<1>(at.add(offset), 64, value);
            offset += 64;
        }
        fill_pairs::<1>(at.add(bytes - 64), 64, value);
    }
}

/// Whether the slot at `start` still holds its word wherever `tier` covers it.
///
/// # Safety
/// `bytes` (a multiple of 16, at least 32) bytes at `start` (a multiple of 16)
/// are readable.
#[inline]
pub unsafe fn verify(start: usize, bytes: usize, pattern: Pattern, tier: Tier) -> bool {
    let want = broadcast(pattern.0);
    let at = start as *const u8;
    // SAFETY: every load below lies within `bytes` of `start`.
    unsafe {
        if bytes <= SHORTEST {
            verify_short::<SHORTEST>(start, bytes, pattern)
        } else if bytes <= SHORT {
            verify_short::<SHORT>(start, bytes, pattern)
        } else if bytes <= MEDIUM {
            verify_short::<MEDIUM>(start, bytes, pattern)
        } else if tier == Tier::Whole {
            all(same_run(at, bytes, want))
        } else {
            let mut sum = 0;
            let mut offset = EDGE;
            while offset < bytes - EDGE {
                sum |= at.add(offset).cast::<u64>().read() ^ pattern.0;
                offset += 64;
            }
            sum == 0
                && all(and(same_run(at, EDGE, want), same_run(at.add(bytes - EDGE), EDGE, want)))
        }
    }
}

/// # Safety
/// As [`verify`], with `bytes >= 32 * N`.
#[inline(always)]
unsafe fn same_pairs<const N: usize>(at: *const u8, bytes: usize, want: Vector) -> Vector {
    let mut same = broadcast(u64::MAX);
    for i in 0..N {
        // SAFETY: 32 * N <= bytes.
        unsafe {
            let a = and(equal(at.add(i * 32), want), equal(at.add(i * 32 + 16), want));
            let b = and(
                equal(at.add(bytes - i * 32 - 32), want),
                equal(at.add(bytes - i * 32 - 16), want),
            );
            same = and(same, and(a, b));
        }
    }
    same
}

/// # Safety
/// As [`verify`], with `bytes >= 64`.
#[inline(always)]
unsafe fn same_run(at: *const u8, bytes: usize, want: Vector) -> Vector {
    let mut same = broadcast(u64::MAX);
    let mut offset = 0;
    // SAFETY: whole lines below the last one, which ends at `bytes`.
    unsafe {
        while offset < bytes - 64 {
            same = and(same, same_pairs::<1>(at.add(offset), 64, want));
            offset += 64;
        }
        and(same, same_pairs::<1>(at.add(bytes - 64), 64, want))
    }
}

/// The first covered byte of a free slot that differs, and how many covered
/// bytes differ in all: for the report, after [`verify`] failed.
///
/// # Safety
/// As [`verify`].
pub unsafe fn first_difference(
    start: usize,
    bytes: usize,
    pattern: Pattern,
    tier: Tier,
) -> Option<(usize, usize)> {
    let covered = |offset: usize| {
        tier == Tier::Whole || offset < EDGE || offset >= bytes - EDGE || offset & 63 < 8
    };
    // SAFETY: offsets stay below `bytes`.
    unsafe { count(start, (0..bytes).filter(|&offset| covered(offset)), pattern) }
}

/// # Safety
/// The bytes at `start` plus each offset are readable.
pub(super) unsafe fn count(
    start: usize,
    offsets: impl Iterator<Item = usize>,
    pattern: Pattern,
) -> Option<(usize, usize)> {
    let mut found = None;
    for offset in offsets {
        let address = start + offset;
        // SAFETY: the caller's promise.
        if unsafe { (address as *const u8).read_volatile() } != pattern.byte(address) {
            let (first, changed) = found.unwrap_or((address, 0));
            found = Some((first, changed + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    #[repr(align(64))]
    struct Buffer([u8; 8192]);

    #[test]
    fn the_last_bytes_are_looked_at_and_no_others() {
        let pattern = Pattern::at(0x4_3210);
        let mut buffer = Buffer([0; 8192]);
        let end = buffer.0.as_ptr() as usize + 128;
        for bytes in 1..=LAST {
            for offset in 0..128 {
                buffer.0[offset] = if offset + bytes >= 128 { pattern.byte(offset) } else { b'.' };
            }
            // SAFETY: inside the buffer.
            assert!(unsafe { holds_before(end, bytes, pattern) }, "{bytes}");
            for damaged in 128 - bytes..128 {
                buffer.0[damaged] ^= 1;
                // SAFETY: as above.
                assert!(!unsafe { holds_before(end, bytes, pattern) }, "{bytes} {damaged}");
                buffer.0[damaged] ^= 1;
            }
        }
    }

    #[test]
    fn each_covered_byte_of_each_size_is_guarded_and_no_other_is_touched() {
        let pattern = Pattern::at(0x4_3210);
        for bytes in (32..=1600).step_by(16).chain([2048, 4096, 8000]) {
            for tier in [Tier::of(bytes), Tier::Whole] {
                let mut buffer = std::boxed::Box::new(Buffer([0; 8192]));
                let start = buffer.0.as_mut_ptr() as usize + 64;
                // SAFETY: the slot lies inside the buffer.
                unsafe { fill(start, bytes, pattern, tier) };
                assert!(
                    buffer.0[..64].iter().chain(&buffer.0[64 + bytes..]).all(|&byte| byte == 0)
                );
                let mut covered = vec![];
                for offset in 0..bytes {
                    let old = buffer.0[64 + offset];
                    buffer.0[64 + offset] = !old;
                    // SAFETY: as above.
                    unsafe {
                        let whole = verify(start, bytes, pattern, tier);
                        let found = first_difference(start, bytes, pattern, tier);
                        if whole {
                            assert_eq!(found, None, "{bytes} {offset}");
                        } else {
                            assert_eq!(found, Some((start + offset, 1)));
                            covered.push(offset);
                        }
                    }
                    buffer.0[64 + offset] = old;
                }
                // SAFETY: as above.
                assert!(unsafe { verify(start, bytes, pattern, tier) });
                let expected = (0..bytes).filter(|&offset| {
                    tier == Tier::Whole
                        || offset < EDGE
                        || offset >= bytes - EDGE
                        || offset & 63 < 8
                });
                assert_eq!(covered, expected.collect::<vec::Vec<_>>(), "{bytes} {tier:?}");
            }
        }
    }
}
