//! The heap's hand-overs between threads: remote frees in every order; threads'
//! ends, adoption and fork in many.

use super::central::CENTRAL;
use super::pool::THREADS;
use super::quarantine::send_home;
use super::refill::collect_remote;
use super::thread_heap::{ThreadHeap, current};
use super::{
    Request, Settings, allocate, allocate_general, check_heap, configure, fork, free, free_general,
    settings, statistics,
};
use crate::ledger::Record;
use crate::memory::{Granule, NO_SLOT, Window};
use crate::sync::atomics::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
};
use crate::sync::interleave::{Task, every_order, leave, many_orders, spawn};
use crate::trace::Entry;
use crate::units::{Family, StackId};
use std::sync::{Arc, Mutex};
use std::vec::Vec;

/// Where a caller of malloc would be: the capture reads a return address there.
fn entry() -> Entry {
    static PLACE: [usize; 4] = [0; 4];
    Entry { sp: PLACE.as_ptr() as usize, fp: 0 }
}

/// Slots of one slab of the calling thread's heap that are out, as they are
/// when they leave another thread's quarantine.
#[derive(Clone)]
struct Bench {
    heap: usize,
    slab: usize,
    slots: Vec<u32>,
    /// The owner's fields, to begin each order with; atomics change only in
    /// loom's copies.
    slab_before: Vec<u8>,
    heap_before: Vec<u8>,
}

const OWN_FIELDS: usize = core::mem::offset_of!(ThreadHeap, trace);

impl Bench {
    fn new(size: usize, slots: usize) -> Bench {
        let request = Request { size, alignment: 16, family: Family::Malloc, zeroed: false };
        let blocks: Vec<usize> =
            (0..slots).map(|_| allocate_general(&request, entry()) as usize).collect();
        let granule = Window::granule_at(blocks[0] - Window::base());
        // SAFETY: the blocks were just allocated from slabs of this thread's heap.
        unsafe {
            let slab = Window::granule((*granule).head);
            assert_eq!((*slab).owner.load(Relaxed), current() as usize);
            let number = |block: &usize| (*slab).slot_at(*block - (*slab).first);
            let slots: Vec<u32> = blocks.iter().map(number).collect();
            assert!(slots.iter().all(|&slot| slot < (*slab).slots), "all of one slab");
            let bytes =
                |place: *const u8, count| core::slice::from_raw_parts(place, count).to_vec();
            Bench {
                heap: current() as usize,
                slab: slab as usize,
                slots,
                slab_before: bytes(slab.cast(), size_of::<Granule>()),
                heap_before: bytes(current().cast(), OWN_FIELDS),
            }
        }
    }

    /// An order begins, or the last has ended: everything of the owner's is as
    /// it was, and so sound for whoever adopts the heap.
    fn begin(&self) {
        // SAFETY: nobody else is at the slab and its heap as an order begins.
        unsafe {
            let (slab, heap) = (self.slab as *mut u8, self.heap as *mut u8);
            slab.copy_from_nonoverlapping(self.slab_before.as_ptr(), self.slab_before.len());
            heap.copy_from_nonoverlapping(self.heap_before.as_ptr(), self.heap_before.len());
        }
    }

    fn send(&self, which: usize) {
        let freed = Record::free(StackId(9), StackId(10), 0, 0);
        // SAFETY: each slot is sent by one task, once an order.
        unsafe { send_home(self.slab as *mut Granule, self.slots[which], freed) }
    }

    fn collect(&self) -> bool {
        // SAFETY: only the owner's task collects.
        collect_remote(unsafe { &mut *(self.heap as *mut ThreadHeap) })
    }

    /// The slots on the owner's list, in their order of number.
    fn returned(&self) -> Vec<u32> {
        let mut found = Vec::new();
        // SAFETY: the owner's list of its own slab.
        unsafe {
            let slab = self.slab as *mut Granule;
            let mut index = (*slab).returned;
            while index != NO_SLOT && found.len() < 100 {
                found.push(u32::from(index));
                let record = &*(*slab).records.add(index as usize);
                index = Record(record.load(Relaxed)).next();
            }
            let away = usize::from((*slab).until_noticed);
            assert_eq!(found.len(), (*slab).fresh as usize - away);
        }
        found.sort_unstable();
        found
    }
}

/// No slot that another thread sends home is lost or comes home twice, and the
/// link between slabs is written by one and read by the other in turn. (The
/// owner once took a slab's list without releasing its read of the link.)
#[test]
fn a_slot_sent_home_by_others_arrives_once() {
    let bench = Bench::new(48, 3);
    let after = bench.clone();
    every_order("remote frees of one slab, two senders", 3, move || {
        bench.begin();
        let mine = bench.clone();
        let first = spawn(move || {
            mine.send(0);
            mine.send(1);
        });
        let mine = bench.clone();
        let second = spawn(move || mine.send(2));
        bench.collect();
        bench.collect();
        [first, second].into_iter().for_each(Task::join);
        bench.collect();
        let mut all = bench.slots.clone();
        all.sort_unstable();
        assert_eq!(bench.returned(), all);
        assert!(!bench.collect(), "nothing is left behind");
    });
    after.begin();
}

/// Two slabs on the owner's stack of slabs that others have freed into.
#[test]
fn slabs_that_others_free_into_are_all_visited() {
    let benches = [Bench::new(80, 2), Bench::new(112, 2)];
    let after = benches.clone();
    every_order("remote frees of two slabs, two senders", 2, move || {
        // One heap: its fields come from the later bench, which knows both.
        benches.iter().for_each(Bench::begin);
        let mine = benches.clone();
        let first = spawn(move || {
            mine[0].send(0);
            mine[1].send(0);
        });
        let mine = benches.clone();
        let second = spawn(move || {
            mine[1].send(1);
            mine[0].send(1);
        });
        benches[0].collect();
        [first, second].into_iter().for_each(Task::join);
        benches[0].collect();
        for bench in &benches {
            let mut all = bench.slots.clone();
            all.sort_unstable();
            assert_eq!(bench.returned(), all);
        }
    });
    after.iter().for_each(Bench::begin);
}

pub(crate) type Shared = Arc<Mutex<Vec<(usize, u8, usize)>>>;

/// Allocates `sizes`, fills each block with its own byte, and hands them out.
pub(crate) fn produce(shared: &Shared, sizes: &[usize], seed: u8) {
    for (turn, &size) in sizes.iter().enumerate() {
        let start = allocate::<{ Family::Malloc as u8 }>(size, entry(), |size, entry| {
            let family = Family::Malloc;
            allocate_general(&Request { size, alignment: 16, family, zeroed: false }, entry)
        });
        assert!(!start.is_null());
        let fill = seed.wrapping_add(turn as u8);
        // SAFETY: a fresh block of `size` bytes.
        unsafe { start.write_bytes(fill, size) };
        shared.lock().unwrap().push((start as usize, fill, size));
    }
}

/// Frees up to `count` blocks of whoever made them; their bytes are whole.
pub(crate) fn consume(shared: &Shared, count: usize) {
    for _ in 0..count {
        let Some((start, fill, size)) = shared.lock().unwrap().pop() else { return };
        // SAFETY: a live block that only this task has.
        let bytes = unsafe { core::slice::from_raw_parts(start as *const u8, size) };
        assert!(bytes.iter().all(|&byte| byte == fill), "somebody else has this block too");
        free::<{ Family::Malloc as u8 }, false>(start, 0, entry(), |start, _, entry| {
            free_general(start, Family::Malloc, entry);
        });
    }
}

const SIZES: [usize; 8] = [24, 24, 3000, 24, 200, 30_000, 24, 100_000];

pub(crate) fn without_quarantine() {
    configure(&Settings { stack_depth: 0, quarantine: Some(0), ..settings() });
}

/// Threads end while others free their blocks; new ones adopt their heaps. No
/// block is in two hands, none is lost, and all counts end where they began.
#[test]
fn frees_thread_ends_and_adoptions_in_any_order_lose_nothing() {
    without_quarantine();
    many_orders("remote frees, ends, adoptions", 300, || {
        let before = statistics().live_bytes;
        let shared: Shared = Arc::default();
        let tasks: Vec<_> = (0..4u8)
            .map(|number| {
                let shared = shared.clone();
                spawn(move || {
                    produce(&shared, &SIZES, number * 50);
                    consume(&shared, SIZES.len());
                })
            })
            .collect();
        let (first, rest): (Vec<_>, Vec<_>) =
            tasks.into_iter().enumerate().partition(|(at, _)| *at < 2);
        first.into_iter().for_each(|(_, task)| task.join());
        // This one adopts a heap whose thread has ended.
        let late = shared.clone();
        let late = spawn(move || {
            produce(&late, &SIZES[..4], 7);
            consume(&late, 100);
        });
        rest.into_iter().for_each(|(_, task)| task.join());
        late.join();
        consume(&shared, usize::MAX.min(100));
        assert!(shared.lock().unwrap().is_empty());
        assert_eq!(statistics().live_bytes, before);
        assert_eq!(check_heap(StackId::UNKNOWN), 0, "every guard and pattern is whole");
    });
}

/// The process forks while other threads are anywhere inside the heap: the
/// child can allocate, free and check, and so can the parent.
#[test]
fn a_child_forked_at_any_moment_has_a_whole_heap() {
    without_quarantine();
    many_orders("fork", 300, || {
        let shared: Shared = Arc::default();
        let busy: Vec<_> = (0..2u8)
            .map(|number| {
                let shared = shared.clone();
                spawn(move || {
                    produce(&shared, &SIZES, number * 50);
                    consume(&shared, 6);
                })
            })
            .collect();
        let mine: Shared = Arc::default();
        produce(&mine, &SIZES, 90);
        fork::before_fork();
        // SAFETY: fork(2); the child does nothing but use the heap and leave.
        let child = unsafe { libc::fork() };
        if child == 0 {
            leave();
            // SAFETY: this is the child of the fork above.
            unsafe { fork::after_fork_in_child() };
            // A child that waits for a lock for ever is ended.
            // SAFETY: alarm(2) has no requirements.
            unsafe { libc::alarm(20) };
            let whole = std::panic::catch_unwind(|| {
                consume(&mine, 3);
                produce(&mine, &SIZES, 30);
                consume(&mine, 100);
            });
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(if whole.is_ok() { 0 } else { 1 }) };
        }
        // SAFETY: this task called before_fork.
        unsafe { fork::after_fork_in_parent() };
        let mut status = 0;
        // SAFETY: waitpid writes the status, which lives on our stack.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "the child's heap was not whole");
        consume(&mine, 100);
        busy.into_iter().for_each(Task::join);
        consume(&shared, 100);
    });
}

/// While a fork is under way nobody gets past a lock of the heap: the child
/// would find what it guards half changed.
#[test]
fn nobody_gets_past_a_lock_while_the_process_forks() {
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let doors: [(&str, fn()); 4] = [
        ("threads", || drop(THREADS.lock())),
        ("runs", || drop(CENTRAL.lock())),
        ("epochs", || _ = crate::ledger::sweep_needed()),
        ("metadata", || {
            let memory = crate::memory::allocate_metadata(64).expect("there is memory");
            // SAFETY: allocated just above with that size.
            unsafe { crate::memory::free_metadata(memory, 64) };
        }),
    ];
    for (name, pass) in doors {
        // What is made at the first use is there before.
        pass();
        every_order(&std::format!("fork against the lock of the {name}"), 3, move || {
            PASSED.swap(0, SeqCst);
            fork::before_fork();
            let other = spawn(move || {
                pass();
                PASSED.swap(1, SeqCst);
            });
            // An addition sees the newest value.
            (0..3).for_each(|_| assert_eq!(PASSED.fetch_add(0, SeqCst), 0, "{name}"));
            // SAFETY: this task called before_fork.
            unsafe { fork::after_fork_in_parent() };
            other.join();
            assert_eq!(PASSED.fetch_add(0, SeqCst), 1);
        });
    }
}

/// Found by `make soak`, as a crime reported in a forked child that nobody had
/// committed: a span was called held before it was filled, and live before its
/// guard was there.
#[test]
fn a_check_beside_threads_at_work_finds_no_damage() {
    configure(&Settings { stack_depth: 0, quarantine: None, ..settings() });
    many_orders("a check of the heap beside two threads", 200, || {
        let shared: Shared = Arc::default();
        let busy: Vec<_> = (0..2u8)
            .map(|number| {
                let shared = shared.clone();
                spawn(move || {
                    produce(&shared, &[100_000, 24, 3000, 70_000], number * 50);
                    consume(&shared, 4);
                })
            })
            .collect();
        (0..3).for_each(|_| assert_eq!(check_heap(StackId::UNKNOWN), 0));
        busy.into_iter().for_each(Task::join);
        consume(&shared, 100);
    });
}
