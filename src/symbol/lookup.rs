//! The child's work: asks the `symbols` crate and publishes its answers.
//!
//! Invariant: runs only in the child, where allocating means the arena.

use super::Modules;
use super::table::Table;
use crate::platform::linux::files::File;
use crate::report::Frame;
use core::ops::Range;
use heapwarden_symbols::{Files, Module, ModuleId, Symbolizer};

/// Longest path that is opened.
const PATH_MAX: usize = 4096;
/// Modules told apart in one run; those beyond are opened anew each time.
const MODULES_MAX: usize = 256;

/// Files as the kernel gives them.
struct MappedFiles;

impl Files for MappedFiles {
    fn map(&self, path: &[u8]) -> Option<&'static [u8]> {
        let mut name = [0; PATH_MAX];
        if path.first() != Some(&b'/') || path.len() >= PATH_MAX {
            return None;
        }
        name[..path.len()].copy_from_slice(path);
        // Not to wait for the other end if the path is a FIFO now; those and
        // directories cannot be mapped.
        let flags = libc::O_RDONLY | libc::O_NONBLOCK;
        let bytes = File::open(&name[..=path.len()], flags, 0).ok()?.map().ok()?;
        (!bytes.is_empty()).then_some(bytes)
    }
}

/// Answers `questions` of `table`.
pub fn answer(table: &Table, questions: Range<usize>, modules: &dyn Modules) {
    let mut symbolizer = Symbolizer::new(MappedFiles, &[]);
    let mut known: [(usize, usize, Option<ModuleId>); MODULES_MAX] = [(0, 0, None); MODULES_MAX];
    let mut count = 0;
    for number in questions {
        let Some(code) = table.question(number) else { return };
        let mut found = None;
        modules.module_of(code, &mut |module| {
            // A path is stored once for each module, so its address tells
            // modules apart that lay at the same place one after the other.
            let key = (module.start, module.path.as_ptr() as usize);
            let same = known[..count].iter().find(|entry| (entry.0, entry.1) == key);
            let id = same.and_then(|entry| entry.2).unwrap_or_else(|| {
                let id = symbolizer.add_module(Module {
                    path: module.path,
                    build_id: (!module.build_id.is_empty()).then_some(module.build_id),
                    load_bias: module.load_bias as u64,
                    start: module.start as u64,
                    end: module.end as u64,
                });
                if let Some(entry) = known.get_mut(count) {
                    *entry = (key.0, key.1, Some(id));
                    count += 1;
                }
                id
            });
            found = Some((id, code.address.wrapping_sub(module.load_bias) as u64));
        });
        let Some((id, svma)) = found else { continue };
        let frames = symbolizer.resolve(id, svma).iter().map(|frame| Frame {
            function: frame.function.map(str::as_bytes),
            file: frame.file.map(str::as_bytes),
            line: frame.line,
            column: frame.column,
            inlined: frame.inlined,
        });
        let is_code = frames.len() > 0;
        if is_code && !table.publish(number, frames) {
            return;
        }
        // Not code: a variable that holds a block has a name too.
        if !is_code && let Some((name, _)) = symbolizer.resolve_data(id, svma) {
            let variable = Frame { function: Some(name.as_bytes()), ..Frame::default() };
            if !table.publish(number, [variable].into_iter()) {
                return;
            }
        }
    }
}
