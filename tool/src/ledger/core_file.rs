//! Core files (core(5)): an ELF file of type ET_CORE.
//!
//! ```text
//!   PT_LOAD   one a mapping: its address, its length, and what was saved of it
//!   PT_NOTE   NT_PRSTATUS a thread: registers · NT_FPREGSET vector registers
//!             NT_PRPSINFO name · NT_AUXV · NT_FILE which file lies where
//! ```
//!
//! Written by the kernel or by gdb's gcore. Nothing in them is trusted.

use super::image::{Image, Segment, Thread};
use super::memory::{Mapping, half_at, word_at};
use anyhow::{Context, Result, bail};
use memmap2::Mmap;
use object::Endianness;
use object::elf::{EM_X86_64, ET_CORE, FileHeader64, PT_LOAD, ProgramHeader64};
use object::elf::{NT_AUXV, NT_FILE, NT_FPREGSET, NT_PRPSINFO, NT_PRSTATUS};
use object::read::elf::{FileHeader, ProgramHeader};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `struct elf_prstatus` of x86_64: the thread's id, and its 27 registers in
/// the order of `struct user_regs_struct`.
const PRSTATUS_TASK: usize = 32;
const PRSTATUS_REGISTERS: usize = 112;
const REGISTERS: usize = 27;
const RSP: usize = 19;
const FS_BASE: usize = 21;
/// xmm0 to xmm15 in an FXSAVE area.
const VECTORS: std::ops::Range<usize> = 160..416;
/// `struct elf_prpsinfo`: process and name.
const PRPSINFO_PID: usize = 24;
const PRPSINFO_NAME: std::ops::Range<usize> = 40..56;
const AT_PHDR: u64 = 3;
/// Most files that a core may name.
const MOST_FILES: u64 = 1 << 20;

/// Reads a core. `program` stands for the file of the program.
pub fn open(path: &Path, program: Option<&Path>) -> Result<Image> {
    let shown = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(shown)?;
    let metadata = file.metadata().with_context(shown)?;
    if !metadata.is_file() {
        bail!("{}: not a file", path.display());
    }
    if metadata.len() == 0 {
        bail!("{}: the file is empty (no room on the disk, or ulimit -c 0?)", path.display());
    }
    // SAFETY: read-only and never unmapped; a file that shrinks meanwhile ends
    // this tool by SIGBUS, and nothing is lost but its output.
    let map: &'static Mmap = Box::leak(Box::new(unsafe { Mmap::map(&file) }.with_context(shown)?));
    let mut image = parse(map, program).with_context(|| path.display().to_string())?;
    image.time = metadata.modified().unwrap_or(std::time::SystemTime::UNIX_EPOCH);
    Ok(image)
}

/// What the notes say.
#[derive(Default)]
struct Notes {
    pid: u32,
    name: String,
    threads: Vec<Thread>,
    program_headers: u64,
    files: Vec<Mapping>,
}

fn parse(data: &'static [u8], program: Option<&Path>) -> Result<Image> {
    if !data.starts_with(b"\x7fELF") {
        bail!("not a core file: it does not begin as an ELF file does");
    }
    let header = FileHeader64::<Endianness>::parse(data)
        .ok()
        .context("not a core of a 64-bit program, or cut off in its first bytes")?;
    let endian = header.endian()?;
    if header.e_type(endian) != ET_CORE {
        bail!("not a core file, but a program or library; cores are written when a program dies");
    }
    if header.e_machine(endian) != EM_X86_64 {
        bail!("a core of another machine: only those of x86_64 can be read");
    }
    let headers = header
        .program_headers(endian, data)
        .ok()
        .context("the core is cut off: its list of contents is not there")?;
    let notes = read_notes(headers, endian, data);
    if notes.threads.is_empty() {
        bail!("the core is cut off or damaged: it names no thread");
    }
    let loads = headers.iter().filter(|header| header.p_type(endian) == PT_LOAD);
    let mut source = Files { program, maps: HashMap::new() };
    let (mut mappings, mut segments) = (Vec::new(), Vec::new());
    let mut cut_off = 0u64;
    for load in loads {
        let start = load.p_vaddr(endian);
        let Some(end) = start.checked_add(load.p_memsz(endian)) else { continue };
        let flags = load.p_flags(endian).0;
        let shown = notes.files.iter().find(|file| file.start <= start && start < file.end);
        let mapping = Mapping {
            start,
            end,
            readable: flags & object::elf::PF_R.0 != 0,
            writable: flags & object::elf::PF_W.0 != 0,
            is_shared: false,
            path: shown.and_then(|file| file.path.clone()),
            offset: shown.map_or(0, |file| file.offset + (start - file.start)),
        };
        let (offset, size) = (load.p_offset(endian), load.p_filesz(endian).min(end - start));
        let saved = slice(data, offset, size);
        cut_off += size - saved.len() as u64;
        let segment = if size > 0 {
            Segment { start, end, bytes: Cow::Borrowed(saved), is_saved: true }
        } else {
            Segment { start, end, bytes: source.bytes(&mapping), is_saved: false }
        };
        segments.push(segment);
        mappings.push(mapping);
    }
    let mut image = Image::new(mappings, segments);
    image.pid = notes.pid;
    image.name = notes.name;
    image.threads = notes.threads;
    image.program_headers = notes.program_headers;
    if cut_off > 0 {
        image.gaps.push(format!(
            "the core is cut off: {} are missing (no room on the disk, or ulimit -c?)",
            crate::report::words::amount(cut_off)
        ));
    }
    Ok(image)
}

/// `size` bytes at `offset`, or as many as there are.
fn slice(data: &'static [u8], offset: u64, size: u64) -> &'static [u8] {
    let from = (offset.min(data.len() as u64)) as usize;
    let to = offset.saturating_add(size).min(data.len() as u64) as usize;
    &data[from..to.max(from)]
}

fn read_notes(
    headers: &[ProgramHeader64<Endianness>],
    endian: Endianness,
    data: &'static [u8],
) -> Notes {
    let mut found = Notes::default();
    for header in headers {
        let Ok(Some(mut notes)) = header.notes(endian, data) else { continue };
        while let Ok(Some(note)) = notes.next() {
            if note.name() != b"CORE" {
                continue;
            }
            let bytes = note.desc();
            match note.n_type(endian) {
                NT_PRSTATUS => found.threads.extend(thread_of(bytes)),
                NT_FPREGSET => {
                    if let (Some(thread), Some(vectors)) =
                        (found.threads.last_mut(), bytes.get(VECTORS))
                    {
                        thread.registers.extend(super::memory::words_of(vectors));
                    }
                }
                NT_PRPSINFO => {
                    found.pid = half_at(bytes, PRPSINFO_PID);
                    let name = bytes.get(PRPSINFO_NAME).unwrap_or_default();
                    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
                    found.name = String::from_utf8_lossy(&name[..end]).into_owned();
                }
                NT_AUXV => {
                    let entries = bytes.chunks_exact(16);
                    let headers = entries.filter(|entry| word_at(entry, 0) == AT_PHDR);
                    found.program_headers =
                        headers.map(|entry| word_at(entry, 8)).next().unwrap_or(0);
                }
                NT_FILE => found.files = files_of(bytes),
                _ => {}
            }
        }
    }
    found
}

fn thread_of(bytes: &[u8]) -> Option<Thread> {
    let registers = bytes.get(PRSTATUS_REGISTERS..PRSTATUS_REGISTERS + REGISTERS * 8)?;
    let registers: Vec<u64> = super::memory::words_of(registers).collect();
    Some(Thread {
        task: half_at(bytes, PRSTATUS_TASK),
        stack_pointer: registers[RSP],
        thread_pointer: registers[FS_BASE],
        registers,
    })
}

/// count, page size, { start, end, offset in pages }…, names.
fn files_of(bytes: &[u8]) -> Vec<Mapping> {
    let count = word_at(bytes, 0).min(MOST_FILES).min(bytes.len() as u64 / 24) as usize;
    let page = word_at(bytes, 8);
    let names = bytes.get(16 + count * 24..).unwrap_or_default();
    let entries = names.split(|&byte| byte == 0).take(count).enumerate();
    entries
        .map(|(index, name)| {
            let at = 16 + index * 24;
            Mapping {
                start: word_at(bytes, at),
                end: word_at(bytes, at + 8),
                offset: word_at(bytes, at + 16).wrapping_mul(page),
                path: Some(PathBuf::from(OsStr::from_bytes(name))),
                ..Mapping::default()
            }
        })
        .collect()
}

/// What a core leaves out because it is in a file.
struct Files<'p> {
    program: Option<&'p Path>,
    maps: HashMap<PathBuf, Option<&'static [u8]>>,
}

impl Files<'_> {
    /// The file's bytes that a mapping shows, if it is still there.
    fn bytes(&mut self, mapping: &Mapping) -> Cow<'static, [u8]> {
        let Some(path) = mapping.path.as_deref().filter(|_| !mapping.writable) else {
            return Cow::Borrowed(&[]);
        };
        let given = self.program.filter(|given| given.file_name() == path.file_name());
        let path = given.unwrap_or(path).to_owned();
        let data = *self.maps.entry(path).or_insert_with_key(|path| {
            // A pipe would be waited for.
            path.is_file().then_some(())?;
            use heapwarden_symbols::Files as _;
            let path = std::path::absolute(path).ok()?;
            crate::symbolize::MappedFiles.map(path.as_os_str().as_bytes())
        });
        let data = data.unwrap_or_default();
        Cow::Borrowed(slice(data, mapping.offset, mapping.end - mapping.start))
    }
}
