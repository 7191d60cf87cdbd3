//! Symbols by address and by name, from any number of ELF symbol tables.
//!
//! Invariant: an index is sorted by address and holds only defined symbols of
//! its kind. It points into the mapped tables (24 bytes a symbol) and copies no
//! name.
//!
//! Which of several symbols names an address? The one that starts last among
//! those whose size covers it; of aliases the one people write (`malloc`, not
//! `__libc_malloc`). A symbol without size (assembly) reaches to the next one.

use crate::image::Image;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;
use object::elf::{STB_LOCAL, STT_COMMON, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, STT_OBJECT};
use object::{
    Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, SectionFlags, SymbolFlags, SymbolIndex,
};

/// How many symbols that start before an address are asked whether they reach it.
const WALK: usize = 64;

/// A named piece of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Mangled, without its version (`@GLIBC_2.2.5`).
    pub raw_name: &'static str,
    /// Where it starts, as the file states it.
    pub svma: u64,
    /// Bytes; 0 if the table does not say.
    pub size: u64,
}

/// The symbol tables of one module.
#[derive(Default)]
pub(crate) struct SymbolTable {
    tables: Vec<Table>,
    functions: Option<Vec<Entry>>,
    data: Option<Vec<Entry>>,
}

struct Table {
    image: &'static Image,
    dynamic: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Function,
    Data,
}

#[derive(Clone, Copy)]
struct Entry {
    svma: u64,
    size: u64,
    symbol: u32,
    table: u8,
    local: bool,
}

impl SymbolTable {
    /// Adds `.dynsym` (`dynamic`) or `.symtab` of a file; at most 255 tables.
    pub(crate) fn add(&mut self, image: &'static Image, dynamic: bool) {
        if self.tables.len() < usize::from(u8::MAX) {
            self.tables.push(Table { image, dynamic });
        }
    }

    /// The function at `svma`.
    pub(crate) fn function_at(&mut self, svma: u64) -> Option<Symbol> {
        let mut index = self.functions.take();
        let entries = index.get_or_insert_with(|| self.index(Kind::Function));
        let found = self.lookup(entries, svma);
        self.functions = index;
        found
    }

    /// The global or static variable at `svma`; thread-local ones have none.
    pub(crate) fn data_at(&mut self, svma: u64) -> Option<Symbol> {
        let mut index = self.data.take();
        let entries = index.get_or_insert_with(|| self.index(Kind::Data));
        let found = self.lookup(entries, svma);
        self.data = index;
        found
    }

    /// The svmas of the function with that mangled name.
    pub(crate) fn function_named(&self, name: &str) -> Option<Range<u64>> {
        self.tables.iter().find_map(|table| {
            let arm = table.image.is_arm();
            table.symbols()?.find_map(|symbol| {
                let wanted = kind(table.image, &symbol) == Some(Kind::Function)
                    && text(symbol.name_bytes().ok()?) == Some(name);
                let start = start(&symbol, arm, Kind::Function);
                wanted.then(|| start..start.saturating_add(symbol.size()))
            })
        })
    }

    fn index(&self, wanted: Kind) -> Vec<Entry> {
        let mut entries = Vec::new();
        // Twice through the tables, so that an arena that never frees is not
        // filled with the garbage of a growing vector.
        let count = self.each(wanted).count();
        if entries.try_reserve_exact(count).is_ok() {
            entries.extend(self.each(wanted).take(count));
        }
        entries.sort_unstable_by_key(|entry| (entry.svma, Reverse(entry.table), entry.symbol));
        entries
    }

    fn each(&self, wanted: Kind) -> impl Iterator<Item = Entry> + '_ {
        self.tables.iter().zip(0u8..).flat_map(move |(table, number)| {
            let arm = table.image.is_arm();
            let symbols = table.symbols().into_iter().flatten();
            symbols.filter_map(move |symbol| {
                (kind(table.image, &symbol)? == wanted).then_some(())?;
                let SymbolFlags::Elf { st_info, .. } = symbol.flags() else {
                    return None;
                };
                Some(Entry {
                    svma: start(&symbol, arm, wanted),
                    size: symbol.size(),
                    symbol: u32::try_from(symbol.index().0).ok()?,
                    table: number,
                    local: st_info.st_bind() == STB_LOCAL,
                })
            })
        })
    }

    fn lookup(&self, entries: &[Entry], svma: u64) -> Option<Symbol> {
        let after = entries.partition_point(|entry| entry.svma <= svma);
        let before = entries.get(..after)?;
        let nearest = before.last()?;
        let covers = |entry: &&Entry| svma - entry.svma < entry.size;
        let start = before.iter().rev().take(WALK).find(covers).map(|entry| entry.svma);
        let sized = start.is_some();
        let start = start.unwrap_or(nearest.svma);
        let best = before
            .iter()
            .rev()
            .skip_while(|entry| entry.svma != start)
            .take_while(|entry| entry.svma == start)
            .take(WALK)
            .filter(|entry| {
                if sized {
                    covers(entry)
                } else {
                    entry.size == 0 && self.same_section(entry, svma)
                }
            })
            .filter_map(|entry| Some((entry, self.name(entry)?)))
            .min_by_key(|(entry, name)| rank(entry, name))?;
        Some(Symbol { raw_name: best.1, svma: best.0.svma, size: best.0.size })
    }

    fn name(&self, entry: &Entry) -> Option<&'static str> {
        let symbols = self.tables.get(usize::from(entry.table))?.symbol_table()?;
        let symbol = symbols.symbol_by_index(SymbolIndex(entry.symbol as usize)).ok()?;
        text(symbol.name_bytes().ok()?)
    }

    fn same_section(&self, entry: &Entry, svma: u64) -> bool {
        let inside = || {
            let table = self.tables.get(usize::from(entry.table))?;
            let symbol =
                table.symbol_table()?.symbol_by_index(SymbolIndex(entry.symbol as usize)).ok()?;
            let section = table.image.file().section_by_index(symbol.section_index()?).ok()?;
            Some(svma.wrapping_sub(section.address()) < section.size())
        };
        inside().unwrap_or(false)
    }
}

impl Table {
    fn symbol_table(
        &self,
    ) -> Option<impl ObjectSymbolTable<'static, Symbol: ObjectSymbol<'static>>> {
        let file = self.image.file();
        if self.dynamic { file.dynamic_symbol_table() } else { file.symbol_table() }
    }

    fn symbols(&self) -> Option<impl Iterator<Item = impl ObjectSymbol<'static>>> {
        let file = self.image.file();
        Some(if self.dynamic { file.dynamic_symbols() } else { file.symbols() })
    }
}

/// What a symbol names; `None` if it is undefined, thread-local, or a mark.
fn kind<'data>(image: &Image, symbol: &impl ObjectSymbol<'data>) -> Option<Kind> {
    let SymbolFlags::Elf { st_info, .. } = symbol.flags() else {
        return None;
    };
    if symbol.is_undefined() {
        return None;
    }
    match st_info.st_type() {
        STT_FUNC | STT_GNU_IFUNC => Some(Kind::Function),
        STT_OBJECT | STT_COMMON if symbol.size() != 0 => Some(Kind::Data),
        STT_NOTYPE => {
            let section = image.file().section_by_index(symbol.section_index()?).ok()?;
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
                return None;
            };
            // Assembly that did not bother to say `.type f, @function`. The
            // names that assemblers make up ($x, .L1) are no names.
            let name = symbol.name_bytes().ok()?;
            let made_up = name.is_empty() || name.starts_with(b"$") || name.starts_with(b".L");
            (sh_flags.contains(object::elf::SHF_EXECINSTR) && !made_up).then_some(Kind::Function)
        }
        _ => None,
    }
}

/// Where a symbol starts; on 32-bit Arm the lowest bit of a function's address
/// says Thumb and is no part of it.
fn start<'data>(symbol: &impl ObjectSymbol<'data>, arm: bool, kind: Kind) -> u64 {
    let thumb = u64::from(arm && kind == Kind::Function);
    symbol.address() & !thumb
}

/// Order of preference among aliases, best first.
fn rank<'name>(entry: &Entry, name: &'name str) -> (usize, bool, usize, &'name str) {
    let mangled = name.starts_with("_Z") || name.starts_with("_R");
    let underscores =
        if mangled { 0 } else { name.bytes().take_while(|&byte| byte == b'_').count() };
    (underscores, entry.local, name.len(), name)
}

/// A name without its version; `None` if it is empty or no UTF-8.
fn text(name: &'static [u8]) -> Option<&'static str> {
    let name = core::str::from_utf8(name).ok()?;
    let name = match name.find('@') {
        None | Some(0) => name,
        Some(at) => name.get(..at)?,
    };
    (!name.is_empty()).then_some(name)
}
