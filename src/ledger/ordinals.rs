//! Ordinals: which of its call stack's allocations a block was, the 17th or
//! the 402nd. Kept only where the option `ordinals` asks for it.
//!
//! ```text
//!   counts     by stack id:   allocations so far          4096 a table
//!   ordinals   by address:    granule → table → word (offset / 32)
//! ```
//!
//! No two blocks begin in the same 32 bytes, so a table of 2048 words serves a
//! granule whatever its slots are; it is made when the first block of the
//! granule is noted, and costs an eighth of the memory that blocks begin in.
//!
//! Invariant: tables are published once and never freed; 0 is unknown. A word
//! is written before the block is handed out and outlives it, so it is only
//! worth what the block's record is: read it for blocks that are live.

use crate::memory::{GRANULE, Window, allocate_metadata};
use crate::sync::atomics::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::units::{StackId, WINDOW};
use core::ptr::null_mut;

static IS_WANTED: AtomicBool = AtomicBool::new(false);

const COUNTS: usize = 4096;
/// Smallest distance of two blocks' starts.
const APART: usize = 32;
const WORDS: usize = GRANULE / APART;
const GRANULES: usize = 4096;

/// How many allocations each stack made.
type Counts = [AtomicU64; COUNTS];
/// The ordinals of the blocks that begin in one granule.
type Words = [AtomicU32; WORDS];
type Granules = [AtomicPtr<Words>; GRANULES];

static COUNTS_OF_STACKS: [AtomicPtr<Counts>; (1 << StackId::BITS) / COUNTS] =
    [const { AtomicPtr::new(null_mut()) }; (1 << StackId::BITS) / COUNTS];
static ORDINALS: [AtomicPtr<Granules>; WINDOW / GRANULE / GRANULES] =
    [const { AtomicPtr::new(null_mut()) }; WINDOW / GRANULE / GRANULES];

/// Sets whether [`note_ordinal`] notes anything.
pub fn want_ordinals(wanted: bool) {
    IS_WANTED.store(wanted, Relaxed);
}

/// Whether ordinals are kept.
pub fn has_ordinals() -> bool {
    IS_WANTED.load(Relaxed)
}

/// The table behind `place`, if it is made.
fn table<T>(place: &AtomicPtr<T>) -> Option<&'static T> {
    let table = place.load(Acquire);
    // SAFETY: null, or published whole below; tables are never freed.
    unsafe { table.as_ref() }
}

/// The table behind `place`, made if need be; `None` without memory.
///
/// `T` is an array of atomics, for which zero is a value.
fn table_made<T>(place: &AtomicPtr<T>) -> Option<&'static T> {
    if let Some(table) = table(place) {
        return Some(table);
    }
    let fresh = allocate_metadata(size_of::<T>())?;
    // Who loses the race leaves a piece unused; it is rare and small.
    let _ = place.compare_exchange(null_mut(), fresh.as_ptr().cast(), AcqRel, Acquire);
    table(place)
}

/// A block of `stack` was made at `address`: counts it and notes which it is.
pub fn note_ordinal(address: usize, stack: StackId) {
    if !has_ordinals() {
        return;
    }
    let stack = stack.0 as usize;
    let count = COUNTS_OF_STACKS.get(stack / COUNTS).and_then(table_made);
    let number = count.map_or(0, |counts| counts[stack % COUNTS].fetch_add(1, Relaxed) + 1);
    let offset = address.wrapping_sub(Window::base());
    let granule = offset / GRANULE;
    let words = ORDINALS
        .get(granule / GRANULES)
        .and_then(table_made)
        .and_then(|granules| table_made(&granules[granule % GRANULES]));
    if let Some(words) = words {
        let ordinal = u32::try_from(number).unwrap_or(0);
        words[offset % GRANULE / APART].store(ordinal, Relaxed);
    }
}

/// Which allocation of its stack the live block at `address` was, from 1; 0 =
/// not known: it was made before counting began, or it was beyond 2^32 - 1.
pub fn ordinal(address: usize) -> u32 {
    let offset = address.wrapping_sub(Window::base());
    let granule = offset / GRANULE;
    ORDINALS
        .get(granule / GRANULES)
        .and_then(table)
        .and_then(|granules| table(&granules[granule % GRANULES]))
        .map_or(0, |words| words[offset % GRANULE / APART].load(Relaxed))
}

/// How many allocations `stack` made since counting began.
pub fn allocations_of(stack: StackId) -> u64 {
    let stack = stack.0 as usize;
    let counts = COUNTS_OF_STACKS.get(stack / COUNTS).and_then(table);
    counts.map_or(0, |counts| counts[stack % COUNTS].load(Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stacks and addresses that no other test of this process has.
    #[test]
    fn blocks_are_numbered_within_their_stack() {
        Window::settle();
        let (a, b) = (StackId((1 << StackId::BITS) - 1), StackId((1 << StackId::BITS) - 2));
        let far = Window::base() + WINDOW - 2 * GRANULE;
        note_ordinal(far, a);
        assert_eq!((ordinal(far), allocations_of(a)), (0, 0), "not wanted");
        want_ordinals(true);
        note_ordinal(far, a);
        note_ordinal(far + 48, b);
        note_ordinal(far + GRANULE - 32, a);
        note_ordinal(far + GRANULE, a);
        assert_eq!([far, far + GRANULE - 32, far + GRANULE].map(ordinal), [1, 2, 3]);
        assert_eq!((ordinal(far + 48), ordinal(far + 96)), (1, 0));
        assert_eq!((allocations_of(a), allocations_of(b)), (3, 1));
        // The slot's next block.
        note_ordinal(far, b);
        assert_eq!((ordinal(far), allocations_of(b)), (2, 2));
        assert_eq!(ordinal(8), 0, "outside of the window");
        want_ordinals(false);
    }
}
