//! Where the tests find what `make` built: in `HEAPWARDEN_LIB_DIR` when it is
//! set, else in the release folder of this build.

use std::path::{Path, PathBuf};

/// A file that `make` leaves, as an absolute path; panics with one line that
/// says what to do when it is not there.
pub fn built(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(path.is_file(), "{} is missing: run make first", path.display());
    path.canonicalize().expect("the file is there")
}

/// The folder of the built libraries and the command.
fn folder() -> PathBuf {
    std::env::var_os("HEAPWARDEN_LIB_DIR").map_or_else(|| target().join("release"), PathBuf::from)
}

/// Cargo's folder for this build. The workspace's root is the folder above
/// `tests/common`, whichever member's test this is part of.
fn target() -> PathBuf {
    let member = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = if member.join("c_tests").is_dir() { member } else { member.parent().unwrap() };
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}
