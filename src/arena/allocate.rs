//! Taking memory: one search, at most one split, one verification.
//!
//! A request is cut from the upper end of a free block, so that the lower part
//! keeps its header and its poison where they are:
//!
//! ```text
//!  taken      |               free                |
//!  plain      | rest, free, as it was |   block   |
//!  aligned    | rest, free    |   block   | gap   |
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
        if requested <= M::LARGEST {
            let need = block_size::<M>(requested);
            let taken = self.take(need);
            if taken != 0 {
                return self.cut(taken, need, requested, site);
            }
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
        if requested <= M::LARGEST / 2 && alignment <= M::LARGEST / 4 {
            let need = block_size::<M>(requested);
            // Room to move down to the multiple below, and for a gap above and a
            // rest below that are large enough to be blocks.
            let taken = self.take(need + alignment + 2 * M::SMALLEST);
            if taken != 0 {
                // SAFETY: just taken.
                let end = unsafe { Block::<M>::at(taken) }.end();
                let payload = |end: usize| (end - need + M::HEADER) & !(alignment - 1);
                let mut top = payload(end) - M::HEADER + need;
                if top != end && end - top < M::SMALLEST {
                    top = payload(end - M::SMALLEST) - M::HEADER + need;
                }
                if top != end {
                    // The part above becomes a free block of its own: first the
                    // taken block's new end, then the gap.
                    self.cut_gap(taken, top, end);
                }
                return self.cut(taken, need, requested, site);
            }
        }
        self.notice(ArenaViolation::Exhausted, 0, 0);
        0
    }

    /// Shelves `[top, end)`, the upper part of an unlinked free block.
    fn cut_gap(&mut self, taken: usize, top: usize, end: usize) {
        // SAFETY: just taken out of its list, with room for the gap.
        let block = unsafe { Block::<M>::at(taken) };
        let flag = block.state() & PREVIOUS_FREE;
        if !self.poisons_all() {
            self.poison(top, end - top);
        }
        block.set_state((top - taken) << M::SIZE_SHIFT | FREE | flag);
        // SAFETY: at least SMALLEST bytes at a block's phase, in no list.
        unsafe { self.shelve(top, end - top, 0) };
    }

    /// Cuts `need` bytes from the upper end of the unlinked free block at
    /// `taken` and makes them the block of a request.
    #[inline(never)]
    fn cut(&mut self, taken: usize, mut need: usize, requested: usize, site: usize) -> usize {
        // SAFETY: just taken out of its list.
        let state = unsafe { Block::<M>::at(taken) }.state();
        let size = Block::<M>::size_in(state);
        let end = taken + size;
        let mut flag = state & PREVIOUS_FREE;
        let mut rest = size - need;
        if rest < M::SMALLEST {
            rest = 0;
            need = size;
        }
        let address = taken + rest;
        if M::GUARD && (rest == 0 || self.poisons_all()) {
            // What is handed out is verified. A lower part that stays free
            // keeps the window, to be verified when it goes itself.
            let from = if rest == 0 { taken + M::FREE_HEADER } else { address };
            let window = self.window(end - from + M::FREE_HEADER);
            // SAFETY: between the free block's header and its footer.
            let damage = unsafe { pattern::first_difference(from, from + window, pattern::POISON) };
            if damage != 0 {
                self.notice(ArenaViolation::UseAfterFree, damage, 0);
            }
        }
        if rest != 0 {
            // SAFETY: the lower part of the taken block.
            unsafe { self.shelve(taken, rest, flag) };
            flag = PREVIOUS_FREE;
        }
        // SAFETY: the block's end is the next block or the sentinel.
        let next = unsafe { Block::<M>::at(end) };
        next.set_state(next.state() & !PREVIOUS_FREE);
        self.allocations = self.allocations.wrapping_add(1);
        self.spend(need);
        self.own(address, need, flag, requested, site)
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

    /// Fills the poison of a free block as far as the window reaches.
    #[inline]
    pub(super) fn poison(&self, address: usize, size: usize) {
        if M::GUARD {
            let from = address + M::FREE_HEADER;
            // SAFETY: between header and footer of a free block.
            unsafe { pattern::fill(from, from + self.window(size), pattern::POISON) };
        }
    }

    /// Makes `size` bytes at `address` the caller's block: state, owner, seal,
    /// canary. Returns the payload.
    #[inline(always)]
    pub(super) fn own(
        &mut self,
        address: usize,
        size: usize,
        flag: usize,
        requested: usize,
        site: usize,
    ) -> usize {
        // SAFETY: the caller's unlinked range, at a block's phase.
        let block = unsafe { Block::<M>::at(address) };
        let mut state = size << M::SIZE_SHIFT | flag;
        if M::OWNER || M::GUARD {
            state |= (size - M::HEADER - M::TAIL - requested) << SLACK_SHIFT;
        }
        block.set_state(state);
        block.set_owner(site, self.birth());
        block.seal(self.secret());
        self.arm_here(block);
        block.payload()
    }

    /// As `own`, for callers that are not in a hurry.
    #[inline(never)]
    pub(super) fn own_called(
        &mut self,
        address: usize,
        size: usize,
        flag: usize,
        requested: usize,
        site: usize,
    ) -> usize {
        self.own(address, size, flag, requested, site)
    }
}
