//! The root: finding the library's note in a process, and its tables by it.

use super::memory::{Mapping, Memory, ReadError};
use anyhow::{Result, anyhow, bail};
use heapwarden::outside::{MAGIC, NOTE_NAME, NOTE_TYPE, Root, VERSION};
use object::Endianness;
use object::elf::{ELF_NOTE_GNU, FileHeader64, NT_GNU_BUILD_ID, PT_LOAD, PT_NOTE};
use object::read::elf::{FileHeader, ProgramHeader};

/// Bytes of a module's beginning that are searched for the note.
const BEGINNING: usize = 64 << 10;
const PAGE: usize = 4096;

/// The root of a process's ledger.
pub struct LedgerRoot {
    /// What it says.
    pub tables: Root<u64>,
    /// First address of the window.
    pub base: u64,
    /// The module that the library is: first address of its file; `None` when
    /// it is a part of the program.
    pub own_module: Option<u64>,
}

/// A module's first bytes, and what its addresses are relative to.
pub struct Beginning {
    /// Address in memory less address in the file.
    pub bias: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl LedgerRoot {
    /// Finds the root.
    pub fn find(memory: &dyn Memory) -> Result<LedgerRoot> {
        let mut problem = None;
        let starts = memory.mappings().iter().filter(|map| map.readable && map.offset == 0);
        for mapping in starts {
            let Some(beginning) = read_beginning(memory, mapping) else { continue };
            let Some(address) = note_in(&beginning) else { continue };
            match read_root(memory, address) {
                Ok(Some((tables, base))) => {
                    let is_library = is_named_library(mapping);
                    let own_module = is_library.then_some(mapping.start);
                    return Ok(LedgerRoot { tables, base, own_module });
                }
                // Loaded, but not in use.
                Ok(None) => {}
                Err(error) => problem = Some(error),
            }
        }
        Err(problem.unwrap_or_else(|| {
            anyhow!(
                "heapwarden is not in this process: start the program with `heapwarden run`, \
                 LD_PRELOAD=libheapwarden.so, or linked with it"
            )
        }))
    }
}

fn is_named_library(mapping: &Mapping) -> bool {
    let name = mapping.path.as_ref().and_then(|path| path.file_name());
    name.is_some_and(|name| name.to_string_lossy().starts_with("libheapwarden.so"))
}

/// The first bytes of the file that `mapping` begins, if it is an ELF file.
pub fn read_beginning(memory: &dyn Memory, mapping: &Mapping) -> Option<Beginning> {
    let length = usize::try_from(mapping.end - mapping.start).ok()?.min(BEGINNING);
    let mut bytes = vec![0; PAGE.min(length)];
    memory.read(mapping.start, &mut bytes).ok()?;
    if !bytes.starts_with(b"\x7fELF") {
        return None;
    }
    // A core may hold the first page only.
    while bytes.len() < length {
        let (from, to) = (bytes.len(), length.min(bytes.len() + PAGE));
        bytes.resize(to, 0);
        if memory.read(mapping.start + from as u64, &mut bytes[from..]).is_err() {
            bytes.truncate(from);
            break;
        }
    }
    let header = FileHeader64::<Endianness>::parse(&*bytes).ok()?;
    let endian = header.endian().ok()?;
    let headers = header.program_headers(endian, &*bytes).ok()?;
    let first = headers.iter().find(|header| header.p_type(endian) == PT_LOAD)?;
    let bias = mapping.start.wrapping_sub(first.p_vaddr(endian) & !(PAGE as u64 - 1));
    Some(Beginning { bias, bytes })
}

/// The address that a module's note of ours names.
fn note_in(beginning: &Beginning) -> Option<u64> {
    let bytes = &*beginning.bytes;
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    for header in header.program_headers(endian, bytes).ok()? {
        if header.p_type(endian) != PT_NOTE {
            continue;
        }
        let Ok(Some(mut notes)) = header.notes(endian, bytes) else { continue };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == NOTE_NAME && note.n_type(endian).0 == NOTE_TYPE {
                let value = i64::from_le_bytes(note.desc().try_into().ok()?);
                let inside = note.desc().as_ptr() as usize - bytes.as_ptr() as usize;
                let offset = inside as u64 - header.p_offset(endian);
                let here = beginning.bias.wrapping_add(header.p_vaddr(endian) + offset);
                return Some(here.wrapping_add_signed(value));
            }
        }
    }
    None
}

/// A module's GNU build-id.
pub fn build_id_in(beginning: &Beginning) -> Option<Vec<u8>> {
    let bytes = &*beginning.bytes;
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    for header in header.program_headers(endian, bytes).ok()? {
        let Ok(Some(mut notes)) = header.notes(endian, bytes) else { continue };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == ELF_NOTE_GNU && note.n_type(endian) == NT_GNU_BUILD_ID {
                return Some(note.desc().to_vec());
            }
        }
    }
    None
}

/// The root at `address` and the window's base; `None` while nothing was ever
/// allocated.
fn read_root(memory: &dyn Memory, address: u64) -> Result<Option<(Root<u64>, u64)>> {
    let mut bytes = [0; size_of::<Root<u64>>()];
    memory.read(address, &mut bytes).map_err(|error| match error {
        ReadError::Unreadable(_) => anyhow!(
            "heapwarden was in this process, but its memory is not here: a core written with \
             private memory left out (coredump_filter, core(5)) tells nothing of the heap"
        ),
        other => other.into(),
    })?;
    // SAFETY: a structure of integers, for which all bytes are valid.
    let root: Root<u64> = unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) };
    if root.magic != MAGIC {
        bail!("heapwarden's root is damaged: the process wrote over it, or the core is cut off");
    }
    let is_ours = root.version == VERSION
        && root.bytes as usize == bytes.len()
        && root.shape == heapwarden::ledger::SHAPE;
    if !is_ours {
        let end = root.library.iter().position(|&byte| byte == 0).unwrap_or(root.library.len());
        bail!(
            "the process runs heapwarden {} with another ledger (version {}, ours is {VERSION}): \
             use the heapwarden command of that version",
            String::from_utf8_lossy(&root.library[..end]),
            root.version
        );
    }
    let base = memory.word(root.window.base)?;
    let is_place = base.is_multiple_of(heapwarden::units::GRANULE as u64)
        && base > root.window.table_bytes + root.window.metadata_bytes
        && base < 1 << 47;
    match base {
        0 => Ok(None),
        _ if is_place => Ok(Some((root, base))),
        _ => bail!("heapwarden's root is damaged: the window cannot lie at {base:#x}"),
    }
}
