//! Guard: the bytes around and inside blocks that nobody may write.
//!
//! One pattern serves as guard and as poison: a slot's unused bytes and a
//! free slot's bytes all hold the slot's word, so malloc that takes a
//! verified slot has its guard in place and stores nothing for it.
//!
//! Invariant: outside a live block's own bytes, every covered byte of a slab
//! holds its slot's pattern.

#[cfg(target_arch = "x86_64")]
pub mod instruction;
mod pattern;
mod poison;
mod range;
mod vector;
mod violation;

pub use pattern::{GUARD_BYTES, Pattern};
pub use poison::{
    EDGE, LAST, MEDIUM, SHORT, SHORTEST, Tier, fill, fill_before, fill_short, first_difference,
    holds_before, verify, verify_short,
};
pub use range::{first_guard_difference, holds, write};
pub use violation::{Violation, ViolationKind};
