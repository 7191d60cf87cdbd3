//! The control structure of a heap, and its birth in the user's memory.
//!
//! ```text
//!  memory given to `create`
//!  | Heap | list heads, 8 a level | region: next, end | block | block | … | sentinel |
//! ```
//!
//! Invariants: `free_bytes` is the sum of all free blocks' sizes; list `c` is
//! non-empty iff its bit is set in `second_maps`, and that byte is non-zero iff
//! its bit is set in `first_map`.

use core::marker::PhantomData;
use core::mem::{align_of, size_of};

use super::block::{load, store};
use super::classes;
use super::event::{ArenaConfig, ArenaViolation};
use super::layout::*;

/// A heap inside memory that its user gave; see the module's head.
#[repr(C)]
pub struct Heap<M> {
    pub(super) first_map: u32,
    pub(super) second_maps: [u8; classes::FIRST],
    pub(super) levels: usize,
    pub(super) secret: usize,
    pub(super) regions: usize,
    pub(super) total_bytes: usize,
    pub(super) free_bytes: usize,
    pub(super) least_free: usize,
    pub(super) allocations: u32,
    pub(super) frees: u32,
    pub(super) failures: u32,
    pub(super) violations: u32,
    /// Stamps given out from now on are at least this (see `mark`).
    pub(super) floor: u32,
    /// What the running operation noticed beside its own verdict.
    pub(super) noticed: ArenaViolation,
    /// Where it noticed that.
    pub(super) noticed_at: usize,
    pub(super) config: ArenaConfig,
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
        let limit = base.checked_add(length)?;
        let start = base.checked_next_multiple_of(align_of::<Self>())?;
        let widest = if config.largest_region == 0 { length } else { config.largest_region };
        let widest = widest.min(M::LARGEST_REGION);
        let levels = classes::levels(widest).min(classes::FIRST);
        let heads = start.checked_add(size_of::<Self>())?;
        let region = heads + levels * classes::SECOND * WORD;
        if region > limit {
            return None;
        }
        let heap = core::ptr::with_exposed_provenance_mut::<Self>(start);
        // SAFETY: aligned, and the structure and its list heads end at `region`,
        // inside the caller's memory. All zeros is a valid `Heap`, so the bytes
        // can be cleared before the fields are set.
        let this = unsafe {
            super::pattern::fill(start, region, 0);
            &mut *heap
        };
        this.levels = levels;
        this.secret = if config.secret == 0 { usize::MAX / 0xffff * 0x5bd1 } else { config.secret };
        this.config = *config;
        // SAFETY: what lies above the list heads is the caller's, unused.
        unsafe { this.add_region(region, limit) };
        if this.regions == 0 { None } else { Some(heap) }
    }

    /// The address of list `class`'s head.
    #[inline]
    fn head_address(&self, class: usize) -> usize {
        core::ptr::from_ref(self).addr() + size_of::<Self>() + class * WORD
    }

    /// The first block of list `class`, 0 when it is empty.
    #[inline]
    pub(super) fn head(&self, class: usize) -> usize {
        // SAFETY: `create` laid out `levels * SECOND` heads after the structure,
        // and classes come from sizes that a region of this heap can have.
        unsafe { load(self.head_address(class)) }
    }

    #[inline]
    pub(super) fn set_head(&mut self, class: usize, block: usize) {
        // SAFETY: as in `head`.
        unsafe { store(self.head_address(class), block) }
    }

    /// Remembers what an operation noticed; its door reports it.
    #[inline]
    pub(super) fn notice(&mut self, violation: ArenaViolation, address: usize) {
        self.noticed = violation;
        self.noticed_at = address;
    }

    /// The present stamp, 24 bits: quarter seconds, or allocations.
    #[inline]
    pub(super) fn stamp(&self) -> u32 {
        let now = match self.config.clock {
            // SAFETY: the user gave the function together with its context.
            Some(clock) => (unsafe { clock(self.config.context) }) >> 8,
            None => self.allocations,
        };
        let ahead = now.wrapping_sub(self.floor) << 8;
        (if (ahead as i32) < 0 { self.floor } else { now }) & STAMP_MASK
    }

    /// The stamp word of a new block.
    #[inline]
    pub(super) fn birth(&self) -> usize {
        if !M::OWNER {
            return 0;
        }
        let task = match self.config.task {
            // SAFETY: the user gave the function together with its context.
            Some(task) => unsafe { task(self.config.context) },
            None => 0,
        };
        (self.stamp() << 8 | task & 0xff) as usize
    }
}
