//! An orphan: a live block whose address stood in a block that was freed.
//!
//! ```text
//!            63 ................ 28  27 ......... 5  4 .. 0
//!   child  | its offset / 16      36 | freed from  23 |       |
//!   record | the child's record as it was at that free        |
//!   holder | the holder's offset / 16 36 | its bytes       28 |
//!   made   | made from 23 | stamp of the free 22 |         19 |
//! ```
//!
//! Invariant: the child was live when its holder was freed. It is still the
//! same block iff its record is the same word (or, of two blocks made from one
//! stack, of one size, in one slot and one epoch, the other).

use super::Record;
use crate::memory::Window;
use crate::sync::atomics::{Ordering::SeqCst, compiler_fence};
use crate::units::StackId;

/// What is kept of the free of a block that held another's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Orphan {
    child: u64,
    record: u64,
    holder: u64,
    made: u64,
}

const MOST_BYTES: u64 = (1 << 28) - 1;
const OFFSET_SHIFT: u32 = 28;
const FREED_SHIFT: u32 = 5;
const STACK_SHIFT: u32 = 41;
const STAMP_SHIFT: u32 = 19;

/// A block that was freed while it held an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Its address.
    pub address: usize,
    /// Bytes asked for; 2^28 - 1 stands for that and more.
    pub size: usize,
    /// Where it was allocated.
    pub stack: StackId,
    /// Where it was freed.
    pub freed: StackId,
    /// The epoch of that free.
    pub stamp: u32,
}

fn offset_bits(address: usize) -> u64 {
    ((address.wrapping_sub(Window::base()) as u64) >> 4) << OFFSET_SHIFT
}

fn address(bits: u64) -> usize {
    Window::base() + ((bits >> OFFSET_SHIFT) << 4) as usize
}

impl Orphan {
    /// The block at `child`, whose record is `record`, was held by `holder`.
    /// Both lie in the window and begin at multiples of 16.
    #[inline(always)]
    pub fn new(child: usize, record: Record, holder: &Holder) -> Orphan {
        Orphan {
            child: offset_bits(child) | u64::from(holder.freed.0) << FREED_SHIFT,
            record: record.0,
            holder: offset_bits(holder.address) | (holder.size as u64).min(MOST_BYTES),
            made: u64::from(holder.stack.0) << STACK_SHIFT | u64::from(holder.stamp) << STAMP_SHIFT,
        }
    }

    /// Whether both tell of a block at the same address.
    #[inline(always)]
    pub fn is_of_same_child(&self, other: &Orphan) -> bool {
        (self.child ^ other.child) >> OFFSET_SHIFT == 0
    }

    /// Writes the entry over `place`: first no record, the new one last, so
    /// that whoever looks while the writer is stopped finds it whole or empty.
    #[inline(always)]
    pub fn put(self, place: &mut Orphan) {
        let record = &raw mut place.record;
        // SAFETY: a field of the caller's place.
        unsafe { record.write_volatile(0) };
        compiler_fence(SeqCst);
        place.child = self.child;
        place.holder = self.holder;
        place.made = self.made;
        compiler_fence(SeqCst);
        // SAFETY: as above.
        unsafe { record.write_volatile(self.record) };
    }

    /// Where the block is that was held.
    #[inline(always)]
    pub fn child(&self) -> usize {
        address(self.child)
    }

    /// Its record at that time.
    #[inline(always)]
    pub fn record(&self) -> Record {
        Record(self.record)
    }

    /// Who held it.
    pub fn holder(&self) -> Holder {
        Holder {
            address: address(self.holder),
            size: (self.holder & MOST_BYTES) as usize,
            stack: StackId((self.made >> STACK_SHIFT) as u32),
            freed: StackId((self.child >> FREED_SHIFT) as u32 & ((1 << StackId::BITS) - 1)),
            stamp: (self.made >> STAMP_SHIFT) as u32 & ((1 << Record::STAMP_BITS) - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::units::Family;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_orphan_gives_back_what_was_put_in(
            child in 0usize..1 << 36, holder in 0usize..1 << 36, size in 0usize..1 << 30,
            stack in 0u32..1 << StackId::BITS, freed in 0u32..1 << StackId::BITS,
            stamp in 0u32..1 << Record::STAMP_BITS,
        ) {
            Window::settle();
            let at = |sixteens: usize| Window::base() + sixteens * 16;
            let record = Record::live(Family::Malloc, 24, stamp ^ 1, StackId(stack ^ 1));
            let holder = Holder {
                address: at(holder),
                size,
                stack: StackId(stack),
                freed: StackId(freed),
                stamp,
            };
            let orphan = Orphan::new(at(child), record, &holder);
            prop_assert_eq!((orphan.child(), orphan.record()), (at(child), record));
            let size = size.min((1 << 28) - 1);
            prop_assert_eq!(orphan.holder(), Holder { size, ..holder });
        }
    }
}
