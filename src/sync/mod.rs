//! Sync: the atomics and the lock that the allocator may use.
//!
//! Invariant: nothing here allocates; a lock knows its rank, and locks are
//! taken in rising rank only (jemalloc's witness), which debug builds check.

pub mod atomics;
mod lock;

pub use lock::{Guard, Lock, Rank};
