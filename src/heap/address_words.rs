//! Words that look like addresses of blocks: their upper halves are alike.
//!
//! Two words an instruction, and no branch for each: free looks at every block
//! this way, and only one that may hold an address is looked at word by word
//! ([`super::orphans`]).
//!
//! Invariant: "no" is never wrong for the words looked at, as long as the heap
//! has less than 64 GiB.

use crate::memory::Window;
use crate::sync::atomics::{AtomicU32, Ordering::Relaxed};

/// The upper half of the window's addresses without the bits that differ in
/// its first 64 GiB, where it is aligned to that; all ones: nobody asks.
static UPPER: Four = Four([const { AtomicU32::new(u32::MAX) }; 4]);
const UPPER_MASK: u32 = !0xf;

/// Four times the same, to be read at once.
#[repr(C, align(16))]
struct Four([AtomicU32; 4]);

/// Turns the notes of what freed blocks held on or off.
pub fn watch_holders(wanted: bool) {
    Window::settle();
    let upper = (Window::base() >> 32) as u32;
    let upper = if wanted { upper & UPPER_MASK } else { u32::MAX };
    UPPER.0.iter().for_each(|one| one.store(upper, Relaxed));
}

/// Whether the notes are on.
pub(super) fn is_watched() -> bool {
    UPPER.0[0].load(Relaxed) != u32::MAX
}

/// Whether a block may hold addresses of blocks: one of its first 256 bytes'
/// words looks like one. Never wrong with "no" for what lies there, as long as
/// the heap has less than 64 GiB.
///
/// # Safety
/// `slot` (a multiple of 16, at least 32) bytes at `start` (a multiple of 16)
/// are readable.
#[inline(always)]
pub(super) unsafe fn may_hold(start: usize, slot: usize) -> bool {
    let upper = upper();
    // SAFETY: every pair below lies within the first `slot` bytes.
    unsafe {
        let pair = |offset: usize| pair(start + offset, upper);
        let any = |pair| matching(pair) != 0;
        if slot <= 64 {
            any(or(pair(0), pair(slot - 32)))
        } else if slot <= 128 {
            any(or(or(pair(0), pair(32)), or(pair(slot - 64), pair(slot - 32))))
        } else {
            let last = if slot < 256 { slot } else { 256 } - 128;
            let first = or(or(pair(0), pair(32)), or(pair(64), pair(96)));
            let pair = |offset: usize| pair(last + offset);
            any(or(first, or(or(pair(0), pair(32)), or(pair(64), pair(96)))))
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use vector::{matching, or, pair, upper};
#[cfg(not(target_arch = "x86_64"))]
pub(super) use words::{matching, or, pair, upper};

#[cfg(target_arch = "x86_64")]
mod vector {
    use core::arch::x86_64::*;

    /// What upper halves are compared with.
    #[inline(always)]
    pub fn upper() -> __m128i {
        if cfg!(heapwarden_sanitized = "thread") {
            // SAFETY: as below. To its run-time library the other is a race.
            return unsafe { _mm_set1_epi32(super::UPPER.0[0].load(super::Relaxed) as i32) };
        }
        // SAFETY: sixteen aligned bytes, of which each four are only ever
        // written whole, and all the same. SSE2 is part of x86_64.
        unsafe { (&raw const super::UPPER).cast::<__m128i>().read_volatile() }
    }

    /// Which of the four words at `at` have that upper half, masked.
    ///
    /// # Safety
    /// 32 bytes at `at`, a multiple of 16, are readable.
    #[inline(always)]
    pub unsafe fn pair(at: usize, upper: __m128i) -> __m128i {
        // SAFETY: the caller's promise; SSE2 is part of x86_64.
        unsafe {
            let (low, high) = (_mm_load_ps(at as *const f32), _mm_load_ps((at + 16) as *const f32));
            let uppers = _mm_castps_si128(_mm_shuffle_ps::<0b11_01_11_01>(low, high));
            let mask = _mm_set1_epi32(super::UPPER_MASK as i32);
            _mm_cmpeq_epi32(_mm_and_si128(uppers, mask), upper)
        }
    }
    #[inline(always)]
    pub fn or(a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: SSE2 is part of x86_64.
        unsafe { _mm_or_si128(a, b) }
    }
    /// A bit for each word.
    #[inline(always)]
    pub fn matching(pair: __m128i) -> u32 {
        // SAFETY: SSE2 is part of x86_64.
        unsafe { _mm_movemask_ps(_mm_castsi128_ps(pair)) as u32 }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod words {
    #[inline(always)]
    pub fn upper() -> u32 {
        super::UPPER.0[0].load(super::Relaxed)
    }
    /// # Safety
    /// 32 bytes at `at`, a multiple of 16, are readable.
    #[inline(always)]
    pub unsafe fn pair(at: usize, upper: u32) -> u32 {
        (0..4).fold(0, |bits, word| {
            // SAFETY: the caller's promise.
            let value = unsafe { ((at + word * 8) as *const u64).read() };
            bits | u32::from((value >> 32) as u32 & super::UPPER_MASK == upper) << word
        })
    }
    #[inline(always)]
    pub fn or(a: u32, b: u32) -> u32 {
        a | b
    }
    #[inline(always)]
    pub fn matching(pair: u32) -> u32 {
        pair
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(64))]
    struct Slot([u64; 64]);

    #[test]
    fn a_word_that_looks_like_an_address_is_seen_wherever_it_stands() {
        watch_holders(true);
        let mut slot = Slot([7; 64]);
        let start = slot.0.as_ptr() as usize;
        for bytes in (32..=512).step_by(16) {
            // SAFETY: inside the slot.
            assert!(!unsafe { may_hold(start, bytes) }, "{bytes} bytes of small numbers");
            for word in 0..bytes / 8 {
                slot.0[word] = (Window::base() + 0x1_2345_6780) as u64;
                // SAFETY: as above.
                assert_eq!(unsafe { may_hold(start, bytes) }, word < 32, "{word} of {bytes}");
                slot.0[word] = 7;
            }
        }
    }
}
