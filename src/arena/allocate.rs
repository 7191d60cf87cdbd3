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
use crate::units::align_down;

impl<M: Mode> Heap<M> {
    /// A payload of the bytes requested, or 0 and a finding.
    #[inline(never)]
    pub(super) fn allocate(&mut self) -> usize {
        let requested = self.event.requested;
        if requested <= self.largest {
            let need = block_size::<M>(requested);
            if let Some(taken) = self.take(need) {
                return self.cut(taken, need);
            }
        }
        self.notice(ArenaViolation::Exhausted, 0, 0);
        0
    }

    /// As `allocate`, at a multiple of `alignment`, a power of two.
    #[inline(never)]
    pub(super) fn allocate_aligned(&mut self, alignment: usize) -> usize {
        if alignment <= ALIGNMENT {
            return self.allocate();
        }
        let requested = self.event.requested;
        if requested <= self.largest && alignment <= self.largest {
            let need = block_size::<M>(requested);
            // Room to move down to the multiple below, and for a gap above and a
            // rest below that are large enough to be blocks.
            let room = need + alignment + 2 * M::SMALLEST;
            if room <= self.largest
                && let Some(taken) = self.take(room)
            {
                self.drop_top(taken, need, alignment);
                return self.cut(taken, need);
            }
        }
        self.notice(ArenaViolation::Exhausted, 0, 0);
        0
    }

    /// Shortens an unlinked free block so that the payload of a block of `need`
    /// bytes at its upper end is at a multiple of `alignment`; what is above
    /// becomes a free block of its own.
    #[inline(always)]
    fn drop_top(&mut self, taken: Block<M>, need: usize, alignment: usize) {
        let end = taken.end();
        let mut top = end;
        loop {
            top = align_down(top - need + M::HEADER, alignment) - M::HEADER + need;
            if top == end {
                return;
            }
            if end - top >= M::SMALLEST {
                break;
            }
            top = end - M::SMALLEST;
        }
        if !self.poisons_all() {
            self.poison(top, end - top);
        }
        taken.set_state(taken.state() - ((end - top) << M::SIZE_SHIFT));
        // SAFETY: at least SMALLEST bytes at a block's phase, in no list.
        unsafe { self.shelve(top, end - top, 0) };
    }

    /// Cuts `need` bytes from the upper end of an unlinked free block and makes
    /// them the block of the request.
    #[inline(never)]
    fn cut(&mut self, taken: Block<M>, mut need: usize) -> usize {
        let size = taken.size();
        let mut flag = taken.state() & M::PREVIOUS_FREE;
        let mut rest = size - need;
        if rest < M::SMALLEST {
            rest = 0;
            need = size;
        }
        // SAFETY: the upper part of the taken block, or all of it; its end is
        // the next block or the sentinel.
        let (block, next) =
            unsafe { (Block::<M>::at(taken.address() + rest), Block::<M>::at(taken.end())) };
        if M::GUARD {
            // Poison that is handed out is verified; what stays free keeps it.
            let poison = taken.address() + M::FREE_HEADER;
            let from = if block.address() > poison { block.address() } else { poison };
            let to = poison + self.window(size);
            // SAFETY: between the free block's header and its footer.
            if unsafe { pattern::difference(from, to, pattern::POISON) } != 0 {
                // SAFETY: as above.
                let damage = unsafe { pattern::mend(from, to, pattern::POISON) };
                self.notice(ArenaViolation::UseAfterFree, damage, 0);
            }
        }
        if rest != 0 {
            // SAFETY: the lower part of the taken block.
            unsafe { self.shelve(taken.address(), rest, flag) };
            flag = M::PREVIOUS_FREE;
        }
        next.set_state(next.state() & !M::PREVIOUS_FREE);
        self.allocations = self.allocations.wrapping_add(1);
        self.spend(need);
        self.own(block, need, flag);
        if M::GUARD {
            let start = block.payload() + self.event.requested;
            // SAFETY: from the last word of the request, which nobody has
            // written yet, to the end of the block.
            unsafe { pattern::fill(align_down(start, WORD), next.address(), self.canary(block)) };
        }
        block.payload()
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
    #[inline(never)]
    pub(super) fn poison(&self, address: usize, size: usize) {
        let window = self.window(size);
        if M::GUARD && window != 0 {
            let from = address + M::FREE_HEADER;
            // SAFETY: between header and footer of a free block.
            unsafe { pattern::fill(from, from + window, pattern::POISON) };
        }
    }

    /// Makes `size` bytes at `block` the running request's: state, owner, seal.
    #[inline(never)]
    pub(super) fn own(&mut self, block: Block<M>, size: usize, flag: usize) {
        let mut state = size << M::SIZE_SHIFT;
        if M::SIZE_SHIFT != 0 {
            state |= size - M::HEADER - M::TAIL - self.event.requested;
        }
        let birth = if M::OWNER { self.birth() } else { 0 };
        block.set_live(state, flag, self.event.site, birth, self.secret());
    }
}
