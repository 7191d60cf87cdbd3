//! What all threads share: free runs, the list of thread heaps, the limit,
//! epochs, fork.
//!
//! A thread's heap is taken from the pool at its first allocation and goes
//! back whole, slabs and quarantine with it, when the thread ends; the next
//! thread adopts it. A thread without a heap of its own (inside it already,
//! in a signal handler; or past its end) borrows one of the fallback heaps.
//!
//! Invariant: heaps are never freed and the list only grows, so walking it
//! needs no lock.

use super::settings::mode;
use super::thread_heap::{ThreadHeap, current, no_slab};
use super::{free, pressure, refill, settings};
use crate::ledger::{self, Record};
use crate::memory::{self, Run, Runs, Window};
use crate::outside::Address;
use crate::platform::linux::{process, thread_exit, tls};
use crate::platform::{Host, Platform, ticks};
use crate::sync::atomics::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::atomics::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, compiler_fence};
use crate::sync::{Lock, Rank};
use crate::trace::Entry;
use crate::units::{KIB, MIB, StackId, ThreadNumber};
use core::ops::{Deref, DerefMut};
use core::ptr::{NonNull, null_mut};

/// What the central lock guards.
pub(super) struct Central {
    pub(super) runs: Runs,
}

pub(super) static CENTRAL: Lock<Central> = Lock::new(Rank::Window, Central { runs: Runs::new() });

/// All heaps, newest first.
static HEAPS: AtomicPtr<ThreadHeap> = AtomicPtr::new(null_mut());
/// Guards taking heaps from the pool and numbering threads.
static THREADS: Lock<u32> = Lock::new(Rank::Threads, 0);

static LIMIT: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK_LIVE: AtomicUsize = AtomicUsize::new(0);
static SEQUENCE: AtomicU64 = AtomicU64::new(0);
static STARTED: AtomicU64 = AtomicU64::new(0);
/// When free memory decayed last, in ticks.
static DECAYED: AtomicU64 = AtomicU64::new(0);
/// Ticks from one decay to the next: about a second.
const DECAY_TICKS: u64 = 3_000_000_000;
/// The signals that were blocked before the fork under way.
static FORK_SIGNALS: AtomicU64 = AtomicU64::new(0);
static HEAP_COUNT: AtomicU32 = AtomicU32::new(0);

/// For readers outside the process: heaps, limit, peak, peak of live bytes.
pub(super) const OUTSIDE: [Address; 4] = [
    Address::of(&raw const HEAPS),
    Address::of(&raw const LIMIT),
    Address::of(&raw const PEAK),
    Address::of(&raw const PEAK_LIVE),
];

/// Bytes that the quarantine of a process holds at least, unless told.
pub(super) const LEAST_QUARANTINE: usize = 256 * KIB;

const UNUSED: u8 = 0;
const IN_USE: u8 = 1;
const ABANDONED: u8 = 2;

/// The heap of a thread that has ended: its gate never opens.
struct Ended(core::cell::UnsafeCell<[u8; size_of::<ThreadHeap>() + 64]>);
// SAFETY: only its address and its first two bytes, which are constant, count.
unsafe impl Sync for Ended {}
static ENDED: Ended = Ended(core::cell::UnsafeCell::new([1; size_of::<ThreadHeap>() + 64]));

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
        (*heap).ring_inherited = (*heap).ring_head;
    }
    drop(threads);
    // Set before anything below can call malloc (pthread_setspecific may).
    tls::set(heap as usize);
    // SAFETY: as above; the fence keeps the word before the calls.
    unsafe {
        compiler_fence(Release);
        (*heap).enter();
        (*heap).trace.attach();
        renew_epoch(&mut *heap);
        (*heap).leave();
    }
    thread_exit::watch(heap as usize, at_thread_exit);
    NonNull::new(heap)
}

/// A new heap, in the list and in nobody's use.
fn make_heap() -> Option<*mut ThreadHeap> {
    if STARTED.load(Relaxed) == 0 {
        STARTED.store(ticks().max(1), Relaxed);
    }
    let ring = memory::allocate_metadata(free::FIRST_RING * 8)?;
    let Some(heap) = memory::map_metadata(size_of::<ThreadHeap>()) else {
        // SAFETY: allocated above with the same size, used by nobody.
        unsafe { memory::free_metadata(ring, free::FIRST_RING * 8) };
        return None;
    };
    let (heap, ring) = (heap.cast::<ThreadHeap>().as_ptr(), ring.cast::<u64>().as_ptr());
    // SAFETY: fresh zeroed memory of the right size, aligned to a page; zero
    // is valid for every field but the bins, set here.
    unsafe {
        (*heap).bins = [no_slab(); crate::slab::CLASSES];
        (*heap).ring = ring;
        (*heap).ring_mask = free::FIRST_RING - 1;
        (*heap).held_limit = settings::quarantine().unwrap_or(LEAST_QUARANTINE);
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

fn heaps() -> impl Iterator<Item = &'static ThreadHeap> {
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
        publish(&mut *heap);
        (*heap).leave();
        (*heap).state.store(UNUSED, Release);
    }
}

/// Things done now and then: counts are published, the epoch and the
/// quarantine's size are renewed.
#[inline]
pub(super) fn tick(heap: &mut ThreadHeap) {
    let now = ticks();
    let age = now.wrapping_sub(STARTED.load(Relaxed));
    let length = (age >> 12).max(1 << 21);
    if now.wrapping_sub(heap.epoch_ticks) > length {
        renew_epoch(heap);
    }
    publish(heap);
}

fn renew_epoch(heap: &mut ThreadHeap) {
    let made = heap.allocations.load(Relaxed);
    let sequence =
        SEQUENCE.fetch_add(made - heap.epoch_sequence, Relaxed) + made - heap.epoch_sequence;
    heap.epoch_sequence = made;
    heap.epoch_ticks = ticks();
    let last = DECAYED.load(Relaxed);
    if heap.epoch_ticks.wrapping_sub(last) > DECAY_TICKS
        && DECAYED.compare_exchange(last, heap.epoch_ticks, Relaxed, Relaxed).is_ok()
        && let Some(mut central) = CENTRAL.try_lock()
    {
        central.runs.decay();
    }
    if ledger::sweep_needed() {
        sweep_epochs();
    }
    let stamp = ledger::new_epoch(heap.number, sequence);
    heap.live_base.store(Record::live_base(stamp), Relaxed);
}

fn sweep_epochs() {
    ledger::sweep_with(|used| {
        heaps().for_each(|heap| used(heap.stamp()));
        super::judge::for_each_record(|record| {
            if record.is_live() || record.state() == ledger::State::Held {
                used(record.stamp());
            }
        });
    });
}

/// Adds what the thread counted to the process's live bytes, and gives its
/// quarantine its share.
fn publish(heap: &mut ThreadHeap) {
    let live = heap.live_bytes.load(Relaxed);
    let change = live.wrapping_sub(heap.published_live);
    heap.published_live = live;
    let total = LIVE.fetch_add(change, Relaxed).wrapping_add(change);
    let total = if total > isize::MAX as usize { 0 } else { total };
    if total > PEAK_LIVE.load(Relaxed) {
        PEAK_LIVE.store(total, Relaxed);
    }
    let held_limit = match settings::quarantine() {
        Some(bytes) => bytes / threads_in_use(),
        None => ((total / 16).clamp(LEAST_QUARANTINE, 64 * MIB) / threads_in_use()).max(64 * KIB),
    };
    heap.held_limit = pressure::tightened(held_limit);
}

fn threads_in_use() -> usize {
    // A cheap stand-in: heaps made. More precise counts change little.
    (HEAP_COUNT.load(Relaxed) as usize).max(1)
}

/// Takes a run of granules, under the limit; `describe` is called with the
/// lock held. `None` without memory.
pub(super) fn take_run(length: u32, alignment: usize, describe: impl FnOnce(&Run)) -> Option<Run> {
    Window::settle();
    let mut central = CENTRAL.lock();
    let bytes = length as usize * memory::GRANULE;
    if !within_limit(&central.runs, bytes) {
        return None;
    }
    let run = central.runs.take(length, alignment).ok()?;
    count_growth(&central.runs);
    describe(&run);
    Some(run)
}

/// Whether `bytes` more are within the limit.
pub(super) fn within_limit(runs: &Runs, bytes: usize) -> bool {
    let limit = LIMIT.load(Relaxed);
    limit == 0 || runs.in_use().saturating_add(metadata()).saturating_add(bytes) <= limit
}

/// After a run was taken or grew: the peak, and the marks of `pressure`.
pub(super) fn count_growth(runs: &Runs) {
    PEAK.fetch_max(runs.in_use(), Relaxed);
    let used = runs.in_use() + metadata();
    pressure::note(used);
}

/// Bytes of heap memory in use, the blocks' and the metadata's.
pub fn used() -> usize {
    CENTRAL.lock().runs.in_use() + metadata()
}

/// Bytes mapped for what the heap knows.
fn metadata() -> usize {
    memory::metadata_mapped() + Window::table_bytes()
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

/// Sets the bytes of heap memory allowed; 0 = no limit of ours.
pub fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Relaxed);
}

/// The bytes of heap memory allowed; 0 = no limit of ours.
pub fn limit() -> usize {
    LIMIT.load(Relaxed)
}

/// The heap's memory, in bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Memory {
    /// In slabs and spans.
    pub in_use: usize,
    /// The most that `in_use` ever was.
    pub peak: usize,
    /// The most bytes that the program ever had at once, as of the last time
    /// each thread took a slab.
    pub peak_live: usize,
    /// Mapped from the operating system for blocks.
    pub mapped: usize,
    /// The longest run that is free without asking the operating system.
    pub largest_free: usize,
    /// Address space for metadata: records, stacks, logs, the table.
    pub metadata: usize,
    /// The limit in force; 0 = none.
    pub limit: usize,
}

/// How much memory the heap has.
pub fn memory() -> Memory {
    let metadata = metadata();
    let central = CENTRAL.lock();
    Memory {
        in_use: central.runs.in_use(),
        peak: PEAK.load(Relaxed),
        peak_live: PEAK_LIVE.load(Relaxed),
        mapped: central.runs.mapped(),
        largest_free: central.runs.largest_free(),
        metadata,
        limit: limit(),
    }
}

/// Gives free memory back to the operating system (malloc_trim(3)); whether
/// any was.
pub fn trim() -> bool {
    pressure::reclaim();
    CENTRAL.lock().runs.trim()
}

/// Begins a new epoch in every thread, so that blocks born from now on can be
/// told from older ones; the smallest stamp age that counts as new is the
/// returned millisecond of the monotonic clock, and the sequence reached.
pub fn mark() -> u64 {
    let _threads = THREADS.lock();
    let made = heaps().fold(0, |sum, heap| sum + heap.allocations.load(Relaxed));
    let sequence = SEQUENCE.load(Relaxed).max(made) + 1;
    SEQUENCE.fetch_max(sequence, Relaxed);
    for heap in heaps() {
        let stamp = ledger::new_epoch(heap.number, sequence);
        heap.live_base.store(Record::live_base(stamp), Relaxed);
    }
    sequence
}

/// Before fork: takes every lock, in order, so that the child finds the
/// shared parts whole.
pub fn before_fork() {
    let signals = process::block_signals();
    THREADS.acquire();
    FORK_SIGNALS.store(signals, Relaxed);
    CENTRAL.acquire();
    ledger::before_fork();
    memory::before_fork();
}

/// After fork in the parent: frees the locks.
///
/// # Safety
/// This thread called [`before_fork`].
pub unsafe fn after_fork_in_parent() {
    // SAFETY: the caller's promise.
    unsafe {
        memory::after_fork();
        ledger::after_fork();
        CENTRAL.release();
        let signals = FORK_SIGNALS.load(Relaxed);
        THREADS.release();
        process::restore_signals(signals);
    }
}

/// After fork in the child: frees the locks; heaps of threads that are gone
/// go to the pool, unless their thread was inside at that moment.
///
/// # Safety
/// This thread's copy in the parent called [`before_fork`].
pub unsafe fn after_fork_in_child() {
    // SAFETY: the caller's promise; this is the child's only thread.
    unsafe { after_fork_in_parent() };
    crate::trace::after_fork_in_child();
    let own = current();
    for heap in heaps() {
        if core::ptr::eq(heap, own) {
            heap.kernel_id.store(Host::thread_id(), Relaxed);
            continue;
        }
        let whole = heap.busy.load(Relaxed) == 0;
        let gone = if whole { UNUSED } else { ABANDONED };
        if heap.is_fallback {
            // A fallback heap whose user is gone stays taken for ever; one
            // that the forking thread itself is inside is given back by it.
            continue;
        }
        heap.state.store(gone, Relaxed);
    }
}

/// Interns the stack of a caller.
pub fn capture(entry: Entry) -> crate::units::StackId {
    enter().map_or(crate::units::StackId::UNKNOWN, |mut heap| heap.capture(entry))
}

/// Interns the stack of a thread that a signal interrupted at the instruction
/// `pc` with these registers.
pub fn capture_interrupted(pc: usize, sp: usize, fp: usize) -> StackId {
    enter().map_or(StackId::UNKNOWN, |mut heap| {
        heap.trace.capture_interrupted(pc, sp, fp, settings::depth())
    })
}
