//! Freeing: the fast path, the quarantine, and the way home.
//!
//! The fast path does the judge's work for the common case in line: one range
//! check, one exact division, one compare of the record's state and family,
//! four overlapping compares of the guards.

use super::allocate::{arm, tier_of};
use super::central::{self, Entered};
use super::settings::{GATE_UNPOISONED, mode};
use super::thread_heap::{ThreadHeap, current};
use super::{check, crime, judge, refill, span};
use crate::guard::{self, Pattern, Tier, Violation, ViolationKind};
use crate::ledger::{Record, State};
use crate::memory::{Granule, Kind, Window, allocate_metadata, free_metadata};
use crate::sync::atomics::Ordering::{Relaxed, Release};
use crate::trace::Entry;
use crate::units::{Family, StackId, ThreadNumber};
use core::ptr::NonNull;

/// Entries of a new heap's quarantine ring.
pub(super) const FIRST_RING: usize = 2048;
/// Entries that a ring may grow to.
const LARGEST_RING: usize = 1 << 18;
/// Blocks that leave the quarantine at a time.
const BATCH: usize = 16;

/// Stands for a size that the caller of free does not tell.
pub const ANY_SIZE: usize = usize::MAX;

/// The fast path: frees the block at `pointer` by the function of the family
/// with number `FAMILY`, if it is one, has `size` bytes (or [`ANY_SIZE`]) and
/// all is well; else it changes nothing and [`general`] must be called.
#[inline(always)]
pub fn try_free<const FAMILY: u8>(pointer: usize, size: usize, entry: Entry) -> bool {
    let heap = current();
    let offset = pointer.wrapping_sub(Window::base());
    if !heap.is_null() && offset < Window::extent() {
        // SAFETY: the thread's own heap; the gate says nobody is inside.
        unsafe {
            let gate = (*heap).gate();
            if gate == 0 {
                (*heap).enter();
                let done = retire::<FAMILY, true>(&mut *heap, pointer, size, entry);
                (*heap).leave();
                return done;
            }
            if gate == GATE_UNPOISONED {
                (*heap).enter();
                let done = retire::<FAMILY, false>(&mut *heap, pointer, size, entry);
                (*heap).leave();
                return done;
            }
        }
    }
    false
}

/// Retires the block if it is one and all is well; changes nothing otherwise.
///
/// # Safety
/// The calling thread is inside `heap`; `pointer` is below the extent.
#[inline(always)]
unsafe fn retire<const FAMILY: u8, const POISONED: bool>(
    heap: &mut ThreadHeap,
    pointer: usize,
    expected: usize,
    entry: Entry,
) -> bool {
    // What free frees comes from malloc or from the aligned family.
    const EITHER: u64 = (Family::Aligned as u64) << 3;
    let either = if FAMILY == Family::Malloc as u8 { EITHER } else { 0 };
    // First, because it is a call: what follows keeps its values in registers.
    let stack = heap.capture(entry);
    // SAFETY: granules below the extent are mapped; a slot number below
    // `slots` has a record; a live record's slot is memory of the heap.
    unsafe {
        let granule = Window::granule_at(pointer - Window::base());
        let index = (*granule).slot_at(pointer.wrapping_sub((*granule).first));
        if index >= (*granule).slots {
            return false;
        }
        let record = (*granule).records.add(index as usize);
        let word = Record((*record).load(Relaxed));
        if word.0 & (Record::STATE_AND_FAMILY & !either)
            != Record::LIVE_MALLOC | (FAMILY as u64) << 3
        {
            return false;
        }
        let slot = (*granule).slot as usize;
        let size = slot - word.slack();
        if expected != ANY_SIZE && expected != size
            || !guards_whole((*granule).pattern, pointer, size, slot)
            || heap.ring_head - heap.ring_tail > heap.ring_mask
        {
            return false;
        }
        let pattern = Pattern::of_slot((*granule).pattern, pointer);
        if POISONED {
            guard::fill(pointer, slot, pattern, Tier::of(slot));
            if slot > Tier::WHOLE_LIMIT {
                crime::fill_end(pointer, size, pattern);
            }
        }
        heap.count_out(size);
        let slab = Window::granule((*granule).head);
        if heap.held_limit == 0 && (*slab).owner.load(Relaxed) == &raw const *heap as usize {
            // No quarantine: straight home.
            let freed = Record::free(word.stack(), stack, word.slack(), 0);
            refill::home(heap, slab, index as u16, freed);
            return true;
        }
        (*record).store(word.0 ^ Record::LIVE_TO_HELD, Release);
        heap.hold(pointer, slot, stack);
        if heap.held > heap.held_limit {
            heap.finder = stack;
            evict(heap);
        }
        true
    }
}

/// The size of the live block in a slot at `pointer`, if it is one and its
/// guards are whole; `None` for the general path to look closer.
#[inline(always)]
pub fn try_size_of(pointer: usize) -> Option<usize> {
    let offset = pointer.wrapping_sub(Window::base());
    if offset >= Window::extent() {
        return None;
    }
    // SAFETY: as in `retire`; nothing is written.
    unsafe {
        let granule = Window::granule_at(offset);
        let index = (*granule).slot_at(pointer.wrapping_sub((*granule).first));
        if index >= (*granule).slots {
            return None;
        }
        let word = Record((*(*granule).records.add(index as usize)).load(Relaxed));
        if word.state() != State::Live {
            return None;
        }
        let slot = (*granule).slot as usize;
        let size = slot - word.slack();
        guards_whole((*granule).pattern, pointer, size, slot).then_some(size)
    }
}

/// Whether the guard behind the block and the word before it are whole; may
/// say no when they are, for the general path to look closer.
///
/// # Safety
/// The slot is the heap's.
#[inline(always)]
unsafe fn guards_whole(granule: u64, start: usize, size: usize, slot: usize) -> bool {
    let pattern = Pattern::of_slot(granule, start);
    let before = Pattern::of_slot(granule, start.wrapping_sub(slot));
    let end = start + size;
    let last = start + slot - 8;
    let second = if end + 8 < last { end + 8 } else { last };
    // SAFETY: `end + 8`, `second + 8` and `last + 8` lie within the slot; the
    // word before a slot is the previous slot's or the pad's.
    unsafe {
        let difference = (((start - 8) as *const u64).read() ^ before.0)
            | ((end as *const u64).read_unaligned() ^ pattern.seen_from(end))
            | ((second as *const u64).read_unaligned() ^ pattern.seen_from(second))
            | ((last as *const u64).read() ^ pattern.0);
        difference == 0 && (slot - size <= 24 || rest_whole(end + 16, last, pattern))
    }
}

/// # Safety
/// `[from, to)` is inside the heap's slot; `to` is a multiple of 8.
#[inline(never)]
unsafe fn rest_whole(from: usize, to: usize, pattern: Pattern) -> bool {
    let mut at = from & !7;
    let mut difference = 0;
    while at < to {
        // SAFETY: aligned words within the slot: rounding `from` down stays
        // behind the block's end, because 16 guard bytes lie before it.
        difference |= unsafe { (at as *const u64).read() } ^ pattern.0;
        at += 8;
    }
    difference == 0
}

impl ThreadHeap {
    /// Puts a retired block into the quarantine, which has room.
    #[inline(always)]
    fn hold(&mut self, start: usize, bytes: usize, stack: StackId) {
        let offset = (start - Window::base()) as u64;
        // SAFETY: the index is masked to the ring's length.
        unsafe {
            let entry = self.ring.add(self.ring_head & self.ring_mask);
            entry.write(offset >> 4 << 28 | u64::from(stack.0) << 5);
        }
        self.ring_head += 1;
        self.held += bytes;
    }
}

/// What an entry of the quarantine's ring says: how far into the window the
/// block begins, and the stack of its free.
pub fn ring_entry(entry: u64) -> (usize, StackId) {
    (((entry >> 28) << 4) as usize, StackId((entry >> 5) as u32 & ((1 << StackId::BITS) - 1)))
}

fn entry_start(entry: u64) -> usize {
    Window::base() + ring_entry(entry).0
}

fn entry_stack(entry: u64) -> StackId {
    ring_entry(entry).1
}

/// Frees in every other case: no heap yet, inside already, other modes, a
/// span, or a crime.
#[cold]
#[inline(never)]
pub fn general(pointer: usize, family: Family, entry: Entry) {
    let Some(mut heap) = central::enter() else { return };
    let stack = heap.capture(entry);
    heap.finder = stack;
    check::count_operation(&mut heap);
    let verdict = match judge::judge(pointer) {
        Ok(block) => examine(&block, family),
        Err((kind, block)) => Err((kind, block)),
    };
    match verdict {
        Ok(block) => finish(&mut heap, &block, stack),
        Err((kind, block)) => {
            drop(heap);
            let violation = Violation {
                kind,
                address: pointer,
                block: block.map_or(0, |block| block.start),
                changed: 0,
                family,
                given: 0,
                stack,
            };
            if crime::report(&violation) && kind == ViolationKind::Mismatch {
                // Wrong function, right block: it is freed all the same.
                if let (Some(block), Some(mut heap)) = (block, central::enter()) {
                    finish(&mut heap, &block, stack);
                }
            }
        }
    }
}

/// Compares the family; the guards are looked at when the block is retired.
fn examine(
    block: &judge::Block,
    family: Family,
) -> Result<judge::Block, (ViolationKind, Option<judge::Block>)> {
    let made = block.record.family();
    let fits = made == family
        || matches!(
            (made, family),
            (Family::Aligned | Family::Malloc, Family::Malloc | Family::Aligned)
        );
    if fits { Ok(*block) } else { Err((ViolationKind::Mismatch, Some(*block))) }
}

/// Retires a live block: guards, poison, record, quarantine.
pub(super) fn finish(heap: &mut Entered, block: &judge::Block, stack: StackId) {
    crime::check_guards(block, stack);
    heap.count_out(block.size);
    if block.is_span() {
        span::retire(heap, block, stack);
        return;
    }
    let modes = heap.modes.load(Relaxed);
    let pattern = Pattern::at(block.start - Window::base());
    // SAFETY: a live block's slot, given up by its owner.
    unsafe {
        if modes & mode::POISON_NONE == 0 {
            guard::fill(block.start, block.slot, pattern, tier_of(modes, block.slot));
            crime::fill_end(block.start, block.size, pattern);
        } else {
            arm(block.start + block.size, block.start + block.slot, pattern);
        }
        let record = (*block.granule).records.add(block.index as usize);
        (*record).store(block.record.with_state(State::Held).0, Release);
    }
    hold_or_pass(heap, block.start, block.slot, stack);
}

/// Puts a retired block into the quarantine, making room first.
pub(super) fn hold_or_pass(heap: &mut ThreadHeap, start: usize, bytes: usize, stack: StackId) {
    if heap.ring_head - heap.ring_tail > heap.ring_mask {
        make_room(heap);
    }
    heap.hold(start, bytes, stack);
    if heap.held > heap.held_limit {
        evict(heap);
    }
}

/// A full ring grows while the quarantine is below its size, or lets go.
fn make_room(heap: &mut ThreadHeap) {
    let length = heap.ring_mask + 1;
    if heap.held < heap.held_limit
        && length < LARGEST_RING
        && let Some(ring) = allocate_metadata(length * 16)
    {
        let ring = ring.cast::<u64>();
        // SAFETY: both rings are ours; every entry keeps its number, so it
        // lands at its number masked by the new length.
        unsafe {
            for number in heap.ring_tail..heap.ring_head {
                let entry = heap.ring.add(number & heap.ring_mask).read();
                ring.add(number & (length * 2 - 1)).write(entry);
            }
            let old = heap.ring.cast::<u8>();
            heap.ring = ring.as_ptr();
            heap.ring_mask = length * 2 - 1;
            if let Some(old) = NonNull::new(old) {
                free_metadata(old, length * 8);
            }
        }
        return;
    }
    for _ in 0..BATCH {
        release_oldest(heap);
    }
}

/// Lets the oldest blocks go until the quarantine is within its size again.
#[inline(never)]
pub(super) fn evict(heap: &mut ThreadHeap) {
    if heap.held_limit == 0 {
        return flush(heap);
    }
    central::tick(heap);
    let target = heap.held_limit - heap.held_limit / 32;
    // A large block that is the only one stays, so that a use right after its
    // free is seen at the next one.
    while heap.held > target && heap.ring_head - heap.ring_tail > 1 {
        release_oldest(heap);
    }
}

/// Empties the quarantine.
pub(super) fn flush(heap: &mut ThreadHeap) {
    while heap.ring_tail != heap.ring_head {
        release_oldest(heap);
    }
}

/// The oldest block leaves the quarantine and goes home to its slab.
fn release_oldest(heap: &mut ThreadHeap) {
    if heap.ring_tail == heap.ring_head {
        return;
    }
    // SAFETY: entries name blocks that this thread retired: their granules
    // describe a slab or span until the block goes home here.
    unsafe {
        let entry = heap.ring.add(heap.ring_tail & heap.ring_mask).read();
        heap.ring_tail += 1;
        let start = entry_start(entry);
        let granule = Window::granule_at(start - Window::base());
        if (*granule).kind == Kind::Span {
            heap.held -= span::held_bytes(&*granule).min(heap.held);
            span::release(granule, heap.finder);
            return;
        }
        let index = (*granule).slot_at(start - (*granule).first);
        heap.held -= (*granule).slot as usize;
        let word = Record((*(*granule).records.add(index as usize)).load(Relaxed));
        if (*granule).slot as usize > Tier::WHOLE_LIMIT {
            let size = ((*granule).slot as usize).saturating_sub(word.slack());
            crime::check_end(start, size, heap.modes.load(Relaxed), heap.finder);
        }
        let freed = Record::free(word.stack(), entry_stack(entry), word.slack(), 0);
        let slab = Window::granule((*granule).head);
        if (*slab).owner.load(Relaxed) == &raw const *heap as usize {
            refill::home(heap, slab, index as u16, freed);
        } else {
            send_home(slab, index, freed);
        }
    }
}

/// Pushes a free slot onto the remote list of another thread's slab.
///
/// # Safety
/// The slot left this thread's quarantine; `slab` is its slab's head.
unsafe fn send_home(slab: *mut Granule, index: u32, freed: Record) {
    // SAFETY: until the push succeeds the slot and its record are ours; the
    // slab lives while any of its slots is out.
    unsafe {
        let record = (*slab).records.add(index as usize);
        let mut head = (*slab).remote.load(Relaxed);
        loop {
            let next = if head == 0 { crate::memory::NO_SLOT } else { head as u16 - 1 };
            (*record).store(freed.with_next(next).0, Relaxed);
            match (*slab).remote.compare_exchange_weak(head, index + 1, Release, Relaxed) {
                Ok(_) => break,
                Err(other) => head = other,
            }
        }
        if head != 0 {
            return;
        }
        // First one: tell the owner. The slab may be given back by its owner
        // only after this push was collected, because its slot counts as used.
        let owner = &*((*slab).owner.load(Relaxed) as *const ThreadHeap);
        let mut top = owner.remote_slabs.load(Relaxed);
        loop {
            (*slab).remote_next = top;
            let own = Window::index_of(slab) + 1;
            match owner.remote_slabs.compare_exchange_weak(top, own, Release, Relaxed) {
                Ok(_) => return,
                Err(other) => top = other,
            }
        }
    }
}

/// Who freed the block that starts at `start` and is held in some quarantine:
/// the stack, and the thread unless another has taken over its heap since.
pub(super) fn freed_by(start: usize) -> (StackId, ThreadNumber) {
    let mut found = (StackId::UNKNOWN, ThreadNumber(0));
    central::for_each_heap(|heap| {
        // SAFETY: the ring and its bounds are read as they are at this moment;
        // another thread's ring may change meanwhile, which at worst hides or
        // misnames the free in a report.
        unsafe {
            let mask = (&raw const heap.ring_mask).read_volatile();
            let ring = (&raw const heap.ring).read_volatile();
            let (tail, head) = (
                (&raw const heap.ring_tail).read_volatile(),
                (&raw const heap.ring_head).read_volatile(),
            );
            for number in tail..head.min(tail.saturating_add(mask + 1)) {
                let entry = ring.add(number & mask).read_volatile();
                if entry_start(entry) == start {
                    let own = number >= heap.ring_inherited && !heap.is_fallback;
                    let thread = if own { heap.number } else { ThreadNumber(0) };
                    found = (entry_stack(entry), thread);
                }
            }
        }
    });
    found
}
