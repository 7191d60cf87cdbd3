//! Known blocks: which blocks an earlier check found lost.
//!
//! Being lost is a stable property, so a block that two checks found lost was
//! not just between two hands; and a block that an earlier check reported need
//! not be reported again. A block is known by its place and its epoch, so the
//! next block in the same slot is another one (unless it is of the same epoch).
//!
//! ```text
//!   key   stamp 22 | offset in the window / 16, 36 | 1        0 = free slot
//! ```
//!
//! The table is shared with the copy of the process that fills it.
//!
//! Invariant: keys are only added; a full table counts what it refuses.

use super::scratch::Scratch;
use super::tiles::Block;
use crate::memory::Window;
use crate::platform::OsError;
use crate::sync::atomics::{AtomicU64, Ordering::Relaxed};

/// Blocks that the smallest set can hold, if it is made smaller than asked.
const FEWEST: usize = 2048;

/// A set of lost blocks.
pub struct KnownBlocks {
    memory: Scratch,
    slots: usize,
}

impl KnownBlocks {
    /// An empty set with room for `capacity` blocks; where memory is refused,
    /// for fewer, but at least `FEWEST`.
    pub fn new(capacity: usize) -> Result<KnownBlocks, OsError> {
        let mut slots = (capacity * 4 / 3 + 64).next_power_of_two();
        loop {
            match Scratch::shared((slots + 1) * 8) {
                Ok(memory) => return Ok(KnownBlocks { memory, slots }),
                Err(error) if slots <= FEWEST * 2 => return Err(error),
                Err(_) => slots /= 2,
            }
        }
    }

    fn words(&self) -> &[AtomicU64] {
        let (start, _) = self.memory.range();
        // SAFETY: the mapping holds `slots + 1` zeroed words and lives as long
        // as `self`; all access is atomic.
        unsafe { core::slice::from_raw_parts(start as *const AtomicU64, self.slots + 1) }
    }

    /// Forgets all blocks.
    pub fn clear(&self) {
        self.words().iter().filter(|word| word.load(Relaxed) != 0).for_each(|word| {
            word.store(0, Relaxed);
        });
    }

    /// Blocks that found no room.
    pub fn refused(&self) -> u64 {
        self.words()[self.slots].load(Relaxed)
    }

    /// How many blocks are known.
    pub fn count(&self) -> usize {
        self.words()[..self.slots].iter().filter(|word| word.load(Relaxed) != 0).count()
    }

    /// Whether the block is known; `if_refused` where the set was too full to
    /// take it.
    pub(super) fn contains(&self, block: &Block, if_refused: bool) -> bool {
        let key = key(block);
        match self.search(key) {
            Some(slot) => self.words()[slot].load(Relaxed) == key,
            None => if_refused,
        }
    }

    /// Adds a block.
    pub(super) fn insert(&self, block: &Block) {
        let key = key(block);
        match self.search(key) {
            Some(slot) => self.words()[slot].store(key, Relaxed),
            None => {
                self.words()[self.slots].fetch_add(1, Relaxed);
            }
        }
    }

    /// The slot that holds `key` or may take it; looks at 64 slots at most.
    fn search(&self, key: u64) -> Option<usize> {
        let mask = self.slots - 1;
        let first = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize;
        (first..first + 64).map(|slot| slot & mask).find(|&slot| {
            let found = self.words()[slot].load(Relaxed);
            found == 0 || found == key
        })
    }
}

fn key(block: &Block) -> u64 {
    let offset = block.address.wrapping_sub(Window::base()) as u64;
    u64::from(block.record.stamp()) << 37 | (offset >> 4) << 1 | 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Record;
    use crate::units::{Family, StackId};

    #[test]
    fn a_block_is_known_by_place_and_epoch() {
        let known = KnownBlocks::new(1000).unwrap();
        let block = |slot: usize, stamp| Block {
            address: Window::base() + slot * 48,
            size: 40,
            record: Record::live(Family::Malloc, 8, stamp, StackId(9)),
        };
        (0..1000).for_each(|slot| known.insert(&block(slot, 5)));
        assert!((0..1000).all(|slot| known.contains(&block(slot, 5), false)));
        assert!((0..1000).all(|slot| !known.contains(&block(slot, 6), false)));
        assert!(!known.contains(&block(1000, 5), false));
        assert_eq!((known.count(), known.refused()), (1000, 0));
        known.clear();
        assert_eq!(known.count(), 0);
    }
}
