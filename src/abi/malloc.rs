//! malloc, calloc, realloc, free (C23 7.24.4), with glibc's answers where the
//! standard leaves a choice: malloc(0) is unique, realloc(p, 0) frees.

use super::bundled;
use super::lifecycle::ensure_started;
use super::shim::shim;
use super::warnings::{self, Call};
use crate::heap::{self, Request};
use crate::report::WarningKind;
use crate::trace::Entry;
use crate::units::Family;
use core::ptr::null_mut;

shim! {
    "malloc"("rsi", "rdx") => malloc;
    "calloc"("rdx", "rcx") => calloc;
    "realloc"("rdx", "rcx") => realloc;
    "free"("rsi", "rdx") => free;
    "cfree"("rsi", "rdx") => free;
    "free_sized"("rdx", "rcx") => free_sized;
    "free_aligned_sized"("rcx", "r8") => free_aligned_sized;
}

pub(super) const MALLOC: u8 = Family::Malloc as u8;

/// Sets errno.
pub(super) fn set_errno(value: i32) {
    // SAFETY: __errno_location gives this thread's errno, always valid.
    unsafe { *libc::__errno_location() = value };
}

/// The general path for all who allocate: null and ENOMEM without memory.
#[cold]
#[inline(never)]
pub(super) fn allocate(request: &Request, call: Call, entry: Entry) -> *mut u8 {
    ensure_started();
    let mut request = *request;
    if bundled::are_there()
        && let Some(family) = bundled::making(entry)
    {
        request.family = family;
    }
    let block = heap::allocate_general(&request, entry);
    if block.is_null() {
        warnings::check_size(request.size, call, entry);
        set_errno(libc::ENOMEM);
    }
    block
}

/// The general path of free.
#[cold]
#[inline(never)]
pub(super) fn release(pointer: usize, entry: Entry, family: Family) {
    ensure_started();
    let family = if bundled::are_there() { seen_through(pointer, family, entry) } else { family };
    heap::free_general(pointer, family, entry);
}

/// The family of the function that the program called to free the block. What
/// cannot be told fits: then it is the block's own.
fn seen_through(pointer: usize, family: Family, entry: Entry) -> Family {
    if family != Family::Malloc {
        return family;
    }
    let made = || heap::judge(pointer).map(|block| block.record.family());
    bundled::freeing(entry).unwrap_or_else(|| made().unwrap_or(family))
}

/// Where calls of free go.
pub(super) fn address_of_free() -> usize {
    libc::free as *const () as usize
}

unsafe extern "C" fn malloc(size: usize, sp: usize, fp: usize) -> *mut u8 {
    heap::allocate::<MALLOC>(size, Entry { sp, fp }, |size, entry| {
        let request = Request { size, alignment: 16, family: Family::Malloc, zeroed: false };
        allocate(&request, Call::Malloc(size), entry)
    })
}

unsafe extern "C" fn calloc(count: usize, each: usize, sp: usize, fp: usize) -> *mut u8 {
    let entry = Entry { sp, fp };
    let Some(size) = count.checked_mul(each) else {
        ensure_started();
        warnings::warn(WarningKind::CallocOverflow, Call::Calloc(count, each), entry);
        set_errno(libc::ENOMEM);
        return null_mut();
    };
    let block = heap::allocate::<MALLOC>(size, entry, |_, _| null_mut());
    if !block.is_null() {
        // SAFETY: a fresh block of `size` bytes.
        unsafe { core::ptr::write_bytes(block, 0, size) };
        return block;
    }
    let request = Request { size, alignment: 16, family: Family::Malloc, zeroed: true };
    allocate(&request, Call::Calloc(count, each), entry)
}

unsafe extern "C" fn realloc(pointer: usize, size: usize, sp: usize, fp: usize) -> *mut u8 {
    let entry = Entry { sp, fp };
    if pointer == 0 {
        return heap::allocate::<MALLOC>(size, entry, |size, entry| {
            let request = Request { size, alignment: 16, family: Family::Malloc, zeroed: false };
            allocate(&request, Call::Realloc(size), entry)
        });
    }
    if size == 0 {
        heap::free::<MALLOC, false>(pointer, 0, entry, otherwise);
        return null_mut();
    }
    let block = heap::try_resize(pointer, size, entry);
    if !block.is_null() {
        return block;
    }
    ensure_started();
    let block = heap::resize(pointer, size, entry);
    if block.is_null() {
        warnings::check_size(size, Call::Realloc(size), entry);
        set_errno(libc::ENOMEM);
    }
    block
}

unsafe extern "C" fn free(pointer: usize, sp: usize, fp: usize) {
    heap::free::<MALLOC, false>(pointer, 0, Entry { sp, fp }, otherwise);
}

/// Off free's fast path: a null pointer too.
fn otherwise(pointer: usize, _: usize, entry: Entry) {
    if pointer != 0 {
        release(pointer, entry, Family::Malloc);
    }
}

unsafe extern "C" fn free_sized(pointer: usize, size: usize, sp: usize, fp: usize) {
    let entry = Entry { sp, fp };
    if pointer != 0 {
        super::violations::check_sized_free(pointer, size, None, entry);
        release(pointer, entry, Family::Malloc);
    }
}

unsafe extern "C" fn free_aligned_sized(
    pointer: usize,
    alignment: usize,
    size: usize,
    sp: usize,
    fp: usize,
) {
    let entry = Entry { sp, fp };
    if pointer != 0 {
        super::violations::check_sized_free(pointer, size, Some(alignment), entry);
        release(pointer, entry, Family::Malloc);
    }
}
