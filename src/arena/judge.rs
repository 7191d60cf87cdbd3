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
    /// The live block at `payload`, or `None` and a finding. After an overflow
    /// or underflow the block is mended: a second claim succeeds.
    #[inline(never)]
    pub(super) fn claim(&mut self, payload: usize) -> Option<Block<M>> {
        self.claim_here(payload)
    }

    /// As `claim`, for the caller in a hurry.
    #[inline(always)]
    pub(super) fn claim_here(&mut self, payload: usize) -> Option<Block<M>> {
        let address = payload.wrapping_sub(M::HEADER);
        if !payload.is_multiple_of(ALIGNMENT) || !self.enter_region_of_header(address) {
            self.notice(ArenaViolation::InvalidFree, payload, 0);
            return None;
        }
        // SAFETY: at a block's phase, with room for a header below the end.
        let block = unsafe { Block::<M>::at(address) };
        if !block.is_free()
            && block.is_sealed_here(self.secret())
            && (M::GUARD || block.size() != 0)
        {
            if self.is_armed(block) {
                return Some(block);
            }
            self.notice_overflow(block);
        } else {
            self.explain(address);
        }
        None
    }

    /// Notices why the header at `address`, a block's phase inside the region
    /// entered last, is not that of a live block.
    #[cold]
    #[inline(never)]
    pub(super) fn explain(&mut self, address: usize) {
        // SAFETY: the caller's promise; room for a header as above.
        let block = unsafe { Block::<M>::at(address) };
        let mut kind = ArenaViolation::DoubleFree;
        let mut concerned = 0;
        if !M::GUARD {
            if !block.is_free() {
                kind = ArenaViolation::InvalidFree;
            }
        } else if !block.is_free() || !block.is_sealed(self.secret()) {
            let below = self.sound_header(address);
            // SAFETY: `sound_header` gives a header's place, or 0, which is not
            // looked at.
            let lower = unsafe { Block::<M>::at(below) };
            if below != 0 && lower.end() > address {
                // Inside a block: this never was a header, or is none any more.
                if !lower.is_free() {
                    kind = ArenaViolation::InvalidFree;
                    concerned = lower.payload();
                }
            } else {
                kind = ArenaViolation::Corrupt;
                if self.is_plausible(address) {
                    kind = ArenaViolation::UseAfterFree;
                    if !block.is_free() {
                        kind = ArenaViolation::Underflow;
                        concerned = block.payload();
                        block.seal(self.secret());
                    }
                }
                // Perhaps the block below ran over its end, into this header.
                if below != 0 && !lower.is_free() && self.notice_overflow(lower) {
                    return;
                }
            }
        }
        self.notice(kind, block.payload(), concerned);
    }

    /// The nearest sound header strictly below `address` in the region entered
    /// last, found by its seal; 0 = none.
    #[inline(never)]
    pub(super) fn sound_header(&self, address: usize) -> usize {
        let mut at = address;
        while at > self.first {
            at -= ALIGNMENT;
            // SAFETY: at a block's phase inside the region, below a header.
            if unsafe { Block::<M>::at(at) }.is_sealed(self.secret()) {
                return at;
            }
        }
        0
    }

    /// Where a live block's canary begins and ends, and its word.
    #[inline]
    fn canary(&self, block: Block<M>) -> (usize, usize, usize) {
        let canary = pattern::canary(self.secret(), block.address());
        (block.payload() + block.requested(), block.end(), canary)
    }

    /// Writes a live block's canary.
    #[inline(never)]
    pub(super) fn arm(&self, block: Block<M>) {
        self.arm_here(block);
    }

    /// As `arm`, for the caller in a hurry.
    #[inline(always)]
    pub(super) fn arm_here(&self, block: Block<M>) {
        if M::GUARD {
            let (start, end, canary) = self.canary(block);
            // SAFETY: from the end of the request to the end of a live block.
            unsafe { pattern::arm(start, end, canary) };
        }
    }

    /// Whether a live block's canary is whole.
    #[inline]
    pub(super) fn is_armed(&self, block: Block<M>) -> bool {
        if !M::GUARD {
            return true;
        }
        let (start, end, canary) = self.canary(block);
        // SAFETY: from the end of the request to the end of a live block.
        unsafe { pattern::is_whole(start, end, canary) }
    }

    /// If a live block's canary is damaged, notices the overflow and mends it.
    #[cold]
    #[inline(never)]
    pub(super) fn notice_overflow(&mut self, block: Block<M>) -> bool {
        if self.is_armed(block) {
            return false;
        }
        let (start, end, canary) = self.canary(block);
        // SAFETY: as above.
        let damage = unsafe { pattern::first_damage(start, end, canary) };
        self.arm(block);
        self.notice(ArenaViolation::Overflow, damage, block.payload());
        true
    }

    /// What is known of a block.
    #[inline(never)]
    pub(super) fn describe(&self, block: Block<M>) -> ArenaBlock {
        let birth = block.birth();
        let mut age = self.stamp().wrapping_sub((birth >> 8) as u32) & STAMP_MASK;
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
