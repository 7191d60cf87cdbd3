//! Memory for what the heap knows: records, thread heaps, logs, depots.
//!
//! Pieces are handed out from a bump pointer and, when freed, kept by size
//! (powers of two from 64 bytes) for the next of that size. They lie below
//! the granule table, away from the program's blocks, so that an overflow of
//! the program's never reaches them by a small distance, and a leak scan can
//! leave them out by address.
//!
//! Invariant: memory handed out is zeroed; the bump pointer never runs into
//! the table.

use super::window::{METADATA_BYTES, TABLE_BYTES, Window};
use crate::outside::Address;
use crate::platform::{Access, Host, OsError, Platform};
use crate::sync::atomics::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Lock, Rank};
use crate::units::{MIB, OS_PAGE, align_up};
use core::ptr::NonNull;

struct Arena {
    /// Offset of the next free byte from the metadata's first address.
    next: usize,
    /// Bytes mapped.
    mapped: usize,
    /// Freed pieces by power of two; each holds the address of the next.
    freed: [usize; 32],
}

static ARENA: Lock<Arena> = Lock::new(Rank::Metadata, Arena { next: 0, mapped: 0, freed: [0; 32] });

/// `Arena::mapped`, for those who only want to know.
static MAPPED: AtomicUsize = AtomicUsize::new(0);

/// Where that is, for readers outside the process.
pub(super) const MAPPED_ADDRESS: Address = Address::of(&raw const MAPPED);

const STEP: usize = MIB / 4;

fn start() -> usize {
    Window::settle();
    Window::base() - TABLE_BYTES - METADATA_BYTES
}

/// Zeroed memory of `bytes` bytes, aligned to the next power of two (to a page
/// from a page on). `None` when the operating system has no more.
pub fn allocate(bytes: usize) -> Option<NonNull<u8>> {
    let size = piece_size(bytes);
    let mut arena = ARENA.lock();
    let list = size.trailing_zeros() as usize;
    let found = *arena.freed.get(list)?;
    if found != 0 {
        let piece = found as *mut usize;
        // SAFETY: a freed piece is ours alone and holds the next one's address.
        unsafe {
            arena.freed[list] = *piece;
            core::ptr::write_bytes(piece.cast::<u8>(), 0, size);
        }
        return NonNull::new(piece.cast());
    }
    arena.bump(size, size.min(OS_PAGE))
}

/// Takes memory back that [`allocate`] gave for `bytes` bytes.
///
/// # Safety
/// The memory came from [`allocate`] with the same `bytes` and nobody uses it.
pub unsafe fn free(memory: NonNull<u8>, bytes: usize) {
    let size = piece_size(bytes);
    let list = size.trailing_zeros() as usize;
    let mut arena = ARENA.lock();
    let piece = memory.cast::<usize>();
    // SAFETY: the caller gives the memory up; it is at least 64 bytes.
    unsafe { piece.write(arena.freed[list]) };
    arena.freed[list] = piece.as_ptr() as usize;
}

/// Zeroed memory in whole pages that is never given back: tables that grow
/// by being touched. Counts address space, not memory, until used.
pub fn map(bytes: usize) -> Option<NonNull<u8>> {
    ARENA.lock().bump(align_up(bytes, OS_PAGE), OS_PAGE)
}

/// Bytes of address space mapped for metadata.
pub fn mapped() -> usize {
    MAPPED.load(Relaxed)
}

fn piece_size(bytes: usize) -> usize {
    bytes.max(64).next_power_of_two()
}

impl Arena {
    fn bump(&mut self, bytes: usize, alignment: usize) -> Option<NonNull<u8>> {
        let from = align_up(self.next, alignment);
        let end = from.checked_add(bytes)?;
        if end > METADATA_BYTES {
            return None;
        }
        if end > self.mapped {
            self.extend(end).ok()?;
        }
        self.next = end;
        NonNull::new((start() + from) as *mut u8)
    }

    fn extend(&mut self, end: usize) -> Result<(), OsError> {
        let needed = align_up(end - self.mapped, OS_PAGE);
        let generous = align_up(needed, STEP);
        let address = start() + self.mapped;
        let grown = match Host::map_at(address, generous, Access::ReadWrite) {
            Ok(()) => generous,
            Err(_) => {
                Host::map_at(address, needed, Access::ReadWrite)?;
                needed
            }
        };
        self.mapped += grown;
        MAPPED.store(self.mapped, Relaxed);
        Ok(())
    }
}

/// Takes the arena's lock for a fork.
pub fn before_fork() {
    ARENA.acquire();
}

/// The same within `limit_ns`; `false`: not taken.
pub fn before_fork_within(limit_ns: u64) -> bool {
    ARENA.acquire_within(limit_ns)
}

/// Frees the arena's lock after a fork.
///
/// # Safety
/// This thread, or its copy in the parent, called [`before_fork`].
pub unsafe fn after_fork() {
    // SAFETY: the caller's promise.
    unsafe { ARENA.release() };
}
