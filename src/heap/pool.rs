//! The pool of thread heaps.
//!
//! A thread's heap is taken from the pool at its first allocation and goes
//! back whole, slabs and quarantine with it, when the thread ends; the next
//! thread adopts it. A thread without a heap of its own (inside it already,
//! in a signal handler; or past its end) borrows one of the fallback heaps.
//!
//! Invariant: heaps are never freed and the list only grows, so walking it
//! needs no lock.

use super::quarantine::Quarantine;
use super::settings::mode;
use super::thread_heap::{ThreadHeap, current};
use super::{epoch, refill, settings};
use crate::ledger::Record;
use crate::memory;
use crate::outside::Address;
use crate::platform::linux::{thread_exit, tls};
use crate::platform::{Host, Platform};
use crate::sync::atomics::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::atomics::{AtomicPtr, AtomicU32, compiler_fence};
use crate::sync::{Lock, Rank};
use crate::trace::Entry;
use crate::units::{StackId, ThreadNumber};
use core::ops::{Deref, DerefMut};
use core::ptr::{NonNull, null_mut};

/// All heaps, newest first.
static HEAPS: AtomicPtr<ThreadHeap> = AtomicPtr::new(null_mut());
/// Where they are, for readers outside the process.
pub(super) const OUTSIDE: Address = Address::of(&raw const HEAPS);
/// Guards taking heaps from the pool and numbering threads.
pub(super) static THREADS: Lock<u32> = Lock::new(Rank::Threads, 0);
static HEAP_COUNT: AtomicU32 = AtomicU32::new(0);

pub(super) const UNUSED: u8 = 0;
pub(super) const IN_USE: u8 = 1;
pub(super) const ABANDONED: u8 = 2;

/// What others may look at in a thread's heap: all but its call stacks.
const ENDED_BYTES: usize = core::mem::offset_of!(ThreadHeap, trace) + 64;
/// The heap of a thread that has ended: its gate never opens.
struct Ended(core::cell::UnsafeCell<[u8; ENDED_BYTES]>);
// SAFETY: only its address and its first two bytes, which are constant, count.
unsafe impl Sync for Ended {}
static ENDED: Ended = Ended(core::cell::UnsafeCell::new([1; ENDED_BYTES]));

fn ended() -> *mut ThreadHeap {
    crate::units::align_up(ENDED.0.get() as usize, 64) as *mut ThreadHeap
}

/// Exclusive use of a heap by the calling thread, until dropped.
pub(super) struct Entered {
    heap: NonNull<ThreadHeap>,
}

impl Deref for Entered {
    type Target = ThreadHeap;
    fn deref(&self) -> &ThreadHeap {
        // SAFETY: `enter` made this thread the only one inside the heap.
        unsafe { self.heap.as_ref() }
    }
}

impl DerefMut for Entered {
    fn deref_mut(&mut self) -> &mut ThreadHeap {
        // SAFETY: as above, and `&mut self` makes this the only way in.
        unsafe { self.heap.as_mut() }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.leave();
        if self.is_fallback {
            self.taken.store(0, Release);
        }
    }
}

/// Goes into the calling thread's heap, making or borrowing one if need be;
/// `None` when there is no memory for one.
pub(super) fn enter() -> Option<Entered> {
    let heap = NonNull::new(current()).or_else(attach)?;
    // SAFETY: a thread's heap (or the ended one) stays valid; only its atomics
    // are touched until it is known to be free.
    let busy = unsafe { heap.as_ref() }.busy.load(Relaxed) != 0;
    if !busy {
        // SAFETY: as above.
        unsafe { heap.as_ref() }.enter();
        return Some(Entered { heap });
    }
    borrow_fallback()
}

/// Takes one of the fallback heaps.
fn borrow_fallback() -> Option<Entered> {
    static FALLBACKS: [AtomicPtr<ThreadHeap>; 32] = [const { AtomicPtr::new(null_mut()) }; 32];
    for round in 0..1000 {
        for place in &FALLBACKS {
            let mut heap = place.load(Acquire);
            if heap.is_null() {
                let fresh = make_heap()?;
                // SAFETY: nobody else knows the heap yet.
                unsafe {
                    (*fresh).is_fallback = true;
                    (*fresh).state.store(IN_USE, Relaxed);
                }
                match place.compare_exchange(null_mut(), fresh, AcqRel, Acquire) {
                    Ok(_) => heap = fresh,
                    Err(other) => {
                        // SAFETY: the heap was not published here; it stays in
                        // the list of heaps as an unused one.
                        unsafe { (*fresh).state.store(UNUSED, Relaxed) };
                        heap = other;
                    }
                }
            }
            // SAFETY: heaps are never freed; `taken` is an atomic.
            let taken = unsafe { &(*heap).taken };
            if taken.compare_exchange(0, 1, Acquire, Relaxed).is_ok() {
                let thread = Host::thread_id();
                // SAFETY: `taken` made us the only user.
                unsafe {
                    (*heap).enter();
                    if (*heap).kernel_id.swap(thread, Relaxed) != thread {
                        (*heap).trace.attach();
                    }
                }
                return NonNull::new(heap).map(|heap| Entered { heap });
            }
        }
        if round > 10 {
            static NOBODY: AtomicU32 = AtomicU32::new(0);
            Host::wait(&NOBODY, 0, 100_000);
        }
    }
    None
}

/// Gives the calling thread a heap: one from the pool, or a new one.
fn attach() -> Option<NonNull<ThreadHeap>> {
    let mut threads = THREADS.lock();
    let pooled = heaps().find(|heap| {
        !heap.is_fallback && heap.state.compare_exchange(UNUSED, IN_USE, AcqRel, Relaxed).is_ok()
    });
    let heap = match pooled {
        Some(heap) => (&raw const *heap).cast_mut(),
        None => make_heap()?,
    };
    *threads += 1;
    let number = ThreadNumber(*threads);
    // SAFETY: the heap is this thread's now; nobody else is inside.
    unsafe {
        (*heap).state.store(IN_USE, Relaxed);
        (*heap).number = number;
        (*heap).kernel_id.store(Host::thread_id(), Relaxed);
        (*heap).exit_rounds = 0;
        (*heap).quarantine.inherit();
    }
    drop(threads);
    // Set before anything below can call malloc (pthread_setspecific may).
    tls::set(heap as usize);
    // SAFETY: as above; the fence keeps the word before the calls.
    unsafe {
        compiler_fence(Release);
        (*heap).enter();
        (*heap).trace.attach();
        epoch::renew(&mut *heap);
        (*heap).leave();
    }
    thread_exit::watch(heap as usize, at_thread_exit);
    NonNull::new(heap)
}

/// A new heap, in the list and in nobody's use.
fn make_heap() -> Option<*mut ThreadHeap> {
    epoch::begin();
    let quarantine = Quarantine::new()?;
    let Some(heap) = memory::map_metadata(size_of::<ThreadHeap>()) else {
        // SAFETY: made above, used by nobody.
        unsafe { quarantine.discard() };
        return None;
    };
    let heap = heap.cast::<ThreadHeap>().as_ptr();
    // SAFETY: fresh zeroed memory of the right size, aligned to a page; zero
    // is valid for every field but the bins, set here.
    unsafe {
        (*heap).empty_bins();
        (&raw mut (*heap).quarantine).write(quarantine);
        (*heap).modes.store(settings::modes(), Relaxed);
        (*heap).live_base.store(Record::live_base(0), Relaxed);
        let mut head = HEAPS.load(Relaxed);
        loop {
            (*heap).next = head;
            match HEAPS.compare_exchange_weak(head, heap, Release, Relaxed) {
                Ok(_) => break,
                Err(other) => head = other,
            }
        }
    }
    HEAP_COUNT.fetch_add(1, Relaxed);
    Some(heap)
}

pub(super) fn heaps() -> impl Iterator<Item = &'static ThreadHeap> {
    let mut next = HEAPS.load(Acquire);
    core::iter::from_fn(move || {
        // SAFETY: heaps are never freed and `next` never changes once linked.
        let heap = unsafe { next.as_ref() }?;
        next = heap.next;
        Some(heap)
    })
}

/// Calls `visit` for every heap that ever was.
pub(super) fn for_each_heap(visit: impl FnMut(&'static ThreadHeap)) {
    heaps().for_each(visit);
}

/// Tells every heap which modes are on.
pub(super) fn spread_modes() {
    let modes = settings::modes();
    heaps().for_each(|heap| {
        heap.modes.store(heap.modes.load(Relaxed) & mode::IGNORE | modes, Relaxed);
    });
}

/// What is known of a thread that has a heap.
#[derive(Clone, Copy, Debug)]
pub struct ThreadInfo {
    /// In order of birth.
    pub number: ThreadNumber,
    /// The kernel's id (gettid(2)).
    pub kernel_id: u32,
    /// Whether the thread lives.
    pub alive: bool,
}

/// Calls `visit` for every thread that has, or had last, a heap.
pub fn for_each_thread(mut visit: impl FnMut(ThreadInfo)) {
    heaps().filter(|heap| !heap.is_fallback).for_each(|heap| {
        visit(ThreadInfo {
            number: heap.number,
            kernel_id: heap.kernel_id.load(Relaxed),
            alive: heap.state.load(Relaxed) == IN_USE,
        })
    });
}

/// Runs when the thread ends, again in each round of pthread key destructors
/// (at most 4): in the last, the heap goes to the pool.
extern "C" fn at_thread_exit(value: usize) {
    let heap = value as *mut ThreadHeap;
    if current() != heap {
        return;
    }
    // SAFETY: the calling thread's own heap.
    unsafe {
        (*heap).exit_rounds += 1;
        if (*heap).exit_rounds < 3 {
            thread_exit::watch(value, at_thread_exit);
            return;
        }
        tls::set(ended() as usize);
        (*heap).enter();
        (*heap).finder = StackId::UNKNOWN;
        refill::release_empty(&mut *heap);
        epoch::publish(&mut *heap);
        (*heap).leave();
        (*heap).state.store(UNUSED, Release);
    }
}

pub(super) fn threads_in_use() -> usize {
    // A cheap stand-in: heaps made. More precise counts change little.
    (HEAP_COUNT.load(Relaxed) as usize).max(1)
}

/// Calls `visit` with the heap of every thread that has ended, out of the
/// pool meanwhile.
pub(super) fn for_each_pooled(mut visit: impl FnMut(&mut ThreadHeap)) {
    for heap in heaps().filter(|heap| !heap.is_fallback) {
        if heap.state.compare_exchange(UNUSED, IN_USE, AcqRel, Relaxed).is_ok() {
            // SAFETY: its thread has ended, and `state` keeps every other
            // thread from taking it.
            unsafe {
                let heap = (&raw const *heap).cast_mut();
                (*heap).enter();
                visit(&mut *heap);
                (*heap).leave();
                (*heap).state.store(UNUSED, Release);
            }
        }
    }
}

/// Interns the stack of a caller.
pub fn capture(entry: Entry) -> crate::units::StackId {
    enter().map_or(crate::units::StackId::UNKNOWN, |mut heap| heap.capture(entry))
}

/// Interns the stack of a thread that a signal interrupted at the instruction
/// `pc` with these registers.
pub fn capture_interrupted(pc: usize, sp: usize, fp: usize, depth: u32) -> StackId {
    enter().map_or(StackId::UNKNOWN, |mut heap| heap.trace.capture_interrupted(pc, sp, fp, depth))
}
