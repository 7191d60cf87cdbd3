//! The symbol child's heap: a bump arena that never frees.
//!
//! In the built library (`abi`) the crate's `#[global_allocator]` leads here:
//! nothing but the symbol child allocates, and outside of it every request
//! fails. In unit tests the rest of the world gets std's allocator.
//!
//! ```text
//!   chunk   | block | block | …        | free → end |      (mmap, 1 MiB or more)
//! ```
//!
//! Invariant: after [`enter`] this process has one thread, so nothing here is
//! contended; before it, the arena is never touched. The memory goes when the
//! child ends.

use crate::platform::{Host, Platform};
use crate::units::{MIB, OS_PAGE, checked_align_up};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Bytes that the child may use: a debug file made to be hungry ends here.
const LIMIT: usize = 2048 * MIB;
const CHUNK: usize = 4 * MIB;

static IN_CHILD: AtomicBool = AtomicBool::new(false);
static FREE: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);
static TOTAL: AtomicUsize = AtomicUsize::new(0);

/// From here on this process allocates from the arena.
pub fn enter() {
    IN_CHILD.store(true, Relaxed);
}

/// Whether this process is the symbol child.
#[inline]
pub fn is_child() -> bool {
    IN_CHILD.load(Relaxed)
}

/// The arena as an allocator; for the child only.
pub struct ChildArena;

fn allocate(layout: Layout) -> *mut u8 {
    let place = |free: usize| {
        let start = checked_align_up(free, layout.align())?;
        Some((start, start.checked_add(layout.size())?))
    };
    let mut found = place(FREE.load(Relaxed)).filter(|(_, end)| *end <= END.load(Relaxed));
    if found.is_none() {
        let needed = layout.size().saturating_add(layout.align()).max(CHUNK);
        let Some(bytes) = checked_align_up(needed, OS_PAGE) else { return ptr::null_mut() };
        let total = TOTAL.load(Relaxed).saturating_add(bytes);
        if total > LIMIT {
            return ptr::null_mut();
        }
        let Ok(chunk) = Host::map(bytes) else { return ptr::null_mut() };
        TOTAL.store(total, Relaxed);
        END.store(chunk.as_ptr() as usize + bytes, Relaxed);
        found = place(chunk.as_ptr() as usize);
    }
    let Some((start, end)) = found else { return ptr::null_mut() };
    FREE.store(end, Relaxed);
    ptr::with_exposed_provenance_mut(start)
}

// SAFETY: `allocate` hands out disjoint, aligned ranges of fresh mappings, or
// null; one thread at a time (see the invariant above).
unsafe impl GlobalAlloc for ChildArena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocate(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block as usize + layout.size() == FREE.load(Relaxed) {
            FREE.store(block as usize, Relaxed);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let is_last = block as usize + layout.size() == FREE.load(Relaxed);
        if is_last && block as usize + size <= END.load(Relaxed) {
            FREE.store(block as usize + size, Relaxed);
            return block;
        }
        // SAFETY: GlobalAlloc's realloc promises a valid new layout and a
        // block of this allocator; the new block is disjoint from it.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, layout.size().min(size));
            }
            new
        }
    }
}

/// The library's own allocator, unless the program has one for us both
/// (`global`, then it is [`crate::abi::Heapwarden`]).
#[cfg(not(feature = "global"))]
mod own {
    use super::{ChildArena, is_child};
    use core::alloc::{GlobalAlloc, Layout};

    struct Own;

    #[global_allocator]
    static OWN: Own = Own;

    // SAFETY: passes on to one allocator before the process becomes the child
    // and to the other after that; the child frees nothing from before.
    unsafe impl GlobalAlloc for Own {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promise is passed on.
            unsafe { if is_child() { ChildArena.alloc(layout) } else { outside::alloc(layout) } }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the caller's promise is passed on.
            unsafe {
                match is_child() {
                    true => ChildArena.dealloc(block, layout),
                    false => outside::dealloc(block, layout),
                }
            }
        }
    }

    /// What allocates outside of the child: nothing, for the library itself
    /// must not allocate.
    #[cfg(not(test))]
    mod outside {
        use core::alloc::Layout;

        pub unsafe fn alloc(_: Layout) -> *mut u8 {
            core::ptr::null_mut()
        }
        pub unsafe fn dealloc(_: *mut u8, _: Layout) {}
    }

    /// In unit tests the rest of the world needs one.
    #[cfg(test)]
    mod outside {
        use core::alloc::{GlobalAlloc, Layout};
        use std::alloc::System;

        pub unsafe fn alloc(layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promise is passed on.
            unsafe { System.alloc(layout) }
        }
        pub unsafe fn dealloc(block: *mut u8, layout: Layout) {
            // SAFETY: the caller's promise is passed on.
            unsafe { System.dealloc(block, layout) }
        }
    }
}
