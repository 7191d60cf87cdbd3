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
    /// A payload of `requested` bytes, or 0 and a finding.
    #[inline]
    pub(super) fn allocate(&mut self, requested: usize, site: usize) -> usize {
        if let Some(need) = block_size::<M>(requested)
            && let Some(block) = self.take(need)
        {
            let flag = block.state() & PREVIOUS_FREE;
            return self.hand_out(block.address(), block.size(), flag, requested, site);
        }
        self.notice(ArenaViolation::Exhausted, 0, 0);
        0
    }

    /// As `allocate`, at a multiple of `alignment`, a power of two.
    pub(super) fn allocate_aligned(
        &mut self,
        requested: usize,
        alignment: usize,
        site: usize,
    ) -> usize {
        if alignment <= ALIGNMENT {
            return self.allocate(requested, site);
        }
        // Room to move up to the next multiple, and once more if the gap is too
        // small to be a block.
        if alignment <= M::LARGEST_REGION
            && let Some(need) = block_size::<M>(requested + alignment + M::SMALLEST)
            && let Some(block) = self.take(need)
        {
            let mut lead = block.payload().wrapping_neg() & (alignment - 1);
            if lead != 0 && lead < M::SMALLEST {
                let beyond = block.payload() + M::SMALLEST;
                lead = M::SMALLEST + (beyond.wrapping_neg() & (alignment - 1));
            }
            let (mut address, mut size) = (block.address(), block.size());
            let mut flag = block.state() & PREVIOUS_FREE;
            if lead != 0 {
                self.verify_poison(address, lead + M::HEADER);
                // SAFETY: the front part of a block just taken out of its list,
                // at least SMALLEST long by the computation of `lead`; the
                // poison in the middle is made whole before it is looked at.
                unsafe { self.shelve_poisoned(address, lead, flag) };
                if !self.poisons_all() {
                    self.poison(address + lead, size - lead);
                }
                address += lead;
                size -= lead;
                flag = PREVIOUS_FREE;
            }
            return self.hand_out(address, size, flag, requested, site);
        }
        self.notice(ArenaViolation::Exhausted, 0, 0);
        0
    }

    /// Makes `size` unlinked bytes the block of a request and shelves what is
    /// left behind it.
    #[inline(never)]
    fn hand_out(
        &mut self,
        address: usize,
        size: usize,
        flag: usize,
        requested: usize,
        site: usize,
    ) -> usize {
        let need = block_size::<M>(requested).unwrap_or(size);
        self.verify_poison(address, need);
        let size = self.trim(address, size, need);
        self.allocations = self.allocations.wrapping_add(1);
        self.spend(size);
        self.own(address, size | flag, requested, site)
    }

    /// Counts `size` bytes that were free as used.
    #[inline]
    pub(super) fn spend(&mut self, size: usize) {
        self.free_bytes = self.free_bytes.wrapping_sub(size);
        if self.free_bytes < self.least_free {
            self.least_free = self.free_bytes;
        }
    }

    /// Bytes of poison in a free block of `size` bytes.
    #[inline]
    pub(super) fn window(&self, size: usize) -> usize {
        let all = size - M::FREE_HEADER - WORD;
        if self.config.poison_window < all { self.config.poison_window } else { all }
    }

    /// Notices damage in the poison of the first `size` bytes of what was free.
    #[inline]
    pub(super) fn verify_poison(&mut self, address: usize, size: usize) {
        if M::GUARD {
            let from = address + M::FREE_HEADER;
            // SAFETY: between a free block's header and its footer.
            let damage = unsafe {
                pattern::first_difference(from, from + self.window(size), pattern::POISON)
            };
            if let Some(damage) = damage {
                self.notice(ArenaViolation::UseAfterFree, damage, 0);
            }
        }
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
        if !self.poisons_all() {
            self.poison(address, size);
        }
        // SAFETY: the same promise.
        unsafe { self.shelve(address, size, flag) };
    }

    /// Fills the poison of a free block as far as the window reaches.
    #[inline]
    pub(super) fn poison(&self, address: usize, size: usize) {
        if M::GUARD {
            let from = address + M::FREE_HEADER;
            // SAFETY: between header and footer of a free block.
            unsafe { pattern::fill(from, from + self.window(size), pattern::POISON) };
        }
    }

    /// Makes the bytes at `address` the caller's block: size and flags from
    /// `state`, owner, seal, canary. Returns the payload.
    pub(super) fn own(
        &mut self,
        address: usize,
        state: usize,
        requested: usize,
        site: usize,
    ) -> usize {
        // SAFETY: the caller's unlinked range, at a block's phase.
        let block = unsafe { Block::<M>::at(address) };
        let mut state = state;
        if M::OWNER || M::GUARD {
            let capacity = (state & M::SIZE_MASK) - M::HEADER - M::TAIL;
            state |= (capacity - requested) << SLACK_SHIFT;
        }
        block.set_state(state);
        block.set_owner(site, self.birth());
        block.seal(self.secret());
        self.arm(block);
        block.payload()
    }
}
