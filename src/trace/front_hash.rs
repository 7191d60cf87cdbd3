//! The front cache's hash: of a return address and a stack pointer by 32 bits,
//! which is what the usual look pays for, and on from there word by word.
//!
//! Invariant: what is found by a hash is proved by words; it may collide.

/// Bits of a place in the index.
pub const INDEX_BITS: u32 = 12;

/// The hash of a key and of the words looked at so far.
#[derive(Clone, Copy)]
pub struct Hash(u64);

impl Hash {
    /// Of a key alone.
    #[inline(always)]
    pub fn of(caller: usize, sp: usize) -> Hash {
        Hash(u64::from(Hash::mixed(caller, sp)) << 32)
    }
    #[inline(always)]
    fn mixed(caller: usize, sp: usize) -> u32 {
        ((sp as u32).wrapping_mul(0x9e37_79b1) ^ caller as u32).wrapping_mul(0x85eb_ca6b)
    }
    /// The place of [`Hash::of`] these.
    #[inline(always)]
    pub fn first_place(caller: usize, sp: usize) -> usize {
        (Hash::mixed(caller, sp) >> (32 - INDEX_BITS)) as usize
    }
    /// The hash with one more word.
    #[inline(always)]
    pub fn and(self, word: u64) -> Hash {
        Hash((self.0.rotate_left(29) ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93))
    }
    /// Where in the index its entry is looked for first.
    #[inline(always)]
    pub fn place(self) -> usize {
        (self.0 >> (64 - INDEX_BITS)) as usize
    }
    /// What tells it from others there, mostly.
    #[inline(always)]
    pub fn tag(self) -> u16 {
        (self.0 >> (64 - INDEX_BITS - 16)) as u16
    }
}

/// The same word. What is computed from it waits for it: in one register, where
/// the compiler would take several to do it in another order.
#[inline(always)]
pub fn in_order(mut word: u64) -> u64 {
    // SAFETY: no instruction.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) word,
            options(pure, nomem, nostack, preserves_flags));
    }
    word
}
