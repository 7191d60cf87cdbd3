//! Orphans: what is kept when a block is freed that held others' addresses.
//!
//! Poison overwrites a freed block, so why a block is lost must be noted at the
//! free of its holder: the fast path compares the upper halves of the words in
//! the block's first 256 bytes with the window's, and only if one is alike the
//! words are looked at one by one.
//!
//! ```text
//!   fresh     32 notes, oldest first: the next goes to `next` modulo 32
//!   settled   a hash table by the child's address, 4 places a bucket
//! ```
//!
//! Most children are freed soon after their holder or were freed shortly
//! before, so a note is only judged 16 notes later: if its child is live then,
//! it settles. No slot is reused in between, because freed blocks wait in the
//! quarantine; without one nothing is noted. Of two holders of a child the
//! later counts.
//!
//! Invariant: an entry is all zero or was written whole; only the heap's owner
//! writes. At most [`MOST`] settle a thread; then a bucket's oldest gives way.

use super::pool;
use super::thread_heap::ThreadHeap;
use crate::ledger::{Holder, Orphan, Record};
use crate::memory::{Kind, Window, allocate_metadata, free_metadata};
use crate::sync::atomics::{AtomicU32, Ordering::Relaxed};
use crate::units::StackId;
use core::ptr::NonNull;

/// Fresh notes.
const FRESH: u32 = 32;
/// Notes that still wait for their children to be freed when others settle.
const WAITING: u32 = 16;
/// Places of the first table, and of the largest.
const FEWEST: u32 = 256;
const MOST: u32 = 8192;
/// Places where a child may be.
const BUCKET: u32 = 4;
/// Bytes of a holder whose words are looked at, if one of the first 256 is
/// alike.
const LOOKED_AT: usize = 4096;

/// The upper half of the window's addresses without the bits that differ in
/// its first 64 GiB, where it is aligned to that; all ones: nobody asks.
static UPPER: AtomicU32 = AtomicU32::new(u32::MAX);
const UPPER_MASK: u32 = !0xf;

/// A word of a freed block that looks like a block's address.
#[derive(Clone, Copy, Default)]
struct Note {
    child: usize,
    holder: usize,
    record: Record,
    size: u32,
    freed: StackId,
}

/// What a thread remembers of the blocks it freed.
pub(super) struct Orphans {
    fresh: [Note; FRESH as usize],
    /// Notes made so far, and those of them that were judged.
    next: u32,
    judged: u32,
    table: *mut Orphan,
    places: u32,
    used: u32,
}

/// Turns the notes on or off.
pub fn watch_holders(wanted: bool) {
    Window::settle();
    let upper = (Window::base() >> 32) as u32;
    UPPER.store(if wanted { upper & UPPER_MASK } else { u32::MAX }, Relaxed);
}

/// Calls `visit` with each live block whose address stood in a block that was
/// freed, as far as the threads remember; of one thread's, the later of two
/// for one block is the later free. No other thread runs meanwhile.
pub fn for_each_orphan(visit: &mut dyn FnMut(&Orphan)) {
    pool::for_each_heap(|heap| heap.for_each_orphan(visit));
}

/// Whether the notes are on.
pub(super) fn is_watched() -> bool {
    UPPER.load(Relaxed) != u32::MAX
}

/// Whether a block may hold addresses of blocks: one of its first 256 bytes'
/// words looks like one. Never wrong with "no" for what lies there, as long as
/// the heap has less than 64 GiB.
///
/// # Safety
/// `slot` (a multiple of 16, at least 32) bytes at `start` (a multiple of 16)
/// are readable.
#[inline(always)]
pub(super) unsafe fn may_hold(start: usize, slot: usize) -> bool {
    let upper = UPPER.load(Relaxed);
    // SAFETY: every pair below lies within the first `slot` bytes.
    unsafe {
        let pair = |offset: usize| pair(start + offset, upper);
        let any = |pair| matching(pair) != 0;
        if slot <= 64 {
            any(or(pair(0), pair(slot - 32)))
        } else if slot <= 128 {
            any(or(or(pair(0), pair(32)), or(pair(slot - 64), pair(slot - 32))))
        } else {
            let last = if slot < 256 { slot } else { 256 } - 128;
            let first = or(or(pair(0), pair(32)), or(pair(64), pair(96)));
            let pair = |offset: usize| pair(last + offset);
            any(or(first, or(or(pair(0), pair(32)), or(pair(64), pair(96)))))
        }
    }
}

#[cfg(target_arch = "x86_64")]
use vector::{matching, or, pair};
#[cfg(not(target_arch = "x86_64"))]
use words::{matching, or, pair};

#[cfg(target_arch = "x86_64")]
mod vector {
    use core::arch::x86_64::*;

    /// Which of the four words at `at` have that upper half, masked.
    ///
    /// # Safety
    /// 32 bytes at `at`, a multiple of 16, are readable.
    #[inline(always)]
    pub unsafe fn pair(at: usize, upper: u32) -> __m128i {
        // SAFETY: the caller's promise; SSE2 is part of x86_64.
        unsafe {
            let (low, high) = (_mm_load_ps(at as *const f32), _mm_load_ps((at + 16) as *const f32));
            let uppers = _mm_castps_si128(_mm_shuffle_ps::<0b11_01_11_01>(low, high));
            let mask = _mm_set1_epi32(super::UPPER_MASK as i32);
            _mm_cmpeq_epi32(_mm_and_si128(uppers, mask), _mm_set1_epi32(upper as i32))
        }
    }
    #[inline(always)]
    pub fn or(a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: SSE2 is part of x86_64.
        unsafe { _mm_or_si128(a, b) }
    }
    /// A bit for each word.
    #[inline(always)]
    pub fn matching(pair: __m128i) -> u32 {
        // SAFETY: SSE2 is part of x86_64.
        unsafe { _mm_movemask_ps(_mm_castsi128_ps(pair)) as u32 }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod words {
    /// # Safety
    /// 32 bytes at `at`, a multiple of 16, are readable.
    #[inline(always)]
    pub unsafe fn pair(at: usize, upper: u32) -> u32 {
        (0..4).fold(0, |bits, word| {
            // SAFETY: the caller's promise.
            let value = unsafe { ((at + word * 8) as *const u64).read() };
            bits | u32::from((value >> 32) as u32 & super::UPPER_MASK == upper) << word
        })
    }
    #[inline(always)]
    pub fn or(a: u32, b: u32) -> u32 {
        a | b
    }
    #[inline(always)]
    pub fn matching(pair: u32) -> u32 {
        pair
    }
}

/// The record of the block that starts at `address`, below the extent; all
/// zero if none does.
#[inline(always)]
fn record_at(address: usize) -> Record {
    let granule = Window::granule_at(address - Window::base());
    // SAFETY: granules below the extent are mapped, and so is all metadata
    // that ever was: a racing change of the slab's use is read as some record.
    unsafe {
        let index = (*granule).slot_at(address.wrapping_sub((*granule).first));
        if index < (*granule).slots {
            return Record((*(*granule).records.add(index as usize)).load(Relaxed));
        }
        match (*granule).kind == Kind::Span && (*granule).first == address {
            true => Record((*granule).record.load(Relaxed)),
            false => Record(0),
        }
    }
}

impl ThreadHeap {
    /// A live block of `size` bytes at `start`, with this record, is about to
    /// be freed from `stack`: takes note of what it holds. At least the 32
    /// bytes at `start` and all of the block, in sixteens, are readable.
    ///
    /// # Safety
    /// As said.
    #[inline(never)]
    pub(super) unsafe fn note_children(
        &mut self,
        start: usize,
        size: usize,
        record: Record,
        freed: StackId,
    ) {
        if self.quarantine.limit == 0 {
            return;
        }
        let (base, extent, upper) = (Window::base(), Window::extent(), UPPER.load(Relaxed));
        let end = start + size.min(LOOKED_AT);
        let mut at = start;
        while at < end {
            // The last sixteen bytes are read together with those before.
            let from = if at + 16 < end || at == start { at } else { at - 16 };
            // SAFETY: the caller's promise.
            let mut bits = matching(unsafe { pair(from, upper) });
            bits &= if from < at { 0b1100 } else { 0b1111 };
            while bits != 0 {
                // SAFETY: as above.
                let child =
                    unsafe { ((from + bits.trailing_zeros() as usize * 8) as *const usize).read() };
                bits &= bits - 1;
                if child.wrapping_sub(base) < extent && child != start {
                    let orphans = &mut self.orphans;
                    orphans.fresh[(orphans.next % FRESH) as usize] =
                        Note { child, holder: start, record, size: size as u32, freed };
                    orphans.next += 1;
                    if orphans.next - orphans.judged == FRESH {
                        self.settle();
                    }
                }
            }
            at = from + 32;
        }
    }

    /// Judges the notes that waited: the children of most are gone.
    #[inline(never)]
    fn settle(&mut self) {
        let stamp = self.stamp();
        let orphans = &mut self.orphans;
        while orphans.next - orphans.judged > WAITING {
            let note = orphans.fresh[(orphans.judged % FRESH) as usize];
            orphans.judged += 1;
            if let Some(orphan) = note.judge(stamp) {
                orphans.keep(orphan);
            }
        }
        // The numbers never wrap.
        orphans.judged %= FRESH;
        orphans.next = orphans.judged + WAITING;
    }

    /// Calls `visit` with all orphans; the later of two for one child is the
    /// later free. The owner stands still.
    fn for_each_orphan(&self, visit: &mut dyn FnMut(&Orphan)) {
        let orphans = &raw const self.orphans;
        // SAFETY: aligned words inside a heap, which is never freed; a table
        // is metadata, which stays mapped, and zero or written.
        unsafe {
            let table = (&raw const (*orphans).table).read_volatile();
            for place in 0..(&raw const (*orphans).places).read_volatile() as usize {
                let orphan = table.add(place).read_volatile();
                if is_there(&orphan) {
                    visit(&orphan);
                }
            }
            let next = (&raw const (*orphans).next).read_volatile();
            let judged = (&raw const (*orphans).judged).read_volatile();
            for number in judged.max(next.saturating_sub(FRESH))..next {
                let place = (number % FRESH) as usize;
                let note = (&raw const (*orphans).fresh[place]).read_volatile();
                if let Some(orphan) = note.judge(self.stamp()) {
                    visit(&orphan);
                }
            }
        }
    }
}

impl Note {
    /// The orphan, if the word is the address of a block that is live still.
    fn judge(&self, stamp: u32) -> Option<Orphan> {
        if self.child.wrapping_sub(Window::base()) >= Window::extent() {
            return None;
        }
        let child = record_at(self.child);
        child.is_live().then(|| {
            let holder = Holder {
                address: self.holder,
                size: self.size as usize,
                stack: self.record.stack(),
                freed: self.freed,
                stamp,
            };
            Orphan::new(self.child, child, &holder)
        })
    }
}

impl Orphans {
    /// Puts an entry into the table.
    fn keep(&mut self, entry: Orphan) {
        if self.used >= self.places / 4 * 3 {
            self.grow();
        }
        if let Some(place) = self.place_for(&entry) {
            // SAFETY: below `places`.
            let place = unsafe { &mut *self.table.add(place) };
            self.used += u32::from(*place == Orphan::default());
            *place = entry;
        }
    }

    /// Where an entry belongs: its child's place, an empty one, one whose child
    /// is gone, or else the bucket's first, behind which the others close up.
    fn place_for(&mut self, entry: &Orphan) -> Option<usize> {
        let bucket = entry.child().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let first = bucket as u32 & self.places.checked_sub(1)? & !(BUCKET - 1);
        let range = first as usize..(first + BUCKET) as usize;
        // SAFETY: a table has `places` places, a multiple of the bucket's.
        let at = |place: usize| unsafe { &mut *self.table.add(place) };
        let empty = Orphan::default();
        let found = (range.clone())
            .find(|&place| *at(place) == empty || at(place).child() == entry.child())
            .or_else(|| range.clone().find(|&place| !is_there(at(place))));
        found.or_else(|| {
            for place in range.start..range.end - 1 {
                *at(place) = *at(place + 1);
            }
            Some(range.end - 1)
        })
    }

    /// Doubles the table, as long as it is small and there is memory.
    #[cold]
    fn grow(&mut self) {
        let (old, places) = (self.table, self.places);
        if places == MOST {
            return;
        }
        let wanted = (places * 2).max(FEWEST);
        let Some(larger) = allocate_metadata(wanted as usize * size_of::<Orphan>()) else { return };
        (self.table, self.places, self.used) = (larger.cast().as_ptr(), wanted, 0);
        for place in 0..places as usize {
            // SAFETY: the old table had that many places.
            let entry = unsafe { old.add(place).read() };
            if entry != Orphan::default()
                && is_there(&entry)
                && let Some(place) = self.place_for(&entry)
            {
                // SAFETY: below `places`.
                unsafe { self.table.add(place).write(entry) };
                self.used += 1;
            }
        }
        if let Some(old) = NonNull::new(old) {
            // SAFETY: allocated here with that size, and replaced above.
            unsafe { free_metadata(old.cast(), places as usize * size_of::<Orphan>()) };
        }
    }
}

/// Whether an entry's child is still the same live block.
fn is_there(entry: &Orphan) -> bool {
    let address = entry.child();
    address.wrapping_sub(Window::base()) < Window::extent() && record_at(address) == entry.record()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(64))]
    struct Slot([u64; 64]);

    #[test]
    fn a_word_that_looks_like_an_address_is_seen_wherever_it_stands() {
        watch_holders(true);
        let mut slot = Slot([7; 64]);
        let start = slot.0.as_ptr() as usize;
        for bytes in (32..=512).step_by(16) {
            // SAFETY: inside the slot.
            assert!(!unsafe { may_hold(start, bytes) }, "{bytes} bytes of small numbers");
            for word in 0..bytes / 8 {
                slot.0[word] = (Window::base() + 0x1_2345_6780) as u64;
                // SAFETY: as above.
                assert_eq!(unsafe { may_hold(start, bytes) }, word < 32, "{word} of {bytes}");
                slot.0[word] = 7;
            }
        }
    }

    #[test]
    fn the_later_holder_of_a_child_counts() {
        Window::settle();
        let mut orphans = Orphans {
            fresh: [Note::default(); FRESH as usize],
            next: 0,
            judged: 0,
            table: core::ptr::null_mut(),
            places: 0,
            used: 0,
        };
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
                orphans.keep(Orphan::new(child, record, &holder(freed)));
            }
        }
        assert_eq!((orphans.used, orphans.places), (4, FEWEST));
        for place in 0..FEWEST as usize {
            // SAFETY: below `places`.
            let entry = unsafe { *orphans.table.add(place) };
            assert!(entry == Orphan::default() || entry.holder().freed == StackId(4));
        }
    }
}
