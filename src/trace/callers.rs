//! The caller alone: what `stack_depth=0` keeps, by one look into a small
//! table of return addresses.
//!
//! Invariant: an entry's stack id names its address in the modules of the
//! current generation; the table is emptied when modules close.

use crate::sync::atomics::{Ordering::SeqCst, compiler_fence};
use crate::units::StackId;

const ENTRIES: usize = 256;

/// Return addresses met lately and the stacks of one frame they stand for.
#[repr(C)]
pub struct Callers {
    addresses: [usize; ENTRIES],
    stacks: [StackId; ENTRIES],
}

impl Callers {
    #[inline(always)]
    fn place(address: usize) -> usize {
        ((address as u32).wrapping_mul(0x9e37_79b1) >> (u32::BITS - ENTRIES.ilog2())) as usize
    }

    /// The stack of `address` alone, if it is known.
    #[inline(always)]
    pub fn find(&self, address: usize) -> Option<StackId> {
        let place = Self::place(address);
        (self.addresses[place] == address).then_some(self.stacks[place])
    }

    /// Keeps the stack of `address` alone. A signal handler may look at any
    /// moment: the address is there only while the stack beside it is its own.
    /// (Handlers do not keep anything while this runs; the caller sees to it.)
    pub fn keep(&mut self, address: usize, stack: StackId) {
        let place = Self::place(address);
        self.addresses[place] = 0;
        compiler_fence(SeqCst);
        self.stacks[place] = stack;
        compiler_fence(SeqCst);
        self.addresses[place] = address;
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.addresses = [0; ENTRIES];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_until_all_is_forgotten() {
        let mut callers = Callers { addresses: [0; ENTRIES], stacks: [StackId::UNKNOWN; ENTRIES] };
        assert_eq!(callers.find(0x1234), None);
        callers.keep(0x1234, StackId(7));
        assert_eq!(callers.find(0x1234), Some(StackId(7)));
        callers.clear();
        assert_eq!(callers.find(0x1234), None);
    }
}
