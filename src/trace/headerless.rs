//! A search table for programs that have unwind information but no
//! `.eh_frame_hdr`: `gcc -static` links them so.
//!
//! The section's place is in no program header. It is read from the section
//! headers of `/proc/self/exe`, its entries are gone through once, and a
//! header is written as the linker would have, but counted from the address of
//! `.eh_frame` (the table itself may lie anywhere):
//!
//! ```text
//!   | 1 1b 03 3b | −4 | functions | start − H, entry − H | …      H = .eh_frame
//! ```
//!
//! Invariant: what the file says is believed only as far as the program's own
//! mapped, readable segments bear it out.

use super::cfi::UnwindSections;
use super::object::Object;
use super::tables;
use crate::platform::linux::{files::File, syscall::call};
use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection};

const WANTED: &[u8] = b".eh_frame\0";
const HEADER: usize = 12;
const ROW: usize = 8;

/// The unwind tables of the program itself, `object`, made searchable.
pub fn sections_of(object: &Object) -> Option<UnwindSections<'static>> {
    let (address, size) = section_of_program()?;
    let address = address.wrapping_add(object.bias);
    let frames = object.readable_from(address).get(..size)?;
    let header = write_header(frames, address as u64)?;
    Some(UnwindSections {
        header,
        header_address: address as u64,
        readable: frames,
        readable_address: address as u64,
    })
}

fn write_header(frames: &[u8], address: u64) -> Option<&'static [u8]> {
    let count = functions(frames, address, |_, _| {})?;
    let bytes = HEADER + count * ROW;
    let memory = tables::map(bytes)?;
    // SAFETY: fresh zeroed memory of that size, kept for good.
    let table = unsafe { core::slice::from_raw_parts_mut(memory.as_ptr(), bytes) };
    let (head, rows) = table.split_at_mut(HEADER);
    head[..4].copy_from_slice(&[1, 0x1b, 0x03, 0x3b]);
    head[4..8].copy_from_slice(&(-4i32).to_le_bytes());
    head[8..].copy_from_slice(&(count as u32).to_le_bytes());
    let (rows, _) = rows.as_chunks_mut::<ROW>();
    let mut next = rows.iter_mut();
    functions(frames, address, |start, entry| {
        if let Some(row) = next.next() {
            row[..4].copy_from_slice(&start.to_le_bytes());
            row[4..].copy_from_slice(&entry.to_le_bytes());
        }
    })?;
    rows.sort_unstable_by_key(|row| i32::from_le_bytes([row[0], row[1], row[2], row[3]]));
    Some(table)
}

/// Calls `visit` with the distances from `address` to each function's code and
/// to its entry; how many there are.
fn functions(frames: &[u8], address: u64, mut visit: impl FnMut(i32, i32)) -> Option<usize> {
    let section = EhFrame::new(frames, LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(address);
    let mut entries = section.entries(&bases);
    let mut count = 0;
    while let Some(entry) = entries.next().ok()? {
        let CieOrFde::Fde(partial) = entry else { continue };
        let function = partial.parse(EhFrame::cie_from_offset).ok()?;
        let start = function.initial_address().wrapping_sub(address) as i64;
        // Functions that the linker threw away start at zero.
        if let (Ok(start), Ok(entry)) = (i32::try_from(start), i32::try_from(function.offset())) {
            visit(start, entry);
            count += 1;
        }
    }
    Some(count)
}

/// Address and size of `.eh_frame` in the file of the running program.
fn section_of_program() -> Option<(usize, usize)> {
    let file = File::open(b"/proc/self/exe\0", libc::O_RDONLY, 0).ok()?;
    let mut header = [0u64; size_of::<libc::Elf64_Ehdr>() / 8];
    let header: libc::Elf64_Ehdr = read_at(&file, &mut header, 0)?;
    if header.e_ident[..4] != *b"\x7fELF"
        || usize::from(header.e_shentsize) != size_of::<libc::Elf64_Shdr>()
    {
        return None;
    }
    let section = |index: u16| -> Option<libc::Elf64_Shdr> {
        let mut buffer = [0u64; size_of::<libc::Elf64_Shdr>() / 8];
        let offset = u64::from(index) * u64::from(header.e_shentsize);
        read_at(&file, &mut buffer, header.e_shoff.checked_add(offset)?)
    };
    let names = section(header.e_shstrndx)?.sh_offset;
    (1..header.e_shnum).find_map(|index| {
        let section = section(index)?;
        let mut name = [0u64; WANTED.len().div_ceil(8)];
        let name: [u8; WANTED.len()] =
            read_at(&file, &mut name, names.checked_add(u64::from(section.sh_name))?)?;
        (name == *WANTED).then_some((section.sh_addr as usize, section.sh_size as usize))
    })
}

/// Reads a structure of plain numbers at `offset` of the file.
fn read_at<T: Copy, const WORDS: usize>(
    file: &File,
    buffer: &mut [u64; WORDS],
    offset: u64,
) -> Option<T> {
    let bytes = size_of::<T>();
    debug_assert!(bytes <= WORDS * 8 && align_of::<T>() <= 8);
    let arguments = [
        file.descriptor() as usize,
        buffer.as_mut_ptr() as usize,
        bytes,
        usize::try_from(offset).ok()?,
        0,
        0,
    ];
    // SAFETY: pread64(2) writes at most `bytes` bytes into the buffer.
    let read = unsafe { call(libc::SYS_pread64, arguments) }.ok()?;
    // SAFETY: the buffer is aligned and long enough for T, a structure of
    // integers or bytes, for which all bits are valid (callers above).
    (read == bytes).then(|| unsafe { buffer.as_ptr().cast::<T>().read() })
}

#[cfg(test)]
mod tests {
    use super::super::cfi::rule_for;
    use super::super::object;
    use super::super::rule::Rule;
    use super::*;

    #[test]
    fn a_written_header_finds_what_the_linkers_finds() {
        let here = a_written_header_finds_what_the_linkers_finds as *const () as usize;
        let object = object::find(here).unwrap();
        let (linked, written) = (object.unwind_sections().unwrap(), sections_of(&object).unwrap());
        let mut known = 0;
        for address in (here..here + 200_000).step_by(37) {
            let rule = rule_for(&linked, address as u64);
            assert_eq!(rule, rule_for(&written, address as u64), "{address:#x}");
            known += usize::from(rule != Rule::UNKNOWN);
        }
        assert!(known > 1000);
    }

    #[test]
    fn broken_sections_have_no_header() {
        assert_eq!(functions(&[], 0x1000, |_, _| {}), Some(0));
        assert_eq!(functions(&[9, 0, 0, 0, 1], 0x1000, |_, _| {}), None);
        for byte in 0..=255u8 {
            let _ = functions(&[byte; 64], 0x1000, |_, _| {});
        }
    }
}
