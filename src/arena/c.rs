//! The C doors of the arena. Each body is a call to the Rust door of the same
//! name; the macros of the header add the call site.
//!
//! A `site` argument is what `ArenaBlock.site` keeps: the address of a static
//! `heapwarden_arena_site_t`, or a return address with bit 0 set, or null.
//!
//! Invariant: no function here panics or allocates outside of the arena.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use super::*;

/// The mode this library was built in: features `arena-owner`, `arena-guard`.
#[cfg(all(feature = "arena-owner", feature = "arena-guard"))]
pub type Built = OwnerGuard;
/// The mode this library was built in: features `arena-owner`, `arena-guard`.
#[cfg(all(feature = "arena-owner", not(feature = "arena-guard")))]
pub type Built = Owner;
/// The mode this library was built in: features `arena-owner`, `arena-guard`.
#[cfg(all(not(feature = "arena-owner"), feature = "arena-guard"))]
pub type Built = Guard;
/// The mode this library was built in: features `arena-owner`, `arena-guard`.
#[cfg(not(any(feature = "arena-owner", feature = "arena-guard")))]
pub type Built = Bare;

/// A heap inside a buffer; only its address is the program's business.
#[allow(non_camel_case_types)]
pub struct heapwarden_arena_t {
    _private: [u8; 0],
}

#[inline]
fn arena(heap: *mut heapwarden_arena_t) -> Arena<Built> {
    // SAFETY: C passes what `heapwarden_arena_init` returned, not null.
    unsafe { Arena::from_raw(NonNull::new_unchecked(heap.cast())) }
}

/// Builds a heap at the start of `memory` and gives it the rest, `length` bytes
/// in all. Returns null when that is too small. `config` is copied; null means
/// all zeros.
///
/// # Safety
/// Nothing else uses the memory from now on; the functions in `config` may be
/// called at any time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_init(
    memory: *mut c_void,
    length: usize,
    config: *const ArenaConfig,
) -> *mut heapwarden_arena_t {
    // SAFETY: null or the caller's config.
    let config = match unsafe { config.as_ref() } {
        Some(config) => config,
        None => const { &ArenaConfig::new() },
    };
    // SAFETY: the caller's promise.
    match unsafe { Arena::<Built>::create(memory.cast(), length, config) } {
        Some(arena) => arena.as_ptr().cast(),
        None => ptr::null_mut(),
    }
}

/// Gives another stretch of memory to the heap: external RAM, a second bank.
/// Too short a stretch is ignored.
///
/// # Safety
/// Nothing else uses the memory from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_add_region(
    heap: *mut heapwarden_arena_t,
    memory: *mut c_void,
    length: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { arena(heap).add_region(memory.cast(), length) }
}

/// `size` bytes for the call site `site`, or null. A size of 0 gives a unique
/// pointer that can be freed. Constant time.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_malloc_at(
    heap: *mut heapwarden_arena_t,
    size: usize,
    site: *const c_void,
) -> *mut c_void {
    arena(heap).allocate_plain(size, site.addr()).cast()
}

/// As `heapwarden_arena_malloc_at`, for `count` times `size` bytes, all zero. A
/// product that does not fit is an exhaustion of `SIZE_MAX` bytes.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_calloc_at(
    heap: *mut heapwarden_arena_t,
    count: usize,
    size: usize,
    site: *const c_void,
) -> *mut c_void {
    let bytes = count.saturating_mul(size);
    let pointer = arena(heap).allocate_plain(bytes, site.addr());
    if !pointer.is_null() {
        // Volatile, or the compiler makes it a call of memset.
        let mut at = 0;
        while at < bytes {
            // SAFETY: `bytes` bytes were just allocated.
            unsafe { pointer.add(at).write_volatile(0) };
            at += 1;
        }
    }
    pointer.cast()
}

/// As `heapwarden_arena_malloc_at`, at a multiple of `alignment`. Null without
/// an event when `alignment` is not a power of two.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_aligned_alloc_at(
    heap: *mut heapwarden_arena_t,
    alignment: usize,
    size: usize,
    site: *const c_void,
) -> *mut c_void {
    if !alignment.is_power_of_two() {
        return ptr::null_mut();
    }
    arena(heap).allocate(size, alignment, site.addr()).cast()
}

/// Changes the size of the block at `pointer` where it stands if possible, else
/// moves it; the block then belongs to `site`. Null pointer: as malloc. Size 0:
/// frees and returns null. When there is no room the block stays as it was.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_realloc_at(
    heap: *mut heapwarden_arena_t,
    pointer: *mut c_void,
    size: usize,
    site: *const c_void,
) -> *mut c_void {
    let (arena, site) = (arena(heap), site.addr());
    if pointer.is_null() {
        return arena.allocate_plain(size, site).cast();
    }
    if size == 0 {
        // SAFETY: as C's realloc: the caller does not use the block any more.
        unsafe { arena.free(pointer.cast(), site) };
        return ptr::null_mut();
    }
    // SAFETY: as C's realloc.
    unsafe { arena.resize(pointer.cast(), size, 1, site) }.cast()
}

/// Gives a block back. Null does nothing. Constant time with a poison window
/// of at most 32 bytes.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_free_at(
    heap: *mut heapwarden_arena_t,
    pointer: *mut c_void,
    site: *const c_void,
) {
    // SAFETY: as C's free: the caller does not use the block any more.
    unsafe { arena(heap).free(pointer.cast(), site.addr()) };
}

/// Exactly the size that was asked for (bare mode: the size available); 0 when
/// `pointer` is not a live block.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_usable_size(
    heap: *mut heapwarden_arena_t,
    pointer: *const c_void,
) -> usize {
    arena(heap).usable_size(pointer.cast())
}

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

/// What walks call for each block. The heap is locked: it must not be used.
pub type ArenaVisitor = unsafe extern "C" fn(context: *mut c_void, block: *const ArenaBlock);

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
    arena(heap).walk(|block| unsafe { visit(context, block) });
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
    arena(heap).live_since(mark, least_age, |block| unsafe { visit(context, block) });
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
    unsafe {
        let roots = if roots.is_null() { &[] } else { core::slice::from_raw_parts(roots, count) };
        let found = arena(heap).lost(roots, |leak| {
            if let Some(visit) = visit {
                visit(context, leak);
            }
        });
        if !totals.is_null() {
            *totals = found;
        }
    }
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
    arena(heap).summary(unsafe { core::slice::from_raw_parts_mut(table, rows) })
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
    unsafe { *statistics = arena(heap).statistics() };
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
    match arena(heap).block_of(address.cast()) {
        Some(found) => {
            // SAFETY: the caller's struct, not null.
            unsafe { *block = found };
            true
        }
        None => false,
    }
}

/// Writes an event as a JSON record, one line, through `putc`. For use in the
/// event handler.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`; `event` is the handler's; `putc`
/// may be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_report_event(
    heap: *mut heapwarden_arena_t,
    event: *const ArenaEvent,
    putc: ArenaPutc,
    context: *mut c_void,
) {
    let arena = arena(heap);
    // SAFETY: the handler's event, not null.
    arena.report_event(unsafe { &*event }, arena.pen(putc, context));
}

/// As `heapwarden_arena_lost`, but writes a JSON record for each call site and
/// a summary through `putc`; the lock is held while the leaks are written.
/// Returns the number of blocks that no root leads to.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`; the `count` roots are readable;
/// `putc` may be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_report_lost(
    heap: *mut heapwarden_arena_t,
    roots: *const ArenaRoot,
    count: usize,
    putc: ArenaPutc,
    context: *mut c_void,
) -> usize {
    let arena = arena(heap);
    // SAFETY: the caller's array, not null, and memory.
    let totals = unsafe {
        let roots = core::slice::from_raw_parts(roots, count);
        arena.report_lost(roots, arena.pen(putc, context))
    };
    totals.kinds[ArenaLeakKind::Definite as usize].blocks
        + totals.kinds[ArenaLeakKind::Indirect as usize].blocks
}

/// A `no_std` library has nobody to unwind to. Nothing in the arena panics;
/// this exists because rustc asks for it.
#[cfg(all(not(test), not(feature = "hosted")))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    halt()
}
