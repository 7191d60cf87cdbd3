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
        let address = payload.wrapping_sub(M::HEADER);
        if !payload.is_multiple_of(ALIGNMENT) || !self.enter_region_of(address) {
            self.notice(ArenaViolation::InvalidFree, payload, 0);
            return None;
        }
        // SAFETY: at a block's phase, below the region's end.
        let block = unsafe { Block::<M>::at(address) };
        if block.is_free()
            || !block.is_sealed_as(false, self.secret())
            || (!M::GUARD && block.size() == 0)
        {
            self.explain(block);
            return None;
        }
        if !M::GUARD {
            return Some(block);
        }
        let (start, end) = (block.canary(), block.end());
        // SAFETY: from the end of the request to the end of a live block.
        if unsafe { pattern::is_whole(start, end, self.canary(block)) } {
            return Some(block);
        }
        let damage = self.arm(block);
        self.notice(ArenaViolation::Overflow, damage, block.payload());
        None
    }

    /// Notices why the header of `block`, at a block's phase inside the region
    /// entered last, is not that of a live block.
    #[cold]
    #[inline(never)]
    pub(super) fn explain(&mut self, block: Block<M>) {
        let mut kind = ArenaViolation::DoubleFree;
        let mut concerned = 0;
        if !M::GUARD {
            if !block.is_free() {
                kind = ArenaViolation::InvalidFree;
            }
        } else if !block.is_free() || !block.is_sealed(self.secret()) {
            let below = self.sound_header(block.address());
            match below {
                // Inside a block: this never was a header, or is none any more.
                Some(below) if below.end() > block.address() => {
                    if !below.is_free() {
                        kind = ArenaViolation::InvalidFree;
                        concerned = below.payload();
                    }
                }
                _ => {
                    kind = ArenaViolation::Corrupt;
                    if self.is_plausible(block) {
                        kind = ArenaViolation::UseAfterFree;
                        if !block.is_free() {
                            kind = ArenaViolation::Underflow;
                            concerned = block.payload();
                            block.seal(self.secret());
                        }
                    }
                    // Perhaps the block below ran over its end, into this header.
                    if let Some(below) = below
                        && !below.is_free()
                        && self.claim(below.payload()).is_none()
                    {
                        return;
                    }
                }
            }
        }
        self.notice(kind, block.payload(), concerned);
    }

    /// The nearest sound header strictly below `address` in the region entered
    /// last, found by its seal.
    #[inline(never)]
    pub(super) fn sound_header(&self, address: usize) -> Option<Block<M>> {
        let mut at = address;
        while at > self.first {
            at -= ALIGNMENT;
            // SAFETY: at a block's phase inside the region, below a header.
            let block = unsafe { Block::<M>::at(at) };
            if block.is_sealed(self.secret()) {
                return Some(block);
            }
        }
        None
    }

    /// The word of a live block's canary.
    #[inline]
    pub(super) fn canary(&self, block: Block<M>) -> usize {
        pattern::canary(self.secret(), block.address())
    }

    /// Writes a live block's canary; returns the first byte that was another.
    #[inline(never)]
    pub(super) fn arm(&self, block: Block<M>) -> usize {
        if !M::GUARD {
            return 0;
        }
        // SAFETY: from the end of the request to the end of a live block.
        unsafe { pattern::mend(block.canary(), block.end(), self.canary(block)) }
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
