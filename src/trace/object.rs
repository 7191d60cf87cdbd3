//! Which loaded object lies at an address, asked of the C library, and what
//! its headers in memory say (elf(5), `_dl_find_object` of glibc ≥ 2.35).
//!
//! Invariant: takes no lock and allocates nothing where `_dl_find_object`
//! exists. Without it the loader's list is asked (`dl_iterate_phdr`), which
//! may wait for a thread that is inside dlopen.

use super::cfi::UnwindSections;
use crate::sync::atomics::{AtomicBool, Ordering::Relaxed};
use core::ffi::{CStr, c_char, c_int, c_void};

/// A loaded object, as the loader knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Object {
    /// First address of its first segment.
    pub start: usize,
    /// First address after its last segment.
    pub end: usize,
    /// Added to the file's addresses.
    pub bias: usize,
    /// Its path, zero-terminated; 0 when unknown. Lives as long as the object.
    name: usize,
    /// Its program headers in memory.
    headers: usize,
    header_count: usize,
}

/// `struct dl_find_object` of `<dlfcn.h>` on machines without
/// `DLFO_STRUCT_HAS_EH_DBASE` (x86-64, aarch64).
#[repr(C)]
struct FoundObject {
    flags: u64,
    map_start: usize,
    map_end: usize,
    link_map: *const LinkMap,
    eh_frame: usize,
    reserved: [u64; 7],
}

/// The public head of `struct link_map` (`<link.h>`).
#[repr(C)]
struct LinkMap {
    bias: usize,
    name: *const c_char,
}

type FindObject = unsafe extern "C" fn(*mut c_void, *mut FoundObject) -> c_int;

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(".weak _dl_find_object");

/// glibc's function, where there is one: a weak reference, null in older and
/// other C libraries.
fn find_object_function() -> Option<FindObject> {
    let address: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads the linker-made word that holds the symbol's address or 0.
    unsafe {
        core::arch::asm!(
            "mov {address}, qword ptr [rip + _dl_find_object@GOTPCREL]",
            address = out(reg) address,
            options(nostack, readonly, preserves_flags, pure),
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        address = 0;
    }
    // SAFETY: null or the function of that name, whose type <dlfcn.h> gives.
    unsafe { core::mem::transmute::<usize, Option<FindObject>>(address) }
}

/// Whether `_dl_find_object` may be called: a static program's first
/// allocation comes from within its initialisation. The abi's constructor
/// says so; elsewhere (tests, `cargo add`) code runs only after it.
static LOADER_READY: AtomicBool = AtomicBool::new(!cfg!(feature = "abi"));

/// From now on the loader's tables are complete.
pub fn loader_is_ready() {
    LOADER_READY.store(true, Relaxed);
}

/// The object whose segments span `address`.
pub fn find(address: usize) -> Option<Object> {
    let function = find_object_function().filter(|_| LOADER_READY.load(Relaxed));
    let Some(function) = function else { return iterate(address) };
    let mut found = FoundObject {
        flags: 0,
        map_start: 0,
        map_end: 0,
        link_map: core::ptr::null(),
        eh_frame: 0,
        reserved: [0; 7],
    };
    // SAFETY: any address may be asked for; the result lives on our stack.
    if unsafe { function(address as *mut c_void, &mut found) } != 0 {
        return None;
    }
    // SAFETY: the loader's own record, alive while the object is loaded, which
    // it is: one of its addresses is on the caller's stack.
    let link_map = unsafe { found.link_map.as_ref() }?;
    let mut object = Object {
        start: found.map_start,
        end: found.map_end,
        bias: link_map.bias,
        name: link_map.name as usize,
        headers: 0,
        header_count: 0,
    };
    if !object.read_elf_header() {
        // A program whose first segment leaves the ELF header out.
        let other = iterate(address)?;
        (object.headers, object.header_count) = (other.headers, other.header_count);
    }
    Some(object)
}

#[repr(C)]
struct Search {
    address: usize,
    object: Option<Object>,
}

fn iterate(address: usize) -> Option<Object> {
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: `search` is the value passed below, `info` the loader's.
        let (search, info) = unsafe { (&mut *search.cast::<Search>(), &*info) };
        let mut object = Object {
            start: usize::MAX,
            end: 0,
            bias: info.dlpi_addr as usize,
            name: info.dlpi_name as usize,
            headers: info.dlpi_phdr as usize,
            header_count: usize::from(info.dlpi_phnum),
        };
        let (mut start, mut end) = (usize::MAX, 0);
        for header in object.program_headers() {
            if header.p_type == libc::PT_LOAD {
                let segment = object.address_of(header);
                start = start.min(segment & !(crate::units::OS_PAGE - 1));
                end = end.max(segment.wrapping_add(header.p_memsz as usize));
            }
        }
        (object.start, object.end) = (start, end);
        let here = (object.start..object.end).contains(&search.address);
        if here {
            search.object = Some(object);
        }
        c_int::from(here)
    }
    let mut search = Search { address, object: None };
    // SAFETY: the callback has the type <link.h> asks for and keeps nothing.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.object
}

impl Object {
    /// The object's path; empty for the program itself.
    pub fn name(&self) -> &[u8] {
        if self.name == 0 {
            return &[];
        }
        // SAFETY: the loader's zero-terminated string, alive with the object.
        unsafe { CStr::from_ptr(self.name as *const c_char) }.to_bytes()
    }

    /// Whether both lie at the same addresses.
    pub fn lies_like(&self, other: &Object) -> bool {
        (self.start, self.end, self.bias) == (other.start, other.end, other.bias)
    }

    /// A number that tells the loader's records apart: where the path lies.
    pub fn loader_record(&self) -> usize {
        self.name
    }

    fn read_elf_header(&mut self) -> bool {
        if self.end.saturating_sub(self.start) < size_of::<libc::Elf64_Ehdr>() {
            return false;
        }
        // SAFETY: the first page of the object's first segment is mapped, and
        // loaded objects are readable from their start on.
        let header = unsafe { &*(self.start as *const libc::Elf64_Ehdr) };
        let offset = header.e_phoff as usize;
        let count = usize::from(header.e_phnum);
        let bytes = count * size_of::<libc::Elf64_Phdr>();
        if header.e_ident[..4] != *b"\x7fELF"
            || usize::from(header.e_phentsize) != size_of::<libc::Elf64_Phdr>()
            || !offset.is_multiple_of(8)
            || offset.checked_add(bytes).is_none_or(|end| end > crate::units::OS_PAGE)
        {
            return false;
        }
        (self.headers, self.header_count) = (self.start + offset, count);
        true
    }

    fn program_headers(&self) -> &[libc::Elf64_Phdr] {
        if self.headers == 0 {
            return &[];
        }
        // SAFETY: the loader's table (`dlpi_phdr`), or one that lies within
        // the object's first page, checked by `read_elf_header`.
        unsafe { core::slice::from_raw_parts(self.headers as *const _, self.header_count) }
    }

    fn address_of(&self, header: &libc::Elf64_Phdr) -> usize {
        self.bias.wrapping_add(header.p_vaddr as usize)
    }

    /// Bytes from `address` to the end of the loadable, readable segment it is in.
    pub(super) fn readable_from(&self, address: usize) -> &'static [u8] {
        let segment = self.program_headers().iter().find(|header| {
            header.p_type == libc::PT_LOAD
                && header.p_flags & libc::PF_R != 0
                && address >= self.address_of(header)
                && address - self.address_of(header) < header.p_filesz as usize
        });
        match segment {
            Some(header) => {
                let length = self.address_of(header) + header.p_filesz as usize - address;
                // SAFETY: a loaded, readable segment stays mapped while its
                // object does. The slice is used only for the evaluation at
                // hand, during which a frame of the object is on the stack.
                unsafe { core::slice::from_raw_parts(address as *const u8, length) }
            }
            None => &[],
        }
    }

    fn segment(&self, kind: u32) -> Option<&libc::Elf64_Phdr> {
        self.program_headers().iter().find(|header| header.p_type == kind)
    }

    /// Its unwind tables; `None` when it has none.
    pub fn unwind_sections(&self) -> Option<UnwindSections<'static>> {
        let header = self.segment(libc::PT_GNU_EH_FRAME)?;
        let address = self.address_of(header);
        let from_header = self.readable_from(address);
        let header_bytes = from_header.get(..header.p_memsz as usize)?;
        // `.eh_frame` mostly follows its header; it may also come before it,
        // so what may be read starts with the segment.
        let segment = self.program_headers().iter().find(|header| {
            header.p_type == libc::PT_LOAD
                && address >= self.address_of(header)
                && address - self.address_of(header) < header.p_filesz as usize
        })?;
        let start = self.address_of(segment);
        Some(UnwindSections {
            header: header_bytes,
            header_address: address as u64,
            readable: self.readable_from(start),
            readable_address: start as u64,
        })
    }

    /// The GNU build id, in `buffer`; empty when there is none.
    pub fn build_id<'a>(&self, buffer: &'a mut [u8]) -> &'a [u8] {
        for header in self.program_headers() {
            if header.p_type != libc::PT_NOTE {
                continue;
            }
            let notes = self.readable_from(self.address_of(header));
            let length = notes.len().min(header.p_filesz as usize);
            if let Some(id) = find_build_id(&notes[..length]) {
                let length = id.len().min(buffer.len());
                buffer[..length].copy_from_slice(&id[..length]);
                return &buffer[..length];
            }
        }
        &[]
    }
}

/// Walks ELF notes (name size, description size, type, name, description,
/// each padded to four bytes) for `NT_GNU_BUILD_ID`.
fn find_build_id(mut notes: &[u8]) -> Option<&[u8]> {
    const GNU_BUILD_ID: u32 = 3;
    loop {
        let word = |at: usize| {
            notes
                .get(at..at + 4)
                .map(|bytes| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        let (name_size, size, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let name_end = 12usize.checked_add(name_size)?;
        let start = name_end.checked_next_multiple_of(4)?;
        let end = start.checked_add(size)?;
        let description = notes.get(start..end)?;
        if kind == GNU_BUILD_ID && notes.get(12..name_end) == Some(b"GNU\0".as_slice()) {
            return Some(description);
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_this_program_with_its_tables_and_id() {
        let here = finds_this_program_with_its_tables_and_id as *const () as usize;
        for object in [find(here).unwrap(), iterate(here).unwrap()] {
            assert!((object.start..object.end).contains(&here));
            let sections = object.unwind_sections().unwrap();
            assert_eq!(sections.header[0], 1, "version of .eh_frame_hdr");
            assert!(object.build_id(&mut [0; 32]).len() >= 8);
        }
        let libc_object = find(libc::getpid as *const () as usize).unwrap();
        assert!(libc_object.name().starts_with(b"/"));
        assert_ne!(libc_object.start, find(here).unwrap().start);
    }

    #[test]
    fn nothing_lies_on_the_stack_or_at_zero() {
        let local = 0u8;
        assert_eq!(find(&raw const local as usize), None);
        assert_eq!(find(0), None);
    }

    #[test]
    fn hostile_notes_have_no_build_id() {
        let huge = [0xffu8; 64];
        for length in 0..64 {
            assert_eq!(find_build_id(&huge[..length]), None);
            assert_eq!(find_build_id(&[0; 64][..length]), None);
        }
        let mut note = std::vec![4, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0];
        note.extend_from_slice(b"GNU\0\xab\xcd");
        assert_eq!(find_build_id(&note), Some([0xab, 0xcd].as_slice()));
    }
}
