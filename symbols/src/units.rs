//! Which compilation unit holds an address, without reading the units.
//!
//! addr2line reads the head, the abbreviations and the file table of *every*
//! unit before its first answer: 10 KiB a unit, 43 MiB for libc's 4126. A report
//! touches a handful. `.debug_aranges`, which GCC and rustc write, says where each
//! unit's code lies; with it a unit gets an addr2line context of its own:
//!
//! ```text
//!   .debug_info   │ unit 0 │ unit 1 │ unit 2 │ …        the whole context sees all,
//!                          └────────┘                   unit 1's only this slice
//! ```
//!
//! Invariant: such a slice is used only if the unit refers to nothing outside it
//! (references within a unit are relative to it), so that it answers as the
//! whole would.

use crate::dwarf::{Reader, Sections};
use alloc::vec::Vec;
use core::cell::OnceCell;
use gimli::{DebugAranges, DebugInfo, Reader as _, SectionId, UnitType};

/// The units of one `.debug_info`, by address.
pub(crate) struct UnitIndex<Context> {
    units: Vec<Unit<Context>>,
    /// Sorted by `begin`.
    ranges: Vec<UnitRange>,
    /// Whether some unit's code is not in `ranges`.
    has_gaps: bool,
}

/// A unit, and what was made of it.
pub(crate) struct Unit<Context> {
    offset: usize,
    length: usize,
    abbreviations: usize,
    listed: bool,
    pub(crate) context: OnceCell<Context>,
}

struct UnitRange {
    begin: u64,
    end: u64,
    /// The greatest `end` of this range and all before it.
    furthest_end: u64,
    unit: u32,
}

impl<Context> UnitIndex<Context> {
    /// Reads the headers of the units and `.debug_aranges`.
    pub(crate) fn new(sections: &Sections) -> UnitIndex<Context> {
        let mut units = units(sections);
        let mut ranges = Vec::new();
        // Counted first: an arena that never frees keeps what a vector outgrows.
        let mut count = 0usize;
        each_range(sections, |_, _, _| count += 1);
        if ranges.try_reserve_exact(count).is_ok() {
            each_range(sections, |offset, begin, end| {
                let Ok(number) = units.binary_search_by_key(&offset, |unit| unit.offset) else {
                    return;
                };
                if let Some(unit) = units.get_mut(number) {
                    unit.listed = true;
                }
                if begin < end {
                    let unit = number as u32;
                    ranges.push(UnitRange { begin, end, furthest_end: end, unit });
                }
            });
        }
        ranges.sort_unstable_by_key(|range| (range.begin, range.unit));
        let mut furthest = 0;
        for range in &mut ranges {
            furthest = range.end.max(furthest);
            range.furthest_end = furthest;
        }
        let has_gaps = units.iter().any(|unit| !unit.listed);
        UnitIndex { units, ranges, has_gaps }
    }

    /// Whether a unit that [`UnitIndex::at`] does not give may hold code.
    pub(crate) fn has_gaps(&self) -> bool {
        self.has_gaps
    }

    /// The units that claim `svma`; several where linkers folded functions.
    pub(crate) fn at(&self, svma: u64) -> impl Iterator<Item = &Unit<Context>> {
        let after = self.ranges.partition_point(|range| range.begin <= svma);
        let before = self.ranges.get(..after).unwrap_or_default();
        before
            .iter()
            .rev()
            .take_while(move |range| range.furthest_end > svma)
            .filter(move |range| range.end > svma)
            .filter_map(|range| self.units.get(range.unit as usize))
    }
}

impl<Context> Unit<Context> {
    /// The bytes of this unit alone; `None` if it refers to other units.
    pub(crate) fn alone(&self, sections: &Sections) -> Option<Reader> {
        let mut rest = sections.get(SectionId::DebugInfo);
        rest.skip(self.offset).ok()?;
        rest.truncate(self.length).ok()?;
        let refers = refers_to_others(sections.get(SectionId::DebugAbbrev), self.abbreviations);
        (!refers.unwrap_or(true)).then_some(rest)
    }
}

/// The units that may hold code, in file order.
fn units<Context>(sections: &Sections) -> Vec<Unit<Context>> {
    let info = DebugInfo::from(sections.get(SectionId::DebugInfo));
    let each = || {
        let mut headers = info.units();
        core::iter::from_fn(move || headers.next().ok().flatten()).filter(|header| {
            !matches!(
                header.type_(),
                UnitType::Type { .. } | UnitType::SplitType { .. } | UnitType::Partial
            )
        })
    };
    let mut units = Vec::new();
    let count = each().count();
    if units.try_reserve_exact(count).is_ok() {
        units.extend(each().take(count).filter_map(|header| {
            Some(Unit {
                offset: header.debug_info_offset()?.0,
                length: header.length_including_self(),
                abbreviations: header.debug_abbrev_offset().0,
                listed: false,
                context: OnceCell::new(),
            })
        }));
    }
    units
}

/// Tells (unit's offset, begin, end) of each range, and an empty range for a
/// unit that says it has none.
fn each_range(sections: &Sections, mut tell: impl FnMut(usize, u64, u64)) {
    let aranges = DebugAranges::from(sections.get(SectionId::DebugAranges));
    let mut headers = aranges.headers();
    while let Ok(Some(header)) = headers.next() {
        let unit = header.debug_info_offset().0;
        tell(unit, 0, 0);
        let mut entries = header.entries();
        // An entry that overflows is skipped; errors that matter end the list.
        while let Some(entry) = entries.next().transpose() {
            if let Ok(entry) = entry {
                tell(unit, entry.range().begin, entry.range().end);
            }
        }
    }
}

/// Whether entries described by the abbreviations at `offset` may refer to other
/// units of the file; link time optimisation and dwz make such ones.
fn refers_to_others(abbreviations: Reader, offset: usize) -> gimli::Result<bool> {
    let mut rest = abbreviations;
    rest.skip(offset)?;
    while rest.read_uleb128()? != 0 {
        let _tag = rest.read_uleb128()?;
        let _has_children = rest.read_u8()?;
        loop {
            let name = rest.read_uleb128()?;
            let form = rest.read_uleb128_u16()?;
            match gimli::DwForm(form) {
                gimli::DW_FORM_null if name == 0 => break,
                // An indirect form is named in the entry itself: anything goes.
                gimli::DW_FORM_ref_addr | gimli::DW_FORM_indirect => return Ok(true),
                gimli::DW_FORM_implicit_const => drop(rest.read_sleb128()?),
                _ => {}
            }
        }
    }
    Ok(false)
}
