//! The malloc family.
//!
//! Invariant: a `site` reaches the block's header as it was given.

use core::ffi::c_void;
use core::ptr;

use super::{arena, heapwarden_arena_t};

/// Holds every product of two sizes.
#[cfg(target_pointer_width = "32")]
type Wide = u64;
/// Holds every product of two sizes.
#[cfg(not(target_pointer_width = "32"))]
type Wide = u128;

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
    // saturating_mul, in a form with one test less.
    let mut bytes = (count as Wide * size as Wide).min(usize::MAX as Wide) as usize;
    let pointer = arena(heap).allocate_plain(bytes, site.addr());
    if !pointer.is_null() {
        // Volatile, or the compiler makes it a call of memset.
        while bytes != 0 {
            bytes -= 1;
            // SAFETY: so many bytes were just allocated, and more.
            unsafe { pointer.add(bytes).write_volatile(0) };
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
    if size == 0 && !pointer.is_null() {
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
