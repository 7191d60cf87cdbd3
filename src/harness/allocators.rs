//! Allocators that anybody may bring: a `GlobalAlloc`, or a malloc and its
//! family as C functions.

use super::machine::{Allocator, Freeing};
use super::operation::Function;
use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

/// A Rust allocator, tried by [`super::Rules::RUST`].
pub struct RustAllocator<'a, A: GlobalAlloc + Sync>(pub &'a A);

fn layout(function: Function, size: usize) -> Option<Layout> {
    let alignment = match function.alignment() {
        1 => size_of::<usize>(),
        other => other,
    };
    Layout::from_size_align(size, alignment).ok()
}

// SAFETY: every pointer goes through as it is.
unsafe impl<A: GlobalAlloc + Sync> Allocator for RustAllocator<'_, A> {
    fn allocate(&self, function: Function, size: usize) -> (*mut u8, i32) {
        let bytes = function.bytes(size).and_then(|bytes| layout(function, bytes));
        let Some(layout) = bytes.filter(|layout| layout.size() > 0) else {
            return (null_mut(), 0);
        };
        // SAFETY: the size is not zero.
        let block = unsafe {
            match function {
                Function::Calloc { .. } => self.0.alloc_zeroed(layout),
                _ => self.0.alloc(layout),
            }
        };
        (block, 0)
    }

    unsafe fn resize(
        &self,
        block: *mut u8,
        made: Function,
        old: usize,
        size: usize,
    ) -> (*mut u8, i32) {
        let Some(layout) = layout(made, old) else { return (null_mut(), 0) };
        // SAFETY: the block was made with this layout.
        (unsafe { self.0.realloc(block, layout, size) }, 0)
    }

    unsafe fn free(&self, block: *mut u8, made: Function, size: usize, _: Freeing) -> i32 {
        if let Some(layout) = layout(made, size) {
            // SAFETY: the block was made with this layout.
            unsafe { self.0.dealloc(block, layout) };
        }
        0
    }
}

/// A C malloc, given as its functions, tried by [`super::Rules::C`]. Those that
/// are missing (`None`) are replaced by aligned_alloc or malloc.
#[derive(Clone, Copy)]
pub struct CFunctions {
    /// C23 7.24.4.6
    pub malloc: unsafe extern "C" fn(usize) -> *mut c_void,
    /// C23 7.24.4.2
    pub calloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    /// C23 7.24.4.7
    pub realloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    /// C23 7.24.4.3
    pub free: unsafe extern "C" fn(*mut c_void),
    /// C23 7.24.4.1
    pub aligned_alloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    /// POSIX.1-2001
    pub posix_memalign: Option<unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> c_int>,
    /// malloc_usable_size(3)
    pub usable_size: Option<unsafe extern "C" fn(*mut c_void) -> usize>,
}

fn errno() -> *mut c_int {
    unsafe extern "C" {
        fn __errno_location() -> *mut c_int;
    }
    // SAFETY: gives this thread's errno, always valid.
    unsafe { __errno_location() }
}

/// Runs `call` with errno 0; its result, and errno after it, which on success
/// C leaves open.
fn with_errno(call: impl FnOnce() -> *mut c_void) -> (*mut u8, i32) {
    // SAFETY: this thread's errno.
    unsafe { errno().write(0) };
    let block = call();
    // SAFETY: as above.
    (block.cast(), if block.is_null() { unsafe { errno().read() } } else { 0 })
}

// SAFETY: every pointer goes through as it is.
unsafe impl Allocator for CFunctions {
    fn allocate(&self, function: Function, size: usize) -> (*mut u8, i32) {
        // SAFETY: the functions are the user's; any number may be asked for.
        unsafe {
            match function {
                Function::Calloc { count } => with_errno(|| (self.calloc)(count, size)),
                Function::Realloc => with_errno(|| (self.realloc)(null_mut(), size)),
                Function::PosixMemalign { alignment }
                    if let Some(posix_memalign) = self.posix_memalign =>
                {
                    let mut block = null_mut();
                    match posix_memalign(&raw mut block, alignment, size) {
                        0 => (block.cast(), 0),
                        error => (null_mut(), error),
                    }
                }
                _ => match function.alignment() {
                    1 => with_errno(|| (self.malloc)(size)),
                    alignment => {
                        let size = function.bytes(size).unwrap_or(size);
                        with_errno(|| (self.aligned_alloc)(alignment, size))
                    }
                },
            }
        }
    }

    unsafe fn resize(&self, block: *mut u8, _: Function, _: usize, size: usize) -> (*mut u8, i32) {
        // SAFETY: the caller's promise.
        with_errno(|| unsafe { (self.realloc)(block.cast(), size) })
    }

    unsafe fn free(&self, block: *mut u8, _: Function, _: usize, _: Freeing) -> i32 {
        // SAFETY: the caller's promise, and this thread's errno.
        unsafe {
            errno().write(0);
            (self.free)(block.cast());
            errno().read()
        }
    }

    unsafe fn usable_size(&self, block: *mut u8, size: usize) -> usize {
        // SAFETY: the caller's promise.
        self.usable_size.map_or(size, |usable_size| unsafe { usable_size(block.cast()) })
    }
}
