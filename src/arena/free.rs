//! Giving memory back: join the free neighbours, poison, shelve.
//!
//! ```text
//!  previous, free |F| block, live  |C| next, free
//!  ^start          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not poison yet   (F footer, C canary)
//! ```
//!
//! Invariant: after `discard` no two free blocks touch, unless a footer or
//! header between them was overwritten; headers that were absorbed are never
//! sealed.

use super::block::{Block, load, store};
use super::event::ArenaViolation;
use super::heap::Heap;
use super::layout::*;
use super::pattern;
use crate::units::align_down;

impl<M: Mode> Heap<M> {
    /// Makes a live block of the region entered last free.
    #[inline(never)]
    pub(super) fn discard(&mut self, block: Block<M>) {
        self.discard_here(block);
    }

    /// As `discard`, for the caller in a hurry.
    #[inline(always)]
    pub(super) fn discard_here(&mut self, block: Block<M>) {
        let address = block.address();
        let (mut start, mut end) = (address, block.end());
        self.used_bytes -= end - start;
        // What is not poison yet.
        let (mut from, mut to) = (address + M::FREE_HEADER, end);
        if block.state() & M::PREVIOUS_FREE != 0 {
            match self.unlink_below(block) {
                Some(below) => {
                    start = below.address();
                    from = address;
                    if M::GUARD {
                        // SAFETY: its footer.
                        unsafe { store(address - WORD, pattern::POISON) };
                    }
                }
                // Damage there is a write into free memory, and the blocks stay
                // apart.
                None => self.notice(ArenaViolation::UseAfterFree, address - WORD),
            }
        }
        block.unseal(self.secret());
        // SAFETY: a block's end is the next block or the sentinel.
        let next = unsafe { Block::<M>::at(end) };
        if self.unlink_for_free(next) {
            to += M::FREE_HEADER;
            end = next.end();
        } else {
            next.set_state(next.state() | M::PREVIOUS_FREE);
        }
        if M::GUARD {
            let window = start + M::FREE_HEADER + self.config.poison_window;
            if to > window {
                to = window;
            }
            if from < to {
                // SAFETY: inside the block about to be shelved, above its header.
                // What is filled of its footer is written anew.
                unsafe { pattern::fill_pairs(from, to, pattern::POISON) };
            }
        }
        // SAFETY: the joined range belongs to no list any more.
        unsafe {
            if M::SEALS_LINKS {
                self.shelve_here(start, end - start);
            } else {
                self.shelve(start, end - start);
            }
        }
    }

    /// As `unlink`; where the links are sealed, which takes its time, without a
    /// call.
    #[inline(always)]
    fn unlink_for_free(&mut self, block: Block<M>) -> bool {
        if M::SEALS_LINKS { self.unlink_here(block) } else { self.unlink(block) }
    }

    /// The free block that ends where `block` begins, by its footer, taken out of
    /// its list.
    #[inline(always)]
    fn unlink_below(&mut self, block: Block<M>) -> Option<Block<M>> {
        let address = block.address();
        // SAFETY: PREVIOUS_FREE says that a footer is there.
        let size = unsafe { load(address - WORD) };
        if size > address - self.first {
            return None;
        }
        // SAFETY: inside a region; at a block's phase, so that no damage makes
        // it an unaligned access.
        let below = unsafe { Block::<M>::at(address - align_down(size, ALIGNMENT)) };
        // Of a footer of 0, this is the live block itself, which is none such.
        if below.size() == size && self.unlink_for_free(below) { Some(below) } else { None }
    }
}
