//! Scratch: memory for one check, mapped at its start and given back at its end.
//!
//! Neither the heap nor its metadata can serve here: their locks are held
//! while the program's threads are.
//!
//! Invariant: pieces never overlap and are zeroed; they live as long as the
//! scratch they were taken from.

use crate::platform::linux::own;
use crate::platform::linux::syscall::call;
use crate::platform::{Host, OsError, Platform};
use crate::units::{OS_PAGE, align_up};
use core::cell::Cell;

/// Values for which all-zero bytes are valid.
///
/// # Safety
/// Any instance made of zero bytes is a value of the type, and dropping it
/// does nothing.
pub unsafe trait Zeroed {}

// SAFETY: plain integers.
unsafe impl Zeroed for u8 {}
// SAFETY: plain integers.
unsafe impl Zeroed for u32 {}

/// A mapping that is handed out piece by piece.
pub struct Scratch {
    start: usize,
    bytes: usize,
    used: Cell<usize>,
}

impl Scratch {
    /// Maps `bytes` bytes; they count as memory only when touched.
    pub fn new(bytes: usize) -> Result<Scratch, OsError> {
        let bytes = align_up(bytes.max(1), OS_PAGE);
        match Host::map(bytes) {
            Ok(start) => Ok(Scratch { start: start.as_ptr() as usize, bytes, used: Cell::new(0) }),
            // Shared memory does not count for `ulimit -d` (setrlimit(2)).
            Err(_) => Scratch::shared(bytes),
        }
    }

    /// Maps `bytes` bytes that a forked copy of the process writes for us.
    pub fn shared(bytes: usize) -> Result<Scratch, OsError> {
        let bytes = align_up(bytes.max(1), OS_PAGE);
        let access = (libc::PROT_READ | libc::PROT_WRITE) as usize;
        let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize;
        // SAFETY: a fresh anonymous mapping touches nothing that exists.
        let start = unsafe { call(libc::SYS_mmap, [0, bytes, access, flags, usize::MAX, 0])? };
        own::note(start, bytes);
        Ok(Scratch { start, bytes, used: Cell::new(0) })
    }

    /// A zeroed slice of `count` values; empty when there is no room.
    #[allow(clippy::mut_from_ref)] // each call hands out other bytes
    pub fn take<T: Zeroed>(&self, count: usize) -> &mut [T] {
        let from = align_up(self.used.get(), align_of::<T>().max(64));
        let end = count.checked_mul(size_of::<T>()).and_then(|bytes| from.checked_add(bytes));
        match end {
            Some(end) if end <= self.bytes => {
                self.used.set(end);
                // SAFETY: `from..end` lies in our mapping, which is zeroed and
                // lives as long as `self`; the cursor has moved past it, so no
                // other slice overlaps; zero bytes are a valid T.
                unsafe { core::slice::from_raw_parts_mut((self.start + from) as *mut T, count) }
            }
            _ => &mut [],
        }
    }

    /// The mapping: first address and first address after it.
    pub fn range(&self) -> (usize, usize) {
        (self.start, self.start + self.bytes)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        own::forget(self.start);
        // SAFETY: the mapping is ours and the pieces borrowed `self`.
        let _ = unsafe { Host::unmap(self.start, self.bytes) };
    }
}

/// A slice that fills up: pushes past its end are counted, not kept.
pub struct Table<'s, T> {
    slots: &'s mut [T],
    length: usize,
    dropped: usize,
}

impl<'s, T: Zeroed + Copy> Table<'s, T> {
    /// An empty table of at most `capacity` values.
    pub fn new(scratch: &'s Scratch, capacity: usize) -> Table<'s, T> {
        Table { slots: scratch.take(capacity), length: 0, dropped: 0 }
    }

    /// Adds `value`, or counts it as dropped.
    pub fn push(&mut self, value: T) {
        match self.slots.get_mut(self.length) {
            Some(slot) => {
                *slot = value;
                self.length += 1;
            }
            None => self.dropped += 1,
        }
    }

    /// Values that found no room.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    /// What is kept.
    pub fn as_slice(&self) -> &[T] {
        &self.slots[..self.length]
    }

    /// What is kept, to change.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.slots[..self.length]
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn a_full_table_counts_what_it_drops() {
        let scratch = Scratch::new(64).unwrap();
        let mut table = Table::<u32>::new(&scratch, 3);
        (0..5).for_each(|value| table.push(value));
        assert_eq!((table.as_slice(), table.dropped()), (&[0, 1, 2][..], 2));
        assert!(scratch.take::<u32>(1 << 20).is_empty());
    }
}
