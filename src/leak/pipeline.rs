//! A short queue between finding a pointer and looking at its block's bits,
//! so that the bits are in the cache by then.

use super::tiles::Place;

const LENGTH: usize = 32;

/// A pointer that was found.
#[derive(Clone, Copy)]
pub struct Found {
    /// The block; `head` is `u32::MAX` for none.
    pub place: Place,
    /// The number of its group.
    pub group: u32,
    /// What was read when it was found, for `Parents`.
    pub source: u32,
    /// Bytes from the block's start to where it points.
    pub inside: usize,
}

const NOBODY: Found =
    Found { place: Place { head: u32::MAX, slot: 0 }, group: 0, source: 0, inside: 0 };

/// Pointers found but not looked at yet.
pub struct Pipeline {
    places: [Found; LENGTH],
    next: usize,
}

impl Pipeline {
    /// An empty one.
    pub fn new() -> Pipeline {
        Pipeline { places: [NOBODY; LENGTH], next: 0 }
    }

    /// Takes one in and gives the oldest out.
    #[inline(always)]
    pub fn pass(&mut self, found: Found) -> Found {
        let slot = self.next % LENGTH;
        self.next = self.next.wrapping_add(1);
        core::mem::replace(&mut self.places[slot], found)
    }

    /// Gives all out.
    pub fn empty(&mut self) -> [Found; LENGTH] {
        core::mem::replace(&mut self.places, [NOBODY; LENGTH])
    }
}

/// Asks for the cache line at `address`.
#[inline(always)]
pub fn prefetch(address: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint for which any address is allowed.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(
            address as *const i8,
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
