//! The block record: one 64-bit word a slot.
//!
//! ```text
//!         63 ........ 41  40 ......... 19  18 ...... 6  5 .. 3  2 .. 0
//!  live | stack      23 | stamp       22 | slack   13 | family | state |
//!  held | stack      23 | stamp       22 | slack   13 | family | state |
//!  free | stack      23 | freed by    23 | next    11 | excess 4 | state |
//!         63 ........ 41  40 ......... 18  17 ...... 7  6 .... 3   2 .. 0
//! ```
//!
//! *slack* is the slot's bytes that the program did not ask for (the size is
//! slot − slack); *freed by* is the stack of the free that ended the block;
//! *next* is the next free slot of the slab, *excess* the last block's slack
//! beyond the guard's 8 bytes, at most 15: exact in slots of up to 256 bytes. A span keeps its size in its
//! granule, and its slack is 0.

use crate::guard::GUARD_BYTES;
use crate::memory::NO_SLOT;
use crate::units::{Family, StackId};
use core::hint;

/// Where a slot is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Never handed out.
    Fresh = 0,
    /// The program's.
    Live = 1,
    /// Freed, and held back from reuse in a quarantine.
    Held = 2,
    /// Freed, and ready for reuse.
    Free = 3,
    /// Live, and told to be ignored by leak checks.
    Ignored = 5,
}

/// A block record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Record(pub u64);

const STATE: u64 = 7;
const FAMILY_SHIFT: u32 = 3;
const SLACK_SHIFT: u32 = 6;
const STAMP_SHIFT: u32 = 19;
const STACK_SHIFT: u32 = 41;
const EXCESS_SHIFT: u32 = 3;
const EXCESS_MAX: usize = 15;
const FREED_SHIFT: u32 = 18;
const STACK_MASK: u64 = (1 << StackId::BITS) - 1;

impl Record {
    /// A digest of where the parts are, for readers outside the process.
    pub const SHAPE: u64 = crate::outside::digest(&[
        Record::live(Family::NewArray, 0x155, 0x15_5555, StackId(0x2a_aaaa)).0,
        Record::free(StackId(0x15_5555), StackId(0x2a_aaaa), 13, 0x155).0,
        GUARD_BYTES as u64,
        State::Held as u64 | (State::Free as u64) << 8 | (State::Ignored as u64) << 16,
    ]);
    /// Bits of a stamp.
    pub const STAMP_BITS: u32 = 22;
    /// The state and family that malloc's own fast path writes and free's
    /// expects.
    pub const LIVE_MALLOC: u64 = State::Live as u64;
    /// Mask of state and family.
    pub const STATE_AND_FAMILY: u64 = 0x3f;
    /// What turns a live record into a held one, by exclusive or.
    pub const LIVE_TO_HELD: u64 = State::Live as u64 ^ State::Held as u64;
    /// Where a free record's next slot stands.
    pub const NEXT_SHIFT: u32 = 7;
    /// Largest slack that fits.
    pub const MAX_SLACK: usize = (1 << 13) - 1;

    /// A live block's record.
    #[inline(always)]
    pub const fn live(family: Family, slack: usize, stamp: u32, stack: StackId) -> Record {
        Record(
            (stack.0 as u64) << STACK_SHIFT
                | (stamp as u64) << STAMP_SHIFT
                | (slack as u64) << SLACK_SHIFT
                | (family as u64) << FAMILY_SHIFT
                | State::Live as u64,
        )
    }

    /// The part of a live record that is the same for all blocks that a
    /// thread's malloc makes in one epoch: stamp, family malloc, state.
    #[inline(always)]
    pub const fn live_base(stamp: u32) -> u64 {
        (stamp as u64) << STAMP_SHIFT | Record::LIVE_MALLOC
    }

    /// Completes a `live_base` word.
    #[inline(always)]
    pub const fn complete(base: u64, family: Family, slack: usize, stack: StackId) -> Record {
        Record(
            (stack.0 as u64) << STACK_SHIFT
                | base
                | (slack as u64) << SLACK_SHIFT
                | (family as u64) << FAMILY_SHIFT,
        )
    }

    /// A free slot's record: who made the last block, who freed it, its slack,
    /// and the next free slot.
    #[inline(always)]
    pub const fn free(stack: StackId, freed_by: StackId, slack: usize, next: u16) -> Record {
        let excess = slack.saturating_sub(GUARD_BYTES);
        let excess = if excess < EXCESS_MAX { excess } else { EXCESS_MAX };
        Record(
            (stack.0 as u64) << STACK_SHIFT
                | (excess as u64) << EXCESS_SHIFT
                | (freed_by.0 as u64) << FREED_SHIFT
                | (next as u64) << Record::NEXT_SHIFT
                | State::Free as u64,
        )
    }

    /// The record of this held or live block once it is free, before it is put
    /// on a list; a slot's slack is at least the guard's bytes.
    #[inline(always)]
    pub fn freed(self, by: StackId) -> Record {
        // The slack's excess, where a free record has it.
        let excess = self.0.wrapping_sub((GUARD_BYTES as u64) << SLACK_SHIFT)
            >> (SLACK_SHIFT - EXCESS_SHIFT)
            & (Record::MAX_SLACK as u64) << EXCESS_SHIFT;
        let most = (EXCESS_MAX as u64) << EXCESS_SHIFT;
        // No branch: in large slots it is as often the one as the other.
        let excess = hint::select_unpredictable(excess < most, excess, most);
        Record(
            self.0 & !((1 << STACK_SHIFT) - 1)
                | (by.0 as u64) << FREED_SHIFT
                | excess
                | State::Free as u64,
        )
    }

    /// The slot's state.
    #[inline(always)]
    pub const fn state(self) -> State {
        match self.0 & STATE {
            1 => State::Live,
            2 => State::Held,
            3 => State::Free,
            5 => State::Ignored,
            _ => State::Fresh,
        }
    }

    /// Whether the block is the program's (live, ignored or not).
    #[inline(always)]
    pub const fn is_live(self) -> bool {
        matches!(self.0 & STATE, 1 | 5)
    }

    /// The same record in another state.
    #[inline(always)]
    pub const fn with_state(self, state: State) -> Record {
        Record(self.0 & !STATE | state as u64)
    }

    /// Who may free the block (live, held).
    #[inline(always)]
    pub const fn family(self) -> Family {
        Family::from_bits((self.0 >> FAMILY_SHIFT) as u8 & 7)
    }

    /// Bytes of the slot that were not asked for (live, held).
    #[inline(always)]
    pub const fn slack(self) -> usize {
        (self.0 >> SLACK_SHIFT) as usize & Record::MAX_SLACK
    }

    /// The slack of the last block of the slot (free); what is more than 23 is
    /// given as 23, which slots of up to 256 bytes do not have unless the block
    /// was aligned or shrunk.
    #[inline(always)]
    pub const fn last_slack(self) -> usize {
        (self.0 >> EXCESS_SHIFT) as usize % (EXCESS_MAX + 1) + GUARD_BYTES
    }

    /// The epoch the block was made in (live, held).
    #[inline(always)]
    pub const fn stamp(self) -> u32 {
        (self.0 >> STAMP_SHIFT) as u32 & ((1 << Record::STAMP_BITS) - 1)
    }

    /// Who made the block; kept after free.
    #[inline(always)]
    pub const fn stack(self) -> StackId {
        StackId((self.0 >> STACK_SHIFT) as u32)
    }

    /// Who freed the last block of this slot (free).
    #[inline(always)]
    pub const fn freed_by(self) -> StackId {
        StackId((self.0 >> FREED_SHIFT & STACK_MASK) as u32)
    }

    /// The next free slot, or [`NO_SLOT`] (free).
    #[inline(always)]
    pub const fn next(self) -> u16 {
        (self.0 >> Record::NEXT_SHIFT) as u16 & NO_SLOT
    }

    /// The same free record with another successor.
    #[inline(always)]
    pub const fn with_next(self, next: u16) -> Record {
        Record(
            self.0 & !((NO_SLOT as u64) << Record::NEXT_SHIFT)
                | (next as u64) << Record::NEXT_SHIFT,
        )
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_live_record_gives_back_what_was_put_in(
            family in 0u8..6, slack in 0usize..=Record::MAX_SLACK,
            stamp in 0u32..1 << Record::STAMP_BITS, stack in 0u32..1 << StackId::BITS,
        ) {
            let family = Family::from_bits(family);
            let record = Record::live(family, slack, stamp, StackId(stack));
            prop_assert_eq!(record, Record::complete(Record::live_base(stamp), family, slack, StackId(stack)));
            for record in [record, Record(record.0 ^ Record::LIVE_TO_HELD)] {
                prop_assert_eq!(record.family(), family);
                prop_assert_eq!(record.slack(), slack);
                prop_assert_eq!(record.stamp(), stamp);
                prop_assert_eq!(record.stack(), StackId(stack));
            }
            prop_assert_eq!(record.state(), State::Live);
            prop_assert_eq!(Record(record.0 ^ Record::LIVE_TO_HELD).state(), State::Held);
            prop_assert!(record.with_state(State::Ignored).is_live());
            prop_assert_eq!(record.with_state(State::Held).state(), State::Held);
            if slack >= GUARD_BYTES {
                let freed = Record::free(StackId(stack), StackId(7), slack, 0);
                prop_assert_eq!(record.freed(StackId(7)), freed);
            }
        }

        #[test]
        fn a_free_record_gives_back_what_was_put_in(
            stack in 0u32..1 << StackId::BITS, by in 0u32..1 << StackId::BITS,
            slack in 0usize..=Record::MAX_SLACK, next in 0u16..=NO_SLOT,
        ) {
            let record = Record::free(StackId(stack), StackId(by), slack, NO_SLOT).with_next(next);
            prop_assert_eq!(record.last_slack(), slack.clamp(8, 23));
            prop_assert_eq!(record.state(), State::Free);
            prop_assert_eq!((record.stack(), record.freed_by(), record.next()), (StackId(stack), StackId(by), next));
        }
    }
}
