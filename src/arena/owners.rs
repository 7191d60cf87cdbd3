//! Who owns the arena: walks, marks, ages, totals by call site, statistics.
//!
//! Invariant: nothing here changes a block; callbacks run with the lock held
//! and must not use the heap.

use super::block::Block;
use super::door::Arena;
use super::event::ArenaBlock;
use super::layout::*;
use super::region::ArenaCursor;

/// Live blocks of one call site.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ArenaSiteTotal {
    /// As in [`ArenaBlock::site`].
    pub site: usize,
    /// How many.
    pub blocks: u32,
    /// Bytes asked for.
    pub bytes: usize,
}

/// The heap in numbers. Bytes count whole blocks with their headers, except
/// where they are "asked for".
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ArenaStatistics {
    /// Bytes of all blocks, live and free.
    pub total_bytes: usize,
    /// Bytes of free blocks.
    pub free_bytes: usize,
    /// The least `free_bytes` has been since `reset_least_free`.
    pub least_free_bytes: usize,
    /// The largest request that would surely be met now.
    pub largest_free: usize,
    /// Bytes asked for by live blocks.
    pub live_bytes: usize,
    /// Bytes of live blocks beyond what was asked for.
    pub overhead_bytes: usize,
    /// Live blocks.
    pub live_blocks: u32,
    /// Successful allocations, wrapping.
    pub allocations: u32,
    /// Requests that could not be met.
    pub failures: u32,
    /// Violations reported, exhaustion not among them.
    pub violations: u32,
}

impl<M: Mode> Arena<M> {
    /// Calls `visit` for every live block.
    #[inline]
    pub fn walk(self, mut visit: impl FnMut(&ArenaBlock)) {
        self.locked(|heap| {
            let mut cursor = ArenaCursor::default();
            while let Some(block) = heap.next_live(&mut cursor) {
                visit(&heap.describe(block));
            }
        });
    }

    /// A moment in the heap's life: blocks allocated from now on are "since" it.
    pub fn mark(self) -> u32 {
        self.locked(|heap| {
            // Marks may fall within one unit of the clock: push the next stamp.
            heap.floor = heap.stamp().wrapping_add(1);
            heap.floor
        })
    }

    /// Calls `visit` for every live block allocated since `mark` and at least
    /// `least_age` old (milliseconds; without a clock, allocations).
    #[inline]
    pub fn live_since(self, mark: u32, least_age: u32, mut visit: impl FnMut(&ArenaBlock)) {
        self.locked(|heap| {
            let mut cursor = ArenaCursor::default();
            while let Some(block) = heap.next_live(&mut cursor) {
                let after = ((block.birth() >> 8) as u32).wrapping_sub(mark) << 8;
                let description = heap.describe(block);
                if after as i32 >= 0 && description.age >= least_age {
                    visit(&description);
                }
            }
        });
    }

    /// Adds up live blocks by call site into `table`; returns the rows used.
    /// When there are more sites than rows, the last row adds up the rest under
    /// site 0.
    pub fn summary(self, table: &mut [ArenaSiteTotal]) -> usize {
        let mut used = 0;
        self.locked(|heap| {
            let mut cursor = ArenaCursor::default();
            while let Some(block) = heap.next_live(&mut cursor) {
                let mut row = 0;
                while row < used && table.get(row).is_some_and(|row| row.site != block.site()) {
                    row += 1;
                }
                if row == used && used < table.len() {
                    used += 1;
                    if let Some(total) = table.get_mut(row) {
                        *total = ArenaSiteTotal { site: block.site(), blocks: 0, bytes: 0 };
                    }
                } else if row == used {
                    row = row.wrapping_sub(1);
                    if let Some(total) = table.get_mut(row) {
                        total.site = 0;
                    }
                }
                if let Some(total) = table.get_mut(row) {
                    total.blocks += 1;
                    total.bytes += block.requested();
                }
            }
        });
        used
    }

    /// The heap in numbers; walks it once for the live bytes.
    pub fn statistics(self) -> ArenaStatistics {
        self.locked(|heap| {
            let mut statistics = ArenaStatistics {
                total_bytes: heap.total_bytes,
                free_bytes: heap.free_bytes,
                least_free_bytes: heap.least_free,
                allocations: heap.allocations,
                failures: heap.failures,
                violations: heap.violations,
                ..Default::default()
            };
            let mut cursor = ArenaCursor::default();
            while let Some(address) = heap.next_place(&mut cursor) {
                // SAFETY: a header's place.
                let block = unsafe { Block::<M>::at(address) };
                let size = block.size();
                if size == 0 || !block.is_sealed(heap.secret()) {
                    break;
                }
                if block.is_free() {
                    let free = size - M::HEADER - M::TAIL;
                    if statistics.largest_free < free {
                        statistics.largest_free = free;
                    }
                } else {
                    statistics.live_blocks += 1;
                    statistics.live_bytes += block.requested();
                    statistics.overhead_bytes += size - block.requested();
                }
                cursor.block = address + size;
            }
            statistics
        })
    }

    /// Starts `least_free_bytes` anew from what is free now.
    pub fn reset_least_free(self) {
        self.locked(|heap| heap.least_free = heap.free_bytes);
    }

    /// The size asked for by the live block at `pointer`, 0 if there is none.
    pub fn usable_size(self, pointer: *const u8) -> usize {
        self.locked(|heap| match heap.block_of(pointer.addr()) {
            Some(block) if block.payload() == pointer.addr() => block.requested(),
            _ => 0,
        })
    }

    /// The live block that `address` lies in.
    pub fn block_of(self, address: *const u8) -> Option<ArenaBlock> {
        self.locked(|heap| heap.block_of(address.addr()).map(|block| heap.describe(block)))
    }

    /// Gives another stretch of memory to the heap.
    ///
    /// # Safety
    /// As for `create`.
    pub unsafe fn add_region(self, memory: *mut u8, length: usize) {
        let from = memory.expose_provenance();
        // SAFETY: the same promise.
        self.locked(|heap| unsafe { heap.add_region(from, from + length) });
    }
}
