//! The doors of a heap: each takes the lock, does one thing, gives the lock
//! back, and only then tells the handler what was found.
//!
//! Invariant: the handler is never called with the lock held, so it may
//! allocate, free and walk; and no `&mut Heap` is alive while it runs.

use core::ptr::NonNull;

use super::event::{ArenaAnswer, ArenaConfig, ArenaEvent, ArenaViolation};
use super::heap::Heap;
use super::layout::*;

/// A heap that may be shared between tasks through the lock of its
/// configuration.
pub struct Arena<M>(NonNull<Heap<M>>);

impl<M> Clone for Arena<M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M> Copy for Arena<M> {}

impl<M: Mode> Arena<M> {
    /// Builds a heap in `memory`; see [`ArenaConfig`]. `None` when it is too
    /// small for the control structure and one block.
    ///
    /// # Safety
    /// `memory` points to `length` bytes that nothing else uses from now on.
    /// The configuration's functions keep their documented contract; without
    /// `lock` and `unlock`, one thread at a time uses the heap.
    pub unsafe fn create(memory: *mut u8, length: usize, config: &ArenaConfig) -> Option<Self> {
        // SAFETY: the same promise.
        let heap = unsafe { Heap::create(memory, length, config) }?;
        NonNull::new(heap).map(Arena)
    }

    /// The heap at `heap`, as `create` returned it to C.
    ///
    /// # Safety
    /// `heap` came from `create` of the same mode.
    pub unsafe fn from_raw(heap: NonNull<Heap<M>>) -> Self {
        Arena(heap)
    }

    /// The control structure's address.
    pub fn as_ptr(self) -> *mut Heap<M> {
        self.0.as_ptr()
    }

    /// Runs `action` under the heap's lock.
    #[inline]
    pub(super) fn locked<R>(self, action: impl FnOnce(&mut Heap<M>) -> R) -> R {
        let heap = self.0.as_ptr();
        // SAFETY: the configuration is constant after `create`; the reference
        // made for `action` is the only one while the lock is held, and it is
        // gone before `unlock`.
        unsafe {
            let config = &raw const (*heap).config;
            if let Some(lock) = (*config).lock {
                lock((*config).context);
            }
            let result = action(&mut *heap);
            if let Some(unlock) = (*config).unlock {
                unlock((*config).context);
            }
            result
        }
    }

    /// Tells the handler, with the lock released.
    #[cold]
    #[inline(never)]
    pub(super) fn raise(self, event: &ArenaEvent) -> ArenaAnswer {
        // SAFETY: the configuration is constant after `create`.
        let (on_event, context) = unsafe {
            let config = &raw const (*self.0.as_ptr()).config;
            ((*config).on_event, (*config).context)
        };
        let Some(on_event) = on_event else { return ArenaAnswer::Continue };
        // SAFETY: the user gave the handler together with its context.
        let answer = unsafe { on_event(context, event) };
        if answer == ArenaAnswer::Abort {
            halt();
        }
        answer
    }

    /// A payload of `size` bytes at a multiple of `alignment`, or null.
    /// `alignment` is a power of two, at most half of the address space.
    pub fn allocate(self, size: usize, alignment: usize, site: usize) -> *mut u8 {
        loop {
            let (payload, noticed) =
                self.locked(|heap| (heap.allocate(size, alignment, site), heap.noticed));
            if noticed != ArenaViolation::None {
                self.raise_noticed(site);
            }
            if payload != 0 {
                return core::ptr::with_exposed_provenance_mut(payload);
            }
            if !self.exhausted(size, alignment, site) {
                return core::ptr::null_mut();
            }
        }
    }

    /// Reports exhaustion; true when the caller shall try once more.
    #[cold]
    #[inline(never)]
    pub(super) fn exhausted(self, size: usize, alignment: usize, site: usize) -> bool {
        let event = self.locked(|heap| {
            heap.failures = heap.failures.wrapping_add(1);
            heap.exhaustion(size, alignment, site)
        });
        self.raise(&event) == ArenaAnswer::Retry
    }

    /// Frees what `allocate` returned; null does nothing.
    pub fn free(self, pointer: *mut u8, site: usize) {
        if pointer.is_null() {
            return;
        }
        let (violation, noticed) = self.locked(|heap| (heap.release(pointer.addr()), heap.noticed));
        if violation != ArenaViolation::None {
            self.raise_free(pointer.addr(), violation, site);
        }
        if noticed != ArenaViolation::None {
            self.raise_noticed(site);
        }
    }

    /// Reports what a pointer's judge said, and frees the block after all when
    /// its header can be trusted or mended.
    #[cold]
    #[inline(never)]
    pub(super) fn raise_free(self, payload: usize, violation: ArenaViolation, site: usize) {
        let event = self.locked(|heap| heap.judgement(payload, violation, site, true));
        self.raise(&event);
    }

    /// Reports what an operation noticed beside its own business.
    #[cold]
    #[inline(never)]
    pub(super) fn raise_noticed(self, site: usize) {
        let event = self.locked(|heap| heap.noticed_event(site));
        if event.kind != ArenaViolation::None {
            self.raise(&event);
        }
    }
}

impl<M: Mode> Heap<M> {
    /// An event without a block.
    pub(super) fn event(
        &mut self,
        kind: ArenaViolation,
        address: usize,
        site: usize,
    ) -> ArenaEvent {
        self.violations = self.violations.wrapping_add(1);
        ArenaEvent {
            kind,
            address,
            site,
            requested: 0,
            alignment: 0,
            free_bytes: self.free_bytes,
            largest_free: 0,
            block: Default::default(),
        }
    }

    fn exhaustion(&mut self, size: usize, alignment: usize, site: usize) -> ArenaEvent {
        let mut event = self.event(ArenaViolation::Exhausted, 0, site);
        self.violations = self.violations.wrapping_sub(1);
        event.requested = size;
        event.alignment = alignment;
        event.largest_free = self.largest_free();
        event
    }

    fn noticed_event(&mut self, site: usize) -> ArenaEvent {
        let event = self.event(self.noticed, self.noticed_at, site);
        self.noticed = ArenaViolation::None;
        event
    }

    /// The event for a pointer that was judged `violation`. With `free`, a live
    /// block behind it is freed; otherwise it is mended.
    pub(super) fn judgement(
        &mut self,
        payload: usize,
        violation: ArenaViolation,
        site: usize,
        free: bool,
    ) -> ArenaEvent {
        let mut event = self.event(violation, payload, site);
        let Some(region) = self.region_of(payload.wrapping_sub(M::HEADER)) else { return event };
        let place = self.locate(region, payload - M::HEADER);
        let mut culprit = place.block;
        match violation {
            ArenaViolation::Overflow => {
                // Its own canary, or that of the block below.
                if let Some(block) = place.block
                    && block.payload() == payload
                    && block.is_sealed(self.secret)
                {
                    event.block = self.describe(block);
                    event.address = self.canary_damage(block).unwrap_or(payload);
                    if free {
                        self.discard(block);
                    } else {
                        self.arm(block);
                    }
                    return event;
                }
                culprit = place.below;
                if let Some(below) = place.below {
                    event.address = self.canary_damage(below).unwrap_or(payload);
                    self.arm(below);
                }
            }
            ArenaViolation::Underflow => {
                if let Some(block) = place.block {
                    event.block = self.describe(block);
                    // The size still leads to the next block: mend the seal.
                    block.seal(self.secret);
                    if free && !block.is_free() {
                        self.discard(block);
                    }
                    return event;
                }
            }
            _ => {}
        }
        if let Some(block) = culprit {
            event.block = self.describe(block);
        }
        event
    }
}

/// Stops the machine: a trap instruction, then nothing.
#[cold]
pub fn halt() -> ! {
    loop {
        // SAFETY: a trap instruction ends in the fault handler; it touches no
        // memory of Rust's.
        unsafe {
            #[cfg(target_arch = "arm")]
            core::arch::asm!("udf #0");
            #[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
            core::arch::asm!("ebreak");
            #[cfg(target_arch = "aarch64")]
            core::arch::asm!("brk #1");
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            core::arch::asm!("ud2");
        }
    }
}
