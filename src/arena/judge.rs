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
use super::region::Region;

impl<M: Mode> Heap<M> {
    /// The live block at `payload`, or `None` and a finding. After an overflow
    /// or underflow the block is mended: a second claim succeeds.
    #[inline(never)]
    pub(super) fn claim(&mut self, payload: usize) -> Option<Block<M>> {
        let address = payload.wrapping_sub(M::HEADER);
        if let Some(region) = self.region_of(address)
            && payload % ALIGNMENT == 0
            && address <= region.end() - M::SMALLEST
        {
            // SAFETY: at a block's phase, with room for a header below the end.
            let block = unsafe { Block::<M>::at(address) };
            if !block.is_free()
                && block.is_sealed(self.secret())
                && (M::GUARD || block.size() != 0)
            {
                let Some(damage) = self.canary_damage(block) else { return Some(block) };
                self.arm(block);
                self.notice(ArenaViolation::Overflow, damage, payload);
                return None;
            }
            self.explain(address);
        } else {
            self.notice(ArenaViolation::InvalidFree, payload, 0);
        }
        None
    }

    /// Notices why the header at `address`, a block's phase inside a region, is
    /// not that of a live block.
    #[cold]
    #[inline(never)]
    pub(super) fn explain(&mut self, address: usize) {
        // SAFETY: the caller's promise; room for a header as above.
        let block = unsafe { Block::<M>::at(address) };
        let mut kind = ArenaViolation::Corrupt;
        let (mut place, mut concerned) = (block.payload(), 0);
        if block.is_free() && (!M::GUARD || block.is_sealed(self.secret())) {
            kind = ArenaViolation::DoubleFree;
        } else if M::GUARD
            && let Some(region) = self.region_of(address)
        {
            let below = self.sound_header(region, address);
            if let Some(below) = below
                && below.end() > address
            {
                // Inside a block: this never was a header, or is none any more.
                kind = ArenaViolation::DoubleFree;
                if !below.is_free() {
                    kind = ArenaViolation::InvalidFree;
                    concerned = below.payload();
                }
            } else {
                if self.is_plausible(region, address) {
                    kind = ArenaViolation::UseAfterFree;
                    if !block.is_free() {
                        kind = ArenaViolation::Underflow;
                        concerned = place;
                        block.seal(self.secret());
                    }
                }
                if let Some(below) = below
                    && !below.is_free()
                    && let Some(damage) = self.canary_damage(below)
                {
                    // The block below ran over its end, into this header.
                    kind = ArenaViolation::Overflow;
                    concerned = below.payload();
                    place = damage;
                    self.arm(below);
                }
            }
        } else {
            kind = ArenaViolation::InvalidFree;
        }
        self.notice(kind, place, concerned);
    }

    /// The nearest sound header strictly below `address`, found by its seal.
    #[inline(never)]
    pub(super) fn sound_header(&self, region: Region, address: usize) -> Option<Block<M>> {
        let mut at = address;
        while at > region.first::<M>() {
            at -= ALIGNMENT;
            // SAFETY: at a block's phase inside the region, below a header.
            let block = unsafe { Block::<M>::at(at) };
            if block.is_sealed(self.secret()) {
                return Some(block);
            }
        }
        None
    }

    /// Writes a live block's canary.
    #[inline(never)]
    pub(super) fn arm(&self, block: Block<M>) {
        if M::GUARD {
            let canary = pattern::canary(self.secret(), block.address());
            // SAFETY: from the end of the request to the end of the block.
            unsafe { pattern::arm(block.payload() + block.requested(), block.end(), canary) };
        }
    }

    /// The first damaged byte of a live block's canary.
    pub(super) fn canary_damage(&self, block: Block<M>) -> Option<usize> {
        if !M::GUARD {
            return None;
        }
        let canary = pattern::canary(self.secret(), block.address());
        // SAFETY: from the end of the request to the end of a sealed block.
        unsafe { pattern::first_damage(block.payload() + block.requested(), block.end(), canary) }
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
