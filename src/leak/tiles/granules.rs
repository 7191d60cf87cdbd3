//! What a granule says of its slab or span, believed only after a check.

use super::{Tile, TileKind};
use crate::ledger::Record;
use crate::memory::{GRANULE, Granule, Kind, Window};
use crate::sync::atomics::Ordering::Relaxed;

/// Largest slab: 8 granules.
pub(super) const SLAB: usize = 8 * GRANULE;

/// The granule with this index.
pub(in crate::leak) fn granule(index: u32) -> &'static Granule {
    // SAFETY: callers stay below the extent, where the table is mapped and
    // zero or written; other threads are held or we are a forked copy, and the
    // fields read below are plain words for which any value is valid, except
    // `kind`, which only the heap writes.
    unsafe { &*Window::granule(index) }
}

/// How many groups the slab or span that this granule heads needs; 0 when it
/// heads none, or makes no sense.
pub(in crate::leak) fn group_count(granule: &Granule, index: u32) -> usize {
    let start = Window::address_of(index);
    let end = Window::base() + Window::extent();
    match granule.kind {
        Kind::Slab if granule.head == index => {
            let (slot, slots) = (granule.slot as usize, granule.slots as usize);
            let pad = granule.first.wrapping_sub(start);
            let makes_sense = slot >= 32
                && slot.is_multiple_of(16)
                && pad < GRANULE
                && pad.is_multiple_of(16)
                && slots > 0
                && slots <= SLAB / 32
                && pad + slot.saturating_mul(slots) <= SLAB.min(end - start)
                && (granule.records as usize).is_multiple_of(8)
                && Window::is_own(granule.records as usize);
            if makes_sense { slots.div_ceil(64) } else { 0 }
        }
        Kind::Span => {
            let makes_sense = granule.first >= start
                && granule.first < end
                && granule.first.is_multiple_of(16)
                && granule.size <= end - granule.first
                && record_of_span(granule).is_live();
            usize::from(makes_sense)
        }
        _ => 0,
    }
}

/// The tile of the granule that heads a slab or span that makes sense.
pub(super) fn head_tile(granule: &Granule, index: u32, groups: u32) -> Tile {
    if granule.kind == Kind::Span {
        return Tile {
            head: index,
            groups,
            slot: 0,
            magic: 0,
            pad: 0,
            slots: 1,
            kind: TileKind::Span,
        };
    }
    let pad = granule.first - Window::address_of(index);
    Tile {
        head: index,
        groups,
        slot: granule.slot,
        magic: ((1u64 << 32) / u64::from(granule.slot / 16) + 1) as u32,
        pad: (pad / 16) as u16,
        slots: granule.slots as u16,
        kind: TileKind::Slab,
    }
}

/// The record of a slot, or of a span.
#[inline(always)]
pub(in crate::leak) fn record(granule: &Granule, slot: u32) -> Record {
    if granule.kind == Kind::Span {
        return record_of_span(granule);
    }
    // SAFETY: `slot` is below the slab's slots, for each of which there is a
    // record (checked by `group_count`: the array is the warden's metadata).
    Record(unsafe { &*granule.records.add(slot as usize) }.load(Relaxed))
}

/// The record of a span.
pub(super) fn record_of_span(granule: &Granule) -> Record {
    Record(granule.record.load(Relaxed))
}

#[cfg(test)]
mod tests {
    use crate::slab::{CLASSES, SizeClass};

    #[test]
    fn division_is_exact() {
        for class in (0..CLASSES as u8).map(SizeClass) {
            let sixteens = class.slot() as u64 / 16;
            let magic = u64::from(((1u64 << 32) / sixteens + 1) as u32);
            for unit in 0..(super::SLAB / 16) as u64 {
                assert_eq!((unit * magic) >> 32, unit / sixteens);
            }
        }
    }
}
