//! The control structure of a heap, and its birth in the user's memory.
//!
//! ```text
//!  memory given to `create`
//!  | Heap | list heads | region: next, end | block | block | … | sentinel |
//! ```
//!
//! Invariants: `used_bytes` is the sum of all live blocks' sizes; `event.kind`
//! is `None` iff the running operation has noticed nothing that is still to be
//! told; `event.site` and `event.requested` are the running operation's.

use core::marker::PhantomData;
use core::mem::size_of;

use super::classes;
use super::event::{ArenaConfig, ArenaEvent, ArenaViolation};
use super::layout::*;
use super::pattern;
use crate::units::align_up;

/// A heap inside memory that its user gave; see the module's head.
#[repr(C)]
pub struct Heap<M> {
    pub(super) config: ArenaConfig,
    /// The running operation, and what it noticed.
    pub(super) event: ArenaEvent,
    /// First block and sentinel of the region last asked for.
    pub(super) first: usize,
    pub(super) end: usize,
    pub(super) regions: usize,
    /// Bytes of live blocks, and the most there ever were.
    pub(super) used_bytes: usize,
    pub(super) most_used: usize,
    /// Everything that was told, and the exhaustions among it.
    pub(super) findings: u32,
    pub(super) failures: u32,
    /// Also the clock where there is none.
    pub(super) allocations: u32,
    /// Stamps given out from now on are at least this (see `mark`).
    pub(super) floor: u32,
    /// Bytes of the largest block and request that the lists can hold.
    pub(super) largest: usize,
    /// Where the lists' heads end.
    pub(super) lists_end: usize,
    mode: PhantomData<M>,
}

impl<M: Mode> Heap<M> {
    /// Builds a heap at the start of `memory` and gives it the rest as its
    /// first region. `None` when `length` is too small to hold a block.
    ///
    /// # Safety
    /// `memory` points to `length` bytes that nothing else uses for as long as
    /// the heap is used; `config` is readable, or null for all zeros.
    pub unsafe fn create(
        memory: *mut u8,
        length: usize,
        config: *const ArenaConfig,
    ) -> Option<*mut Self> {
        let base = memory.expose_provenance();
        let limit = base + length;
        let start = align_up(base, ALIGNMENT);
        let mut largest = length;
        // SAFETY: the caller's promise.
        if let Some(config) = unsafe { config.as_ref() }
            && config.largest_region != 0
        {
            largest = config.largest_region;
        }
        if largest > M::LARGEST {
            largest = M::LARGEST;
        }
        let region = start + size_of::<Self>() + classes::enough_for(largest) * WORD;
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
            if !config.is_null() {
                // By words, or the compiler calls memmove, which a device
                // without libc would have to bring.
                let mut from = config.cast::<usize>();
                let end = from.byte_add(size_of::<ArenaConfig>());
                let mut to = (&raw mut this.config).cast::<usize>();
                loop {
                    to.write_volatile(from.read_volatile());
                    (to, from) = (to.add(1), from.add(1));
                    if from == end {
                        break;
                    }
                }
            }
            // A secret of 0 is no secret; any constant makes zeros no header.
            this.config.secret ^= usize::MAX / 0xff * 0x5b;
            this.largest = largest;
            // Any sum of an address and the window is one.
            if this.config.poison_window > largest {
                this.config.poison_window = largest;
            }
            this.lists_end = region;
            this.add_region(region, limit);
            if this.regions == 0 { None } else { Some(heap) }
        }
    }

    /// What the check words are keyed with.
    #[inline]
    pub(super) fn secret(&self) -> usize {
        self.config.secret
    }

    /// Remembers what an operation noticed, of no block yet; its door tells it.
    #[cold]
    #[inline(never)]
    pub(super) fn notice(&mut self, kind: ArenaViolation, address: usize) {
        self.event.kind = kind;
        self.event.address = address;
        self.event.block = 0;
    }

    /// What was told, exhaustions not among it.
    #[inline]
    pub(super) fn violations(&self) -> u32 {
        self.findings.wrapping_sub(self.failures)
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
    #[inline(always)]
    fn now(&self) -> u32 {
        let now = match self.config.clock {
            // SAFETY: the user gave the function together with its context.
            Some(clock) => (unsafe { clock(self.config.context) }) >> 8,
            None => self.allocations,
        };
        let ahead = now.wrapping_sub(self.floor) << 8;
        if (ahead as i32) < 0 { self.floor } else { now }
    }

    /// The number of the running task.
    #[inline]
    pub(super) fn task(&self) -> u32 {
        match self.config.task {
            // SAFETY: the user gave the function together with its context.
            Some(task) => (unsafe { task(self.config.context) }) & 0xff,
            None => 0,
        }
    }

    /// The stamp word of a block that is born now.
    #[inline(never)]
    pub(super) fn birth(&self) -> usize {
        (self.now() << 8 | self.task()) as usize
    }
}
