//! Who owns the arena: walks, marks, ages, totals by call site, statistics.
//!
//! Invariant: nothing here changes a block; callbacks run with the lock held
//! and must not use the heap.

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
    pub fn walk(self, mut visit: impl FnMut(&ArenaBlock)) {
        self.each_since(None, 0, &mut visit);
    }

    /// A moment in the heap's life: blocks allocated from now on are "since" it.
    pub fn mark(self) -> u32 {
        self.locked(|heap| {
            // Marks may fall within one unit of the clock: push the next stamp.
            heap.floor = heap.now().wrapping_add(1);
            heap.floor
        })
    }

    /// Calls `visit` for every live block allocated since `mark` and at least
    /// `least_age` old (milliseconds; without a clock, allocations).
    pub fn live_since(self, mark: u32, least_age: u32, mut visit: impl FnMut(&ArenaBlock)) {
        self.each_since(Some(mark), least_age, &mut visit);
    }

    #[inline(never)]
    fn each_since(self, mark: Option<u32>, least_age: u32, visit: &mut dyn FnMut(&ArenaBlock)) {
        let heap = self.enter();
        let mut cursor = ArenaCursor::default();
        while let Some(block) = heap.next_live(&mut cursor) {
            let description = heap.describe(block);
            let birth = (block.birth() >> 8) as u32;
            let after = birth.wrapping_sub(mark.unwrap_or(birth)) << 8;
            if after as i32 >= 0 && description.age >= least_age {
                visit(&description);
            }
        }
        self.leave();
    }

    /// Adds up live blocks by call site into `table`; returns the rows used.
    /// When there are more sites than rows, the last row adds up the rest under
    /// site 0.
    pub fn summary(self, table: &mut [ArenaSiteTotal]) -> usize {
        let mut used = 0;
        if table.is_empty() {
            return used;
        }
        let heap = self.enter();
        let mut cursor = ArenaCursor::default();
        while let Some(block) = heap.next_live(&mut cursor) {
            let site = block.site();
            let mut row = 0;
            // SAFETY: `row` is at most `used`, which is at most the table's length,
            // and that is not 0.
            let total = unsafe {
                while row < used && table.get_unchecked(row).site != site {
                    row += 1;
                }
                if row == table.len() {
                    row -= 1;
                    table.get_unchecked_mut(row).site = 0;
                } else if row == used {
                    used += 1;
                    *table.get_unchecked_mut(row) = ArenaSiteTotal { site, blocks: 0, bytes: 0 };
                }
                table.get_unchecked_mut(row)
            };
            total.blocks += 1;
            total.bytes += block.requested();
        }
        self.leave();
        used
    }

    /// The heap in numbers; walks it once for the live bytes.
    pub fn statistics(self) -> ArenaStatistics {
        let mut statistics = core::mem::MaybeUninit::uninit();
        // SAFETY: all fields are written.
        unsafe {
            self.write_statistics(statistics.as_mut_ptr());
            statistics.assume_init()
        }
    }

    /// As `statistics`, without a copy.
    ///
    /// # Safety
    /// `into` may be written to.
    #[inline(never)]
    pub unsafe fn write_statistics(self, into: *mut ArenaStatistics) {
        let heap = self.enter();
        let (mut total, mut largest_free, mut live_bytes, mut live_blocks) = (0, 0, 0, 0);
        let mut cursor = ArenaCursor::default();
        while let Some(block) = heap.next_block(&mut cursor) {
            cursor.block = heap.above(block);
            let size = cursor.block - block.address();
            total += size;
            if !block.is_free() {
                live_blocks += 1;
                live_bytes += block.requested();
            } else if largest_free < size - M::HEADER - M::TAIL {
                largest_free = size - M::HEADER - M::TAIL;
            }
        }
        // SAFETY: the caller's promise.
        unsafe {
            into.write(ArenaStatistics {
                total_bytes: total,
                free_bytes: total - heap.used_bytes,
                least_free_bytes: total - heap.most_used,
                largest_free,
                live_bytes,
                overhead_bytes: heap.used_bytes - live_bytes,
                live_blocks,
                allocations: heap.allocations,
                failures: heap.failures,
                violations: heap.findings.wrapping_sub(heap.failures),
            });
        }
        self.leave();
    }

    /// Starts `least_free_bytes` anew from what is free now.
    pub fn reset_least_free(self) {
        self.locked(|heap| heap.most_used = heap.used_bytes);
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
