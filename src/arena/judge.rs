//! The one place where a pointer from outside is judged.
//!
//! The fast answer needs the block's own header only. When that says no, the
//! slow answer walks up from the region's first block to find out why; it takes
//! time in proportion to the number of blocks, but only after a crime.
//!
//! Invariant: `Ok(block)` is a live block whose payload is the pointer.

use super::block::Block;
use super::event::{ArenaBlock, ArenaViolation};
use super::heap::Heap;
use super::layout::*;
use super::region::Region;

/// Where an address lies, as the walk found it.
pub(super) struct Place<M> {
    /// The block whose bytes, header included, hold the address; `None` when a
    /// header below it makes no sense.
    pub block: Option<Block<M>>,
    /// The block below that, or below the header that makes no sense.
    pub below: Option<Block<M>>,
    /// Where the walk stopped.
    pub stopped: usize,
}

impl<M: Mode> Heap<M> {
    /// Whether `payload` is a live block of this heap.
    #[inline]
    pub(super) fn judge(&self, payload: usize) -> Result<Block<M>, ArenaViolation> {
        let address = payload.wrapping_sub(M::HEADER);
        let Some(region) = self.region_of(address) else {
            return Err(ArenaViolation::InvalidFree);
        };
        if payload % ALIGNMENT != 0 || address > region.end() - M::SMALLEST {
            return Err(ArenaViolation::InvalidFree);
        }
        // SAFETY: at a block's phase, with room for a header below the end.
        let block = unsafe { Block::<M>::at(address) };
        if !block.is_free() && block.is_sealed(self.secret) {
            // With guard the seal proves the header; without, look at its size.
            if M::GUARD || self.plausible(region, address).is_some() {
                return Ok(block);
            }
        }
        Err(self.explain(region, payload))
    }

    /// Why `payload` is not a live block.
    #[cold]
    #[inline(never)]
    fn explain(&self, region: Region, payload: usize) -> ArenaViolation {
        let place = self.locate(region, payload - M::HEADER);
        match place.block {
            None => self.explain_damage(&place),
            Some(block) if block.is_free() => ArenaViolation::DoubleFree,
            Some(block) if block.payload() == payload => self.explain_damage(&place),
            Some(_) => ArenaViolation::InvalidFree,
        }
    }

    /// Who damaged the header where the walk stopped: the block below, if its
    /// canary is gone as well; a write just before the payload, if the header's
    /// size still leads to the next block; else nobody can tell.
    pub(super) fn explain_damage(&self, place: &Place<M>) -> ArenaViolation {
        if let Some(below) = place.below
            && !below.is_free()
            && below.is_sealed(self.secret)
            && self.canary_damage(below).is_some()
        {
            return ArenaViolation::Overflow;
        }
        match place.block {
            Some(_) => ArenaViolation::Underflow,
            None => ArenaViolation::Corrupt,
        }
    }

    /// Walks up to the block that holds `address`.
    pub(super) fn locate(&self, region: Region, address: usize) -> Place<M> {
        let mut below = None;
        let mut at = region.first::<M>();
        while at < region.end() {
            let Some(block) = self.plausible(region, at) else { break };
            if address < block.end() {
                return Place { block: Some(block), below, stopped: at };
            }
            below = Some(block);
            at = block.end();
        }
        Place { block: None, below, stopped: at }
    }

    /// What is known of a block.
    pub(super) fn describe(&self, block: Block<M>) -> ArenaBlock {
        let free = block.is_free();
        let birth = if free { 0 } else { block.birth() };
        let age = self.stamp().wrapping_sub((birth >> 8) as u32) & STAMP_MASK;
        ArenaBlock {
            address: block.payload(),
            size: block.requested(),
            site: if free { 0 } else { block.site() },
            age: if self.config.clock.is_some() { age << 8 } else { age },
            task: (birth & 0xff) as u32,
            free: free.into(),
        }
    }
}
