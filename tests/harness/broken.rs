//! A small allocator with one bug planted where such bugs live, and none in
//! its twin: free lists of powers of two over a region of its own.
//!
//! All it hands out lies in its region, so that a bug harms nobody else.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A size of 48 gets a slot of 32 bytes.
    Overlap,
    /// Alignments above 64 are forgotten.
    LostAlignment,
    /// calloc trusts that memory is fresh.
    DirtyCalloc,
    /// realloc copies whole words only.
    LostBytes,
    /// A shrinking realloc gives the tail away, and free the whole slot.
    DoubleHandOut,
}

impl Fault {
    pub const ALL: [Fault; 5] = [
        Fault::Overlap,
        Fault::LostAlignment,
        Fault::DirtyCalloc,
        Fault::LostBytes,
        Fault::DoubleHandOut,
    ];
}

const REGION: usize = 64 << 20;

/// Fresh memory, zeroed; what it hands out lies from a multiple of 1 MiB on, so
/// that offsets are aligned to whatever a program asks for.
struct Region {
    mapped: *mut libc::c_void,
    bytes: usize,
}

const LARGEST_ALIGNMENT: usize = 1 << 20;

impl Region {
    fn new(bytes: usize) -> Region {
        let bytes = bytes + LARGEST_ALIGNMENT;
        // SAFETY: a new mapping.
        let mapped = unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(null_mut(), bytes, access, kind, -1, 0)
        };
        assert_ne!(mapped, libc::MAP_FAILED);
        Region { mapped, bytes }
    }

    fn start(&self) -> *mut u8 {
        let mapped = self.mapped.cast::<u8>();
        mapped.wrapping_add(mapped.addr().next_multiple_of(LARGEST_ALIGNMENT) - mapped.addr())
    }

    fn at(&self, offset: usize) -> *mut u8 {
        self.start().wrapping_add(offset)
    }

    fn offset_of(&self, block: *mut u8) -> usize {
        block.addr() - self.start().addr()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`; the programs are done.
        unsafe { libc::munmap(self.mapped, self.bytes) };
    }
}

pub struct Broken {
    fault: Option<Fault>,
    region: Region,
    /// Bytes used up, and the free slots of each power of two.
    state: Mutex<(usize, [Vec<usize>; 32])>,
}

// SAFETY: the state is behind a lock, the region is only an address.
unsafe impl Sync for Broken {}

impl Broken {
    pub fn new(fault: Option<Fault>) -> Broken {
        Broken { fault, region: Region::new(REGION), state: Mutex::default() }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The power of two of a block's slot.
    fn power(&self, layout: Layout) -> usize {
        let alignment = match layout.align() {
            ..=64 => layout.align(),
            _ if self.has(Fault::LostAlignment) => 64,
            larger => larger,
        };
        let size = match layout.size() {
            48 if self.has(Fault::Overlap) => 32,
            size => size,
        };
        size.max(alignment).max(32).next_power_of_two().ilog2() as usize
    }
}

// SAFETY: not sound where a fault is planted; that is its purpose.
unsafe impl GlobalAlloc for Broken {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let power = self.power(layout);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = state.1[power].pop() {
            return self.region.at(slot);
        }
        let alignment = match self.has(Fault::LostAlignment) {
            true => 64.min(1 << power),
            false => 1 << power,
        };
        let start = state.0.next_multiple_of(alignment);
        if start + (1 << power) > REGION {
            return null_mut();
        }
        state.0 = start + (1 << power);
        self.region.at(start)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the same promise; the block is fresh.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() && !self.has(Fault::DirtyCalloc) {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let power = self.power(layout);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1[power].push(self.region.offset_of(block));
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let new = Layout::from_size_align(size, layout.align()).unwrap();
        if self.power(new) == self.power(layout) {
            return block;
        }
        // SAFETY: the same promise; both blocks have the bytes that are copied.
        unsafe {
            if self.has(Fault::DoubleHandOut) && size < layout.size() {
                // Kept in place, and its slot is given away as if it had moved.
                self.dealloc(block, new);
                return block;
            }
            let to = self.alloc(new);
            if !to.is_null() {
                let kept = size.min(layout.size());
                let kept = if self.has(Fault::LostBytes) { kept & !7 } else { kept };
                to.copy_from_nonoverlapping(block, kept);
                self.dealloc(block, layout);
            }
            to
        }
    }
}

const SLOTS: usize = 4096;
const SLOT: usize = 512;

/// An allocator of slots whose free list is popped without a lock.
pub struct Racing {
    region: Region,
    first: AtomicUsize,
    next: Vec<AtomicUsize>,
}

// SAFETY: atomics, and an address.
unsafe impl Sync for Racing {}

impl Racing {
    pub fn new() -> Racing {
        let region = Region::new(SLOTS * SLOT);
        let next = (1..=SLOTS).map(|next| AtomicUsize::new(next % SLOTS)).collect();
        Racing { region, first: AtomicUsize::new(1), next }
    }
}

// SAFETY: not sound with more than one thread; that is its purpose. With one
// it is: slots of 512 bytes, aligned to their size.
unsafe impl GlobalAlloc for Racing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > SLOT || layout.align() > SLOT {
            return null_mut();
        }
        let slot = self.first.load(Relaxed);
        if slot == 0 {
            return null_mut();
        }
        let next = self.next[slot].load(Relaxed);
        if slot.is_multiple_of(3) {
            std::thread::yield_now();
        }
        self.first.store(next, Relaxed);
        self.region.at(slot * SLOT)
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        let slot = self.region.offset_of(block) / SLOT;
        self.next[slot].store(self.first.load(Relaxed), Relaxed);
        self.first.store(slot, Relaxed);
    }
}
