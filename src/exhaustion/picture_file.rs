//! The picture file: what is left to read when the kernel kills a process
//! that used too much memory.
//!
//! A new picture is written beside the old one and takes its name in one step
//! (rename(2)), so that whoever reads the name finds a whole picture, whenever
//! the process is killed. A kill in between leaves the half-written file
//! beside it, under the name with `.new`.

use crate::config::PATH_MAX;
use crate::platform::OsError;
use crate::platform::linux::files::{self, File};
use crate::units::Text;

/// A path whose file is replaced whole.
pub struct PictureFile {
    path: [u8; PATH_MAX + 1],
    length: usize,
}

impl PictureFile {
    /// No file.
    pub const fn new() -> Self {
        PictureFile { path: [0; PATH_MAX + 1], length: 0 }
    }

    /// Sets the path; `false` if it is too long for the name with `.new`.
    pub fn set_path(&mut self, path: &[u8]) -> bool {
        if path.len() + 5 > PATH_MAX {
            return false;
        }
        self.path[..path.len()].copy_from_slice(path);
        self.path[path.len()] = 0;
        self.length = path.len();
        true
    }

    /// Replaces what the file holds by `bytes`, in one step.
    pub fn replace(&self, bytes: &[u8]) -> Result<(), OsError> {
        let mut buffer = [0; PATH_MAX + 1];
        let mut beside = Text::new(&mut buffer);
        beside.push_bytes(&self.path[..self.length]);
        beside.push_bytes(b".new\0");
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_NOFOLLOW;
        let file = File::open(beside.as_bytes(), flags, 0o600)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match files::write(file.descriptor(), rest)? {
                0 => return Err(OsError(libc::EIO)),
                written => rest = &rest[written..],
            }
        }
        files::rename(beside.as_bytes(), &self.path[..=self.length])
    }
}

impl Default for PictureFile {
    fn default() -> Self {
        PictureFile::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{format, fs, vec};

    #[test]
    fn the_file_holds_the_last_picture_whole() {
        let directory = std::env::temp_dir().join(format!("picture-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("peak");
        let mut file = PictureFile::new();
        assert!(file.set_path(path.to_str().unwrap().as_bytes()));
        file.replace(&vec![b'a'; 100_000]).unwrap();
        file.replace(b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "nothing is left beside it");
        fs::remove_dir_all(&directory).unwrap();
        assert!(file.replace(b"third").is_err(), "the folder is gone");
        assert!(!file.set_path(&[b'x'; PATH_MAX]));
    }
}
