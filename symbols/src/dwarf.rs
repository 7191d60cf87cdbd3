//! DWARF to frames, by addr2line.
//!
//! Invariant: a context is made once a module and never freed, so that the
//! file names it renders may be lent out for ever.

use crate::image::Image;
use addr2line::Context;
use alloc::boxed::Box;
use gimli::{AbbreviationsCacheStrategy, Dwarf, EndianSlice, RunTimeEndian, SectionId};

type Reader = EndianSlice<'static, RunTimeEndian>;

/// The debug information of one module.
pub(crate) struct LineTable {
    context: &'static Context<Reader>,
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
    /// Reads the list of units; `None` if there is no usable DWARF.
    pub(crate) fn load(debug: &Image, supplementary: Option<&Image>) -> Option<LineTable> {
        let mut dwarf = Dwarf::load(|id| section(debug, id)).ok()?;
        if let Some(image) = supplementary {
            dwarf.load_sup(|id| section(image, id)).ok()?;
        }
        // dwz and LTO let many units share one table of abbreviations.
        dwarf.populate_abbreviations_cache(AbbreviationsCacheStrategy::Duplicates);
        let context = Context::from_dwarf(dwarf).ok()?;
        Some(LineTable { context: Box::leak(Box::new(context)) })
    }

    /// Hands out the frames at `svma`, innermost first; none if unknown.
    pub(crate) fn frames(&self, svma: u64, mut sink: impl FnMut(RawFrame)) {
        // addr2line looks up the range svma..svma + 1.
        if svma == u64::MAX {
            return;
        }
        let Ok(mut frames) = self.context.find_frames(svma).skip_all_loads() else {
            return;
        };
        while let Ok(Some(frame)) = frames.next() {
            let location = frame.location.as_ref();
            sink(RawFrame {
                name: frame.function.map(|function| function.name.slice()),
                file: location.and_then(|place| place.file),
                line: location.and_then(|place| place.line),
                column: location.and_then(|place| place.column).filter(|&column| column != 0),
            });
        }
    }
}

/// The sections that names and lines need; the rest stays packed and unread.
fn section(image: &Image, id: SectionId) -> Result<Reader, gimli::Error> {
    let endian = if image.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let bytes = match id {
        SectionId::DebugAbbrev
        | SectionId::DebugAddr
        | SectionId::DebugAranges
        | SectionId::DebugInfo
        | SectionId::DebugLine
        | SectionId::DebugLineStr
        | SectionId::DebugRanges
        | SectionId::DebugRngLists
        | SectionId::DebugStr
        | SectionId::DebugStrOffsets => image.section(id.name()),
        _ => None,
    };
    Ok(EndianSlice::new(bytes.unwrap_or_default(), endian))
}
