//! The switch: every atomic of the library comes from here.
//!
//! An ordinary build takes `core`'s. With the feature `interleave` they are
//! those of `super::interleave`: of the same size and layout, and usable in
//! statics and raw memory just so, but two model checkers decide what they do.
//!
//! Invariant: nothing else names `core::sync::atomic`, but for the global
//! allocator of the symbol child, which serves the checkers too. This
//! file lies below every floor.

#[cfg(not(feature = "interleave"))]
mod chosen {
    pub use core::hint::spin_loop;
    pub use core::sync::atomic::{
        AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize,
    };

    /// Tells the model checkers that plain memory is read here.
    #[inline(always)]
    pub fn reads<T>(_place: *const T) {}

    /// Tells the model checkers that plain memory is written here.
    #[inline(always)]
    pub fn writes<T>(_place: *const T) {}

    /// How often a held lock is looked at before its taker sleeps.
    pub const SPINS: u32 = 100;
}

#[cfg(feature = "interleave")]
mod chosen {
    pub use super::super::interleave::{
        AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, reads,
        spin_loop, writes,
    };

    /// One look is as good as a hundred to a checker that tries every order.
    pub const SPINS: u32 = 1;
}

pub use chosen::*;
pub use core::sync::atomic::{Ordering, compiler_fence};
