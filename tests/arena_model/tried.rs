//! The arena as an allocator of the harness, in each of its modes, each time in
//! memory of its own. The arena's fuzzer uses this file too (fuzz/targets).
//!
//! Invariant: one thread at a time uses a [`Tried`]; the rules here say so.

use heapwarden::arena::{
    Arena, ArenaAnswer, ArenaConfig, ArenaEvent, ArenaLeakKind, ArenaRoot, ArenaViolation, Bare,
    Guard, Mode, Owner, OwnerGuard, layout,
};
use heapwarden::harness::{
    Allocator, Crime, Failure, Freeing, Function, LeakSum, Rules, STEP_BYTES, Seen, SeenBlock,
    Tally, decode, run,
};
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// What a mode promises that only lays blocks out.
pub const BARE: Rules = Rules {
    least_size: 0,
    most_live: 24 << 10,
    largest: 3000,
    largest_alignment: 512,
    alignment: layout::ALIGNMENT,
    refusals: true,
    refusals_set_errno: false,
    may_refuse: true,
    threads: false,
    counts_allocations: false,
    pools_hold_themselves: false,
    led_cycles: false,
    holds_from_behind: false,
    ..Rules::RUST
};
/// Blocks know their size and site; who holds them can be told.
pub const OWNER: Rules =
    Rules { exact_size: true, statistics: true, reuses_at_once: true, leaks: true, ..BARE };
/// Crimes are told; freed memory is not watched.
pub const GUARD: Rules = Rules { crimes: true, underflows: true, judges_by_header: true, ..OWNER };
/// All of each freed block is watched.
pub const POISONED: Rules = Rules { poisoned_edge: usize::MAX / 4, ..GUARD };
/// Without owners all sites are one; freed memory is watched behind the links.
pub const UNOWNED: Rules = Rules { leaks: false, unwatched_start: layout::ALIGNMENT, ..POISONED };

const REGION: usize = 64 << 10;

/// An arena that is tried, with its memory.
pub struct Tried<M> {
    arena: Arena<M>,
    memory: *mut [u64],
    shared: *mut Shared,
}

/// What the event handler sees.
struct Shared {
    site: AtomicU8,
    verdicts: RefCell<Vec<Seen>>,
    /// Answers what is asked about a block.
    block: fn(*const Shared, usize) -> (usize, usize),
    arena: *const c_void,
    is_resizing: Cell<bool>,
    region: (usize, usize),
}

// SAFETY: one thread at a time uses it: the harness's rules say no threads.
unsafe impl<M> Sync for Tried<M> {}

fn site_number(word: usize) -> u8 {
    (word >> 1) as u8
}

unsafe extern "C" fn note(context: *mut c_void, event: *const ArenaEvent) -> ArenaAnswer {
    // SAFETY: the context is `Tried`'s, the event the heap's.
    let (shared, event) = unsafe { (&*context.cast::<Shared>(), &*event) };
    let crime = match event.kind {
        ArenaViolation::Exhausted => return ArenaAnswer::Continue,
        ArenaViolation::DoubleFree if shared.is_resizing.get() => Crime::UseAfterFree,
        ArenaViolation::DoubleFree => Crime::DoubleFree,
        ArenaViolation::InvalidFree => Crime::BadFree,
        ArenaViolation::Overflow => Crime::Overflow,
        ArenaViolation::Underflow => Crime::Underflow,
        ArenaViolation::UseAfterFree => Crime::UseAfterFree,
        // Never predicted: a failure, that proptest can make short.
        ArenaViolation::Corrupt => Crime::Mismatch,
        other => panic!("{other:?} has no crime that explains it"),
    };
    let nothing_told =
        SeenBlock { address: 0, size: None, offset: None, allocated: None, freed: None };
    let is_inside = (shared.region.0..shared.region.1).contains(&event.address);
    let block = match event.block {
        0 if is_inside => Some(nothing_told),
        0 => None,
        address => {
            let (size, site) = (shared.block)(shared, address);
            Some(SeenBlock {
                address,
                size: Some(size),
                // Damage is told by the word (`ArenaEvent::address`).
                offset: Some(event.address.wrapping_sub(address) as i64)
                    .filter(|_| !matches!(crime, Crime::Overflow | Crime::Underflow)),
                allocated: Some(site_number(site)).filter(|_| site != 0),
                freed: None,
            })
        }
    };
    let site = Some(site_number(event.site)).filter(|_| event.site != 0);
    shared.verdicts.borrow_mut().push(Seen { crime, block, site });
    ArenaAnswer::Continue
}

fn block_of<M: Mode>(shared: *const Shared, address: usize) -> (usize, usize) {
    // SAFETY: `Tried::new` put the arena there, and it lives while events come.
    let arena = unsafe { *(*shared).arena.cast::<Arena<M>>() };
    let block = arena.block_of(std::ptr::with_exposed_provenance(address));
    block.map_or((0, 0), |block| (block.size, block.site))
}

impl<M: Mode> Tried<M> {
    /// A fresh one; of freed blocks `poison_window` bytes are filled.
    pub fn new(poison_window: usize) -> Box<Tried<M>> {
        let memory = Box::into_raw(vec![0x5555_5555_5555_5555u64; REGION / 8].into_boxed_slice());
        let start = memory.cast::<u8>().expose_provenance();
        let shared = Box::into_raw(Box::new(Shared {
            site: AtomicU8::new(0),
            verdicts: RefCell::default(),
            block: block_of::<M>,
            arena: null_mut(),
            is_resizing: Cell::new(false),
            region: (start, start + REGION),
        }));
        let config = ArenaConfig {
            on_event: Some(note),
            context: shared.cast(),
            poison_window,
            secret: 0x9e37_79b9,
            ..ArenaConfig::new()
        };
        // SAFETY: the memory is this arena's alone.
        let arena = unsafe { Arena::create(memory.cast(), REGION, &config) };
        let arena = arena.expect("the region holds a heap");
        let tried = Box::new(Tried { arena, memory, shared });
        // SAFETY: no event has come yet; the box does not move its contents.
        unsafe { (*shared).arena = (&raw const tried.arena).cast() };
        tried
    }

    fn shared(&self) -> &Shared {
        // SAFETY: made by `new`, freed by `drop`.
        unsafe { &*self.shared }
    }

    /// The word that says where the call stands.
    fn site(&self) -> usize {
        usize::from(self.shared().site.load(Relaxed)) << 1 | 1
    }
}

impl<M> Drop for Tried<M> {
    fn drop(&mut self) {
        // SAFETY: both came from boxes and nothing uses them any more.
        unsafe {
            drop(Box::from_raw(self.memory));
            drop(Box::from_raw(self.shared));
        }
    }
}

// SAFETY: every pointer goes through as it is; crimes stay in the region.
unsafe impl<M: Mode> Allocator for Tried<M> {
    fn allocate(&self, function: Function, size: usize) -> (*mut u8, i32) {
        let Some(bytes) = function.bytes(size) else { return (null_mut(), 0) };
        let block = self.arena.allocate(bytes, function.alignment(), self.site());
        if !block.is_null() && matches!(function, Function::Calloc { .. }) {
            // SAFETY: fresh; the arena's calloc is C's, which clears it there.
            unsafe { block.write_bytes(0, bytes) };
        }
        (block, 0)
    }

    unsafe fn resize(&self, at: *mut u8, made: Function, _: usize, size: usize) -> (*mut u8, i32) {
        self.shared().is_resizing.set(true);
        // SAFETY: the arena judges the pointer.
        let block = unsafe { self.arena.resize(at, size, made.alignment(), self.site()) };
        self.shared().is_resizing.set(false);
        (block, 0)
    }

    unsafe fn free(&self, block: *mut u8, _: Function, _: usize, _: Freeing) -> i32 {
        // SAFETY: the arena judges the pointer.
        unsafe { self.arena.free(block, self.site()) };
        0
    }

    unsafe fn usable_size(&self, block: *mut u8, _: usize) -> usize {
        self.arena.check_block(block, self.site());
        self.arena.usable_size(block)
    }

    fn check(&self) -> usize {
        self.arena.check(self.site())
    }

    fn statistics(&self) -> (usize, usize) {
        (self.arena.statistics().live_bytes, 0)
    }

    fn verdicts(&self) -> Vec<Seen> {
        self.shared().verdicts.take()
    }

    fn leaks(&self, roots: &[usize], kind: &str, site: u8) -> LeakSum {
        let kind = match kind {
            "definite" => ArenaLeakKind::Definite,
            "reachable" => ArenaLeakKind::Reachable,
            "possible" => ArenaLeakKind::Possible,
            _ => ArenaLeakKind::Indirect,
        };
        let range = roots.as_ptr_range();
        let root = ArenaRoot { start: range.start.cast(), end: range.end.cast() };
        let mut sum = LeakSum::default();
        let mut add = |blocks: usize, bytes: usize| {
            sum.blocks += blocks;
            sum.bytes += bytes;
        };
        // Sites are told of what is lost; the rest is told as a whole.
        let is_mine = |word: usize| site_number(word) == site;
        let mut sited = 0;
        // SAFETY: the roots are readable.
        let totals = unsafe {
            self.arena.lost(&[root], |leak| {
                sited += usize::from(leak.kind == kind);
                if leak.kind == kind && is_mine(leak.first.site) {
                    add(leak.blocks as usize, leak.bytes);
                }
            })
        };
        if kind == ArenaLeakKind::Reachable && sited == 0 {
            return self.reachable_from(site, totals.kinds[kind as usize].blocks, &root);
        }
        sum
    }

    fn at_site(&self, site: u8, action: &mut dyn FnMut()) {
        self.shared().site.store(site, Relaxed);
        action();
    }
}

impl<M: Mode> Tried<M> {
    /// Live blocks of the site less those that are lost; `all` checks the sum.
    fn reachable_from(&self, site: u8, all: usize, root: &ArenaRoot) -> LeakSum {
        let mut lost = vec![LeakSum::default(); 8];
        // SAFETY: the root is readable.
        unsafe {
            self.arena.lost(&[*root], |leak| {
                let sum = &mut lost[site_number(leak.first.site) as usize];
                sum.blocks += leak.blocks as usize;
                sum.bytes += leak.bytes;
            });
        }
        let mut sums = [LeakSum::default(); 8];
        self.arena.walk(|block| sums[site_number(block.site) as usize].add(block.size));
        let reachable: usize =
            sums.iter().zip(&lost).map(|(all, lost)| all.blocks - lost.blocks).sum();
        assert_eq!(reachable, all, "the totals say otherwise than the visits");
        let (sum, lost) = (sums[site as usize], lost[site as usize]);
        LeakSum { blocks: sum.blocks - lost.blocks, bytes: sum.bytes - lost.bytes }
    }
}

/// Runs the program that `bytes` are (the fuzzer's, of at most 150 steps). The
/// first byte chooses the mode.
///
/// # Errors
/// What the arena did otherwise than the model says.
pub fn try_bytes(bytes: &[u8]) -> Result<Tally, Box<Failure>> {
    let Some((mode, steps)) = bytes.split_first() else { return Ok(Tally::default()) };
    let steps = &steps[..steps.len().min(150 * STEP_BYTES)];
    let go = |rules: &Rules, tried: &dyn Allocator| run(&decode(steps, rules), rules, tried);
    match mode % 5 {
        0 => go(&BARE, &*Tried::<Bare>::new(0)),
        1 => go(&OWNER, &*Tried::<Owner>::new(0)),
        2 => go(&UNOWNED, &*Tried::<Guard>::new(usize::MAX)),
        3 => go(&GUARD, &*Tried::<OwnerGuard>::new(0)),
        _ => go(&POISONED, &*Tried::<OwnerGuard>::new(usize::MAX)),
    }
}
