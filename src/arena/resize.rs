//! Changing a block's size where it stands, if its neighbour allows.
//!
//! ```text
//!  | block, live | next, free |   joined if it has to grow, then trimmed:
//!  | block, live    | rest, free |
//! ```
//!
//! Invariant: the bytes below the smaller of both sizes are untouched.

use super::block::Block;
use super::door::Arena;
use super::heap::Heap;
use super::layout::*;

impl<M: Mode> Arena<M> {
    /// The block at `pointer` with `size` bytes, perhaps elsewhere and then at a
    /// multiple of `alignment`; a new one when `pointer` is null. Null when there is
    /// no room or `pointer` is no live block, and then nothing has changed.
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
        let mut copied = 0;
        if !pointer.is_null() {
            let block = self.enter_claiming(pointer, site, size);
            let mut is_in_place = false;
            if let Some(block) = block {
                copied = block.requested();
                is_in_place = self.heap().resize(block, size);
            }
            self.leave();
            if is_in_place {
                return pointer;
            }
            if block.is_none() {
                return core::ptr::null_mut();
            }
        }
        let new = self.allocate(size, alignment, site);
        if !new.is_null() {
            if copied > size {
                copied = size;
            }
            // Volatile, or the compiler makes it a call of memcpy.
            let mut at = 0;
            while at < copied {
                // SAFETY: the old block holds the bytes, and so does the new one,
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
    fn resize(&mut self, block: Block<M>, requested: usize) -> bool {
        if requested > self.largest {
            return false;
        }
        let mut size = block.size();
        let need = block_size::<M>(requested);
        if need > size {
            // SAFETY: a block's end is the next block or the sentinel.
            let next = unsafe { Block::<M>::at(block.end()) };
            let more = next.size();
            if need > size + more || !self.unlink(next) {
                return false;
            }
            if M::GUARD {
                // What stays free of it is filled anew, so all is verified.
                self.verify_poison(next, 0);
            }
            // SAFETY: as above.
            let above = unsafe { Block::<M>::at(next.address() + more) };
            above.set_state(above.state() & !M::PREVIOUS_FREE);
            size += more;
            self.used_bytes += more;
        }
        self.trim(block, size);
        self.spend(0);
        true
    }
}
