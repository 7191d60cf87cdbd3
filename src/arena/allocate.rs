//! Taking memory: one search, at most two splits, one verification.
//!
//! ```text
//!  taken      |                    free                      |
//!  aligned    | front, free |  block  | rest, free           |
//! ```
//!
//! Invariant: the bytes handed out lie in exactly one live, sealed block whose
//! canary starts where the request ends.

use super::block::Block;
use super::event::ArenaViolation;
use super::heap::Heap;
use super::layout::*;
use super::pattern;

impl<M: Mode> Heap<M> {
    /// A payload of `requested` bytes at a multiple of `alignment` (a power of
    /// two), or 0. What the verification found is left in `noticed`.
    pub(super) fn allocate(&mut self, requested: usize, alignment: usize, site: usize) -> usize {
        let extra = if alignment > ALIGNMENT { alignment + M::SMALLEST } else { 0 };
        let Some(need) = block_size::<M>(requested) else { return 0 };
        if extra > M::LARGEST_REGION {
            return 0;
        }
        let Some(block) = self.take(need + extra) else { return 0 };
        let mut lead = 0;
        if extra != 0 {
            lead = block.payload().wrapping_neg() & (alignment - 1);
            if lead != 0 && lead < M::SMALLEST {
                let beyond = block.payload() + M::SMALLEST;
                lead = M::SMALLEST + (beyond.wrapping_neg() & (alignment - 1));
            }
        }
        self.verify_poison(block, block.address() + lead + need);
        let block = self.carve(block, lead, need);
        self.own(block, requested, site);
        self.allocations = self.allocations.wrapping_add(1);
        self.free_bytes -= block.size();
        if self.free_bytes < self.least_free {
            self.least_free = self.free_bytes;
        }
        block.payload()
    }

    /// Notices damage in the poison of a free block, up to `limit`.
    pub(super) fn verify_poison(&mut self, block: Block<M>, limit: usize) {
        if let Some(address) = self.poison_damage(block, limit) {
            self.notice(ArenaViolation::UseAfterFree, address);
        }
    }

    /// The first damaged word of a free block's poison below `limit`.
    pub(super) fn poison_damage(&self, block: Block<M>, limit: usize) -> Option<usize> {
        if !M::GUARD {
            return None;
        }
        let from = block.address() + M::FREE_HEADER;
        let to = from.saturating_add(self.config.poison_window);
        let to = to.min(block.end() - WORD).min(limit);
        // SAFETY: between a free block's header and its footer.
        unsafe { pattern::first_difference(from, to, pattern::POISON) }
    }

    /// Cuts an unlinked free block: `lead` bytes in front and what is left
    /// behind go back to the lists. The middle gets its size and flags, but
    /// neither owner nor seal.
    fn carve(&mut self, block: Block<M>, lead: usize, need: usize) -> Block<M> {
        let total = block.size();
        let mut flag = block.state() & PREVIOUS_FREE;
        let mut address = block.address();
        if lead != 0 {
            // SAFETY: the front part of a block just taken out of its list, at
            // least SMALLEST long by the computation of `lead`.
            unsafe { self.shelve_poisoned(address, lead, flag) };
            flag = PREVIOUS_FREE;
            address += lead;
        }
        let size = self.trim(address, total - lead, need);
        // SAFETY: the middle of the taken block.
        let block = unsafe { Block::<M>::at(address) };
        block.set_state(size | flag);
        block
    }

    /// Keeps `need` of the `total` bytes at `address`, shelves the rest if it
    /// can be a block, and tells the block above. Returns the size kept.
    pub(super) fn trim(&mut self, address: usize, total: usize, need: usize) -> usize {
        if total - need >= M::SMALLEST {
            // SAFETY: the rest of the same range, long enough.
            unsafe { self.shelve_poisoned(address + need, total - need, 0) };
            return need;
        }
        // SAFETY: the range ends at the next block or at the sentinel.
        let next = unsafe { Block::<M>::at(address + total) };
        next.set_state(next.state() & !PREVIOUS_FREE);
        total
    }

    /// Shelves a piece of what was a larger free block. With the window set to
    /// all bytes, its inside is poison already.
    ///
    /// # Safety
    /// As for `shelve`.
    unsafe fn shelve_poisoned(&mut self, address: usize, size: usize, flag: usize) {
        let window = self.config.poison_window;
        // SAFETY: the promise of `shelve`, passed on; the filled bytes lie
        // between header and footer.
        unsafe {
            if M::GUARD && window != usize::MAX {
                let from = address + M::FREE_HEADER;
                let to = from.saturating_add(window).min(address + size - WORD);
                pattern::fill(from, to, pattern::POISON);
            }
            self.shelve(address, size, flag);
        }
    }

    /// Makes a sized block the caller's: slack, owner, seal, canary.
    pub(super) fn own(&mut self, block: Block<M>, requested: usize, site: usize) {
        if M::OWNER || M::GUARD {
            let state = block.state();
            let capacity = (state & M::SIZE_MASK) - M::HEADER - M::TAIL;
            block.set_state(state | (capacity - requested) << SLACK_SHIFT);
        }
        block.set_owner(site, self.birth());
        block.seal(self.secret);
        self.arm(block);
    }

    /// Writes a live block's canary.
    pub(super) fn arm(&self, block: Block<M>) {
        if M::GUARD {
            let canary = pattern::canary(self.secret, block.address());
            // SAFETY: from the end of the request to the end of the block.
            unsafe { pattern::arm(block.payload() + block.requested(), block.end(), canary) };
        }
    }

    /// The first damaged byte of a live block's canary.
    #[inline]
    pub(super) fn canary_damage(&self, block: Block<M>) -> Option<usize> {
        if !M::GUARD {
            return None;
        }
        let canary = pattern::canary(self.secret, block.address());
        // SAFETY: from the end of the request to the end of a sealed block.
        unsafe { pattern::first_damage(block.payload() + block.requested(), block.end(), canary) }
    }
}
