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
            if M::GUARD && block.flaw_here(self.secret()) != 0 {
                self.explain(block);
                return if block.is_sealed(self.secret()) { Some(block) } else { None };
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
        self.notice(kind, payload, 0);
        None
    }

    /// Notices and mends a write past the end of a live block; returns where it
    /// was, 0 = nowhere.
    #[inline(never)]
    pub(super) fn overrun(&mut self, block: Block<M>) -> usize {
        self.overrun_here(block)
    }

    /// As `overrun`, for the caller in a hurry.
    #[inline(always)]
    fn overrun_here(&mut self, block: Block<M>) -> usize {
        let damage = self.arm(block);
        if damage != 0 {
            self.notice(ArenaViolation::Overflow, damage, block.payload());
        }
        damage
    }

    /// Notices why the header of `block`, at a block's phase inside the region
    /// entered last, is not sound. A live one that still makes sense is so
    /// afterwards.
    #[cold]
    #[inline(never)]
    pub(super) fn explain(&mut self, block: Block<M>) {
        let mut kind = ArenaViolation::UseAfterFree;
        let mut concerned = 0;
        if M::GUARD {
            let at = self.nearest_sound(block.address(), ALIGNMENT.wrapping_neg());
            // SAFETY: a sound header's place; not looked at below the first.
            let below = unsafe { Block::<M>::at(at) };
            let has_below = at >= self.first;
            if has_below && below.end() > block.address() {
                // This never was a header, or is none any more.
                kind = ArenaViolation::DoubleFree;
                if !below.is_free() {
                    kind = ArenaViolation::InvalidFree;
                    concerned = below.payload();
                }
            } else {
                if !self.is_plausible(block) {
                    kind = ArenaViolation::Corrupt;
                } else if !block.is_free() {
                    kind = ArenaViolation::Underflow;
                    concerned = block.payload();
                    block.seal(self.secret());
                }
                // Perhaps the block below ran over its end, into this header.
                if has_below && !below.is_free() && self.overrun(below) != 0 {
                    return;
                }
            }
        }
        self.notice(kind, block.payload(), concerned);
    }

    /// Whether the size and slack in an unsound header can be right.
    #[inline(always)]
    pub(super) fn is_plausible(&self, block: Block<M>) -> bool {
        let end = if M::GUARD {
            self.nearest_sound(block.address() + M::SMALLEST - ALIGNMENT, ALIGNMENT)
        } else {
            self.above(block)
        };
        block.end() == end && block.canary() >= block.payload()
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

    /// What is known of a block.
    #[inline(never)]
    pub(super) fn describe(&self, block: Block<M>) -> ArenaBlock {
        let birth = block.birth();
        let mut age = self.now().wrapping_sub((birth >> 8) as u32) & STAMP_MASK;
        if self.config.clock.is_some() {
            age <<= 8;
        }
        ArenaBlock {
            address: block.payload(),
            size: block.requested(),
            site: block.site(),
            age,
            task: (birth & 0xff) as u32,
        }
    }
}
