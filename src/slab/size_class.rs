//! Size classes: 16 bytes apart up to 256, then eight to a doubling.
//!
//! ```text
//!  class    0    1   …  14  | 15   16  …  22  | 23  …  30 | 31   32 …
//!  slot    32   48   … 256  | 288  320 …  512 | 576 … 1024| 1152 1280 … 36864
//! ```
//!
//! A slot holds the block and at least 8 guard bytes, so a class serves blocks
//! up to `slot - 8`. All numbers come from one formula, checked by a test for
//! every size.

use crate::guard::GUARD_BYTES;
use crate::memory::GRANULE;
use crate::units::align_up;
use core::ops::Range;

/// How many classes there are.
pub const CLASSES: usize = 72;
/// Classes up to this one have 64 KiB slabs and are found by units.
pub const SMALL_CLASSES: usize = 32;
/// Small sizes in units of 16 bytes with their guard, and 0.
pub const SMALL_UNITS: usize = (SizeClass::SMALL_LIMIT + GUARD_BYTES).div_ceil(16) + 1;
/// The largest block that has a slot; larger ones are spans.
pub const MEDIUM_LIMIT: usize = SizeClass(CLASSES as u8 - 1).slot() - GUARD_BYTES;

/// The number of a size class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct SizeClass(pub u8);

const LINEAR: usize = 15;

impl SizeClass {
    /// The largest block that has a unit of its own ([`SizeClass::unit`]).
    pub const SMALL_LIMIT: usize = SizeClass(SMALL_CLASSES as u8 - 1).slot() - GUARD_BYTES;

    /// The class for blocks of `size` bytes, at most [`MEDIUM_LIMIT`].
    pub const fn of(size: usize) -> SizeClass {
        let needed = size + GUARD_BYTES;
        if needed <= 256 {
            let units = (if needed < 32 { 32 } else { needed }).div_ceil(16);
            return SizeClass((units - 2) as u8);
        }
        let power = (needed - 1).ilog2();
        let step = 1usize << (power - 3);
        let index = (needed - (1 << power)).div_ceil(step);
        SizeClass((LINEAR - 1 + (power as usize - 8) * 8 + index) as u8)
    }

    /// A small size (up to [`SizeClass::SMALL_LIMIT`]) in units of 16 bytes,
    /// with its guard.
    #[inline(always)]
    pub const fn unit(size: usize) -> usize {
        (size + GUARD_BYTES + 15) >> 4
    }

    /// The units that the class serves, if it is small.
    pub const fn units(self) -> Option<Range<usize>> {
        if self.0 as usize >= SMALL_CLASSES {
            return None;
        }
        let from = if self.0 == 0 { 0 } else { SizeClass(self.0 - 1).slot() / 16 + 1 };
        Some(from..self.slot() / 16 + 1)
    }

    /// Bytes from one slot to the next.
    pub const fn slot(self) -> usize {
        let class = self.0 as usize;
        if class < LINEAR {
            return (class + 2) * 16;
        }
        let above = class - LINEAR;
        let power = 8 + above / 8;
        (1 << power) + (above % 8 + 1) * (1 << (power - 3))
    }

    /// Granules in a slab.
    pub const fn granules(self) -> u32 {
        if (self.0 as usize) < SMALL_CLASSES { 1 } else { 8 }
    }

    /// Bytes before the first slot: what every slot's address is a multiple of.
    pub const fn alignment(self) -> usize {
        let natural = 1usize << self.slot().trailing_zeros();
        if natural > 4096 { 4096 } else { natural }
    }

    /// Slots in a slab.
    pub const fn slots(self) -> u32 {
        ((self.granules() as usize * GRANULE - self.alignment()) / self.slot()) as u32
    }

    /// Inverse of the slot size's odd part modulo 2^32.
    pub const fn inverse(self) -> u32 {
        let odd = (self.slot() >> self.slot().trailing_zeros()) as u32;
        // Newton's iteration doubles the right bits each round, from 3.
        let mut inverse = odd;
        let mut round = 0;
        while round < 4 {
            inverse = inverse.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(inverse)));
            round += 1;
        }
        inverse
    }

    /// The smallest class from `of(size)` up whose slots all start at
    /// multiples of `alignment` (a power of two, at most a page).
    pub fn aligned(size: usize, alignment: usize) -> Option<SizeClass> {
        let first = SizeClass::of(align_up(size.max(1), 16));
        (first.0..CLASSES as u8).map(SizeClass).find(|class| class.alignment() >= alignment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Record;
    use crate::memory::{Granule, NO_SLOT};

    #[test]
    fn every_size_has_the_smallest_class_that_holds_it_and_its_guard() {
        for size in 0..=MEDIUM_LIMIT {
            let class = SizeClass::of(size);
            assert!(class.slot() >= size + GUARD_BYTES, "{size}");
            assert!(class.0 == 0 || SizeClass(class.0 - 1).slot() < size + GUARD_BYTES, "{size}");
            assert!(class.slot() - size <= Record::MAX_SLACK);
            if size <= SizeClass::SMALL_LIMIT {
                assert!(class.units().unwrap().contains(&SizeClass::unit(size)), "{size}");
            }
        }
        assert_eq!(SizeClass(SMALL_CLASSES as u8 - 1).slot(), crate::guard::Tier::WHOLE_LIMIT);
    }

    #[test]
    fn every_offset_of_every_class_is_judged_as_division_does() {
        let mut judged = 0;
        for class in (0..CLASSES as u8).map(SizeClass) {
            assert!(class.slot() % 16 == 0 && class.slots() <= u32::from(NO_SLOT));
            let granule = Granule {
                inverse: class.inverse(),
                rotation: class.slot().trailing_zeros(),
                ..Granule::EMPTY
            };
            let bytes = class.granules() as usize * GRANULE;
            judged += bytes + 4096;
            for distance in (0..bytes).chain((1..=4096).map(|back: usize| back.wrapping_neg())) {
                let slot = granule.slot_at(distance);
                let exact = distance < bytes && distance % class.slot() == 0;
                match exact {
                    true => assert_eq!(slot as usize, distance / class.slot()),
                    false => assert!(slot >= class.slots(), "{class:?} {distance}"),
                }
            }
        }
        #[cfg(feature = "harness")]
        crate::harness::told(
            "every offset of every class",
            &format_args!("{judged} offsets judged"),
        );
    }

    /// And back: what fills a class's slot is of that class.
    #[test]
    fn every_class_is_the_one_of_its_slot() {
        for class in (0..CLASSES as u8).map(SizeClass) {
            assert_eq!(SizeClass::of(class.slot() - GUARD_BYTES), class);
        }
    }

    #[test]
    fn every_size_and_alignment_finds_the_smallest_class_that_fits() {
        let classes = || (0..CLASSES as u8).map(SizeClass);
        let alignments = 0..=12;
        #[cfg(feature = "harness")]
        crate::harness::told(
            "the class tables",
            &format_args!(
                "{} sizes and alignments",
                alignments.clone().count() * (MEDIUM_LIMIT + 1)
            ),
        );
        for shift in alignments {
            let alignment = 1 << shift;
            for size in 0..=MEDIUM_LIMIT {
                let holds = |class: SizeClass| class.slot() >= size + GUARD_BYTES;
                let is_aligned = |class: SizeClass| class.slot().is_multiple_of(alignment);
                match SizeClass::aligned(size, alignment) {
                    Some(class) => {
                        assert!(holds(class) && is_aligned(class), "{size} {alignment}");
                        // None below it but for what rounds the size up to 16.
                        let first = SizeClass::of(size.max(1).next_multiple_of(16));
                        let below = classes().skip(first.0.into()).find(|&class| is_aligned(class));
                        assert_eq!(below, Some(class), "{size} {alignment}");
                    }
                    None => assert!(
                        !classes()
                            .any(|class| size + 16 + GUARD_BYTES <= class.slot()
                                && is_aligned(class)),
                        "{size} {alignment}"
                    ),
                }
            }
        }
    }
}
