//! Allocation: the fast path, and the general one behind it.

use super::pool::{self, Entered};
use super::settings::{FILL_BYTE, GATE_UNPOISONED, mode};
use super::thread_heap::{ThreadHeap, current};
use super::{check, crime, guard_page, judge, pressure, refill, span};
use crate::guard::{self, Pattern, SHORT, Tier};
use crate::ledger::{self, Record};
use crate::memory::{NO_SLOT, Window};
use crate::slab::{MEDIUM_LIMIT, SizeClass};
use crate::sync::atomics::Ordering::{Relaxed, Release};
use crate::trace::Entry;
use crate::units::{Family, MAX_REQUEST, StackId};
use core::ptr::{self, null_mut};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Bytes; any number, also 0.
    pub size: usize,
    /// Power of two; 16 and less are always met.
    pub alignment: usize,
    /// Who may free it.
    pub family: Family,
    /// Every byte must be zero.
    pub zeroed: bool,
}

/// Allocates `size` bytes aligned to 16 for the family with number `FAMILY` on
/// the fast path; where that cannot be, what `otherwise` gives, which is to
/// call [`general`].
///
/// The parts of it are functions of their own that end in a jump to the next,
/// so that the usual way saves only the registers that it needs itself.
#[inline(always)]
pub fn allocate<const FAMILY: u8>(
    size: usize,
    entry: Entry,
    otherwise: impl FnOnce(usize, Entry) -> *mut u8,
) -> *mut u8 {
    let heap = current();
    if size > SizeClass::SMALL_LIMIT || heap.is_null() {
        return otherwise(size, entry);
    }
    // SAFETY: the thread's heap, alive while the thread is; the gate says
    // that nobody is inside it.
    unsafe {
        match (*heap).gate() {
            0 => take_small::<FAMILY, true, _>(size, entry, heap, otherwise),
            GATE_UNPOISONED => take_small::<FAMILY, false, _>(size, entry, heap, otherwise),
            _ => otherwise(size, entry),
        }
    }
}

/// Goes into `heap` and takes a slot of the current slab.
///
/// # Safety
/// `heap` is the calling thread's, and nobody is inside; `size` is small.
#[inline(never)]
unsafe fn take_small<const FAMILY: u8, const POISONED: bool, Otherwise>(
    size: usize,
    entry: Entry,
    heap: *mut ThreadHeap,
    otherwise: Otherwise,
) -> *mut u8
where
    Otherwise: FnOnce(usize, Entry) -> *mut u8,
{
    // SAFETY: the caller's promise; a bin's slab is this heap's (or the empty
    // one): its first line and its records are this thread's to change.
    unsafe {
        let heap = &mut *heap;
        heap.enter();
        let slab = heap.bins[SizeClass::small(size).0 as usize];
        let index = (*slab).free as usize;
        if index == usize::from(NO_SLOT) {
            return take_after_refill::<FAMILY, POISONED, _>(size, entry, heap, otherwise);
        }
        let slot = (*slab).slot as usize;
        let start = (*slab).first + index * slot;
        let pattern = Pattern::of_slot((*slab).pattern, start);
        let is_whole = match slot <= SHORT {
            _ if !POISONED => true,
            true => guard::verify_short(start, slot, pattern),
            false => verify_long(start, slot, pattern),
        };
        if !is_whole {
            heap.leave();
            return otherwise(size, entry);
        }
        if !POISONED {
            arm_slot(start, size, slot, pattern);
        }
        let stack = heap.capture(entry);
        let record = (*slab).records.add(index);
        (*slab).free = Record((*record).load(Relaxed)).next();
        let base = heap.live_base.load(Relaxed);
        let live = Record::complete(base, Family::from_bits(FAMILY), slot - size, stack);
        (*record).store(live.0, Release);
        heap.count_in(size);
        heap.leave();
        start as *mut u8
    }
}

/// The current slab is used up: takes a slot of the next one that has room.
///
/// # Safety
/// As [`take_small`], but the thread is inside the heap.
#[cold]
#[inline(never)]
unsafe fn take_after_refill<const FAMILY: u8, const POISONED: bool, Otherwise>(
    size: usize,
    entry: Entry,
    heap: &mut ThreadHeap,
    otherwise: Otherwise,
) -> *mut u8
where
    Otherwise: FnOnce(usize, Entry) -> *mut u8,
{
    heap.finder = heap.capture(entry);
    let is_filled =
        !guard_page::is_due(heap) && refill::refill_from_own(heap, SizeClass::small(size));
    heap.leave();
    if !is_filled {
        return otherwise(size, entry);
    }
    // SAFETY: the caller's promise, and the thread has left the heap.
    unsafe { take_small::<FAMILY, POISONED, _>(size, entry, heap, otherwise) }
}

/// Whether a small slot that is not short holds its pattern.
///
/// # Safety
/// The slot is free and the caller's.
#[inline(never)]
unsafe fn verify_long(start: usize, slot: usize, pattern: Pattern) -> bool {
    // SAFETY: the caller's promise.
    unsafe { guard::verify(start, slot, pattern, Tier::Whole) }
}

/// Allocates in every other case.
#[cold]
#[inline(never)]
pub fn general(request: &Request, entry: Entry) -> *mut u8 {
    if request.size > MAX_REQUEST - request.alignment.max(1 << 20) {
        return null_mut();
    }
    let Some(mut entered) = pool::enter() else {
        pressure::without_heap(request.size);
        return null_mut();
    };
    let stack = entered.capture(entry);
    entered.finder = stack;
    check::count_operation(&mut entered);
    if entered.modes.load(Relaxed) & mode::WATCH != 0 {
        drop(entered);
        return watched(request, stack);
    }
    let start = place_as_told(&mut entered, request, stack);
    drop(entered);
    let again = || pool::enter().map_or(0, |mut heap| place_as_told(&mut heap, request, stack));
    pressure::settle(start, request.size, stack, again) as *mut u8
}

/// Allocates while somebody watches: it may fail on purpose, and its ordinal
/// may be noted.
#[cold]
#[inline(never)]
fn watched(request: &Request, stack: StackId) -> *mut u8 {
    if pressure::refuses(request.size, stack) {
        return null_mut();
    }
    let place = || {
        pool::enter().map_or(0, |mut heap| {
            heap.finder = stack;
            place_as_told(&mut heap, request, stack)
        })
    };
    let start = pressure::settle(place(), request.size, stack, place);
    if start != 0 {
        ledger::note_ordinal(start, stack);
    }
    start as *mut u8
}

/// [`place`], and the block is marked as ignored where the scope says so.
fn place_as_told(heap: &mut Entered, request: &Request, stack: StackId) -> usize {
    let start = place(heap, request, stack);
    if start != 0 && heap.modes.load(Relaxed) & mode::IGNORE != 0 {
        judge::ignore(start);
    }
    start
}

/// Finds a place for the block, arms it and records it; 0 without memory.
pub(super) fn place(heap: &mut Entered, request: &Request, stack: StackId) -> usize {
    let guarded = match guard_page::is_chosen(heap) {
        true => guard_page::take(heap, request, stack),
        false => 0,
    };
    let class = match request.alignment {
        _ if guarded != 0 => None,
        0..=16 if request.size <= MEDIUM_LIMIT => Some(SizeClass::of(request.size)),
        17..=4096 if request.size <= MEDIUM_LIMIT - 4096 => {
            SizeClass::aligned(request.size, request.alignment)
        }
        _ => None,
    };
    let start = match class {
        Some(class) => take_slot(heap, class, request, stack),
        None if guarded != 0 => guarded,
        None => span::take(heap, request, stack),
    };
    if start != 0 {
        heap.count_in(request.size);
        if class.is_some() && request.zeroed {
            // SAFETY: the block's own bytes, not handed out yet.
            unsafe { ptr::write_bytes(start as *mut u8, 0, request.size) };
        } else if !request.zeroed && heap.modes.load(Relaxed) & mode::FILL != 0 {
            // SAFETY: as above.
            unsafe { ptr::write_bytes(start as *mut u8, FILL_BYTE, request.size) };
        }
    }
    start
}

fn take_slot(heap: &mut Entered, class: SizeClass, request: &Request, stack: StackId) -> usize {
    loop {
        let slab = heap.bins[class.0 as usize];
        // SAFETY: a bin's slab is this heap's or the empty one.
        let index = unsafe { (*slab).free };
        if index == NO_SLOT {
            if !refill::refill(heap, class) {
                return 0;
            }
            continue;
        }
        // SAFETY: the slot is on the slab's free list, so its memory and its
        // record are this thread's.
        unsafe {
            let slot = (*slab).slot as usize;
            let start = (*slab).first + index as usize * slot;
            let pattern = Pattern::at(start - Window::base());
            let record = (*slab).records.add(index as usize);
            (*slab).free = Record((*record).load(Relaxed)).next();
            prove(heap, start, slot, pattern);
            if needs_guard(heap, slot) {
                arm(start + request.size, start + slot, pattern);
            }
            let live = Record::live(request.family, slot - request.size, heap.stamp(), stack);
            (*record).store(live.0, Release);
            return start;
        }
    }
}

/// Verifies a free slot before it is handed out; names whoever wrote into it
/// and makes it whole again.
///
/// # Safety
/// The slot is free and this thread's.
unsafe fn prove(heap: &ThreadHeap, start: usize, slot: usize, pattern: Pattern) {
    let modes = heap.modes.load(Relaxed);
    if modes & mode::POISON_NONE != 0 {
        return;
    }
    let tier = tier_of(modes, slot);
    // SAFETY: the caller's promise.
    unsafe {
        if !guard::verify(start, slot, pattern, tier) {
            crime::write_after_free(start, slot, pattern, tier, heap.finder);
            guard::fill(start, slot, pattern, tier);
        }
    }
}

/// How much of a slot the modes cover.
#[inline(always)]
pub(super) fn tier_of(modes: u8, slot: usize) -> Tier {
    if modes & mode::POISON_FULL != 0 { Tier::Whole } else { Tier::of(slot) }
}

/// Whether the bytes behind the block are not pattern already.
#[inline(always)]
fn needs_guard(heap: &ThreadHeap, slot: usize) -> bool {
    slot > Tier::WHOLE_LIMIT || heap.modes.load(Relaxed) & mode::POISON_NONE != 0
}

/// Writes the pattern into `[from, to)`.
///
/// # Safety
/// Those bytes are the caller's slot, and `to` is a multiple of 8.
pub(super) unsafe fn arm(from: usize, to: usize, pattern: Pattern) {
    // SAFETY: every byte lies in `[from, to)`.
    unsafe {
        if to - from >= 8 {
            (from as *mut u64).write_unaligned(pattern.seen_from(from));
        } else {
            (from..to).for_each(|at| (at as *mut u8).write(pattern.byte(at)));
        }
        let mut at = (from + 7) & !7;
        while at < to {
            (at as *mut u64).write(pattern.0);
            at += 8;
        }
    }
}

/// [`arm`] for what is behind a block of `size` bytes in a slot.
///
/// # Safety
/// As [`arm`]; the slot has at least 8 bytes more than the block.
#[inline(always)]
unsafe fn arm_slot(start: usize, size: usize, slot: usize, pattern: Pattern) {
    let (end, last) = (start + size, start + slot - 8);
    let second = ((end + 8) & !7).min(last);
    // SAFETY: three words within the slot, behind the block.
    unsafe {
        (end as *mut u64).write_unaligned(pattern.seen_from(end));
        (second as *mut u64).write(pattern.0);
        (last as *mut u64).write(pattern.0);
        if slot - size > 24 {
            arm(end, start + slot, pattern);
        }
    }
}

/// Opens (or closes) a scope in which blocks of the calling thread are born
/// ignored by leak checks. Scopes nest; closing without one open does nothing.
pub fn ignore_scope(open: bool) {
    let Some(mut heap) = pool::enter() else { return };
    heap.ignore_depth = match open {
        true => heap.ignore_depth.saturating_add(1),
        false => heap.ignore_depth.saturating_sub(1),
    };
    let modes = heap.modes.load(Relaxed) & !mode::IGNORE;
    heap.modes.store(if heap.ignore_depth > 0 { modes | mode::IGNORE } else { modes }, Relaxed);
}
