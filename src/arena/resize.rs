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
use super::event::ArenaViolation;
use super::heap::Heap;
use super::layout::*;
use super::pattern;

/// What can be done where the block stands.
enum Resized {
    /// It has the new size.
    InPlace,
    /// It has to move; its size until now.
    Move(usize),
    /// The pointer was judged.
    Judged(ArenaViolation),
}

impl<M: Mode> Arena<M> {
    /// The block at `pointer`, not null, with `size` bytes, perhaps elsewhere;
    /// null when there is no room, and then the block is as it was.
    pub fn resize(self, pointer: *mut u8, size: usize, alignment: usize, site: usize) -> *mut u8 {
        let payload = pointer.addr();
        match self.locked(|heap| heap.resize(payload, size, site)) {
            Resized::InPlace => pointer,
            Resized::Move(old) => {
                let new = self.allocate(size, alignment, site);
                if !new.is_null() {
                    let copied = if old < size { old } else { size };
                    // SAFETY: the old block holds `old` bytes, the new `size`,
                    // and both are live, so they do not overlap.
                    unsafe { core::ptr::copy_nonoverlapping(pointer, new, copied) };
                    self.free(pointer, site);
                }
                new
            }
            Resized::Judged(violation) => {
                let event = self.locked(|heap| heap.judgement(payload, violation, site, false));
                self.raise(&event);
                match violation {
                    // Mended: the block is sound again.
                    ArenaViolation::Overflow | ArenaViolation::Underflow
                        if event.block.address == payload =>
                    {
                        self.resize(pointer, size, alignment, site)
                    }
                    _ => core::ptr::null_mut(),
                }
            }
        }
    }
}

impl<M: Mode> Heap<M> {
    fn resize(&mut self, payload: usize, requested: usize, site: usize) -> Resized {
        let block = match self.judge(payload) {
            Ok(block) => block,
            Err(violation) => return Resized::Judged(violation),
        };
        if self.canary_damage(block).is_some() {
            return Resized::Judged(ArenaViolation::Overflow);
        }
        let old_requested = block.requested();
        let Some(need) = block_size::<M>(requested) else { return Resized::Move(old_requested) };
        let (address, old) = (block.address(), block.size());
        let mut total = old;
        // Poison reaches up to here once the block is cut.
        let mut dirty_to = address + old;
        // SAFETY: a block's end is the next block or the sentinel.
        let next = unsafe { Block::<M>::at(address + old) };
        if next.is_free() && next.is_sealed(self.secret) {
            total += next.size();
        }
        if need > total {
            return Resized::Move(old_requested);
        }
        if total != old {
            self.verify_poison(next, address + need);
            self.unlink(next);
            next.unseal(pattern::POISON);
            dirty_to += M::FREE_HEADER;
        }
        if M::GUARD && self.config.poison_window == usize::MAX {
            // SAFETY: above what is kept, inside the joined range.
            unsafe { pattern::fill(address + need, dirty_to, pattern::POISON) };
        }
        // SAFETY: the joined range ends at a block or at the sentinel.
        let above = unsafe { Block::<M>::at(address + total) };
        above.set_state(above.state() | PREVIOUS_FREE);
        let size = self.trim(address, total, need);
        block.set_state(size | block.state() & PREVIOUS_FREE);
        self.own(block, requested, site);
        self.free_bytes = self.free_bytes + old - size;
        if self.free_bytes < self.least_free {
            self.least_free = self.free_bytes;
        }
        Resized::InPlace
    }
}
