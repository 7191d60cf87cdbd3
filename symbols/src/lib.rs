//! Addresses to functions, files and lines, and back, for ELF files.
//!
//! One crate serves two masters. Inside the malloc library it names the call
//! stacks of a report while the process may be dying: there the global
//! allocator is a private arena that never frees, and nothing of std or libc
//! may be used. In the `heapwarden` command it does the same work offline.
//! Hence: no std, files only through [`Files`], names borrowed from the mapped
//! file wherever possible, and bytes of a file are never trusted.
//!
//! ```text
//!   Symbolizer                 modules, caches, the only door     symbolizer
//!     ├─ Image                 one ELF file, parsed lazily        image
//!     │    └─ compression      zlib, zstd and xz into memory      compression
//!     ├─ DebugFileFinder       build-id, debuglink, altlink       debug_files
//!     ├─ LineTable             DWARF 4/5 by addr2line             dwarf
//!     │    └─ UnitIndex        the units at an address            units
//!     ├─ SymbolTable           .symtab, .dynsym, .gnu_debugdata   symbol_table
//!     └─ demangle              C++ and Rust names                 demangle
//!   for_each_bundled_function  what a program has from a static library   bundled
//! ```
//!
//! # Addresses
//!
//! *svma* ("stated virtual memory address") is an address as the file states
//! it; a running module lies at svma + load bias. [`Symbolizer::resolve`] takes
//! svmas, [`Symbolizer::resolve_address`] takes addresses of the process.
//!
//! **A return address is not the call.** It is the instruction after the call
//! and may belong to the next line or even the next function. For every frame
//! but one interrupted by a signal pass *return address − 1*.
//!
//! # Lifetimes and memory
//!
//! What is handed out is `&'static`: files stay mapped and parsed debug
//! information is leaked on purpose, so that frames may be kept for as long as
//! the report needs them. Make one [`Symbolizer`] a process (or one an arena,
//! and let nothing it gave outlive that arena). Nothing is read before the first
//! question about a module, and DWARF not before the first
//! [`Symbolizer::resolve`] in it.
//!
//! # Where names come from, best first
//!
//! 1. DWARF in the file itself, or in its separate debug file: inlined frames,
//!    files, lines. DWARF 4 and 5, sections plain or compressed (zlib, zstd,
//!    and the old `.zdebug_*`), dwz supplementary file (`.gnu_debugaltlink`).
//! 2. `.symtab` of the file or of its debug file.
//! 3. `.gnu_debugdata` (the xz-packed symbol table of Fedora), then `.dynsym`.
//!
//! A file whose build-id differs from the one the module was loaded with (it
//! was replaced on disk) is not used: no name is better than a wrong one.
//!
//! # Limits
//!
//! - Split DWARF (`.dwo`, `.dwp`) is out of scope: such units yield the skeleton's
//!   line table and symbol names, but no inlined frames. So is `.debug_sup`.
//! - Relocatable files (`.o`, `.ko`) and other formats than ELF are not read.
//! - Hostile bytes cannot make it panic, but they can make it slow or hungry,
//!   and a debug file made for the purpose can nest inlined calls deep enough
//!   to exhaust the stack (addr2line recurses). A file truncated while it is
//!   mapped raises SIGBUS, as every mapping does.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;

mod bundled;
mod compression;
mod debug_files;
mod demangle;
mod dwarf;
mod image;
mod symbol_table;
mod symbolizer;
mod units;

pub use bundled::for_each_bundled_function;
pub use demangle::demangle;
pub use image::{Image, Segment};
pub use symbol_table::Symbol;
pub use symbolizer::{Frame, Module, ModuleId, Source, Symbolizer};

/// Where files come from; the only way in which this crate meets the world.
pub trait Files {
    /// Maps the whole regular file at `path` (bytes as the kernel takes them,
    /// no terminating zero) read-only and for ever.
    ///
    /// `None` if it cannot be opened, is empty, or is no regular file. The same
    /// path may be asked for more than once.
    fn map(&self, path: &[u8]) -> Option<&'static [u8]>;
}
