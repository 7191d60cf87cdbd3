//! Guard pages: a sampled block lies on pages of its own, right-aligned, with
//! pages that fault on both sides; once freed, all of it faults.
//!
//! ```text
//!  run (whole granules)
//!  | guard page |  pad | block        | guard page … up to the run's end |
//!    no access    data pages, the block  no access
//!                 at their very end
//! ```
//!
//! The block is a span with `guarded` set: judge, records and quarantine work
//! as for any span. Alignment may leave up to 15 bytes between the block's end
//! and the page's; they hold the pattern, as a guard does.
//!
//! Each block splits its surroundings into at most three mappings, and the
//! kernel allows a process 65530 (vm.max_map_count): so [`BUDGET`] bounds how
//! many there are at a time, and what is asked beyond it is an ordinary block.
//!
//! Invariant: the run's memory is readable and writable throughout again
//! before it is given back.

use super::allocate::{Request, arm};
use super::central;
use super::judge::{self, Block};
use super::pool::Entered;
use super::settings;
use super::thread_heap::ThreadHeap;
use crate::guard::Pattern;
use crate::ledger::{Record, State};
use crate::memory::{GRANULE, Granule, Kind, Window};
use crate::platform::{Access, Host, Platform};
use crate::sync::atomics::{
    AtomicU64, AtomicUsize,
    Ordering::{Relaxed, Release},
};
use crate::units::{OS_PAGE, StackId, align_down, align_up};

/// Blocks with guard pages, live and held, that there may be at a time.
const BUDGET: usize = 12_000;
/// Larger blocks are left without: their own spans end in untouched memory.
const LARGEST: usize = 64 << 20;
/// Below this rate every allocation takes the slow path, so that it counts.
pub(super) const COUNT_EACH_BELOW: u64 = 64;
/// Bytes that a freed one counts in the quarantine: its pages are given back,
/// only the address space stays taken.
pub(super) const HELD_BYTES: usize = 128;

static RATE: AtomicU64 = AtomicU64::new(0);
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// One allocation in `rate` gets guard pages from now on; 0 = none.
pub fn set_guard_sample(rate: u64) {
    RATE.store(rate, Relaxed);
    settings::watch_for(settings::Watcher::GuardPages, rate > 0 && rate < COUNT_EACH_BELOW);
}

/// Whether the allocation under way is one that gets guard pages.
pub(super) fn is_chosen(heap: &mut Entered) -> bool {
    if !is_due(heap) {
        return false;
    }
    heap.next_guarded = heap.allocations.load(Relaxed) + RATE.load(Relaxed);
    true
}

/// Whether the next allocation that [`is_chosen`] sees will be chosen.
pub(super) fn is_due(heap: &ThreadHeap) -> bool {
    RATE.load(Relaxed) != 0 && heap.allocations.load(Relaxed) >= heap.next_guarded
}

/// First address behind the data pages of a block.
pub(super) fn data_end(start: usize, size: usize) -> usize {
    align_up(start + size, OS_PAGE)
}

/// Whether 16 bytes before the block lie on its data page.
pub(super) fn has_front(start: usize) -> bool {
    start % OS_PAGE >= 16
}

/// Allocates on pages of its own; 0 when the budget, the memory or the
/// alignment does not allow it.
pub(super) fn take(heap: &mut Entered, request: &Request, stack: StackId) -> usize {
    if request.alignment > OS_PAGE || request.size > LARGEST {
        return 0;
    }
    if IN_USE.fetch_add(1, Relaxed) >= BUDGET {
        IN_USE.fetch_sub(1, Relaxed);
        return 0;
    }
    let start = place(heap, request, stack);
    if start == 0 {
        IN_USE.fetch_sub(1, Relaxed);
    }
    start
}

fn place(heap: &mut Entered, request: &Request, stack: StackId) -> usize {
    let room = align_up(request.size, request.alignment.max(16)).max(16);
    let data = align_up(room, OS_PAGE);
    let length = (data + 2 * OS_PAGE).div_ceil(GRANULE) as u32;
    let live = Record::live(request.family, 0, heap.stamp(), stack);
    let run = central::take_run(length, GRANULE, |run| {
        let first = align_down(
            run.address() + OS_PAGE + data - request.size.max(1),
            request.alignment.max(16),
        );
        for index in run.start..run.start + run.length {
            let kind = if index == run.start { Kind::Span } else { Kind::Inside };
            let granule = Granule {
                first,
                size: request.size,
                head: run.start,
                kind,
                guarded: kind == Kind::Span,
                run: if kind == Kind::Span { run.length } else { 0 },
                record: AtomicU64::new(live.with_state(State::Fresh).0),
                ..Granule::EMPTY
            };
            // SAFETY: the run was just given out, under the lock.
            unsafe { Window::granule(index).write(granule) };
        }
    });
    let Some(run) = run else { return 0 };
    let granule = Window::granule(run.start);
    let (low, high) = (run.address() + OS_PAGE, run.address() + OS_PAGE + data);
    // SAFETY: the run is ours alone; the block is not handed out yet.
    unsafe {
        let first = (*granule).first;
        let fenced = Host::protect(run.address(), OS_PAGE, Access::None).is_ok()
            && Host::protect(high, run.address() + run.bytes() - high, Access::None).is_ok();
        if !fenced {
            give_back(granule);
            return 0;
        }
        let pattern = Pattern::at(first - Window::base());
        if has_front(first) {
            arm((first - 16).max(low), first, pattern);
        }
        arm(first + request.size, high, pattern);
        if request.zeroed && !run.zeroed {
            core::ptr::write_bytes(first as *mut u8, 0, request.size);
        }
        // From now on a check takes it for a block.
        (*granule).record.store(live.0, Release);
        first
    }
}

/// A live block is freed: from now on every access faults. Its pages are
/// given back; its place stays taken until it leaves the quarantine.
pub(super) fn protect(granule: *mut Granule) {
    // SAFETY: a span given up by its owner; its memory is ours.
    unsafe {
        let (start, bytes) = extent(granule);
        if Host::protect(start, bytes, Access::None).is_ok() {
            let _ = Host::decommit(start, bytes);
        }
    }
}

/// # Safety
/// `granule` heads a span with guard pages.
unsafe fn extent(granule: *const Granule) -> (usize, usize) {
    // SAFETY: the caller's promise.
    unsafe { (Window::address_of((*granule).head), (*granule).run as usize * GRANULE) }
}

/// Makes the run's memory ordinary again; `false` when the kernel refuses:
/// then the run must stay out of use.
///
/// # Safety
/// `granule` heads a span with guard pages that nobody uses any more.
pub(super) unsafe fn unprotect(granule: *mut Granule) -> bool {
    IN_USE.fetch_sub(1, Relaxed);
    // SAFETY: the caller's promise.
    unsafe {
        let (start, bytes) = extent(granule);
        Host::protect(start, bytes, Access::ReadWrite).is_ok()
    }
}

/// # Safety
/// As [`unprotect`]; the budget was not charged for good yet.
unsafe fn give_back(granule: *mut Granule) {
    // SAFETY: the caller's promise.
    unsafe {
        (*granule).record.store(0, Release);
        IN_USE.fetch_add(1, Relaxed);
        super::span::give_back(granule);
    }
}

/// The block with guard pages whose pages, data or guard, hold `address`.
pub fn guarded_at(address: usize) -> Option<Block> {
    let offset = address.wrapping_sub(Window::base());
    if offset >= Window::extent() {
        return None;
    }
    // SAFETY: every granule below the extent is mapped; `head` of a span's
    // granules names its first.
    unsafe {
        let granule = Window::granule_at(offset);
        if !matches!((*granule).kind, Kind::Span | Kind::Inside) {
            return None;
        }
        let head = Window::granule((*granule).head);
        ((*head).kind == Kind::Span && (*head).guarded).then(|| judge::span_block(head))
    }
}
