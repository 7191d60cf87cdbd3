//! Slab: runs of slots of one size class.
//!
//! ```text
//!  |pad| slot 0        | slot 1        | slot 2        | …          |tail pad|
//!       \__ block __/g   g = at least 8 guard bytes, part of the slot
//! ```
//!
//! A slab is 64 KiB for slots up to 1152 bytes, 512 KiB above. Its first slot
//! starts at a multiple of the largest power of two that divides the slot
//! size (at most a page), so aligned blocks are slots like all others; the pad
//! before it holds the pattern too: it guards slot 0 from below.
//!
//! Invariant: free slots are chained through their records, never through
//! their memory.

mod size_class;

pub use size_class::{CLASSES, MEDIUM_LIMIT, SMALL_CLASSES, SMALL_UNITS, SizeClass};
