//! The window itself: where it lies, how far it is mapped, how it grows.

use super::granule::Granule;
use crate::outside::{Address, WindowPart};
use crate::platform::{Access, Host, OsError, Platform, ticks};
use crate::sync::atomics::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::units::{GIB, GRANULE, MIB, WINDOW, align_up};

/// Bytes of address space for the granule table, right below the window.
pub const TABLE_BYTES: usize = WINDOW / GRANULE * size_of::<Granule>();
/// Bytes of address space for metadata, below the table.
pub(super) const METADATA_BYTES: usize = 62 * GIB;

/// Where the window may begin, and at how many places from there.
const LOWEST: usize = if cfg!(heapwarden_sanitized = "address") {
    24 << 40 // AddressSanitizer's shadow lies from 2 to 16 TiB (scripts/sanitize.sh)
} else if cfg!(heapwarden_sanitized = "thread") {
    128 * GIB // ThreadSanitizer leaves the program 2 TiB, and begins its shadow at 16
} else {
    2 << 40
};
const PLACES: usize = if cfg!(heapwarden_sanitized = "thread") { 12 } else { 160 };
const PLACE: usize = 64 * GIB;
/// Where in its place the window begins: from 1/16 to 15/16 of 4 GiB, by huge pages.
const LOWER_HALF: usize = 256 * MIB;
const LOWER_STEP: usize = 2 * MIB;
const LOWER_HALVES: usize = (4 * GIB - 2 * LOWER_HALF) / LOWER_STEP;
const TABLE_STEP: usize = 64 * 1024;

/// The process's one window. Its numbers are read by the fast paths.
pub struct Window {
    base: AtomicUsize,
    extent: AtomicUsize,
    table_mapped: AtomicUsize,
    /// From an address, in bytes of the table, to its granule's.
    slide: AtomicUsize,
}

static THE: Window = Window {
    base: AtomicUsize::new(0),
    extent: AtomicUsize::new(0),
    table_mapped: AtomicUsize::new(0),
    slide: AtomicUsize::new(0),
};

/// Where the window is, for readers outside the process.
pub const OUTSIDE: WindowPart<Address> = WindowPart {
    base: Address::of(&raw const THE.base),
    extent: Address::of(&raw const THE.extent),
    metadata: super::metadata::MAPPED_ADDRESS,
    table_bytes: TABLE_BYTES as u64,
    metadata_bytes: METADATA_BYTES as u64,
};

impl Window {
    /// First address of the window; 0 until [`Window::settle`].
    #[inline(always)]
    pub fn base() -> usize {
        THE.base.load(Relaxed)
    }

    /// Bytes from the base that may belong to the heap.
    #[inline(always)]
    pub fn extent() -> usize {
        THE.extent.load(Acquire)
    }

    /// Whether `address` is in the part of the window that has granules.
    #[inline(always)]
    pub fn contains(address: usize) -> bool {
        address.wrapping_sub(Window::base()) < Window::extent()
    }

    /// Whether `address` is the heap's or its metadata's.
    pub fn is_own(address: usize) -> bool {
        let base = Window::base();
        base != 0
            && address.wrapping_sub(base - TABLE_BYTES - METADATA_BYTES)
                < TABLE_BYTES + METADATA_BYTES + WINDOW
    }

    /// The granule that holds the byte `offset` bytes after the base.
    #[inline(always)]
    pub fn granule_at(offset: usize) -> *mut Granule {
        (Window::base() - TABLE_BYTES + (offset >> 16) * size_of::<Granule>()) as *mut Granule
    }

    /// The granule that holds the byte at `address`, below the extent of the
    /// window, where somebody has grown it.
    #[inline(always)]
    pub fn granule_of(address: usize) -> *mut Granule {
        let slide = THE.slide.load(Relaxed);
        let in_table = address / (GRANULE / size_of::<Granule>());
        (in_table & !(size_of::<Granule>() - 1)).wrapping_add(slide) as *mut Granule
    }

    /// The granule with this index, for who has read the base already.
    #[inline(always)]
    pub fn granule_from(base: usize, index: usize) -> *mut Granule {
        (base - TABLE_BYTES + index * size_of::<Granule>()) as *mut Granule
    }

    /// The granule with this index.
    #[inline(always)]
    pub fn granule(index: u32) -> *mut Granule {
        Window::granule_at(index as usize * GRANULE)
    }

    /// The index of a granule.
    #[inline(always)]
    pub fn index_of(granule: *const Granule) -> u32 {
        ((granule as usize - (Window::base() - TABLE_BYTES)) / size_of::<Granule>()) as u32
    }

    /// The first address of the granule with this index.
    #[inline(always)]
    pub fn address_of(index: u32) -> usize {
        Window::base() + index as usize * GRANULE
    }

    /// Chooses where the window lies; later calls change nothing. The place
    /// is random, below 16 TiB so that Valgrind can follow. Its lower half is
    /// never small: two 32-bit numbers side by side, such as the line and the
    /// column of a table, would look like an address of the first blocks.
    pub fn settle() {
        if THE.base.load(Acquire) != 0 {
            return;
        }
        let noise = ticks().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let noise = noise as usize;
        let lower = LOWER_HALF + (noise / PLACES) % LOWER_HALVES * LOWER_STEP;
        let base = LOWEST + noise % PLACES * PLACE + lower;
        let _ = THE.base.compare_exchange(0, base, Release, Relaxed);
    }

    /// Maps more granules, at least `wanted`; the first one's index and how
    /// many. The caller holds the lock of the runs.
    pub(super) fn grow(wanted: u32) -> Result<(u32, u32), OsError> {
        let needed = wanted as usize * GRANULE;
        let generous =
            align_up(needed.max((Window::extent() / 8).clamp(2 * MIB, 64 * MIB)), 2 * MIB);
        Window::grow_by(generous).or_else(|_| Window::grow_by(needed))
    }

    fn grow_by(bytes: usize) -> Result<(u32, u32), OsError> {
        let mut last = OsError(12);
        let mut start = Window::extent();
        for attempt in 0..64 {
            if start + bytes > WINDOW {
                break;
            }
            Window::map_table(start + bytes)?;
            match Host::map_at(Window::base() + start, bytes, Access::ReadWrite) {
                Ok(()) => {
                    let in_table = Window::base() / GRANULE * size_of::<Granule>();
                    let table = Window::base() - TABLE_BYTES;
                    THE.slide.store(table.wrapping_sub(in_table), Relaxed);
                    THE.extent.store(start + bytes, Release);
                    return Ok(((start / GRANULE) as u32, (bytes / GRANULE) as u32));
                }
                // Somebody else's mapping lies in the way: step over it. What
                // is stepped over stays `Kind::Free` outside every run.
                Err(OsError(17)) => start += (2 * MIB) << attempt.min(9),
                Err(error) => {
                    last = error;
                    break;
                }
            }
        }
        Err(last)
    }

    /// Unmaps every block of the heap: for a copy of the process that only
    /// needs what the heap knows, not what the blocks hold.
    ///
    /// # Safety
    /// Nothing in this process looks at a block, or allocates, any more.
    pub unsafe fn abandon() {
        if Window::extent() > 0 {
            // SAFETY: the caller's promise.
            let _ = unsafe { Host::unmap(Window::base(), Window::extent()) };
        }
    }

    fn map_table(extent: usize) -> Result<(), OsError> {
        let needed = align_up(extent / GRANULE * size_of::<Granule>(), TABLE_STEP);
        let mapped = THE.table_mapped.load(Relaxed);
        if needed > mapped {
            Host::map_at(
                Window::base() - TABLE_BYTES + mapped,
                needed - mapped,
                Access::ReadWrite,
            )?;
            THE.table_mapped.store(needed, Relaxed);
        }
        Ok(())
    }

    /// Bytes of the granule table that are mapped.
    pub fn table_bytes() -> usize {
        THE.table_mapped.load(Relaxed)
    }
}
