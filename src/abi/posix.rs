//! The aligned family: aligned_alloc (C23), posix_memalign (POSIX.1-2024),
//! memalign, valloc, pvalloc, and malloc_usable_size, as glibc 2.36 answers.

use super::lifecycle::ensure_started;
use super::malloc::{allocate, set_errno};
use super::shim::shim;
use super::warnings::{self, Call};
use crate::heap::{self, Request};
use crate::trace::Entry;
use crate::units::{Family, OS_PAGE, checked_align_up};
use core::ptr::null_mut;

shim! {
    "aligned_alloc"("rdx", "rcx") => aligned_alloc;
    "memalign"("rdx", "rcx") => memalign;
    "posix_memalign"("rcx", "r8") => posix_memalign;
    "valloc"("rsi", "rdx") => valloc;
    "pvalloc"("rsi", "rdx") => pvalloc;
    "malloc_usable_size"("rsi", "rdx") => malloc_usable_size;
}

/// Blocks of the aligned family; null and ENOMEM without memory.
fn aligned(alignment: usize, size: usize, call: Call, entry: Entry) -> *mut u8 {
    allocate(&Request { size, alignment, family: Family::Aligned, zeroed: false }, call, entry)
}

/// glibc takes any power of two, and sizes that are no multiple of it; 0 and
/// other numbers fail with EINVAL.
unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize, sp: usize, fp: usize) -> *mut u8 {
    let call = Call::AlignedAlloc(alignment, size);
    if !alignment.is_power_of_two() {
        warnings::bad_alignment(call, Entry { sp, fp });
        set_errno(libc::EINVAL);
        return null_mut();
    }
    aligned(alignment, size, call, Entry { sp, fp })
}

/// glibc rounds the alignment up to a power of two; above half the address
/// space it fails with EINVAL (memalign(3)).
unsafe extern "C" fn memalign(alignment: usize, size: usize, sp: usize, fp: usize) -> *mut u8 {
    let call = Call::Memalign(alignment, size);
    if alignment > usize::MAX / 2 + 1 {
        warnings::bad_alignment(call, Entry { sp, fp });
        set_errno(libc::EINVAL);
        return null_mut();
    }
    aligned(alignment.max(1).next_power_of_two(), size, call, Entry { sp, fp })
}

/// The block goes to `*place`, untouched on failure; errno is kept, the error
/// is the result.
unsafe extern "C" fn posix_memalign(
    place: *mut *mut u8,
    alignment: usize,
    size: usize,
    sp: usize,
    fp: usize,
) -> i32 {
    let call = Call::PosixMemalign(alignment, size);
    if !alignment.is_power_of_two() || !alignment.is_multiple_of(size_of::<usize>()) {
        warnings::bad_alignment(call, Entry { sp, fp });
        return libc::EINVAL;
    }
    ensure_started();
    let request = Request { size, alignment, family: Family::Aligned, zeroed: false };
    let block = heap::allocate_general(&request, Entry { sp, fp });
    if block.is_null() {
        warnings::check_size(size, call, Entry { sp, fp });
        return libc::ENOMEM;
    }
    // SAFETY: the caller passes where the pointer goes (POSIX).
    unsafe { *place = block };
    0
}

unsafe extern "C" fn valloc(size: usize, sp: usize, fp: usize) -> *mut u8 {
    aligned(OS_PAGE, size, Call::Valloc(size), Entry { sp, fp })
}

unsafe extern "C" fn pvalloc(size: usize, sp: usize, fp: usize) -> *mut u8 {
    match checked_align_up(size, OS_PAGE) {
        Some(whole) => aligned(OS_PAGE, whole, Call::Pvalloc(size), Entry { sp, fp }),
        None => {
            ensure_started();
            warnings::check_size(size, Call::Pvalloc(size), Entry { sp, fp });
            set_errno(libc::ENOMEM);
            null_mut()
        }
    }
}

/// Exactly the size that was asked for: a caller that writes more than that
/// would write into the guard.
unsafe extern "C" fn malloc_usable_size(pointer: usize, sp: usize, fp: usize) -> usize {
    if pointer == 0 {
        return 0;
    }
    if let Some(size) = heap::try_size_of(pointer) {
        return size;
    }
    heap::usable_size(pointer, Entry { sp, fp }).unwrap_or_default()
}
