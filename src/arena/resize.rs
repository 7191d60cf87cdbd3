//! Changing a block's size where it stands, if its neighbour allows.
//!
//! ```text
//!  | block, live | next, free |   joined, then cut again:
//!  | block, live    | rest, free |
//! ```
//!
//! Invariant: the bytes below the smaller of both sizes are untouched.

use super::block::Block;
use super::door::Arena;
use super::heap::Heap;
use super::layout::*;
use super::pattern;

impl<M: Mode> Arena<M> {
    /// The block at `pointer`, not null, with `size` bytes, perhaps elsewhere
    /// and then at a multiple of `alignment`; null when there is no room or
    /// `pointer` is no live block, and then nothing has changed.
    ///
    /// # Safety
    /// Nobody uses the block by its old address any more if it moves; otherwise
    /// as for [`Arena::free`].
    pub unsafe fn resize(
        self,
        pointer: *mut u8,
        size: usize,
        alignment: usize,
        site: usize,
    ) -> *mut u8 {
        self.enter_for(site, size);
        let Some(block) = self.claim_or_tell(pointer) else {
            self.leave();
            return core::ptr::null_mut();
        };
        let old = block.requested();
        let in_place = self.heap().resize(block);
        self.leave_telling();
        if in_place {
            return pointer;
        }
        let new = self.allocate(size, alignment, site);
        if !new.is_null() {
            // Volatile, or the compiler makes it a call of memcpy.
            let copied = if old < size { old } else { size };
            let mut at = 0;
            while at < copied {
                // SAFETY: the old block holds `old` bytes, the new one `size`,
                // and both are live, so they do not overlap.
                unsafe { new.add(at).write_volatile(pointer.add(at).read_volatile()) };
                at += 1;
            }
            // SAFETY: the caller's promise.
            unsafe { self.free(pointer, site) };
        }
        new
    }
}

impl<M: Mode> Heap<M> {
    /// False when the block has to move; nothing has changed then.
    #[inline(always)]
    fn resize(&mut self, block: Block<M>) -> bool {
        let requested = self.event.requested;
        if requested > self.largest {
            return false;
        }
        let need = block_size::<M>(requested);
        let (address, old) = (block.address(), block.size());
        let mut total = old;
        // SAFETY: a block's end is the next block or the sentinel.
        let next = unsafe { Block::<M>::at(address + old) };
        if next.is_free() {
            total += next.size();
        }
        if need > total {
            return false;
        }
        // Poison has to reach up to here once the block is cut.
        let mut dirty_to = address + old;
        if self.is_sound_free(next) {
            dirty_to += M::FREE_HEADER;
            self.unlink(next);
            next.unseal(self.secret());
        } else if need > old {
            return false;
        } else {
            total = old;
        }
        // SAFETY: the joined range ends at a block or at the sentinel.
        let above = unsafe { Block::<M>::at(address + total) };
        let (mut size, rest) = (need, total - need);
        let mut flag = M::PREVIOUS_FREE;
        if rest < M::SMALLEST {
            size = total;
            flag = 0;
        } else {
            let cut = address + need;
            if self.poisons_all() && cut < dirty_to {
                // SAFETY: above what is kept, inside the joined range.
                unsafe { pattern::fill(cut, dirty_to, pattern::POISON) };
            } else if !self.poisons_all() {
                self.poison(cut, rest);
            }
            // SAFETY: the upper part of the joined range, in no list.
            unsafe { self.shelve(cut, rest, 0) };
        }
        above.set_state(above.state() & !M::PREVIOUS_FREE | flag);
        self.spend(size.wrapping_sub(old));
        self.own(block, size, block.state() & M::PREVIOUS_FREE);
        self.arm(block);
        true
    }
}
