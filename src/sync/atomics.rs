//! The switch: every atomic of the library comes from here.
//!
//! Invariant: nothing else in the library names `core::sync::atomic`. This
//! file lies below every floor.

pub use core::hint::spin_loop;
pub use core::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    compiler_fence,
};

/// How often a held lock is looked at before its taker sleeps.
pub const SPINS: u32 = 100;
