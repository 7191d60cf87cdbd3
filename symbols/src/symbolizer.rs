//! The only door: modules in, frames and names out.
//!
//! Each question is answered once an address and remembered. Modules of the
//! same file (a library unloaded and loaded again elsewhere) share one answer.

use crate::debug_files::DebugFileFinder;
use crate::dwarf::{LineTable, RawFrame};
use crate::image::Image;
use crate::symbol_table::{Symbol, SymbolTable};
use crate::{Files, demangle};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

/// Where distributions install debug files; always searched last.
const SYSTEM_DEBUG_DIRECTORY: &[u8] = b"/usr/lib/debug";

/// A loaded file, as the caller knows it. Path and build-id are copied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Module<'a> {
    /// Path of the file, absolute (bytes, no terminating zero).
    pub path: &'a [u8],
    /// Build-id found in memory; a file with another one is not trusted. `None` or
    /// empty if unknown.
    pub build_id: Option<&'a [u8]>,
    /// Address in the process − svma (`dlpi_addr`).
    pub load_bias: u64,
    /// First address of the module in the process.
    pub start: u64,
    /// First address after it.
    pub end: u64,
}

/// Names a module of one [`Symbolizer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleId(u32);

/// One function at an address. Several where calls were inlined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// As the source spells it (demangled).
    pub function: Option<&'static str>,
    /// As the linker knows it; equal to `function` for C.
    pub raw_name: Option<&'static str>,
    /// Bytes from the start of the function, where its symbol is known.
    /// `None` for inlined frames.
    pub function_offset: Option<u64>,
    /// Compilation directory, directory and name, as the compiler wrote them.
    pub file: Option<&'static str>,
    /// From 1; `None` for code that belongs to no line.
    pub line: Option<u32>,
    /// From 1.
    pub column: Option<u32>,
    /// Whether this function was inlined into the next frame's.
    pub inlined: bool,
}

/// The best that is known about a module's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Functions, files, lines, inlined calls.
    Dwarf,
    /// Function names (`.symtab`).
    Symbols,
    /// Names of the functions it exports, perhaps with `.gnu_debugdata`.
    DynamicSymbols,
    /// Its file could not be opened, or is no ELF file.
    NoFile,
    /// Its file was replaced since it was loaded (another build-id).
    OtherFile,
}

/// Turns addresses into frames. See the crate's documentation.
pub struct Symbolizer<F> {
    finder: DebugFileFinder<F>,
    modules: Vec<LoadedModule>,
    objects: Vec<ObjectFile>,
    frames: BTreeMap<(u32, u64), Box<[Frame]>>,
    names: BTreeMap<&'static str, &'static str>,
}

struct LoadedModule {
    object: u32,
    load_bias: u64,
    addresses: Range<u64>,
}

/// What is known of one file; filled in step by step, never twice.
struct ObjectFile {
    path: Box<[u8]>,
    build_id: Option<Box<[u8]>>,
    opened: Option<Opened>,
    lines: Option<Option<LineTable>>,
}

struct Opened {
    source: Source,
    /// Holds DWARF; separate from the module's own file or not.
    debug: Option<&'static Image>,
    symbols: SymbolTable,
}

impl<F: Files> Symbolizer<F> {
    /// `debug_directories` are searched for separate debug files in that
    /// order, `/usr/lib/debug` after them.
    pub fn new(files: F, debug_directories: &[&[u8]]) -> Self {
        let mut directories = Vec::from(debug_directories);
        directories.push(SYSTEM_DEBUG_DIRECTORY);
        Symbolizer {
            finder: DebugFileFinder::new(files, &directories),
            modules: Vec::new(),
            objects: Vec::new(),
            frames: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// Makes a module known. Opens nothing yet.
    pub fn add_module(&mut self, module: Module<'_>) -> ModuleId {
        let build_id = module.build_id.filter(|id| !id.is_empty());
        let same = |object: &ObjectFile| {
            *object.path == *module.path && object.build_id.as_deref() == build_id
        };
        let object = self.objects.iter().position(same).unwrap_or_else(|| {
            self.objects.push(ObjectFile {
                path: module.path.into(),
                build_id: build_id.map(Into::into),
                opened: None,
                lines: None,
            });
            self.objects.len() - 1
        });
        self.modules.push(LoadedModule {
            object: object as u32,
            load_bias: module.load_bias,
            addresses: module.start..module.end,
        });
        ModuleId(self.modules.len() as u32 - 1)
    }

    /// The module at an address of the process, and the svma there. Of
    /// modules that lay there one after the other, the one added last.
    pub fn module_at(&self, address: u64) -> Option<(ModuleId, u64)> {
        let holds = |module: &LoadedModule| module.addresses.contains(&address);
        let index = self.modules.iter().rposition(holds)?;
        let module = self.modules.get(index)?;
        Some((ModuleId(index as u32), address.wrapping_sub(module.load_bias)))
    }

    /// The frames at an address of the process; see [`Symbolizer::resolve`].
    pub fn resolve_address(&mut self, address: u64) -> &[Frame] {
        match self.module_at(address) {
            Some((module, svma)) => self.resolve(module, svma),
            None => &[],
        }
    }

    /// The frames at `svma`, innermost first; the last one is not inlined.
    /// Empty if nothing at all is known. For a return address pass it − 1.
    pub fn resolve(&mut self, module: ModuleId, svma: u64) -> &[Frame] {
        let Some(object) = self.object(module) else {
            return &[];
        };
        let key = (object, svma);
        if !self.frames.contains_key(&key) {
            let frames = self.frames_at(object, svma);
            self.frames.insert(key, frames.into_boxed_slice());
        }
        self.frames.get(&key).map_or(&[], |frames| frames)
    }

    /// The global or static variable that holds `svma`, its name demangled, and
    /// the offset of `svma` in it.
    pub fn resolve_data(&mut self, module: ModuleId, svma: u64) -> Option<(&'static str, u64)> {
        let symbol = self.data_symbol(module, svma)?;
        Some((self.spelled(symbol.raw_name), svma - symbol.svma))
    }

    /// The symbol of the variable that holds `svma`.
    pub fn data_symbol(&mut self, module: ModuleId, svma: u64) -> Option<Symbol> {
        let object = self.object(module)?;
        self.opened(object)?.symbols.data_at(svma)
    }

    /// The svmas of a function by its mangled name, without version. The
    /// range is empty if the table does not tell its size.
    pub fn find_function(&mut self, module: ModuleId, raw_name: &str) -> Option<Range<u64>> {
        let object = self.object(module)?;
        self.opened(object)?.symbols.function_named(raw_name)
    }

    /// How much is known about a module; opens its files.
    pub fn source(&mut self, module: ModuleId) -> Source {
        self.object(module)
            .and_then(|object| self.opened(object))
            .map_or(Source::NoFile, |opened| opened.source)
    }

    fn object(&self, module: ModuleId) -> Option<u32> {
        self.modules.get(module.0 as usize).map(|module| module.object)
    }

    fn opened(&mut self, object: u32) -> Option<&mut Opened> {
        let finder = &self.finder;
        let file = self.objects.get_mut(object as usize)?;
        Some(
            file.opened
                .get_or_insert_with(|| Opened::new(finder, &file.path, file.build_id.as_deref())),
        )
    }

    fn lines(&mut self, object: u32) -> Option<&LineTable> {
        self.opened(object)?;
        let finder = &self.finder;
        let file = self.objects.get_mut(object as usize)?;
        let opened = file.opened.as_ref()?;
        file.lines
            .get_or_insert_with(|| {
                let debug = opened.debug?;
                let supplementary = finder.find_supplementary(&file.path, debug);
                Some(LineTable::load(debug, supplementary))
            })
            .as_ref()
    }

    fn frames_at(&mut self, object: u32, svma: u64) -> Vec<Frame> {
        let mut raw: Vec<RawFrame> = Vec::new();
        if let Some(lines) = self.lines(object) {
            lines.frames(svma, |frame| raw.push(frame));
        }
        let symbol = self.opened(object).and_then(|opened| opened.symbols.function_at(svma));
        if raw.is_empty() && symbol.is_some() {
            raw.push(RawFrame::default());
        }
        let outermost = raw.len().saturating_sub(1);
        raw.iter()
            .enumerate()
            .map(|(depth, frame)| {
                let symbol = symbol.filter(|_| depth == outermost);
                let raw_name = best_name(frame.name, symbol);
                Frame {
                    function: raw_name.map(|name| self.spelled(name)),
                    raw_name,
                    function_offset: symbol.map(|symbol| svma - symbol.svma),
                    file: frame.file,
                    line: frame.line,
                    column: frame.column,
                    inlined: depth != outermost,
                }
            })
            .collect()
    }

    /// The demangled name; the name itself if it is not mangled.
    fn spelled(&mut self, raw_name: &'static str) -> &'static str {
        if let Some(name) = self.names.get(raw_name) {
            return name;
        }
        let Some(name) = demangle(raw_name) else {
            return raw_name;
        };
        let name: &'static str = Box::leak(name.into_boxed_str());
        self.names.insert(raw_name, name);
        name
    }
}

/// DWARF names the function at hand, but gives some C++ ones (lambdas) only
/// their short name, and libc's an inner one (`__GI_abort`, `_IO_puts`); the
/// linker knows the names in full, and the one that programs call.
fn best_name(dwarf: Option<&'static [u8]>, symbol: Option<Symbol>) -> Option<&'static str> {
    let symbol = symbol.map(|symbol| symbol.raw_name);
    let Some(name) = dwarf.filter(|name| !name.is_empty()).map(text) else {
        return symbol;
    };
    let mangled = |name: &str| name.starts_with("_Z") || name.starts_with("_R");
    let inner = name.starts_with('_');
    let better = |symbol: &&str| mangled(symbol) || (inner && !symbol.starts_with('_'));
    Some(symbol.filter(|symbol| !mangled(name) && better(symbol)).unwrap_or(name))
}

/// Borrowed where it is UTF-8, as it nearly always is.
fn text(bytes: &'static [u8]) -> &'static str {
    core::str::from_utf8(bytes)
        .unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().leak())
}

impl Opened {
    fn new<F: Files>(finder: &DebugFileFinder<F>, path: &[u8], build_id: Option<&[u8]>) -> Opened {
        let found = finder.open(path);
        let replaced = |image: &&Image| build_id.is_some() && image.build_id() != build_id;
        let other_file = found.as_ref().is_some_and(replaced);
        let own = found.filter(|image| !replaced(image));
        let build_id = build_id.or(own.and_then(Image::build_id));

        let has_dwarf = |image: &&Image| image.has_section(".debug_info");
        let own_dwarf = own.filter(has_dwarf);
        let separate = match own_dwarf {
            Some(_) => None,
            None => finder.find(path, own, build_id),
        };
        let debug = own_dwarf.or(separate.filter(has_dwarf));

        let has_symbols = |image: &&Image| image.has_section(".symtab");
        let full = own.filter(has_symbols).or(separate.filter(has_symbols));
        let mut symbols = SymbolTable::default();
        match (full, own) {
            (Some(image), _) => symbols.add(image, false),
            (None, Some(own)) => {
                if let Some(image) = own.mini_debug_info() {
                    symbols.add(Box::leak(Box::new(image)), false);
                }
                symbols.add(own, true);
            }
            (None, None) => {}
        }

        let source = match (debug, full, own) {
            (Some(_), _, _) => Source::Dwarf,
            (None, Some(_), _) => Source::Symbols,
            (None, None, Some(_)) => Source::DynamicSymbols,
            (None, None, None) if other_file => Source::OtherFile,
            (None, None, None) => Source::NoFile,
        };
        Opened { source, debug, symbols }
    }
}
