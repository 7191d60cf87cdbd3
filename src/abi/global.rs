//! A Rust program's global allocator.
//!
//! It calls malloc and its family, which this crate exports into the program:
//! Rust code and the C libraries beside it are watched alike, and blocks may
//! go from one to the other.
//!
//! Invariant: in the symbol child everything comes from the child's arena; the
//! program's heap may be half changed there.

use crate::symbol::{ChildArena, is_child};
use core::alloc::{GlobalAlloc, Layout};

/// What malloc aligns to without being asked (System V psABI x86-64, 3.1.2).
const MIN_ALIGNMENT: usize = 16;

/// The warden as `#[global_allocator]` (`std::alloc`): leaks are reported at
/// exit, misuse when it is found, each with call stacks; the options are those
/// of `HEAPWARDEN_OPTIONS`. Once in a program, on x86-64 Linux with glibc.
///
/// ```
/// #[global_allocator]
/// static HEAP: heapwarden::Heapwarden = heapwarden::Heapwarden;
///
/// let numbers = vec![1, 2, 3];
/// assert_eq!(numbers.iter().sum::<i32>(), 6);
/// ```
#[derive(Clone, Copy, Default, Debug)]
pub struct Heapwarden;

mod c {
    unsafe extern "C" {
        pub fn malloc(size: usize) -> *mut u8;
        pub fn calloc(count: usize, each: usize) -> *mut u8;
        pub fn realloc(block: *mut u8, size: usize) -> *mut u8;
        pub fn free(block: *mut u8);
        pub fn aligned_alloc(alignment: usize, size: usize) -> *mut u8;
    }
}

// SAFETY: malloc and its family give disjoint blocks of the size asked for, at
// multiples of 16 or of the alignment asked for, or null; and so does the arena.
unsafe impl GlobalAlloc for Heapwarden {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: any size may be asked for; a layout's alignment is a power of two.
        unsafe {
            if is_child() {
                ChildArena.alloc(layout)
            } else if layout.align() <= MIN_ALIGNMENT {
                c::malloc(layout.size())
            } else {
                c::aligned_alloc(layout.align(), layout.size())
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MIN_ALIGNMENT && !is_child() {
            // SAFETY: any size may be asked for.
            return unsafe { c::calloc(1, layout.size()) };
        }
        // SAFETY: the caller's promise is passed on; a block that is there has
        // the size.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller got the block here, with this layout.
        unsafe { if is_child() { ChildArena.dealloc(block, layout) } else { c::free(block) } }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller got the block here, with this layout, and the new
        // size makes a layout with the same alignment; the new block is
        // another one.
        unsafe {
            if is_child() {
                return ChildArena.realloc(block, layout, size);
            }
            if layout.align() <= MIN_ALIGNMENT {
                return c::realloc(block, size);
            }
            let new = c::aligned_alloc(layout.align(), size);
            if !new.is_null() {
                new.copy_from_nonoverlapping(block, layout.size().min(size));
                c::free(block);
            }
            new
        }
    }
}
