//! Spans: blocks too large for a slot, in runs of granules of their own.
//!
//! ```text
//!  | front | block …                              | guard      | untouched |
//!    16 B or the alignment                          to the page's end
//! ```
//!
//! Invariant: a span's size, record and the stack that freed it live in its
//! first granule; all its granules name it as `head`.

use super::allocate::{Request, arm, tier_of};
use super::central::{self, CENTRAL};
use super::epoch::LEAST_QUARANTINE;
use super::judge::Block;
use super::pool::Entered;
use super::quarantine::{self, Held};
use super::settings::{self, mode};
use super::thread_heap::ThreadHeap;
use super::{crime, guard_page};
use crate::guard::{self, GUARD_BYTES, Pattern};
use crate::ledger::{Record, State};
use crate::memory::{GRANULE, Granule, Kind, Run, Window};
use crate::outside::Address;
use crate::platform::{Host, Platform};
use crate::sync::atomics::{
    AtomicU64, AtomicUsize,
    Ordering::{Relaxed, Release, SeqCst},
    compiler_fence,
};
use crate::units::{OS_PAGE, StackId, align_up};
use core::ptr;

/// Blocks from this size on move by page tables instead of copying.
const MOVE_FROM: usize = 1024 * 1024;

/// Allocates a span; 0 without memory.
pub(super) fn take(heap: &mut Entered, request: &Request, stack: StackId) -> usize {
    let front = if request.alignment >= GRANULE { 0 } else { request.alignment.max(16) };
    let Some(bytes) = request.size.checked_add(front + GUARD_BYTES) else { return 0 };
    let Ok(length) = u32::try_from(bytes.div_ceil(GRANULE)) else { return 0 };
    let live = Record::live(request.family, 0, heap.stamp(), stack);
    // A check may look before the guard is there: until then it is no block.
    let fresh = live.with_state(State::Fresh);
    let run = central::take_run(length, request.alignment.max(GRANULE), |run| {
        // SAFETY: the run was just given out, under the lock.
        unsafe { describe(run, run.address() + front, request.size, fresh, run.length) };
    });
    let Some(run) = run else { return 0 };
    let start = run.address() + front;
    // SAFETY: the run is ours; the block is not handed out yet.
    unsafe {
        arm_ends(start, request.size, run.address() + run.bytes(), front);
        if request.zeroed && !run.zeroed {
            ptr::write_bytes(start as *mut u8, 0, request.size);
        }
        (*Window::granule(run.start)).record.store(live.0, Release);
    }
    start
}

/// # Safety
/// The run's granules belong to the caller, under the central lock; those
/// below `from_end` of its end are described already.
unsafe fn describe(run: &Run, first: usize, size: usize, record: Record, from_end: u32) {
    let new = run.start + run.length - from_end..run.start + run.length;
    for index in new {
        // SAFETY: the caller's promise.
        unsafe {
            let granule = Window::granule(index);
            if index == run.start {
                granule.write(Granule {
                    first,
                    size,
                    head: run.start,
                    kind: Kind::Span,
                    run: run.length,
                    record: AtomicU64::new(record.0),
                    ..Granule::EMPTY
                });
            } else {
                (*granule).head = run.start;
                (*granule).kind = Kind::Inside;
            }
        }
    }
}

/// End of the guard of a block of `size` bytes.
pub(super) fn guard_end(start: usize, size: usize, end: usize) -> usize {
    align_up(start + size + GUARD_BYTES, OS_PAGE).min(end)
}

/// # Safety
/// The span's memory up to `end` is the caller's.
unsafe fn arm_ends(start: usize, size: usize, end: usize, front: usize) {
    let pattern = Pattern::at(start - Window::base());
    // SAFETY: the guard and, where there is one, the front lie in the run.
    unsafe {
        arm(start + size, guard_end(start, size, end), pattern);
        if front > 0 {
            arm(start - 16, start, pattern);
        }
    }
}

/// A live span is freed: poisoned and held, or given back at once when it is
/// larger than the whole quarantine.
pub(super) fn retire(heap: &mut ThreadHeap, block: &Block, stack: StackId) {
    let granule = block.granule;
    // SAFETY: a live span, given up by its owner; its memory is ours now.
    unsafe {
        (*granule).freed_by.store(stack.0, Relaxed);
        let in_quarantine = block.record.with_state(State::Held).0;
        let bytes = held_bytes(&*granule);
        let held = Held::span((*granule).head, stack);
        if (*granule).guarded {
            (*granule).record.store(in_quarantine, Release);
            guard_page::protect(granule);
            quarantine::hold(heap, held, bytes);
            return;
        }
        // Not poisoned, or half, it is no block that a check may look at.
        (*granule).record.store(block.record.with_state(State::Fresh).0, Release);
        compiler_fence(SeqCst);
        if bytes > largest_held(heap) {
            bury(block.start, block.record.stack(), stack, block.size);
            give_back(granule);
            return;
        }
        let modes = heap.modes.load(Relaxed);
        if modes & mode::POISON_NONE == 0 {
            let pattern = Pattern::at(block.start - Window::base());
            guard::fill(block.start, covered(&*granule), pattern, tier_of(modes, bytes));
            crime::fill_end(block.start, block.size, pattern);
        }
        (*granule).record.store(in_quarantine, Release);
        quarantine::hold(heap, held, bytes);
    }
}

/// The largest span that is held back: one that fits the thread's share, or
/// the least that the whole quarantine has.
fn largest_held(heap: &ThreadHeap) -> usize {
    match settings::quarantine() {
        Some(_) => heap.quarantine.limit,
        None => heap.quarantine.limit.max(LEAST_QUARANTINE),
    }
}

/// Bytes that a held span counts in the quarantine.
pub(super) fn held_bytes(granule: &Granule) -> usize {
    if granule.guarded {
        return guard_page::HELD_BYTES;
    }
    align_up(granule.size, OS_PAGE)
}

/// Bytes of a held span that its poison covers.
pub(super) fn covered(granule: &Granule) -> usize {
    align_up(granule.size, 16).max(32)
}

/// Verifies a span that leaves the quarantine, and gives its memory back.
///
/// # Safety
/// `granule` heads a held span that this thread takes out of its quarantine.
pub(super) unsafe fn release(granule: *mut Granule, finder: StackId) {
    // SAFETY: the caller's promise: nobody else uses the span.
    unsafe {
        verify_held(granule, finder);
        let record = Record((*granule).record.load(Relaxed));
        bury(
            (*granule).first,
            record.stack(),
            StackId((*granule).freed_by.load(Relaxed)),
            (*granule).size,
        );
        give_back(granule);
    }
}

/// Reports if a held span was written to; whether it was whole.
///
/// # Safety
/// `granule` heads a span.
pub(super) unsafe fn verify_held(granule: *mut Granule, finder: StackId) -> bool {
    let modes = settings::modes();
    // SAFETY: the span's memory is mapped while its granules describe it, and
    // readable unless it has guard pages.
    unsafe {
        if modes & mode::POISON_NONE != 0 || (*granule).guarded {
            return true;
        }
        let start = (*granule).first;
        let pattern = Pattern::at(start - Window::base());
        let (bytes, tier) = (covered(&*granule), tier_of(modes, held_bytes(&*granule)));
        if guard::verify(start, bytes, pattern, tier) {
            let is_whole = crime::end_holds(start, (*granule).size);
            crime::check_end(start, (*granule).size, modes, finder);
            return is_whole;
        }
        crime::write_after_free(start, bytes, pattern, tier, finder);
        guard::fill(start, bytes, pattern, tier);
        crime::fill_end(start, (*granule).size, pattern);
        false
    }
}

/// # Safety
/// `granule` heads a span that nobody uses.
pub(super) unsafe fn give_back(granule: *mut Granule) {
    // SAFETY: the caller's promise.
    unsafe {
        if (*granule).guarded && !guard_page::unprotect(granule) {
            // It cannot be used again: it stays what it is, a held span.
            return;
        }
        let run = Run { start: (*granule).head, length: (*granule).run, zeroed: false };
        CENTRAL.lock().runs.give_back(run);
    }
}

/// Changes a live span's size without moving it, if its run or its neighbour
/// has the room. The caller counts and records.
pub(super) fn resize_in_place(block: &Block, size: usize) -> bool {
    if block.is_guarded() {
        return false;
    }
    let granule = block.granule;
    // SAFETY: a live span that its owner is resizing; granules behind it
    // change only under the central lock.
    unsafe {
        let run_start = Window::address_of((*granule).head);
        let front = block.start - run_start;
        let Ok(needed) = u32::try_from((front + size + GUARD_BYTES).div_ceil(GRANULE)) else {
            return false;
        };
        let length = (*granule).run;
        if needed < length {
            let mut central = CENTRAL.lock();
            (*granule).run = needed;
            let start = (*granule).head + needed;
            central.runs.give_back(Run { start, length: length - needed, zeroed: false });
        } else if needed > length {
            let more = needed - length;
            let mut central = CENTRAL.lock();
            if !central::within_limit(&central.runs, more as usize * GRANULE) {
                return false;
            }
            if central.runs.take_at((*granule).head + length, more).is_none() {
                return false;
            }
            central::count_growth(&central.runs);
            let run = Run { start: (*granule).head, length: needed, zeroed: false };
            describe(&run, block.start, size, block.record, more);
            (*granule).run = needed;
        }
        arm_ends(block.start, size, run_start + needed as usize * GRANULE, front.min(16));
        // Behind its guard, so that no check sees the one without the other.
        compiler_fence(SeqCst);
        (*granule).size = size;
    }
    true
}

/// Moves a live span's pages to a larger run; the new start, or `None` when
/// it is too small for that or there is no room.
pub(super) fn move_to(
    heap: &mut Entered,
    block: &Block,
    request: &Request,
    stack: StackId,
) -> Option<usize> {
    let granule = block.granule;
    // SAFETY: a live span that its owner is resizing.
    let (old, length) = unsafe { ((*granule).head, (*granule).run) };
    let front = block.start - Window::address_of(old);
    if block.is_guarded() || block.size < MOVE_FROM || request.size < block.size || front != 16 {
        return None;
    }
    let start = take(heap, &Request { zeroed: false, alignment: 16, ..*request }, stack);
    if start == 0 {
        return None;
    }
    let bytes = align_up(front + block.size, OS_PAGE).min(length as usize * GRANULE);
    let from = Window::address_of(old);
    // SAFETY: both runs are ours: the old span's owner gave it up for the new
    // one, whose memory nobody has yet.
    unsafe {
        if Host::move_pages(from, start - front, bytes).is_err() {
            ptr::copy_nonoverlapping(block.start as *const u8, start as *mut u8, block.size);
            (*granule).record.store(block.record.with_state(State::Held).0, Release);
            bury(block.start, block.record.stack(), stack, block.size);
            give_back(granule);
            return Some(start);
        }
        let head = Window::granule_at(start - Window::base());
        let run_end = start - front + (*head).run as usize * GRANULE;
        arm_ends(start, request.size, run_end, front);
        bury(block.start, block.record.stack(), stack, block.size);
        give_back(granule);
    }
    Some(start)
}

/// What is remembered of a span whose memory was given back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tombstone {
    /// Where it began.
    pub start: usize,
    /// Bytes that were asked for.
    pub size: usize,
    /// Who made it.
    pub stack: StackId,
    /// Who freed it.
    pub freed_by: StackId,
}

const GRAVES: usize = 256;
static GRAVEYARD: [[AtomicUsize; 3]; GRAVES] =
    [const { [const { AtomicUsize::new(0) }; 3] }; GRAVES];
static BURIED: AtomicUsize = AtomicUsize::new(0);

/// For readers outside the process: graves, how many, how many were buried.
pub(super) const OUTSIDE: (Address, u64, Address) =
    (Address::of(&raw const GRAVEYARD), GRAVES as u64, Address::of(&raw const BURIED));

fn bury(start: usize, stack: StackId, freed_by: StackId, size: usize) {
    let grave = &GRAVEYARD[BURIED.fetch_add(1, Relaxed) % GRAVES];
    grave[0].store(0, Relaxed);
    grave[1].store(size, Relaxed);
    grave[2].store((stack.0 as usize) << 32 | freed_by.0 as usize, Relaxed);
    grave[0].store(start, Release);
}

/// The last span that began at `start` and was given back, if remembered.
pub fn tombstone(start: usize) -> Option<Tombstone> {
    let count = BURIED.load(Relaxed);
    (0..GRAVES.min(count)).map(|back| &GRAVEYARD[(count - 1 - back) % GRAVES]).find_map(|grave| {
        let stacks = grave[2].load(Relaxed);
        (grave[0].load(Relaxed) == start).then(|| Tombstone {
            start,
            size: grave[1].load(Relaxed),
            stack: StackId((stacks >> 32) as u32),
            freed_by: StackId(stacks as u32),
        })
    })
}
