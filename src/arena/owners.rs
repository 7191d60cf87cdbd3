//! Who owns the arena: walks, marks, ages, totals by call site, statistics.
//!
//! Invariant: nothing here changes a block; callbacks run with the lock held
//! and must not use the heap.

use super::block::Block;
use super::classes::SECOND;
use super::door::Arena;
use super::event::ArenaBlock;
use super::heap::Heap;
use super::layout::*;

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
    /// The largest request that would be met now.
    pub largest_free: usize,
    /// Bytes asked for by live blocks.
    pub live_bytes: usize,
    /// Bytes of live blocks beyond what was asked for.
    pub overhead_bytes: usize,
    /// Live blocks.
    pub live_blocks: u32,
    /// Successful allocations, wrapping.
    pub allocations: u32,
    /// Frees, wrapping.
    pub frees: u32,
    /// Requests that could not be met.
    pub failures: u32,
    /// Violations reported, exhaustion not among them.
    pub violations: u32,
}

impl<M: Mode> Arena<M> {
    /// Calls `visit` for every live block.
    pub fn walk(self, mut visit: impl FnMut(&ArenaBlock)) {
        self.locked(|heap| heap.each(|heap, block| visit(&heap.describe(block))));
    }

    /// A moment in the heap's life: blocks allocated from now on are "since" it.
    pub fn mark(self) -> u32 {
        self.locked(|heap| {
            // Marks may fall within one unit of the clock: push the next stamp.
            heap.floor = heap.stamp().wrapping_add(1) & STAMP_MASK;
            heap.floor
        })
    }

    /// Calls `visit` for every live block allocated since `mark` and at least
    /// `least_age` old (milliseconds; without a clock, allocations).
    pub fn live_since(self, mark: u32, least_age: u32, mut visit: impl FnMut(&ArenaBlock)) {
        self.locked(|heap| {
            heap.each(|heap, block| {
                let after = ((block.birth() >> 8) as u32).wrapping_sub(mark) << 8;
                let description = heap.describe(block);
                if after as i32 >= 0 && description.age >= least_age {
                    visit(&description);
                }
            });
        });
    }

    /// Adds up live blocks by call site into `table`; returns the rows used.
    /// When there are more sites than rows, the last row adds up the rest under
    /// site 0.
    pub fn summary(self, table: &mut [ArenaSiteTotal]) -> usize {
        let mut used = 0;
        self.locked(|heap| {
            heap.each(|_, block| {
                let mut row = 0;
                while row < used && table.get(row).is_some_and(|row| row.site != block.site()) {
                    row += 1;
                }
                let full = row == table.len();
                if full {
                    row = row.wrapping_sub(1);
                }
                let Some(total) = table.get_mut(row) else { return };
                if row == used {
                    *total = ArenaSiteTotal { site: block.site(), blocks: 0, bytes: 0 };
                    used += 1;
                }
                if full {
                    total.site = 0;
                }
                total.blocks += 1;
                total.bytes += block.requested();
            });
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
                largest_free: heap.largest_free(),
                allocations: heap.allocations,
                frees: heap.frees,
                failures: heap.failures,
                violations: heap.violations,
                ..Default::default()
            };
            heap.each(|_, block| {
                statistics.live_blocks += 1;
                statistics.live_bytes += block.requested();
                statistics.overhead_bytes += block.size() - block.requested();
            });
            statistics
        })
    }

    /// Starts `least_free_bytes` anew from what is free now.
    pub fn reset_least_free(self) {
        self.locked(|heap| heap.least_free = heap.free_bytes);
    }

    /// The size asked for by the live block at `pointer`, 0 if there is none.
    pub fn usable_size(self, pointer: *const u8) -> usize {
        self.locked(|heap| heap.judge(pointer.addr()).map_or(0, Block::requested))
    }

    /// The live block that `address` lies in.
    pub fn block_of(self, address: *const u8) -> Option<ArenaBlock> {
        let address = address.addr();
        self.locked(|heap| {
            let region = heap.region_of(address)?;
            let block = heap.locate(region, address).block?;
            if block.is_free() { None } else { Some(heap.describe(block)) }
        })
    }

    /// Gives another stretch of memory to the heap.
    ///
    /// # Safety
    /// As for `create`.
    pub unsafe fn add_region(self, memory: *mut u8, length: usize) {
        let from = memory.expose_provenance();
        // SAFETY: the same promise.
        self.locked(|heap| unsafe { heap.add_region(from, from.saturating_add(length)) });
    }
}

impl<M: Mode> Heap<M> {
    /// The largest request that would be met: looks through the highest
    /// non-empty list, not in constant time.
    pub(super) fn largest_free(&mut self) -> usize {
        let mut largest = 0;
        if self.first_map != 0 {
            let level = (31 - self.first_map.leading_zeros()) as usize;
            // SAFETY: bits of `first_map` are levels of this heap.
            let map = u32::from(unsafe { *self.second_maps.get_unchecked(level) });
            let mut at = self.head(level * SECOND + (31 - map.leading_zeros()) as usize);
            while at != 0 {
                // SAFETY: reached through sealed links from a list head.
                let block = unsafe { Block::<M>::at(at) };
                if !block.is_sealed(self.secret) {
                    break;
                }
                largest = if block.size() > largest { block.size() } else { largest };
                at = block.next();
            }
        }
        largest.saturating_sub(M::HEADER + M::TAIL)
    }
}
