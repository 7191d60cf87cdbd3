//! The one place where a pointer from outside is judged.
//!
//! The fast answer needs the block's own header only. When that says no, the
//! nearest sound header below tells why; that takes time in proportion to the
//! distance, but only after a crime.
//!
//! Whatever can be mended is mended as it is noticed, so that each crime is
//! told once and the call can be carried out after all.
//!
//! Invariant: `claim` gives a live block with a sound header and canary whose
//! payload is the pointer.

use super::block::Block;
use super::event::{ArenaBlock, ArenaViolation};
use super::heap::Heap;
use super::layout::*;
use super::pattern;

impl<M: Mode> Heap<M> {
    /// The live block at `payload`, or `None` and a finding. With a finding, a
    /// block has been mended: a second claim succeeds if nobody else freed it.
    #[inline(always)]
    pub(super) fn claim(&mut self, payload: usize) -> Option<Block<M>> {
        let address = payload.wrapping_sub(M::HEADER);
        let mut kind = ArenaViolation::InvalidFree;
        if payload.is_multiple_of(ALIGNMENT) && self.enter_region_of(address) {
            // SAFETY: at a block's phase, below the region's end.
            let block = unsafe { Block::<M>::at(address) };
            if M::GUARD && block.flaw(self.secret()) != 0 {
                return self.explain(block);
            }
            if block.is_free() {
                kind = ArenaViolation::DoubleFree;
            } else if M::GUARD || block.size() != 0 {
                if M::SEALS_LINKS {
                    self.overrun_here(block);
                } else if M::GUARD {
                    self.overrun(block);
                }
                return Some(block);
            }
        }
        self.notice(kind, payload);
        None
    }

    /// Notices and mends a write past the end of a live block.
    #[inline(never)]
    pub(super) fn overrun(&mut self, block: Block<M>) {
        self.overrun_here(block);
    }

    /// As `overrun`, for the caller in a hurry.
    #[inline(always)]
    fn overrun_here(&mut self, block: Block<M>) {
        let damage = self.arm(block);
        if damage != 0 {
            self.notice(ArenaViolation::Overflow, damage);
            self.event.block = block.payload();
        }
    }

    /// Notices why the header of `block`, at a block's phase inside the region
    /// entered last, is not sound. A live one that still makes sense is so
    /// afterwards, and returned.
    #[cold]
    #[inline(never)]
    pub(super) fn explain(&mut self, block: Block<M>) -> Option<Block<M>> {
        self.notice(ArenaViolation::UseAfterFree, block.payload());
        if !M::GUARD {
            return None;
        }
        let at = self.nearest_sound(block.address(), ALIGNMENT.wrapping_neg());
        // SAFETY: a sound header's place; not looked at below the first.
        let below = unsafe { Block::<M>::at(at) };
        let has_below = at >= self.first;
        if has_below && below.end() > block.address() {
            // This never was a header, or is none any more.
            self.event.kind = ArenaViolation::DoubleFree;
            if !below.is_free() {
                self.event.kind = ArenaViolation::InvalidFree;
                self.event.block = below.payload();
            }
            return None;
        }
        let mut mended = None;
        if !self.is_plausible(block) {
            self.event.kind = ArenaViolation::Corrupt;
        } else if !block.is_free() {
            self.event.kind = ArenaViolation::Underflow;
            self.event.block = block.payload();
            block.seal(self.flaw(block));
            mended = Some(block);
        }
        // Perhaps the block below ran over its end, into this header.
        if has_below && !below.is_free() {
            self.overrun(below);
        }
        mended
    }

    /// Whether the size and slack in an unsound header can be right.
    #[inline(always)]
    pub(super) fn is_plausible(&self, block: Block<M>) -> bool {
        let end = self.above(block);
        block.end() == end && end - M::TAIL - block.slack() >= block.payload()
    }

    /// The word of a live block's canary.
    #[inline]
    pub(super) fn canary(&self, block: Block<M>) -> usize {
        pattern::canary(self.secret(), block.address())
    }

    /// Makes sure of a live block's canary; returns the first byte that was
    /// another.
    #[inline(always)]
    pub(super) fn arm(&self, block: Block<M>) -> usize {
        // SAFETY: from the end of the request to the end of a live block.
        unsafe { pattern::mend(block.canary(), block.end(), self.canary(block)) }
    }

    /// Writes what is known of a block.
    ///
    /// # Safety
    /// `into` may be written to.
    #[inline(never)]
    pub(super) unsafe fn describe(&self, block: Block<M>, into: *mut ArenaBlock) {
        // In steps of 256, 24 bits of them; the low bits are tasks.
        let now = self.birth() | 0xff;
        let birth = block.birth();
        let mut age = now.wrapping_sub(birth) as u32 & !0xff;
        if self.config.clock.is_none() {
            age >>= 8;
        }
        // SAFETY: the caller's promise; all fields are written.
        unsafe {
            (*into).age = age;
            (*into).task = (birth & 0xff) as u32;
            (*into).address = block.payload();
            (*into).site = block.site();
            (*into).size = block.requested();
        }
    }
}
