//! DWARF to frames, by addr2line.
//!
//! Invariant: a context is made at most once and never freed, so that the file
//! names it renders may be lent out for ever.

use crate::image::Image;
use crate::units::UnitIndex;
use alloc::boxed::Box;
use core::cell::OnceCell;
use gimli::{AbbreviationsCacheStrategy, Dwarf, EndianSlice, RunTimeEndian, SectionId};

pub(crate) type Reader = EndianSlice<'static, RunTimeEndian>;
/// `None` if the DWARF is damaged.
type Context = Option<&'static addr2line::Context<Reader>>;

/// The debug information of one module.
pub(crate) struct LineTable {
    sections: Sections,
    supplementary: Option<&'static Image>,
    units: UnitIndex<Context>,
    whole: OnceCell<Context>,
}

/// A frame as DWARF tells it: names mangled, nothing filled in.
#[derive(Clone, Copy, Default)]
pub(crate) struct RawFrame {
    pub(crate) name: Option<&'static [u8]>,
    pub(crate) file: Option<&'static str>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

impl LineTable {
    /// Unpacks the sections and reads the list of units.
    pub(crate) fn load(debug: &Image, supplementary: Option<&'static Image>) -> LineTable {
        let sections = Sections::load(debug);
        LineTable {
            units: UnitIndex::new(&sections),
            sections,
            supplementary,
            whole: OnceCell::new(),
        }
    }

    /// Hands out the frames at `svma`, innermost first; none if unknown.
    pub(crate) fn frames(&self, svma: u64, mut sink: impl FnMut(RawFrame)) {
        for unit in self.units.at(svma) {
            let context = unit.context.get_or_init(|| {
                let alone = unit.alone(&self.sections).filter(|_| self.supplementary.is_none());
                match alone {
                    Some(bytes) => self.sections.only(bytes).context(None),
                    None => self.whole(),
                }
            });
            if frames(*context, svma, &mut sink) {
                return;
            }
        }
        if self.units.has_gaps() {
            frames(self.whole(), svma, &mut sink);
        }
    }

    fn whole(&self) -> Context {
        *self.whole.get_or_init(|| self.sections.context(self.supplementary))
    }
}

/// Whether there were any.
fn frames(context: Context, svma: u64, sink: &mut impl FnMut(RawFrame)) -> bool {
    // addr2line looks up the range svma..svma + 1.
    let Some(context) = context.filter(|_| svma != u64::MAX) else {
        return false;
    };
    let Ok(mut frames) = context.find_frames(svma).skip_all_loads() else {
        return false;
    };
    let mut any = false;
    while let Ok(Some(frame)) = frames.next() {
        let location = frame.location.as_ref();
        let column = location.and_then(|place| place.column);
        sink(RawFrame {
            name: frame.function.map(|function| function.name.slice()),
            file: location.and_then(|place| place.file),
            line: location.and_then(|place| place.line),
            column: column.filter(|&column| column != 0),
        });
        any = true;
    }
    any
}

/// The sections that names and lines need.
const NEEDED: [SectionId; 10] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugAranges,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
];

/// The bytes of [`NEEDED`], plain; the others stay packed and unread.
pub(crate) struct Sections {
    bytes: [Reader; NEEDED.len()],
    empty: Reader,
}

impl Sections {
    fn load(image: &Image) -> Sections {
        let endian =
            if image.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let bytes = |id: SectionId| image.section(id.name()).unwrap_or_default();
        Sections {
            bytes: NEEDED.map(|id| EndianSlice::new(bytes(id), endian)),
            empty: EndianSlice::new(&[], endian),
        }
    }

    /// The same with one unit's bytes for `.debug_info`, which must give its own
    /// ranges, for `.debug_aranges` knows it by its old offset.
    fn only(&self, unit: Reader) -> Sections {
        let mut bytes = self.bytes;
        for (section, id) in bytes.iter_mut().zip(NEEDED) {
            match id {
                SectionId::DebugInfo => *section = unit,
                SectionId::DebugAranges => *section = self.empty,
                _ => {}
            }
        }
        Sections { bytes, empty: self.empty }
    }

    /// A section's bytes; empty if absent or not needed.
    pub(crate) fn get(&self, id: SectionId) -> Reader {
        let mut named = self.bytes.iter().zip(NEEDED);
        named.find(|(_, name)| *name == id).map_or(self.empty, |(bytes, _)| *bytes)
    }

    fn context(&self, supplementary: Option<&Image>) -> Context {
        let mut dwarf = self.dwarf();
        if let Some(image) = supplementary {
            dwarf.set_sup(Sections::load(image).dwarf());
        }
        // dwz and LTO let many units share one table of abbreviations.
        dwarf.populate_abbreviations_cache(AbbreviationsCacheStrategy::Duplicates);
        let context = addr2line::Context::from_dwarf(dwarf).ok()?;
        Some(Box::leak(Box::new(context)))
    }

    fn dwarf(&self) -> Dwarf<Reader> {
        match Dwarf::load(|id| Ok::<_, core::convert::Infallible>(self.get(id))) {
            Ok(dwarf) => dwarf,
        }
    }
}
