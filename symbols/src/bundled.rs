//! Functions that a program brings along from a static library, found in its
//! own symbol table without allocating.
//!
//! Invariant: bytes of the file are not trusted; what does not parse has none.

use object::elf::{FileHeader64, SHT_SYMTAB, STB_LOCAL, STT_FILE, STT_FUNC};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{Endianness, StringTable};

/// Calls `visit` with name, address (svma) and length of each function of the
/// ELF file `bytes` whose mangled name begins with one of `beginnings`, if the
/// file also names a source or object file whose name begins with `origin`
/// (an `STT_FILE` symbol, elf(5)); that question costs the local symbols only.
pub fn for_each_bundled_function(
    bytes: &[u8],
    origin: &[u8],
    beginnings: &[&[u8]],
    visit: &mut dyn FnMut(&[u8], u64, u64),
) {
    let _ = search(bytes, origin, beginnings, visit);
}

fn search(
    bytes: &[u8],
    origin: &[u8],
    beginnings: &[&[u8]],
    visit: &mut dyn FnMut(&[u8], u64, u64),
) -> Option<()> {
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.section_headers(endian, bytes).ok()?;
    let table = sections.iter().find(|section| section.sh_type(endian) == SHT_SYMTAB)?;
    let symbols: &[object::elf::Sym64<Endianness>] = table.data_as_array(endian, bytes).ok()?;
    let names = sections.get(table.sh_link(endian) as usize)?;
    let (start, length) = names.file_range(endian)?;
    let names = StringTable::new(bytes, start, start.checked_add(length)?);

    let mut locals = symbols.iter().take_while(|symbol| symbol.st_bind() == STB_LOCAL);
    locals.find(|symbol| {
        symbol.st_type() == STT_FILE
            && symbol.name(endian, names).is_ok_and(|name| name.starts_with(origin))
    })?;
    for symbol in symbols {
        if symbol.st_type() != STT_FUNC || symbol.st_size(endian) == 0 {
            continue;
        }
        if let Ok(name) = symbol.name(endian, names)
            && beginnings.iter().any(|beginning| name.starts_with(beginning))
        {
            visit(name, symbol.st_value(endian), symbol.st_size(endian));
        }
    }
    Some(())
}
