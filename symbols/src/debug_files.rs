//! Finding the file that holds a module's debug information.
//!
//! The places are GDB's ("Debugging Information in Separate Files"), for each
//! debug directory `D`, by default `/usr/lib/debug`:
//!
//! ```text
//!   by build-id    D/.build-id/ab/cdef….debug     D/abcdef…/debuginfo (debuginfod's cache)
//!   by debuglink   DIR/NAME   DIR/.debug/NAME   D/DIR/NAME            (DIR = the module's)
//!   altlink        as named, relative to the debug file; then by build-id
//! ```
//!
//! Invariant: a file is taken only if its build-id matches, or, where there is
//! none to compare, its checksum does.

use crate::Files;
use crate::image::Image;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Looks in the debug directories, through [`Files`].
pub(crate) struct DebugFileFinder<F> {
    files: F,
    directories: Vec<Box<[u8]>>,
}

impl<F: Files> DebugFileFinder<F> {
    pub(crate) fn new(files: F, directories: &[&[u8]]) -> Self {
        let directories = directories.iter().map(|&path| path.into()).collect();
        DebugFileFinder { files, directories }
    }

    pub(crate) fn open(&self, path: &[u8]) -> Option<&'static Image> {
        Some(keep(Image::parse(self.files.map(path)?)?))
    }

    /// The separate debug file of the module at `path`; `image` is that file
    /// itself, absent if it could not be used.
    pub(crate) fn find(
        &self,
        path: &[u8],
        image: Option<&Image>,
        build_id: Option<&[u8]>,
    ) -> Option<&'static Image> {
        build_id.and_then(|id| self.by_build_id(id)).or_else(|| self.by_debug_link(path, image?))
    }

    /// The supplementary file that dwz made of the parts `debug` (at unknown
    /// place, the module at `path`) shares with others.
    pub(crate) fn find_supplementary(&self, path: &[u8], debug: &Image) -> Option<&'static Image> {
        let (name, build_id) = debug.debug_alt_link()?;
        let matches = |image: &&Image| image.build_id() == Some(build_id);
        let as_named = if name.starts_with(b"/") {
            self.open(name).filter(matches)
        } else {
            self.beside_debug_file(path, debug, name).filter(matches)
        };
        as_named.or_else(|| self.by_build_id(build_id))
    }

    fn by_build_id(&self, id: &[u8]) -> Option<&'static Image> {
        let (first, rest) = id.split_at_checked(1)?;
        self.directories.iter().find_map(|directory| {
            let mut path = Vec::from(&**directory);
            let length = path.len();
            path.extend_from_slice(b"/.build-id/");
            push_hex(&mut path, first);
            path.push(b'/');
            push_hex(&mut path, rest);
            path.extend_from_slice(b".debug");
            let matches = |image: &&Image| image.build_id() == Some(id);
            self.open(&path).filter(matches).or_else(|| {
                path.truncate(length);
                path.push(b'/');
                push_hex(&mut path, id);
                path.extend_from_slice(b"/debuginfo");
                self.open(&path).filter(matches)
            })
        })
    }

    fn by_debug_link(&self, path: &[u8], image: &Image) -> Option<&'static Image> {
        let (name, checksum) = image.debug_link()?;
        let fits = |candidate: &[u8]| {
            let bytes = self.files.map(candidate)?;
            let debug = Image::parse(bytes)?;
            let same = match (image.build_id(), debug.build_id()) {
                (Some(ours), Some(theirs)) => ours == theirs,
                _ => crc32fast::hash(bytes) == checksum,
            };
            same.then(|| keep(debug))
        };
        let directory = directory_of(path);
        // A link that names the file itself would find the stripped file again.
        let beside = join(&[directory, name]);
        (beside != path)
            .then(|| fits(&beside))
            .flatten()
            .or_else(|| fits(&join(&[directory, b".debug", name])))
            .or_else(|| {
                self.directories.iter().find_map(|root| fits(&join(&[root, directory, name])))
            })
    }

    /// A path relative to the debug file, which lies beside the module or
    /// below a debug directory, in the module's place or the build-id's.
    fn beside_debug_file(&self, path: &[u8], debug: &Image, name: &[u8]) -> Option<&'static Image> {
        let directory = directory_of(path);
        self.open(&join(&[directory, name])).or_else(|| {
            self.directories.iter().find_map(|root| {
                let mut place = join(&[root, b".build-id/"]);
                push_hex(&mut place, debug.build_id().and_then(|id| id.get(..1)).unwrap_or(b"\0"));
                self.open(&join(&[&place, name]))
                    .or_else(|| self.open(&join(&[root, directory, name])))
            })
        })
    }
}

/// Files stay mapped, and so their parsed headers may stay, too.
fn keep(image: Image) -> &'static Image {
    Box::leak(Box::new(image))
}

fn directory_of(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => path.get(..slash.max(1)).unwrap_or_default(),
        None => b".",
    }
}

/// Joins with single slashes; a later absolute part does not start over.
fn join(parts: &[&[u8]]) -> Vec<u8> {
    let mut path = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for part in parts {
        if path.last().is_some_and(|&byte| byte != b'/') && !part.starts_with(b"/") {
            path.push(b'/');
        }
        path.extend_from_slice(part);
    }
    path
}

fn push_hex(path: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            path.extend(DIGITS.get(usize::from(nibble)));
        }
    }
}
