//! Source files, found and kept.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Source text by the path that a report names.
pub struct Sources<'a> {
    directories: &'a [PathBuf],
    texts: HashMap<String, Option<String>>,
}

impl<'a> Sources<'a> {
    /// Looks in `directories` for what is not at its own path.
    pub fn new(directories: &'a [PathBuf]) -> Self {
        Sources { directories, texts: HashMap::new() }
    }

    /// The text of `file`, if it is there and is text.
    pub fn text(&mut self, file: &str) -> Option<&str> {
        let directories = self.directories;
        self.texts.entry(file.to_owned()).or_insert_with(|| find(file, directories)).as_deref()
    }

    /// Line `line` (from 1) of `file`.
    pub fn line(&mut self, file: &str, line: u32) -> Option<&str> {
        self.text(file)?.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)
    }
}

/// Longest source file that is read.
const LONGEST: u64 = 16 << 20;

fn find(file: &str, directories: &[PathBuf]) -> Option<String> {
    let read = |path: &Path| {
        let data = std::fs::metadata(path).ok()?;
        if !data.is_file() || data.len() > LONGEST {
            return None;
        }
        Some(String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned())
    };
    // The longest tail of the path that exists in a directory wins.
    let path = Path::new(file);
    read(path).or_else(|| {
        let parts: Vec<_> = path.components().collect();
        (0..parts.len()).find_map(|skipped| {
            let tail: PathBuf = parts[skipped..].iter().collect();
            directories.iter().filter(|_| tail.is_relative()).find_map(|dir| read(&dir.join(&tail)))
        })
    })
}
