//! Scratch: memory for one check, mapped at its start and given back at its end.
//!
//! Neither the heap nor its metadata can serve here: their locks are held
//! while the program's threads are.
//!
//! Invariant: pieces never overlap and are zeroed; they live as long as the
//! scratch they were taken from.

use crate::platform::linux::syscall::call;
use crate::platform::{Host, OsError, Platform};
use crate::units::{OS_PAGE, align_up};
use core::cell::Cell;
use core::sync::atomic::{
    AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// The mappings that leak checks made, so that none of them is taken for the
/// program's memory.
static OWN: [[AtomicUsize; 2]; 64] = [const { [AtomicUsize::new(0), AtomicUsize::new(0)] }; 64];

/// Notes a mapping as the leak check's own.
pub fn note_own(start: usize, bytes: usize) {
    for [first, end] in &OWN {
        if first.compare_exchange(0, start, AcqRel, Relaxed).is_ok() {
            end.store(start + bytes, Release);
            return;
        }
    }
}

fn forget_own(start: usize) {
    for [first, end] in &OWN {
        if first.load(Acquire) == start {
            end.store(0, Release);
            first.store(0, Release);
            return;
        }
    }
}

/// Calls `visit` with the parts of `start..end` that are not our own.
pub fn without_own(start: usize, end: usize, mut visit: impl FnMut(usize, usize)) {
    let mut from = start;
    while from < end {
        // Our first mapping that ends behind `from`.
        let mut next = (end, end);
        for [first, last] in &OWN {
            let (first, last) = (first.load(Acquire), last.load(Acquire));
            if first != 0 && last > from && first < next.0 {
                next = (first, last);
            }
        }
        if from < next.0 {
            visit(from, next.0);
        }
        from = next.1.max(from + 1);
    }
}

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
        let start = Host::map(bytes)?.as_ptr() as usize;
        note_own(start, bytes);
        Ok(Scratch { start, bytes, used: Cell::new(0) })
    }

    /// Maps `bytes` bytes that a forked copy of the process writes for us.
    pub fn shared(bytes: usize) -> Result<Scratch, OsError> {
        let bytes = align_up(bytes.max(1), OS_PAGE);
        let access = (libc::PROT_READ | libc::PROT_WRITE) as usize;
        let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize;
        // SAFETY: a fresh anonymous mapping touches nothing that exists.
        let start = unsafe { call(libc::SYS_mmap, [0, bytes, access, flags, usize::MAX, 0])? };
        note_own(start, bytes);
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
        forget_own(self.start);
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
    fn own_mappings_are_cut_out_of_what_the_kernel_merged() {
        let scratch = Scratch::new(3 * OS_PAGE).unwrap();
        let (start, end) = scratch.range();
        let parts = |from, to| {
            let mut parts = std::vec::Vec::new();
            without_own(from, to, |from, to| parts.push((from, to)));
            parts
        };
        assert_eq!(parts(start, end), []);
        let around = parts(start - OS_PAGE, end + OS_PAGE);
        assert!(around.iter().all(|&(from, to)| to <= start || from >= end));
        drop(scratch);
        assert!(parts(start, end).iter().all(|&(from, to)| from >= start && to <= end));
    }

    #[test]
    fn a_full_table_counts_what_it_drops() {
        let scratch = Scratch::new(64).unwrap();
        let mut table = Table::<u32>::new(&scratch, 3);
        (0..5).for_each(|value| table.push(value));
        assert_eq!((table.as_slice(), table.dropped()), (&[0, 1, 2][..], 2));
        assert!(scratch.take::<u32>(1 << 20).is_empty());
    }
}
