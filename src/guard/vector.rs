//! Sixteen bytes at a time: SSE2 on x86_64, 128-bit words elsewhere.

#[cfg(target_arch = "x86_64")]
pub use sse2::{Vector, and, bits, broadcast, equal, store};
#[cfg(not(target_arch = "x86_64"))]
pub use words::{Vector, and, bits, broadcast, equal, store};

#[cfg(target_arch = "x86_64")]
mod sse2 {
    pub use core::arch::x86_64::__m128i as Vector;
    use core::arch::x86_64::*;

    #[inline(always)]
    pub fn broadcast(word: u64) -> Vector {
        // SAFETY: SSE2 is part of x86_64.
        unsafe { _mm_set1_epi64x(word as i64) }
    }
    /// All ones in each byte that is equal.
    ///
    /// # Safety
    /// 16 bytes at `at` are readable.
    #[inline(always)]
    pub unsafe fn equal(at: *const u8, want: Vector) -> Vector {
        // SAFETY: the caller's promise.
        unsafe { _mm_cmpeq_epi8(_mm_loadu_si128(at.cast()), want) }
    }
    /// # Safety
    /// 16 bytes at `at` are writable.
    #[inline(always)]
    pub unsafe fn store(at: *mut u8, value: Vector) {
        // SAFETY: the caller's promise.
        unsafe { _mm_storeu_si128(at.cast(), value) }
    }
    #[inline(always)]
    pub fn and(a: Vector, b: Vector) -> Vector {
        // SAFETY: SSE2 is part of x86_64.
        unsafe { _mm_and_si128(a, b) }
    }
    /// A bit for each byte of what `equal` gave.
    #[inline(always)]
    pub fn bits(a: Vector) -> u32 {
        // SAFETY: SSE2 is part of x86_64.
        unsafe { _mm_movemask_epi8(a) as u32 }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod words {
    pub type Vector = u128;

    #[inline(always)]
    pub fn broadcast(word: u64) -> Vector {
        (word as u128) << 64 | word as u128
    }
    /// All ones in each byte that is equal.
    ///
    /// # Safety
    /// 16 bytes at `at` are readable.
    #[inline(always)]
    pub unsafe fn equal(at: *const u8, want: Vector) -> Vector {
        // SAFETY: the caller's promise.
        let differ = unsafe { at.cast::<u128>().read_unaligned() ^ want };
        (0..16).map(|byte| 0xff << (byte * 8)).filter(|byte| differ & byte == 0).sum()
    }
    /// # Safety
    /// 16 bytes at `at` are writable.
    #[inline(always)]
    pub unsafe fn store(at: *mut u8, value: Vector) {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<u128>().write_unaligned(value) }
    }
    #[inline(always)]
    pub fn and(a: Vector, b: Vector) -> Vector {
        a & b
    }
    /// A bit for each byte of what `equal` gave.
    #[inline(always)]
    pub fn bits(a: Vector) -> u32 {
        (0..16).fold(0, |bits, byte| bits | ((a >> (byte * 8) & 1) as u32) << byte)
    }
}

/// Whether every byte was equal.
#[inline(always)]
pub fn all(a: Vector) -> bool {
    bits(a) == 0xffff
}
