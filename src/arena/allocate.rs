//! Taking memory: one search, at most one split, one verification.
//!
//! A request is cut from the upper end of a free block, so that the lower part
//! keeps its header and its poison where they are:
//!
//! ```text
//!  taken      |               free                |
//!  plain      | rest, free, as it was |   block   |
//!  aligned    | rest, free    |   block   | rest  |
//! ```
//!
//! Invariant: the bytes handed out lie in exactly one live, sealed block whose
//! canary starts where the request ends.

use super::block::Block;
use super::event::ArenaViolation;
use super::heap::Heap;
use super::layout::*;
use super::pattern;
use crate::units::{align_down, align_up};

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
        self.failures = self.failures.wrapping_add(1);
        self.notice(ArenaViolation::Exhausted, 0);
        0
    }

    /// As `allocate`, with room to move up in to a multiple of `alignment`, a power
    /// of two above ALIGNMENT.
    #[inline(never)]
    pub(super) fn allocate_with_room(&mut self, alignment: usize) -> usize {
        let requested = self.event.requested;
        if requested <= self.largest {
            self.event.requested = requested + alignment + M::SMALLEST;
        }
        let payload = self.allocate();
        self.event.requested = requested;
        payload
    }

    /// Moves the block at `payload`, which has room for that, up to a multiple of
    /// `alignment`, and gives back what is too much.
    #[inline(always)]
    pub(super) fn align(&mut self, payload: usize, alignment: usize) -> usize {
        self.enter_region(payload);
        // SAFETY: a block's payload.
        let whole = unsafe { Block::<M>::at(payload - M::HEADER) };
        let (size, below) = (whole.size(), whole.state() & M::PREVIOUS_FREE);
        let mut aligned = payload;
        if payload & (alignment - 1) != 0 {
            aligned = align_up(payload + M::SMALLEST, alignment);
        }
        let gap = aligned - payload;
        // SAFETY: inside the block, which has room for both parts.
        let block = unsafe { Block::<M>::at(aligned - M::HEADER) };
        // They are one when the gap is 0.
        let state = gap << M::SIZE_SHIFT;
        block.set_state(state);
        whole.set_state(state | below);
        self.trim(block, size - gap);
        if gap != 0 {
            self.discard(whole);
        }
        aligned
    }

    /// Makes the lower part of the `size` bytes at `block` the running request's
    /// and gives the upper part back, if it is large enough to be a block.
    #[inline(never)]
    pub(super) fn trim(&mut self, block: Block<M>, size: usize) {
        let mut kept = block_size::<M>(self.event.requested);
        if size - kept < M::SMALLEST {
            kept = size;
        }
        self.own(block, kept, block.state() & M::PREVIOUS_FREE);
        if M::GUARD {
            self.arm(block);
        }
        if kept != size {
            // SAFETY: at least SMALLEST bytes above what is kept.
            let above = unsafe { Block::<M>::at(block.address() + kept) };
            above.set_state((size - kept) << M::SIZE_SHIFT);
            self.discard(above);
        }
    }

    /// Cuts `need` bytes from the upper end of an unlinked free block and makes
    /// them the block of the request.
    #[inline(always)]
    fn cut(&mut self, taken: Block<M>, mut need: usize) -> usize {
        let (address, state) = (taken.address(), taken.state());
        let (size, end) = (taken.size(), taken.end());
        if size - need < M::SMALLEST {
            need = size;
        }
        // SAFETY: the upper part of the taken block, or all of it; its end is
        // the next block or the sentinel.
        let (block, next) = unsafe { (Block::<M>::at(end - need), Block::<M>::at(end)) };
        if M::GUARD {
            // Poison that is handed out is verified, and the word where the footer
            // of what stays will be; what stays free keeps its poison.
            self.verify_poison(taken, block.address() - WORD);
        }
        let mut below = state & M::PREVIOUS_FREE;
        let rest = block.address() - address;
        if rest != 0 {
            // SAFETY: the lower part of the taken block.
            unsafe { self.shelve(address, rest) };
            below = M::PREVIOUS_FREE;
        }
        next.set_state(next.state() & !M::PREVIOUS_FREE);
        self.allocations = self.allocations.wrapping_add(1);
        self.spend(need);
        self.own(block, need, below);
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
        self.used_bytes += size;
        if self.most_used < self.used_bytes {
            self.most_used = self.used_bytes;
        }
    }

    /// Verifies the poison of a free block from the word at `from` upwards. If it
    /// was damaged, all of it is mended: one write is told once, by its first byte.
    #[inline(never)]
    pub(super) fn verify_poison(&mut self, block: Block<M>, mut from: usize) {
        let poison = block.address() + M::FREE_HEADER;
        if from < poison {
            from = poison;
        }
        let mut end = poison + self.config.poison_window;
        let footer = block.end() - WORD;
        if end > footer {
            end = footer;
        }
        loop {
            // SAFETY: between the free block's header and its footer.
            let damage = unsafe { pattern::mend(from, end, pattern::POISON) };
            if damage == 0 {
                return;
            }
            // What lies below, if that is damaged too, takes this one's place.
            self.notice(ArenaViolation::UseAfterFree, damage);
            from = poison;
        }
    }

    /// Makes `size` bytes at `block` the running request's: state, owner, seal.
    /// `below` is PREVIOUS_FREE or 0.
    #[inline(always)]
    pub(super) fn own(&mut self, block: Block<M>, size: usize, below: usize) {
        let birth = if M::OWNER { self.birth() } else { 0 };
        let mut state = size << M::SIZE_SHIFT;
        if M::SIZE_SHIFT != 0 {
            state |= size - M::HEADER - M::TAIL - self.event.requested;
        }
        block.set_live(state, below, self.event.site, birth, self.secret());
    }
}
