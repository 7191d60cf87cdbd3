//! Checks, walks, lost blocks, totals: what a heap knows of itself.
//!
//! Invariant: nothing here changes what the program owns.

use core::ffi::c_void;

use super::super::owners::{ArenaVisitor, Since};
use super::super::{
    ArenaBlock, ArenaCursor, ArenaLeak, ArenaLeakTotals, ArenaRoot, ArenaSiteTotal, ArenaStatistics,
};
use super::{arena, heapwarden_arena_t};

/// Checks every block and raises an event for each violation, which is then
/// mended; returns their number.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_check(heap: *mut heapwarden_arena_t) -> usize {
    arena(heap).check(0)
}

/// Checks the block at `pointer` and its two neighbours.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_check_block(
    heap: *mut heapwarden_arena_t,
    pointer: *mut c_void,
) -> usize {
    arena(heap).check_block(pointer.cast(), 0)
}

/// Checks at most `blocks` blocks from `cursor` on, for an idle task; the
/// cursor starts as all zeros and is so again when the end was reached.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`; `cursor` is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_check_slice(
    heap: *mut heapwarden_arena_t,
    cursor: *mut ArenaCursor,
    blocks: usize,
) -> usize {
    // SAFETY: the caller's cursor, not null.
    arena(heap).check_slice(unsafe { &mut *cursor }, blocks, 0)
}

/// Calls `visit` for every live block.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`; `visit` may be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_walk(
    heap: *mut heapwarden_arena_t,
    visit: ArenaVisitor,
    context: *mut c_void,
) {
    // SAFETY: the caller gave the function together with its context.
    unsafe { arena(heap).each_since(visit, context, None) };
}

/// A moment in the heap's life, for `heapwarden_arena_live_since`.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_mark(heap: *mut heapwarden_arena_t) -> u32 {
    arena(heap).mark()
}

/// Calls `visit` for every live block allocated since `mark` and at least
/// `least_age` milliseconds old (without a clock: allocations ago).
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`; `visit` may be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_live_since(
    heap: *mut heapwarden_arena_t,
    mark: u32,
    least_age: u32,
    visit: ArenaVisitor,
    context: *mut c_void,
) {
    // SAFETY: the caller gave the function together with its context.
    unsafe { arena(heap).each_since(visit, context, Some(&Since::mark(mark, least_age))) };
}

/// Looks for blocks that no pointer in `roots` leads to, without any memory of
/// its own. `visit`, which may be null, is called once for each call site and
/// kind of lost, possibly lost and indirectly lost blocks; `totals`, which may
/// be null, gets the blocks and bytes of each kind.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`; the `count` roots are readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_lost(
    heap: *mut heapwarden_arena_t,
    roots: *const ArenaRoot,
    count: usize,
    visit: Option<unsafe extern "C" fn(context: *mut c_void, leak: *const ArenaLeak)>,
    context: *mut c_void,
    totals: *mut ArenaLeakTotals,
) {
    // SAFETY: the caller's array and memory; the function came with its context.
    unsafe { arena(heap).mark_lost(roots, count, visit, context, totals) };
}

/// Adds up live blocks by call site into `table` of `rows` rows; returns the
/// rows used. With more sites than rows, the last row is the rest, site null.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`; `table` has `rows` rows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_summary(
    heap: *mut heapwarden_arena_t,
    table: *mut ArenaSiteTotal,
    rows: usize,
) -> usize {
    // SAFETY: the caller's table.
    unsafe { arena(heap).summarize(table, rows) }
}

/// The heap in numbers; walks it once.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`; `statistics` is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_statistics(
    heap: *mut heapwarden_arena_t,
    statistics: *mut ArenaStatistics,
) {
    // SAFETY: the caller's struct, not null.
    unsafe { arena(heap).write_statistics(statistics) };
}

/// Starts `least_free_bytes` anew from what is free now.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_reset_least_free(heap: *mut heapwarden_arena_t) {
    arena(heap).reset_least_free();
}

/// The live block that `address` lies in; false when there is none.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`; `block` is the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_block_of(
    heap: *mut heapwarden_arena_t,
    address: *const c_void,
    block: *mut ArenaBlock,
) -> bool {
    // SAFETY: the caller's struct, not null.
    unsafe { arena(heap).write_block_of(address.addr(), block) }
}
