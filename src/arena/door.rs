//! The doors of a heap: each takes the lock, does one thing, tells the handler
//! what was noticed, and gives the lock back.
//!
//! Invariant: the handler is never called with the lock held, so it may
//! allocate, free and walk; and no `&mut Heap` is in use while it runs.

use core::ptr::NonNull;

use super::block::Block;
use super::event::{ArenaAnswer, ArenaConfig, ArenaViolation};
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

    /// The heap, for as long as the lock is held.
    #[inline]
    pub(super) fn heap<'lock>(self) -> &'lock mut Heap<M> {
        // SAFETY: only doors call this, between `enter` and `leave`, and use one
        // such reference at a time.
        unsafe { &mut *self.0.as_ptr() }
    }

    /// Takes the lock.
    #[inline(never)]
    pub(super) fn enter<'lock>(self) -> &'lock mut Heap<M> {
        self.enter_here()
    }

    /// As `enter`, for the caller in a hurry.
    #[inline(always)]
    fn enter_here<'lock>(self) -> &'lock mut Heap<M> {
        // SAFETY: the configuration does not change after `create`.
        unsafe {
            let config = &raw const (*self.0.as_ptr()).config;
            if let Some(lock) = (*config).lock {
                lock((*config).context);
            }
        }
        self.heap()
    }

    /// Takes the lock for a call from `site` that asks for `requested` bytes.
    #[inline(never)]
    pub(super) fn enter_for<'lock>(self, requested: usize, site: usize) -> &'lock mut Heap<M> {
        self.enter_for_here(requested, site)
    }

    /// As `enter_for`, for the caller in a hurry.
    #[inline(always)]
    fn enter_for_here<'lock>(self, requested: usize, site: usize) -> &'lock mut Heap<M> {
        let heap = self.enter_here();
        heap.event.site = site;
        heap.event.requested = requested;
        heap
    }

    /// Tells the handler if there is something to tell, then gives the lock back.
    #[inline(never)]
    pub(super) fn leave(self) {
        self.leave_here();
    }

    /// As `leave`, for the caller in a hurry.
    #[inline(always)]
    fn leave_here(self) {
        if self.has_finding() {
            self.tell();
        }
        // SAFETY: as in `enter`.
        unsafe {
            let config = &raw const (*self.0.as_ptr()).config;
            if let Some(unlock) = (*config).unlock {
                unlock((*config).context);
            }
        }
    }

    /// Runs `action` under the heap's lock.
    #[inline]
    pub(super) fn locked<R>(self, action: impl FnOnce(&mut Heap<M>) -> R) -> R {
        let result = action(self.enter());
        self.leave();
        result
    }

    /// Whether there is something to tell.
    #[inline]
    pub(super) fn has_finding(self) -> bool {
        self.heap().event.kind != ArenaViolation::None
    }

    /// Tells the handler, between giving the lock back and taking it again.
    #[cold]
    #[inline(never)]
    pub(super) fn tell(self) -> ArenaAnswer {
        let heap = self.heap();
        let event = heap.event;
        heap.event.kind = ArenaViolation::None;
        heap.findings = heap.findings.wrapping_add(1);
        let Some(on_event) = heap.config.on_event else { return ArenaAnswer::Continue };
        let context = heap.config.context;
        // There is nothing to tell any more: this only gives the lock back.
        self.leave();
        // SAFETY: the user gave the handler together with its context.
        let answer = unsafe { on_event(context, &event) };
        if answer == ArenaAnswer::Abort {
            halt();
        }
        // Others may have used the heap: the operation is this one again.
        self.enter_for(event.requested, event.site);
        answer
    }

    /// A payload of `size` bytes at a multiple of two words, or null.
    #[inline(never)]
    pub fn allocate_plain(self, size: usize, site: usize) -> *mut u8 {
        self.enter_for(size, site);
        let mut payload = self.heap().allocate();
        // Without a payload there is an exhaustion to tell.
        if payload == 0 && self.tell() == ArenaAnswer::Retry {
            payload = self.heap().allocate();
        }
        self.leave();
        core::ptr::with_exposed_provenance_mut(payload)
    }

    /// A payload of `size` bytes at a multiple of `alignment`, or null.
    /// `alignment` is a power of two.
    #[inline(always)]
    pub fn allocate(self, size: usize, alignment: usize, site: usize) -> *mut u8 {
        if alignment <= ALIGNMENT {
            return self.allocate_plain(size, site);
        }
        self.enter_for(size, site);
        let mut payload = self.heap().allocate_with_room(alignment);
        if payload == 0 && self.tell() == ArenaAnswer::Retry {
            payload = self.heap().allocate_with_room(alignment);
        }
        if payload != 0 {
            payload = self.heap().align(payload, alignment);
        }
        self.leave();
        core::ptr::with_exposed_provenance_mut(payload)
    }

    /// Takes the lock for a call from `site` that asks for `requested` bytes, and
    /// gives the live block at `pointer`, or `None`. What is wrong with it is told,
    /// and, if it could be mended, it is claimed again: the handler or another task
    /// may have been faster.
    #[inline(never)]
    pub(super) fn enter_claiming(
        self,
        pointer: *mut u8,
        site: usize,
        requested: usize,
    ) -> Option<Block<M>> {
        self.enter_claiming_here(pointer, site, requested)
    }

    /// As `enter_claiming`, for the caller in a hurry.
    #[inline(always)]
    fn enter_claiming_here(
        self,
        pointer: *mut u8,
        site: usize,
        requested: usize,
    ) -> Option<Block<M>> {
        if M::SEALS_LINKS {
            self.enter_for_here(requested, site);
        } else {
            self.enter_for(requested, site);
        }
        loop {
            let block = self.heap().claim(pointer.addr());
            if !self.has_finding() {
                return block;
            }
            self.tell();
            block?;
        }
    }

    /// Frees what `allocate` returned; null does nothing.
    ///
    /// # Safety
    /// Nobody uses the block any more. A pointer that is no block is judged and
    /// told; in bare and owner mode the judgement is not certain.
    #[inline(never)]
    pub unsafe fn free(self, pointer: *mut u8, site: usize) {
        if pointer.is_null() {
            return;
        }
        // Where the links are sealed, which takes its time, without calls.
        if M::SEALS_LINKS {
            if let Some(block) = self.enter_claiming_here(pointer, site, 0) {
                self.heap().discard_here(block);
            }
            self.leave_here();
            return;
        }
        if let Some(block) = self.enter_claiming(pointer, site, 0) {
            self.heap().discard(block);
        }
        self.leave();
    }
}

/// Stops the machine: a trap instruction, then nothing.
#[inline(always)]
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
