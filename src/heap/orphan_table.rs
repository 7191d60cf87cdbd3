//! Where orphans settle: a hash table by the child's address.
//!
//! ```text
//!   bucket   | place | place | place | place |     one of 64 to 2048
//! ```
//!
//! Invariant: a place is empty (no record) or whole; only the heap's owner
//! writes. At most [`MOST`] settle; then a bucket's oldest gives way. Where that
//! happens often (a program with more live orphans than that), only one child
//! in two, four … sixteen, by its address, is remembered, but for longer.

use crate::ledger::{Orphan, Record};
use crate::memory::{allocate_metadata, free_metadata};
use core::ptr::NonNull;

/// Places of the first table, and of the largest.
const FEWEST: u32 = 256;
const MOST: u32 = 8192;
/// Places where a child may be.
const BUCKET: u32 = 4;

/// Entries after which the sampling is looked at.
const PERIOD: u16 = 2048;
/// One child in so many is remembered at the least, less one.
const MOST_SAMPLING: u32 = 15;

/// A thread's orphans.
pub(super) struct OrphanTable {
    first: *mut Orphan,
    places: u32,
    /// Children are remembered whose hash has none of these bits.
    sampling: u32,
    /// Entries kept in this period, and those that gave way though they were
    /// live.
    kept: u16,
    gave_way: u16,
}

/// A child's hash: its upper bits tell where the entry goes, its lower ones
/// whether.
#[inline(always)]
pub(super) fn hash(child: usize) -> u64 {
    (child as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl OrphanTable {
    /// None yet; all zero, as a new thread heap is.
    #[cfg(test)]
    pub(super) const fn new() -> OrphanTable {
        OrphanTable { first: core::ptr::null_mut(), places: 0, sampling: 0, kept: 0, gave_way: 0 }
    }

    /// Whether a child with this hash is remembered.
    #[inline(always)]
    pub(super) fn wants(&self, hash: u64) -> bool {
        (hash >> 16) as u32 & self.sampling == 0
    }

    /// Puts an entry in; an earlier one for its child goes.
    #[inline(never)]
    pub(super) fn keep(&mut self, entry: Orphan) {
        while self.find(&entry).is_none() && self.grow() {}
        if self.places == 0 {
            return;
        }
        let place = self.find(&entry).unwrap_or_else(|| self.make_room(&entry));
        // SAFETY: below `places`.
        let place = unsafe { &mut *self.first.add(place) };
        entry.put(place);
        self.kept += 1;
        if self.kept == PERIOD {
            self.sampling = match self.gave_way {
                count if count > PERIOD / 4 => MOST_SAMPLING.min(self.sampling << 1 | 1),
                count if count < PERIOD / 64 => self.sampling >> 1,
                _ => self.sampling,
            };
            (self.kept, self.gave_way) = (0, 0);
        }
    }

    /// Calls `visit` with each entry whose child is live still. The owner
    /// stands still.
    pub(super) fn for_each(&self, visit: &mut dyn FnMut(&Orphan)) {
        // SAFETY: aligned words inside a heap, which is never freed; the
        // places are metadata, which stays mapped, and zero or written.
        unsafe {
            let first = (&raw const self.first).read_volatile();
            for place in 0..(&raw const self.places).read_volatile() as usize {
                let entry = first.add(place).read_volatile();
                if is_there(&entry) {
                    visit(&entry);
                }
            }
        }
    }

    /// The bucket of an entry, of a table that has places.
    fn bucket(&self, entry: &Orphan) -> core::ops::Range<usize> {
        let first = (hash(entry.child()) >> 32) as u32 & (self.places - 1) & !(BUCKET - 1);
        first as usize..(first + BUCKET) as usize
    }

    /// A place for an entry: its child's, an empty one, or one whose child is
    /// gone.
    #[inline]
    fn find(&self, entry: &Orphan) -> Option<usize> {
        if self.places == 0 {
            return None;
        }
        let range = self.bucket(entry);
        // SAFETY: a table has `places` places, a multiple of the bucket's.
        let at = |place: usize| unsafe { &*self.first.add(place) };
        (range.clone())
            .find(|&place| is_empty(at(place)) || at(place).is_of_same_child(entry))
            .or_else(|| range.clone().find(|&place| !is_there(at(place))))
    }

    /// The last place of an entry's full bucket: the others close up over the
    /// first.
    fn make_room(&mut self, entry: &Orphan) -> usize {
        let range = self.bucket(entry);
        for place in range.start..range.end - 1 {
            // SAFETY: places of one bucket, below `places`.
            unsafe {
                let following = *self.first.add(place + 1);
                following.put(&mut *self.first.add(place));
            }
        }
        self.gave_way += 1;
        range.end - 1
    }

    /// Doubles the table, as long as it is small and there is memory: whether
    /// it did.
    #[cold]
    fn grow(&mut self) -> bool {
        let (old, places) = (self.first, self.places);
        if places == MOST {
            return false;
        }
        let wanted = (places * 2).max(FEWEST);
        let Some(larger) = allocate_metadata(wanted as usize * size_of::<Orphan>()) else {
            return false;
        };
        (self.first, self.places) = (larger.cast().as_ptr(), wanted);
        for place in 0..places as usize {
            // SAFETY: the old table had that many places.
            let entry = unsafe { old.add(place).read() };
            // An old bucket's entries come into one of two, so there is room.
            if is_there(&entry)
                && let Some(place) = self.find(&entry)
            {
                // SAFETY: below `places`.
                unsafe { self.first.add(place).write(entry) };
            }
        }
        if let Some(old) = NonNull::new(old) {
            // SAFETY: allocated here with that size, and replaced above.
            unsafe { free_metadata(old.cast(), places as usize * size_of::<Orphan>()) };
        }
        true
    }
}

/// Whether a place holds nothing: a live block's record is never zero.
#[inline(always)]
pub(super) fn is_empty(entry: &Orphan) -> bool {
    entry.record() == Record(0)
}

/// Whether an entry's child is still the same live block.
#[inline(always)]
pub(super) fn is_there(entry: &Orphan) -> bool {
    !is_empty(entry) && super::orphans::record_at(entry.child()) == entry.record()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::ledger::Holder;
    use crate::memory::Window;
    use crate::units::StackId;

    #[test]
    fn the_later_holder_of_a_child_counts() {
        Window::settle();
        let mut table = OrphanTable::new();
        let record = Record::live(crate::units::Family::Malloc, 8, 1, StackId(1));
        let holder = |freed| Holder {
            address: Window::base(),
            size: 8,
            stack: StackId(1),
            freed: StackId(freed),
            stamp: 3,
        };
        for freed in 2..5 {
            for number in 0..4 {
                let child = Window::base() + number * 16;
                table.keep(Orphan::new(child, record, &holder(freed)));
            }
        }
        assert_eq!(table.places, FEWEST);
        // SAFETY: below `places`.
        let entries = (0..FEWEST as usize).map(|place| unsafe { *table.first.add(place) });
        let entries: std::vec::Vec<_> = entries.filter(|entry| !is_empty(entry)).collect();
        assert_eq!(entries.len(), 4);
        assert!(entries.iter().all(|entry| entry.holder().freed == StackId(4)));
    }
}
