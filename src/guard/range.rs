//! The pattern in any stretch of a slot: guards, whose bounds are what the
//! program asked for.
//!
//! ```text
//!   from ─ 64 ─ 64 ─ … ─ 64 ─┐ to          up to 64 bytes: two halves that
//!                └──── 64 ───┘             meet or overlap, as memcpy does it
//! ```
//!
//! The pattern repeats every 8 bytes, so what a vector at `from` sees it sees at
//! every multiple of 8 from there: no step has to be aligned.

use super::pattern::Pattern;
use super::poison::count;
use super::vector::{Vector, all, and, broadcast, equal, store};

/// The first byte of `[start + from, start + to)` that differs, and how many do.
///
/// # Safety
/// Those bytes are readable.
pub unsafe fn first_guard_difference(
    start: usize,
    from: usize,
    to: usize,
    pattern: Pattern,
) -> Option<(usize, usize)> {
    // SAFETY: the caller's promise.
    unsafe {
        if holds(start + from, start + to, pattern) {
            return None;
        }
        count(start, from..to, pattern)
    }
}

/// Whether every byte of `[from, to)` is the pattern's.
///
/// # Safety
/// Those bytes are readable.
#[inline]
pub unsafe fn holds(from: usize, to: usize, pattern: Pattern) -> bool {
    let bytes = to - from;
    // SAFETY: the caller's promise; nothing below goes beyond either end.
    unsafe {
        match bytes {
            0..8 => holds_bytes(from, to, pattern),
            8..16 => {
                let (first, last) = (from as *const u64, (to - 8) as *const u64);
                first.read_unaligned() == pattern.seen_from(from)
                    && last.read_unaligned() == pattern.seen_from(to - 8)
            }
            16..=32 => all(and(same::<1>(from, pattern), same::<1>(to - 16, pattern))),
            33..=64 => all(and(same::<2>(from, pattern), same::<2>(to - 32, pattern))),
            _ => {
                let mut whole = same::<4>(to - 64, pattern);
                let mut at = from;
                while at < to - 64 {
                    whole = and(whole, same::<4>(at, pattern));
                    at += 64;
                }
                all(whole)
            }
        }
    }
}

/// Writes the pattern into `[from, to)`.
///
/// # Safety
/// Those bytes are writable and hold nothing that is needed.
#[inline]
pub unsafe fn write(from: usize, to: usize, pattern: Pattern) {
    let bytes = to - from;
    // SAFETY: the caller's promise; nothing below goes beyond either end.
    unsafe {
        match bytes {
            0..8 => (from..to).for_each(|at| (at as *mut u8).write(pattern.byte(at))),
            8..16 => {
                (from as *mut u64).write_unaligned(pattern.seen_from(from));
                ((to - 8) as *mut u64).write_unaligned(pattern.seen_from(to - 8));
            }
            16..=32 => {
                put::<1>(from, pattern);
                put::<1>(to - 16, pattern);
            }
            33..=64 => {
                put::<2>(from, pattern);
                put::<2>(to - 32, pattern);
            }
            _ => {
                let mut at = from;
                while at < to - 64 {
                    put::<4>(at, pattern);
                    at += 64;
                }
                put::<4>(to - 64, pattern);
            }
        }
    }
}

/// # Safety
/// As [`holds`].
#[inline(never)]
unsafe fn holds_bytes(from: usize, to: usize, pattern: Pattern) -> bool {
    // SAFETY: the caller's promise.
    (from..to).all(|at| unsafe { (at as *const u8).read_volatile() } == pattern.byte(at))
}

/// Which of the `N` vectors from `at` on hold the pattern, put together.
///
/// # Safety
/// 16 * `N` bytes at `at` are readable.
#[inline(always)]
unsafe fn same<const N: usize>(at: usize, pattern: Pattern) -> Vector {
    let want = broadcast(pattern.seen_from(at));
    let mut whole = broadcast(u64::MAX);
    for i in 0..N {
        // SAFETY: the caller's promise.
        whole = and(whole, unsafe { equal((at + 16 * i) as *const u8, want) });
    }
    whole
}

/// Writes `N` vectors from `at` on.
///
/// # Safety
/// 16 * `N` bytes at `at` are writable.
#[inline(always)]
unsafe fn put<const N: usize>(at: usize, pattern: Pattern) {
    let value = broadcast(pattern.seen_from(at));
    for i in 0..N {
        // SAFETY: the caller's promise.
        unsafe { store((at + 16 * i) as *mut u8, value) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(64))]
    struct Buffer([u8; 512]);

    #[test]
    fn every_stretch_is_written_whole_and_each_byte_of_it_is_looked_at() {
        let pattern = Pattern::at(0x4_3210);
        for from in 64..81 {
            for to in (from..from + 90).chain([from + 127, from + 128, from + 129, from + 300]) {
                let mut buffer = Buffer([b'.'; 512]);
                let base = buffer.0.as_mut_ptr() as usize;
                // SAFETY: inside the buffer.
                unsafe { write(base + from, base + to, pattern) };
                for (at, &byte) in buffer.0.iter().enumerate() {
                    let expected =
                        if (from..to).contains(&at) { pattern.byte(base + at) } else { b'.' };
                    assert_eq!(byte, expected, "{from} {to} {at}");
                }
                for at in from.saturating_sub(16)..to + 16 {
                    buffer.0[at] ^= 1;
                    // SAFETY: as above.
                    let whole = unsafe { holds(base + from, base + to, pattern) };
                    assert_eq!(whole, !(from..to).contains(&at), "{from} {to} {at}");
                    buffer.0[at] ^= 1;
                }
            }
        }
    }
}
