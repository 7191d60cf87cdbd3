//! A heap made by hand: slabs and spans whose blocks a test places where it
//! wants them, without the thread heaps and their locks.

use heapwarden::leak::{Caller, HeapAccess, LeakGroup, LeakOptions, Summary, check};
use heapwarden::ledger::{Record, State};
use heapwarden::memory::{GRANULE, Kind, Runs, Window, allocate_metadata};
use heapwarden::slab::{MEDIUM_LIMIT, SizeClass};
use heapwarden::units::{Family, LeakKind, StackId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

/// One test at a time: a check holds all threads.
static TURN: Mutex<()> = Mutex::new(());
static HEAP: Mutex<Option<Heap>> = Mutex::new(None);
static NEXT_STACK: AtomicU32 = AtomicU32::new(1);

struct Heap {
    runs: Runs,
    /// By class: the slab's head granule and how many slots are given out.
    slabs: HashMap<u8, (u32, u32)>,
}

/// How long a thread may take to answer: one that runs on a busy machine has
/// been seen to take a tenth of a second.
pub const LATEST_NS: u64 = 60_000_000_000;

/// An address that no scan recognises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hidden(usize);

const VEIL: usize = 0x5555_5555_5555_5555;

impl Hidden {
    pub fn new(address: usize) -> Hidden {
        Hidden(address ^ VEIL)
    }
    #[inline(always)]
    pub fn address(self) -> usize {
        self.0 ^ VEIL
    }
    /// The address, exclusive-or 0x5555555555555555.
    pub fn veiled(self) -> usize {
        self.0
    }
    /// Whether it is the block of a group, whose addresses are veiled.
    pub fn is(self, veiled: usize) -> bool {
        self.0 == veiled
    }
    /// Stores a word in the block.
    #[inline(never)]
    pub fn store(self, offset: usize, word: usize) {
        unsafe { ((self.address() + offset) as *mut usize).write_unaligned(word) };
    }
    /// Stores `target`'s address in the block.
    #[inline(never)]
    pub fn link(self, offset: usize, target: Hidden) {
        self.store(offset, target.address());
    }
    /// Stores the address, made into a word, in `place`.
    #[inline(never)]
    pub fn hold(self, place: &AtomicUsize, word: impl Fn(usize) -> usize) {
        place.store(word(self.address()), Relaxed);
        clean_stack();
    }
}

/// The turn of one test, with a heap of its own: blocks of earlier tests are
/// free.
pub struct Turn {
    _turn: MutexGuard<'static, ()>,
    pub stack: StackId,
}

impl Turn {
    pub fn begin() -> Turn {
        let turn = TURN.lock().unwrap_or_else(|broken| broken.into_inner());
        free_all();
        Turn { _turn: turn, stack: StackId(NEXT_STACK.fetch_add(1, Relaxed)) }
    }

    pub fn block(&self, size: usize) -> Hidden {
        self.block_of(size, Family::Malloc)
    }

    #[inline(never)]
    pub fn block_of(&self, size: usize, family: Family) -> Hidden {
        let block = allocate(size, family, self.stack);
        clean_stack();
        block
    }

    /// The kind of each block of this test's, as the groups tell.
    #[inline(always)]
    pub fn check(&self) -> Found {
        self.check_with(&LeakOptions::DEFAULT)
    }

    /// Counts only the frames of the test itself.
    #[inline(always)]
    pub fn check_with(&self, options: &LeakOptions) -> Found {
        let caller = Caller::here();
        clean_stack();
        self.check_from(caller, options)
    }

    #[inline(never)]
    fn check_from(&self, caller: Caller, options: &LeakOptions) -> Found {
        let options = &LeakOptions { deadline_ns: LATEST_NS, ..*options };
        let mut groups = Vec::with_capacity(64);
        let summary = check(&Locks, &caller, options, &mut |leaks, _| {
            leaks.iter().for_each(|group| {
                // Addresses in our own memory would hold the blocks from now on;
                // so would what lies in the unused bytes of a copied `None`.
                let mut copy: LeakGroup = unsafe { std::mem::zeroed() };
                copy.kind = group.kind;
                copy.is_foreign = group.is_foreign;
                copy.family = group.family;
                copy.stack = group.stack;
                copy.count = group.count;
                copy.first = group.first;
                copy.first.address ^= VEIL;
                copy.holds = group.holds;
                if let Some(mut parent) = group.parent {
                    parent.address ^= VEIL;
                    copy.parent = Some(parent);
                }
                if let Some(mut held) = group.held_by {
                    if let Some(holder) = &mut held.holder {
                        holder.address ^= VEIL;
                    }
                    copy.held_by = Some(held);
                }
                let group = copy;
                groups.push(group);
            })
        });
        Found { groups, summary }
    }
}

/// The result of a check.
pub struct Found {
    pub groups: Vec<LeakGroup>,
    pub summary: Summary,
}

impl Found {
    pub fn blocks(&self, kind: LeakKind) -> u64 {
        self.groups.iter().filter(|group| group.kind == kind).map(|group| group.count.blocks).sum()
    }
    /// (definite, indirect, possible)
    pub fn counts(&self) -> (u64, u64, u64) {
        use LeakKind::*;
        (self.blocks(Definite), self.blocks(Indirect), self.blocks(Possible))
    }
}

struct Locks;

impl HeapAccess for Locks {
    fn lock(&self) -> bool {
        true
    }
    fn unlock(&self) {}
}

/// Overwrites the dead part of this thread's stack.
#[inline(never)]
pub fn clean_stack() {
    let mut dead = [0usize; 4096];
    std::hint::black_box(&mut dead);
}

#[inline(never)]
fn allocate(size: usize, family: Family, stack: StackId) -> Hidden {
    let mut heap = HEAP.lock().unwrap();
    let heap = heap.get_or_insert_with(|| {
        Window::settle();
        Heap { runs: Runs::new(), slabs: HashMap::new() }
    });
    if size > MEDIUM_LIMIT {
        let length = (size + 8).div_ceil(GRANULE) as u32;
        let run = heap.runs.take(length, GRANULE).unwrap();
        for index in run.start..run.start + length {
            let granule = unsafe { &mut *Window::granule(index) };
            granule.kind = if index == run.start { Kind::Span } else { Kind::Inside };
            granule.head = run.start;
            granule.run = length;
        }
        let granule = unsafe { &mut *Window::granule(run.start) };
        granule.first = run.address();
        granule.size = size;
        granule.record.store(Record::live(family, 0, 0, stack).0, Relaxed);
        return Hidden::new(run.address());
    }
    let class = SizeClass::of(size);
    let full = heap.slabs.get(&class.0).is_none_or(|&(_, used)| used == class.slots());
    if full {
        let run = heap.runs.take(class.granules(), GRANULE).unwrap();
        let records = allocate_metadata(class.slots() as usize * 8).unwrap();
        for index in run.start..run.start + class.granules() {
            let granule = unsafe { &mut *Window::granule(index) };
            granule.first = run.address() + class.alignment();
            granule.records = records.as_ptr().cast();
            granule.slot = class.slot() as u32;
            granule.slots = class.slots();
            granule.class = class.0;
            granule.head = run.start;
            granule.kind = Kind::Slab;
        }
        heap.slabs.insert(class.0, (run.start, 0));
    }
    let (head, used) = heap.slabs.get_mut(&class.0).unwrap();
    let granule = unsafe { &*Window::granule(*head) };
    let address = granule.first + *used as usize * class.slot();
    let record = unsafe { &*granule.records.add(*used as usize) };
    record.store(Record::live(family, class.slot() - size, 0, stack).0, Relaxed);
    unsafe { (address as *mut u8).write_bytes(0, size) };
    *used += 1;
    Hidden::new(address)
}

/// The record of the slab block at `address`.
pub fn record_of(block: Hidden) -> &'static std::sync::atomic::AtomicU64 {
    let granule = unsafe { &*Window::granule_at(block.address() - Window::base()) };
    let slot = (block.address() - granule.first) / granule.slot as usize;
    unsafe { &*granule.records.add(slot) }
}

fn free_all() {
    let count = (Window::extent() / GRANULE) as u32;
    for index in 0..count {
        let granule = unsafe { &*Window::granule(index) };
        if granule.kind == Kind::Span {
            granule.record.store(0, Relaxed);
        }
        if granule.kind == Kind::Slab && granule.head == index {
            for slot in 0..granule.slots as usize {
                unsafe { &*granule.records.add(slot) }.store(State::Free as u64, Relaxed);
            }
        }
    }
}
