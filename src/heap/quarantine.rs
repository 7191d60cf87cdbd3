//! The quarantine: blocks that were freed and may not be reused yet, and
//! their way home.
//!
//! ```text
//!   ring   tail ── held, oldest first ── next · · · stop
//!   entry  | granule 24 | stack of the free 23 | slot 11 | (5) | special |
//!           63        40  39                17  16      6          0
//! ```
//!
//! *granule* is the first of the slab or span; *special* marks what is looked
//! at once more when it leaves: spans, and slots above [`Tier::WHOLE_LIMIT`].
//! free only appends; when it reaches `stop`, at most [`STRIDE`] entries
//! later, [`turn`] lets the oldest go, many in one loop.
//!
//! Invariant: after each operation `next != stop`, so that there is room for
//! one more. Only the owning thread writes; others read as it stands.

use super::epoch::{self, LEAST_QUARANTINE};
use super::thread_heap::ThreadHeap;
use super::{crime, pool, refill, settings, span};
use crate::guard::Tier;
use crate::ledger::Record;
use crate::memory::{Granule, Kind, NO_SLOT, Window, allocate_metadata, free_metadata};
use crate::sync::atomics::{
    Ordering::{AcqRel, Relaxed, Release},
    writes,
};
use crate::units::{StackId, ThreadNumber};
use core::ptr::{self, NonNull};

/// Entries of a new ring.
const FIRST_RING: usize = 2048;
/// Entries that a ring may grow to.
const LARGEST_RING: usize = 1 << 18;
/// The most entries that are appended between two turns.
const STRIDE: usize = 32;

const STACK_SHIFT: u32 = 17;
const GRANULE_SHIFT: u32 = 40;
const SLOT_SHIFT: u32 = 6;
const SPECIAL: u64 = 1;

/// A block in the quarantine.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Held(u64);

impl Held {
    /// The part that all slots of a slab share; `granule` is its first.
    pub(super) const fn of_slab(granule: u32, slot: usize) -> u64 {
        let special = if slot > Tier::WHOLE_LIMIT { SPECIAL } else { 0 };
        (granule as u64) << GRANULE_SHIFT | special
    }

    /// A slot of the slab that [`Held::of_slab`] made `slab` for.
    #[inline(always)]
    pub(super) fn slot(slab: u64, slot: u32, freed_by: StackId) -> Held {
        Held(slab | u64::from(freed_by.0) << STACK_SHIFT | u64::from(slot) << SLOT_SHIFT)
    }

    /// A span; `granule` is its first.
    pub(super) fn span(granule: u32, freed_by: StackId) -> Held {
        Held::slot(u64::from(granule) << GRANULE_SHIFT | SPECIAL, 0, freed_by)
    }

    /// Granule and slot number (a span's is 0), and who freed it.
    pub const fn parts(self) -> (u32, u32, StackId) {
        (self.granule() as u32, self.index(), self.freed_by())
    }

    /// The entry that such a word is.
    pub const fn of_word(word: u64) -> Held {
        Held(word)
    }

    #[inline(always)]
    const fn granule(self) -> usize {
        (self.0 >> GRANULE_SHIFT) as usize
    }

    #[inline(always)]
    const fn index(self) -> u32 {
        (self.0 >> SLOT_SHIFT) as u32 & NO_SLOT as u32
    }

    #[inline(always)]
    const fn freed_by(self) -> StackId {
        StackId((self.0 >> STACK_SHIFT) as u32 & ((1 << StackId::BITS) - 1))
    }

    fn is_special(self) -> bool {
        self.0 & SPECIAL != 0
    }
}

/// A thread's quarantine.
#[repr(C)]
pub(super) struct Quarantine {
    pub(super) next: *mut Held,
    stop: *mut Held,
    /// Bytes of slots and spans held, and how many there may be.
    pub(super) bytes: usize,
    pub(super) limit: usize,
    pub(super) tail: usize,
    pub(super) ring: *mut Held,
    pub(super) mask: usize,
    /// The number of the entry that is, or was last, at the ring's beginning.
    pub(super) lap: usize,
    /// Entries before this number were freed by an earlier owner of the heap.
    pub(super) inherited: usize,
}

impl Quarantine {
    /// An empty one; `None` without memory.
    pub(super) fn new() -> Option<Quarantine> {
        let ring = allocate_metadata(FIRST_RING * size_of::<Held>())?.cast::<Held>().as_ptr();
        let limit = settings::quarantine().unwrap_or(LEAST_QUARANTINE);
        let stop = ring.wrapping_add(STRIDE);
        let (bytes, tail, lap, inherited) = (0, 0, 0, 0);
        let mask = FIRST_RING - 1;
        Some(Quarantine { next: ring, stop, bytes, limit, tail, ring, mask, lap, inherited })
    }

    /// Gives the ring's memory back.
    ///
    /// # Safety
    /// Nobody uses the quarantine any more, and it holds nothing.
    pub(super) unsafe fn discard(self) {
        if let Some(ring) = NonNull::new(self.ring.cast()) {
            // SAFETY: the ring was allocated with that size.
            unsafe { free_metadata(ring, self.length() * size_of::<Held>()) };
        }
    }

    /// Another thread owns the heap from now on.
    pub(super) fn inherit(&mut self) {
        self.inherited = self.head();
    }

    /// Appends a block of `bytes`; a [`turn`] is due when [`Quarantine::is_full`].
    #[inline(always)]
    pub(super) fn append(&mut self, held: Held, bytes: usize) {
        // SAFETY: `next` is below `stop`, which lies in the ring or at its end.
        unsafe {
            self.next.write(held);
            self.next = self.next.add(1);
        }
        self.bytes += bytes;
    }

    /// Whether the ring or the bytes have come to their limit.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.bytes > self.limit || self.next == self.stop
    }

    fn length(&self) -> usize {
        self.mask + 1
    }

    /// The number of the next entry.
    fn head(&self) -> usize {
        self.lap + (self.next as usize - self.ring as usize) / size_of::<Held>()
    }

    /// Takes the oldest entry out.
    #[inline(always)]
    fn take(&mut self) -> Held {
        // SAFETY: the number is masked to the ring's length.
        let held = unsafe { self.ring.add(self.tail & self.mask).read() };
        self.tail += 1;
        held
    }

    /// Makes a ring of twice the length, if it may be and there is memory.
    fn grow(&mut self) -> bool {
        let (length, head) = (self.length(), self.head());
        if self.bytes >= self.limit || length >= LARGEST_RING {
            return false;
        }
        let Some(ring) = allocate_metadata(length * 2 * size_of::<Held>()) else { return false };
        let ring = ring.cast::<Held>().as_ptr();
        let mask = length * 2 - 1;
        // SAFETY: both rings are ours; every entry keeps its number, so it
        // lands at its number masked by the new length.
        unsafe {
            for number in self.tail..head {
                ring.add(number & mask).write(self.ring.add(number & self.mask).read());
            }
            let old = self.ring.cast::<u8>();
            self.ring = ring;
            self.mask = mask;
            self.lap = head & !mask;
            self.next = ring.add(head & mask);
            if let Some(old) = NonNull::new(old) {
                free_metadata(old, length * size_of::<Held>());
            }
        }
        true
    }

    /// Sets the next stop: a stride on, at most at the ring's end; the ring
    /// has that much room.
    fn set_stop(&mut self) {
        let end = self.ring.wrapping_add(self.length());
        if self.next == end {
            self.next = self.ring;
            self.lap += self.length();
        }
        self.stop = self.next.wrapping_add(STRIDE).min(end);
    }
}

/// Puts a retired block into the quarantine, for the general paths.
pub(super) fn hold(heap: &mut ThreadHeap, held: Held, bytes: usize) {
    heap.quarantine.append(held, bytes);
    if heap.quarantine.is_full() {
        turn(heap);
    }
}

/// Lets the oldest blocks go as far as the quarantine's size or its ring ask
/// for it.
#[inline(never)]
pub(super) fn turn(heap: &mut ThreadHeap) {
    let quarantine = &heap.quarantine;
    if quarantine.limit == 0 {
        return flush(heap);
    }
    if quarantine.bytes > quarantine.limit {
        epoch::tick(heap);
        // A large block that is the only one stays, so that a use right after
        // its free is seen at the next one.
        let least = heap.quarantine.limit - heap.quarantine.limit / 32;
        release(heap, least, 1);
    }
    let quarantine = &mut heap.quarantine;
    if quarantine.head() - quarantine.tail + STRIDE > quarantine.length() && !quarantine.grow() {
        let most = quarantine.length() - 2 * STRIDE;
        release(heap, 0, most);
    }
    heap.quarantine.set_stop();
}

/// Empties the quarantine.
pub(super) fn flush(heap: &mut ThreadHeap) {
    release(heap, 0, 0);
    heap.quarantine.set_stop();
}

/// Lets the oldest blocks go home until at most `bytes` (0: none) are held, or
/// at most `entries` blocks.
fn release(heap: &mut ThreadHeap, bytes: usize, entries: usize) {
    let this = &raw const *heap as usize;
    let base = Window::base();
    let last = heap.quarantine.head().saturating_sub(entries);
    while (heap.quarantine.bytes > bytes || bytes == 0) && heap.quarantine.tail < last {
        let held = heap.quarantine.take();
        let slab = Window::granule_from(base, held.granule());
        // SAFETY: entries name slots and spans that this thread retired: their
        // granules describe them until they go home here.
        unsafe {
            if held.is_special() && !look_again(heap, slab, held) {
                continue;
            }
            let word = Record((*(*slab).records.add(held.index() as usize)).load(Relaxed));
            let freed = word.freed(held.freed_by());
            heap.quarantine.bytes -= (*slab).slot as usize;
            if (*slab).owner.load(Relaxed) == this {
                refill::home(heap, slab, held.index() as u16, freed);
            } else {
                send_home(slab, held.index(), freed);
            }
        }
    }
}

/// Releases a span; verifies the end of a block in a large slot, which must
/// then go home (`true`).
///
/// # Safety
/// `granule` is the entry's, which just left the quarantine.
#[cold]
#[inline(never)]
unsafe fn look_again(heap: &mut ThreadHeap, granule: *mut Granule, held: Held) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        if (*granule).kind == Kind::Span {
            heap.quarantine.bytes -= span::held_bytes(&*granule).min(heap.quarantine.bytes);
            span::release(granule, heap.finder);
            return false;
        }
        let slot = (*granule).slot as usize;
        let start = (*granule).first + held.index() as usize * slot;
        let word = Record((*(*granule).records.add(held.index() as usize)).load(Relaxed));
        let size = slot.saturating_sub(word.slack());
        crime::check_end(start, size, heap.modes.load(Relaxed), heap.finder);
    }
    true
}

/// Pushes a free slot onto the remote list of another thread's slab.
///
/// # Safety
/// The slot left this thread's quarantine; `slab` is its slab's head.
#[inline(never)]
pub(super) unsafe fn send_home(slab: *mut Granule, index: u32, freed: Record) {
    // SAFETY: until the push succeeds the slot and its record are ours; the
    // slab lives while any of its slots is out.
    unsafe {
        let record = (*slab).records.add(index as usize);
        let mut head = (*slab).remote.load(Relaxed);
        loop {
            let next = if head == 0 { NO_SLOT } else { head as u16 - 1 };
            (*record).store(freed.with_next(next).0, Relaxed);
            match (*slab).remote.compare_exchange_weak(head, index + 1, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(other) => head = other,
            }
        }
        if head != 0 {
            return;
        }
        // First one: tell the owner, who has read the link and let go of it by
        // taking the list that this push found empty. The slab may be given back by its owner
        // only after this push was collected, because its slot counts as used.
        let owner = &*((*slab).owner.load(Relaxed) as *const ThreadHeap);
        let mut top = owner.remote_slabs.load(Relaxed);
        loop {
            writes(&raw const (*slab).remote_next);
            (*slab).remote_next = top;
            let own = Window::index_of(slab) + 1;
            match owner.remote_slabs.compare_exchange_weak(top, own, Release, Relaxed) {
                Ok(_) => return,
                Err(other) => top = other,
            }
        }
    }
}

/// Who freed the block in slot `index` of the slab (or, with 0, the span) that
/// begins with `granule`, held in some quarantine: the stack, and the thread
/// unless another has taken over its heap since.
pub(super) fn freed_by(granule: u32, index: u32) -> (StackId, ThreadNumber) {
    let mut found = (StackId::UNKNOWN, ThreadNumber(0));
    pool::for_each_heap(|heap| {
        // SAFETY: the ring and its bounds are read as they are at this moment;
        // another thread's ring may change meanwhile, which at worst hides or
        // misnames the free in a report.
        unsafe {
            let quarantine = ptr::read_volatile(&raw const heap.quarantine);
            let head = quarantine.lap
                + (quarantine.next as usize).wrapping_sub(quarantine.ring as usize)
                    / size_of::<Held>();
            let most = quarantine.tail.saturating_add(quarantine.length());
            for number in quarantine.tail..head.min(most) {
                let held = quarantine.ring.add(number & quarantine.mask).read_volatile();
                if held.granule() == granule as usize && held.index() == index {
                    let own = number >= quarantine.inherited && !heap.is_fallback;
                    let thread = if own { heap.number } else { ThreadNumber(0) };
                    found = (held.freed_by(), thread);
                }
            }
        }
    });
    found
}
