//! The quarantine: blocks that were freed and may not be reused yet, and
//! their way home.
//!
//! ```text
//!   ring   tail ── held, oldest first ── next · room · ·
//!   entry  | granule 24 | stack of the free 23 | special | (5) | slot 11 |
//!           63        40  39                17      16         10      0
//! ```
//!
//! *granule* is the first of the slab or span; *special* marks what is looked
//! at once more when it leaves: spans, and slots above [`Tier::WHOLE_LIMIT`].
//! free only appends, and takes the block's bytes off `room`; when that is used
//! up, [`turn`] lets the oldest go, many in one loop.
//!
//! Invariant: after each operation `room` is not below zero, and the ring has
//! an entry for each [`SMALLEST`] bytes of it and one more before its end. Only
//! the owning thread writes; others read as it stands.

use super::epoch::{self, LEAST_QUARANTINE};
use super::thread_heap::ThreadHeap;
use super::{crime, pool, refill, settings, span};
use crate::guard::Tier;
use crate::ledger::Record;
use crate::memory::{Granule, Kind, NO_SLOT, Window, allocate_metadata, free_metadata};
use crate::slab::SizeClass;
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
/// The most bytes that are appended between two turns, but for the last block.
const STRIDE: usize = 8192;
/// The least bytes of a block.
const SMALLEST: usize = SizeClass(0).slot();
/// The most entries that are appended between two turns.
const STRIDE_ENTRIES: usize = STRIDE / SMALLEST + 1;

const STACK_SHIFT: u32 = 17;
const GRANULE_SHIFT: u32 = 40;
const SPECIAL: u64 = 1 << 16;

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
        Held(slab | u64::from(freed_by.0) << STACK_SHIFT | u64::from(slot))
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
        self.0 as u32 & NO_SLOT as u32
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
    /// Bytes that may be appended before the next turn; below zero it is due.
    pub(super) room: isize,
    /// Bytes of slots and spans held, when the room is used up to the byte.
    pub(super) bytes: usize,
    /// How many bytes there may be.
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
        let (room, bytes, tail, lap, inherited) = (0, 0, 0, 0, 0);
        let mask = FIRST_RING - 1;
        Some(Quarantine { next: ring, room, bytes, limit, tail, ring, mask, lap, inherited })
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

    /// Appends a block of `bytes`; whether a [`turn`] is due.
    #[inline(always)]
    pub(super) fn append(&mut self, held: Held, bytes: usize) -> bool {
        // SAFETY: while there is room, there is an entry.
        unsafe {
            self.next.write(held);
            self.next = self.next.add(1);
        }
        self.room -= bytes as isize;
        self.room < 0
    }

    /// Bytes of slots and spans held. Another thread's may be off by what it
    /// frees at this moment.
    pub(super) fn held_bytes(&self) -> usize {
        // SAFETY: aligned words of a live heap.
        let (bytes, room) = unsafe {
            ((&raw const self.bytes).read_volatile(), (&raw const self.room).read_volatile())
        };
        bytes.saturating_add_signed(-room)
    }

    /// Takes back the room that is left: `bytes` is what is held.
    fn close(&mut self) {
        self.bytes = self.bytes.saturating_add_signed(-self.room);
        self.room = 0;
    }

    fn length(&self) -> usize {
        self.mask + 1
    }

    /// The number of the next entry.
    fn head(&self) -> usize {
        self.lap + (self.next as usize - self.ring as usize) / size_of::<Held>()
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

    /// Makes room for the next blocks: a stride, at most as far as the ring
    /// goes; it has that many entries free. `bytes` is what is held.
    fn open(&mut self) {
        let end = self.ring.wrapping_add(self.length());
        if self.next == end {
            self.next = self.ring;
            self.lap += self.length();
        }
        let entries = (end as usize - self.next as usize) / size_of::<Held>();
        let allowed = self.limit.saturating_sub(self.bytes);
        let room = allowed.min(STRIDE).min((entries - 1) * SMALLEST);
        self.room = room as isize;
        self.bytes += room;
    }
}

/// Puts a retired block into the quarantine, for the general paths.
pub(super) fn hold(heap: &mut ThreadHeap, held: Held, bytes: usize) {
    if heap.quarantine.append(held, bytes) {
        turn(heap);
    }
}

/// Lets the oldest blocks go as far as the quarantine's size or its ring ask
/// for it.
#[inline(never)]
pub(super) fn turn(heap: &mut ThreadHeap) {
    let quarantine = &mut heap.quarantine;
    if quarantine.limit == 0 {
        return flush(heap);
    }
    quarantine.close();
    if quarantine.bytes > quarantine.limit {
        epoch::tick(heap);
        // A large block that is the only one stays, so that a use right after
        // its free is seen at the next one.
        let least = heap.quarantine.limit - heap.quarantine.limit / 32;
        release(heap, least, 1);
    }
    let quarantine = &mut heap.quarantine;
    if quarantine.head() - quarantine.tail + STRIDE_ENTRIES > quarantine.length()
        && !quarantine.grow()
    {
        let most = quarantine.length() - 2 * STRIDE_ENTRIES;
        release(heap, 0, most);
    }
    heap.quarantine.open();
}

/// Empties the quarantine.
pub(super) fn flush(heap: &mut ThreadHeap) {
    heap.quarantine.close();
    release(heap, 0, 0);
    heap.quarantine.open();
}

/// Lets the oldest blocks go home until at most `bytes` (0: none) are held, or
/// at most `entries` blocks. What the loop reads again and again it keeps in
/// registers: nothing that it calls looks at the quarantine.
fn release(heap: &mut ThreadHeap, bytes: usize, entries: usize) {
    let this = &raw const *heap as usize;
    let base = Window::base();
    let Quarantine { ring, mask, bytes: held_bytes, mut tail, .. } = heap.quarantine;
    let last = heap.quarantine.head().saturating_sub(entries);
    let surplus = if bytes == 0 { usize::MAX } else { held_bytes.saturating_sub(bytes) };
    let mut gone = 0;
    while gone < surplus && tail < last {
        // SAFETY: the number is masked to the ring's length. Entries name slots
        // and spans that this thread retired: their granules describe them
        // until they go home here.
        unsafe {
            let held = ring.add(tail & mask).read();
            tail += 1;
            heap.quarantine.tail = tail;
            let slab = Window::granule_from(base, held.granule());
            if held.is_special()
                && let Some(bytes) = look_again(heap, slab, held)
            {
                gone += bytes;
                continue;
            }
            let word = Record((*(*slab).records.add(held.index() as usize)).load(Relaxed));
            let freed = word.freed(held.freed_by());
            gone += (*slab).slot as usize;
            if (*slab).owner.load(Relaxed) != this {
                send_home(slab, held.index(), freed);
            } else if refill::home(slab, held.index() as u16, freed) {
                refill::notice(heap, slab);
            }
        }
    }
    heap.quarantine.bytes = held_bytes.saturating_sub(gone);
}

/// Releases a span, and says how many bytes it held; verifies the end of a
/// block in a large slot, which must then go home (`None`).
///
/// # Safety
/// `granule` is the entry's, which just left the quarantine.
#[cold]
#[inline(never)]
unsafe fn look_again(heap: &mut ThreadHeap, granule: *mut Granule, held: Held) -> Option<usize> {
    // SAFETY: the caller's promise.
    unsafe {
        if (*granule).kind == Kind::Span {
            let bytes = span::held_bytes(&*granule);
            span::release(granule, heap.finder);
            return Some(bytes);
        }
        let slot = (*granule).slot as usize;
        let start = (*granule).first + held.index() as usize * slot;
        let word = Record((*(*granule).records.add(held.index() as usize)).load(Relaxed));
        let size = slot.saturating_sub(word.slack());
        crime::check_end(start, size, heap.modes.load(Relaxed), heap.finder);
    }
    None
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
