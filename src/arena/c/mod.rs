//! The C doors of the arena. Each body is a call to the Rust door of the same
//! name; the macros of the header add the call site.
//!
//! A `site` argument is what `ArenaBlock.site` keeps: the address of a static
//! `heapwarden_arena_site_t`, or a return address with bit 0 set, or null.
//!
//! | file | functions |
//! |------|-----------|
//! | this | a heap's birth and regions |
//! | `memory` | the malloc family |
//! | `inspect` | checks, walks, lost blocks, statistics |
//! | `tell` | JSON records through a putc |
//!
//! Invariant: no function here panics or allocates outside of the arena.

use core::ffi::c_void;
use core::ptr::{self, NonNull};

use super::*;

mod inspect;
mod memory;
mod tell;

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
    // SAFETY: the caller's promise.
    match unsafe { Heap::<Built>::create(memory.cast(), length, config) } {
        Some(heap) => heap.cast(),
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

/// A `no_std` library has nobody to unwind to. Nothing in the arena panics;
/// this exists because rustc asks for it.
#[cfg(all(not(test), not(feature = "hosted")))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    halt()
}
