//! The control structure of a heap, and its birth in the user's memory.
//!
//! ```text
//!  memory given to `create`
//!  | Heap | list heads | region: next, end | block | block | … | sentinel |
//! ```
//!
//! Invariants: `free_bytes` is the sum of all free blocks' sizes; list `c` is
//! non-empty iff bit `c` of `map` is set; `finding.kind` is `None` iff the
//! running operation has noticed nothing that is still to be told.

use core::marker::PhantomData;
use core::mem::size_of;

use super::block::{load, store};
use super::classes::{self, MAP_WORDS};
use super::event::{ArenaConfig, ArenaViolation};
use super::layout::*;
use super::pattern;

/// What an operation noticed.
pub(super) struct Finding {
    pub kind: ArenaViolation,
    /// The pointer given, or the first damaged byte or word.
    pub address: usize,
    /// Payload of the live block concerned, 0 = none.
    pub block: usize,
}

/// A heap inside memory that its user gave; see the module's head.
#[repr(C)]
pub struct Heap<M> {
    pub(super) config: ArenaConfig,
    pub(super) map: [u32; MAP_WORDS],
    pub(super) classes: usize,
    pub(super) regions: usize,
    /// First block and sentinel of the region last asked for.
    pub(super) first: usize,
    pub(super) end: usize,
    pub(super) total_bytes: usize,
    pub(super) free_bytes: usize,
    pub(super) least_free: usize,
    /// Also the clock where there is none.
    pub(super) allocations: u32,
    pub(super) failures: u32,
    pub(super) violations: u32,
    /// Stamps given out from now on are at least this (see `mark`).
    pub(super) floor: u32,
    pub(super) finding: Finding,
    mode: PhantomData<M>,
}

impl<M: Mode> Heap<M> {
    /// Builds a heap at the start of `memory` and gives it the rest as its
    /// first region. `None` when `length` is too small to hold a block.
    ///
    /// # Safety
    /// `memory` points to `length` bytes that nothing else uses for as long as
    /// the heap is used.
    pub unsafe fn create(
        memory: *mut u8,
        length: usize,
        config: &ArenaConfig,
    ) -> Option<*mut Self> {
        let base = memory.expose_provenance();
        let limit = base + length;
        let start = (base + ALIGNMENT - 1) & !(ALIGNMENT - 1);
        let widest = if config.largest_region == 0 { length } else { config.largest_region };
        let widest = if widest < M::LARGEST { widest } else { M::LARGEST };
        let classes = classes::count(widest);
        let region = start + size_of::<Self>() + classes * WORD;
        if region > limit {
            return None;
        }
        // SAFETY: aligned, and the structure and its list heads end at `region`,
        // inside the caller's memory. All zeros is a valid `Heap`, so the bytes
        // are cleared before the fields are set; what lies above the list heads
        // is the caller's, unused.
        unsafe {
            pattern::fill(start, region, 0);
            let heap = core::ptr::with_exposed_provenance_mut::<Self>(start);
            let this = &mut *heap;
            this.classes = classes;
            this.config = *config;
            if this.config.secret == 0 {
                this.config.secret = usize::MAX / 0xffff * 0x5bd1;
            }
            this.add_region(region, limit);
            if this.regions == 0 { None } else { Some(heap) }
        }
    }

    /// What the check words are keyed with.
    #[inline]
    pub(super) fn secret(&self) -> usize {
        self.config.secret
    }

    /// Whether freed blocks are poisoned to their end.
    #[inline]
    pub(super) fn poisons_all(&self) -> bool {
        self.config.poison_window == usize::MAX
    }

    /// The address of list `class`'s head.
    #[inline]
    fn head_address(&self, class: usize) -> usize {
        core::ptr::from_ref(self).addr() + size_of::<Self>() + class * WORD
    }

    /// The first block of list `class`, 0 when it is empty.
    #[inline]
    pub(super) fn head(&self, class: usize) -> usize {
        // SAFETY: `create` laid out `classes` heads after the structure, and
        // classes come from sizes that a region of this heap can have.
        unsafe { load(self.head_address(class)) }
    }

    #[inline]
    pub(super) fn set_head(&mut self, class: usize, block: usize) {
        // SAFETY: as in `head`.
        unsafe { store(self.head_address(class), block) }
    }

    /// Remembers what an operation noticed; its door tells it.
    #[cold]
    #[inline(never)]
    pub(super) fn notice(&mut self, kind: ArenaViolation, address: usize, block: usize) {
        self.finding = Finding { kind, address, block };
    }

    /// Milliseconds since power-on; 0 without a clock.
    pub(super) fn milliseconds(&self) -> u32 {
        match self.config.clock {
            // SAFETY: the user gave the function together with its context.
            Some(clock) => unsafe { clock(self.config.context) },
            None => 0,
        }
    }

    /// The present stamp, 24 bits: quarter seconds, or allocations.
    pub(super) fn stamp(&self) -> u32 {
        let now = match self.config.clock {
            // SAFETY: the user gave the function together with its context.
            Some(clock) => (unsafe { clock(self.config.context) }) >> 8,
            None => self.allocations,
        };
        let ahead = now.wrapping_sub(self.floor) << 8;
        if (ahead as i32) < 0 { self.floor } else { now }
    }

    /// The stamp word of a new block.
    #[inline]
    pub(super) fn birth(&self) -> usize {
        if !M::OWNER {
            return 0;
        }
        let mut birth = self.stamp() << 8;
        if let Some(task) = self.config.task {
            // SAFETY: the user gave the function together with its context.
            birth |= unsafe { task(self.config.context) } & 0xff;
        }
        birth as usize
    }
}
