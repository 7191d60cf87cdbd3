//! The caller alone: what `stack_depth=0` keeps, by one look into a small
//! table of return addresses.
//!
//! Invariant: an entry's stack id names its address in the modules of the
//! current generation; the table is emptied when modules close.

use crate::units::StackId;

const ENTRIES: usize = 256;

/// Return addresses met lately and the stacks of one frame they stand for.
#[repr(C)]
pub struct Callers {
    entries: [(usize, StackId); ENTRIES],
}

impl Callers {
    /// The stack of `address` alone; `intern` makes it where it is not known.
    #[inline(always)]
    pub fn find(&mut self, address: usize, intern: impl FnOnce() -> StackId) -> StackId {
        let place = address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (usize::BITS - ENTRIES.ilog2());
        let entry = &mut self.entries[place];
        if entry.0 != address {
            *entry = (address, intern());
        }
        entry.1
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries = [(0, StackId::UNKNOWN); ENTRIES];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_interned_once_and_again_after_clearing() {
        let mut callers = Callers { entries: [(0, StackId::UNKNOWN); ENTRIES] };
        assert_eq!(callers.find(0x1234, || StackId(7)), StackId(7));
        assert_eq!(callers.find(0x1234, || unreachable_stack()), StackId(7));
        callers.clear();
        assert_eq!(callers.find(0x1234, || StackId(8)), StackId(8));
    }

    fn unreachable_stack() -> StackId {
        panic!("interned twice")
    }
}
