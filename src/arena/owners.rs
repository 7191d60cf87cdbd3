//! Who owns the arena: walks, marks, ages, totals by call site, statistics.
//!
//! Invariant: nothing here changes a block; callbacks run with the lock held
//! and must not use the heap.

use core::ffi::c_void;
use core::mem::MaybeUninit;

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

/// What walks call for each block. The heap is locked: it must not be used.
pub type ArenaVisitor = unsafe extern "C" fn(context: *mut c_void, block: *const ArenaBlock);

/// Which live blocks are visited.
pub(super) struct Since {
    /// The least stamp word, see `Block::birth`.
    pub birth: u32,
    pub least_age: u32,
}

impl Since {
    /// Since `mark`, at least so old.
    #[inline]
    pub fn mark(mark: u32, least_age: u32) -> Self {
        Since { birth: mark << 8, least_age }
    }
}

/// A table under way.
struct Summary {
    table: *mut ArenaSiteTotal,
    /// The first row that is not used yet, and how many there are.
    unused: *mut ArenaSiteTotal,
    left: usize,
}

/// Adds a block to the row of its site.
unsafe extern "C" fn add_up(context: *mut c_void, block: *const ArenaBlock) {
    // SAFETY: the summary and the block of a walk by `summarize`; the rows up to
    // `unused`, and `left` more, are the caller's.
    unsafe {
        let (summary, block) = (&mut *context.cast::<Summary>(), &*block);
        let mut row = summary.table;
        while row != summary.unused && (*row).site != block.site {
            row = row.add(1);
        }
        if row == summary.unused {
            if summary.left == 0 {
                if row == summary.table {
                    return;
                }
                row = row.sub(1);
                (*row).site = 0;
            } else {
                summary.left -= 1;
                summary.unused = row.add(1);
                (*row).site = block.site;
                (*row).blocks = 0;
                (*row).bytes = 0;
            }
        }
        (*row).blocks += 1;
        (*row).bytes += block.size;
    }
}

/// A closure as a visitor's context.
unsafe extern "C" fn call<F: FnMut(&ArenaBlock)>(context: *mut c_void, block: *const ArenaBlock) {
    // SAFETY: the walk's own block; the context is `visit` of the caller.
    unsafe { (*context.cast::<F>())(&*block) }
}

impl<M: Mode> Arena<M> {
    /// Calls `visit` for every live block.
    pub fn walk<F: FnMut(&ArenaBlock)>(self, mut visit: F) {
        // SAFETY: the closure outlives the walk.
        unsafe { self.each_since(call::<F>, (&raw mut visit).cast(), None) };
    }

    /// A moment in the heap's life: blocks allocated from now on are "since" it.
    pub fn mark(self) -> u32 {
        self.locked(|heap| {
            // Marks may fall within one unit of the clock: push the next stamp.
            heap.floor = (heap.birth() >> 8) as u32 + 1;
            heap.floor
        })
    }

    /// Calls `visit` for every live block allocated since `mark` and at least
    /// `least_age` old (milliseconds; without a clock, allocations).
    pub fn live_since<F: FnMut(&ArenaBlock)>(self, mark: u32, least_age: u32, mut visit: F) {
        let since = Since::mark(mark, least_age);
        // SAFETY: the closure outlives the walk.
        unsafe { self.each_since(call::<F>, (&raw mut visit).cast(), Some(&since)) };
    }

    /// Calls `visit` for every live block, or only for those `since`.
    ///
    /// # Safety
    /// `visit` may be called with `context` and does not use the heap.
    #[inline(never)]
    pub(super) unsafe fn each_since(
        self,
        visit: ArenaVisitor,
        context: *mut c_void,
        since: Option<&Since>,
    ) {
        let heap = self.enter();
        let mut cursor = ArenaCursor::default();
        let mut known = MaybeUninit::<ArenaBlock>::uninit();
        while let Some(block) = heap.next_live(&mut cursor) {
            // SAFETY: the local block, which `describe` writes; the caller's promise.
            unsafe {
                heap.describe(block, known.as_mut_ptr());
                if let Some(since) = since {
                    // The task, in the lowest bits, changes no sign.
                    let after = (block.birth() as u32).wrapping_sub(since.birth);
                    if (after as i32) < 0 || known.assume_init_ref().age < since.least_age {
                        continue;
                    }
                }
                visit(context, known.as_ptr());
            }
        }
        self.leave();
    }

    /// Adds up live blocks by call site into `table`; returns the rows used.
    /// When there are more sites than rows, the last row adds up the rest under
    /// site 0.
    pub fn summary(self, table: &mut [ArenaSiteTotal]) -> usize {
        // SAFETY: the slice's own rows.
        unsafe { self.summarize(table.as_mut_ptr(), table.len()) }
    }

    /// As `summary`.
    ///
    /// # Safety
    /// `table` has `rows` rows.
    #[inline(always)]
    pub(super) unsafe fn summarize(self, table: *mut ArenaSiteTotal, rows: usize) -> usize {
        let mut summary = Summary { table, unused: table, left: rows };
        // SAFETY: the summary outlives the walk.
        unsafe { self.each_since(add_up, (&raw mut summary).cast(), None) };
        rows - summary.left
    }

    /// The heap in numbers; walks it once for the live bytes.
    pub fn statistics(self) -> ArenaStatistics {
        let mut statistics = MaybeUninit::uninit();
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
        let (mut total, mut live_bytes, mut live_blocks) = (0, 0, 0);
        // Of any free block, a request is left when this is taken off.
        let mut largest_free = M::HEADER + M::TAIL;
        let mut cursor = ArenaCursor::default();
        while let Some((block, _)) = heap.next_block(&mut cursor) {
            let size = cursor.block - block.address();
            total += size;
            if !block.is_free() {
                live_blocks += 1;
                live_bytes += block.requested();
            } else if largest_free < size {
                largest_free = size;
            }
        }
        // SAFETY: the caller's promise.
        unsafe {
            into.write(ArenaStatistics {
                total_bytes: total,
                free_bytes: total - heap.used_bytes,
                least_free_bytes: total - heap.most_used,
                largest_free: largest_free - (M::HEADER + M::TAIL),
                live_bytes,
                overhead_bytes: heap.used_bytes - live_bytes,
                live_blocks,
                allocations: heap.allocations,
                failures: heap.failures,
                violations: heap.violations(),
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
        match self.block_of(pointer) {
            Some(block) if block.address == pointer.addr() => block.size,
            _ => 0,
        }
    }

    /// The live block that `address` lies in.
    #[inline(always)]
    pub fn block_of(self, address: *const u8) -> Option<ArenaBlock> {
        let mut known = MaybeUninit::uninit();
        // SAFETY: the local block, which is written when there is one.
        unsafe {
            if self.write_block_of(address.addr(), known.as_mut_ptr()) {
                Some(known.assume_init())
            } else {
                None
            }
        }
    }

    /// As `block_of`; false when there is none.
    ///
    /// # Safety
    /// `into` may be written to.
    #[inline(never)]
    pub(super) unsafe fn write_block_of(self, address: usize, into: *mut ArenaBlock) -> bool {
        let heap = self.enter();
        let block = heap.block_of(address);
        if let Some(block) = block {
            // SAFETY: the caller's promise.
            unsafe { heap.describe(block, into) };
        }
        self.leave();
        block.is_some()
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
