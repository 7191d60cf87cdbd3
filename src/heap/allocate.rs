//! Allocation by the general path, behind the fast one ([`super::take`]).

use super::pool::{self, Entered};
use super::settings::{FILL_BYTE, mode};
use super::thread_heap::ThreadHeap;
use super::{check, crime, guard_page, judge, pressure, refill, span};
use crate::guard::{self, Pattern, Tier};
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
        let slab = heap.bin(class);
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
/// Those bytes are of a slot or span of the caller's, and not a block's.
pub(super) unsafe fn arm(from: usize, to: usize, pattern: Pattern) {
    // SAFETY: the caller's promise.
    unsafe { guard::write(from, to, pattern) };
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
