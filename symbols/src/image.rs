//! One ELF file, as the symboliser reads it.
//!
//! Parsing reads the headers only and allocates nothing; sections are looked up
//! when asked for. 32 and 64 bit, both byte orders.

use crate::compression;
use alloc::string::String;
use object::elf::PF_X;
use object::read::elf::{ElfFile32, ElfFile64};
use object::{
    Architecture, Endianness, File, Object, ObjectSection, ObjectSegment, Section, SegmentFlags,
};

/// A parsed ELF file (program, shared object, or separate debug file).
pub struct Image {
    file: File<'static>,
}

/// A part of the file that the loader maps (`PT_LOAD`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where the file wants it (`p_vaddr`).
    pub svma: u64,
    /// Bytes in memory (`p_memsz`).
    pub memory_size: u64,
    /// Where its bytes start in the file (`p_offset`).
    pub file_offset: u64,
    /// Bytes in the file (`p_filesz`), at most `memory_size` in a sane file.
    pub file_size: u64,
    /// Whether it holds code (`PF_X`).
    pub executable: bool,
}

impl Image {
    /// Reads the headers; `None` if `bytes` is no ELF file.
    pub fn parse(bytes: &'static [u8]) -> Option<Image> {
        let file = match bytes.get(..5)? {
            b"\x7fELF\x01" => File::Elf32(ElfFile32::<Endianness>::parse(bytes).ok()?),
            b"\x7fELF\x02" => File::Elf64(ElfFile64::<Endianness>::parse(bytes).ok()?),
            _ => return None,
        };
        Some(Image { file })
    }

    /// The build-id (`NT_GNU_BUILD_ID` note), usually 20 bytes.
    pub fn build_id(&self) -> Option<&'static [u8]> {
        self.file.build_id().ok()?.filter(|id| !id.is_empty())
    }

    /// The loadable segments, in file order.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        self.file.segments().map(|segment| {
            let (file_offset, file_size) = segment.file_range();
            let executable = matches!(
                segment.flags(), SegmentFlags::Elf { p_flags, .. } if p_flags.contains(PF_X)
            );
            Segment {
                svma: segment.address(),
                memory_size: segment.size(),
                file_offset,
                file_size,
                executable,
            }
        })
    }

    /// Load bias of a running module, from one of its file mappings.
    ///
    /// `start` is the address of the mapping, `offset` the place in the file it
    /// starts at, both as `/proc/PID/maps` tells them; `page_size` is the
    /// kernel's. Subtract the bias from an address of the process to get the
    /// svma. `None` if no segment explains the mapping.
    pub fn load_bias(&self, start: u64, offset: u64, page_size: u64) -> Option<u64> {
        let page = |segment: &Segment| segment.file_offset - segment.file_offset % page_size.max(1);
        self.segments()
            .filter(|segment| {
                let end = segment.file_offset.saturating_add(segment.file_size);
                page(segment) <= offset && offset < end
            })
            // Neighbours may share a page of the file: the mapping that starts
            // on it belongs to the segment that starts on it.
            .max_by_key(page)
            .map(|segment| {
                let svma = segment.svma.wrapping_add(offset.wrapping_sub(segment.file_offset));
                start.wrapping_sub(svma)
            })
    }

    /// The plain bytes of a section, unpacked if it was compressed.
    ///
    /// A section `.debug_x` may also be there as `.zdebug_x`, the packed form of
    /// old. Each call on a compressed section unpacks it again, into memory that
    /// is never freed. `None` if it is absent, empty, or damaged.
    pub fn section(&self, name: &str) -> Option<&'static [u8]> {
        let section = self.find_section(name)?;
        let data = compression::section(section.compressed_data().ok()?)?;
        (!data.is_empty()).then_some(data)
    }

    /// Whether a section of that name holds bytes in this file (in a separate
    /// debug file the code sections are there, but hold none).
    pub(crate) fn has_section(&self, name: &str) -> bool {
        self.find_section(name)
            .and_then(|section| section.file_range())
            .is_some_and(|(_, size)| size != 0)
    }

    fn find_section(&self, name: &str) -> Option<Section<'static, '_>> {
        self.file.section_by_name(name).or_else(|| {
            let debug = name.strip_prefix(".debug_")?;
            let packed = String::from(".zdebug_") + debug;
            self.file.section_by_name(&packed)
        })
    }

    /// Name and checksum of the separate debug file (`.gnu_debuglink`).
    pub(crate) fn debug_link(&self) -> Option<(&'static [u8], u32)> {
        self.file.gnu_debuglink().ok()?
    }

    /// Path and build-id of the supplementary file (`.gnu_debugaltlink`).
    pub(crate) fn debug_alt_link(&self) -> Option<(&'static [u8], &'static [u8])> {
        self.file.gnu_debugaltlink().ok()?
    }

    /// The symbol table that Fedora packs into stripped files.
    pub(crate) fn mini_debug_info(&self) -> Option<Image> {
        Image::parse(compression::xz(self.section(".gnu_debugdata")?)?)
    }

    /// Whether addresses of functions carry the Thumb bit.
    pub(crate) fn is_arm(&self) -> bool {
        self.file.architecture() == Architecture::Arm
    }

    pub(crate) fn is_little_endian(&self) -> bool {
        self.file.is_little_endian()
    }

    pub(crate) fn file(&self) -> &File<'static> {
        &self.file
    }
}
