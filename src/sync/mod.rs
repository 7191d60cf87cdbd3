//! Sync: the atomics, the once and the lock that the allocator may use.
//!
//! Invariant: nothing here allocates; a lock knows its rank, and locks are
//! taken in rising rank only (jemalloc's witness), which debug builds check.

pub mod atomics;
#[cfg(feature = "interleave")]
pub mod interleave;
mod lock;
mod once;
#[cfg(all(test, feature = "interleave"))]
mod orders;

pub use lock::{Guard, Lock, Rank};
pub use once::Once;
