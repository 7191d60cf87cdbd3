//! Where `libheapwarden.so` is.

use anyhow::{Context, Result, bail};
use std::env;
use std::path::{Path, PathBuf};

const NAME: &str = "libheapwarden.so";

/// The library: `HEAPWARDEN_LIB`, or beside this program, or installed with
/// it, or built beside it.
pub fn find() -> Result<PathBuf> {
    if let Some(path) = env::var_os("HEAPWARDEN_LIB") {
        let path = PathBuf::from(path);
        return path
            .canonicalize()
            .with_context(|| format!("HEAPWARDEN_LIB={} cannot be read", path.display()));
    }
    let program = env::current_exe().context("cannot tell where this program is")?;
    let directory = program.parent().unwrap_or(Path::new("/"));
    let places =
        ["", "../lib", "../lib/x86_64-linux-gnu", "../lib/heapwarden", "../lib64", "../release"];
    for place in places {
        // A preloaded path may hold neither colons nor spaces; links are
        // followed so that a moved tree still works.
        if let Ok(path) = directory.join(place).join(NAME).canonicalize() {
            if path.to_string_lossy().contains([':', ' ']) {
                bail!("{}: LD_PRELOAD cannot hold a path with ':' or a space", path.display());
            }
            return Ok(path);
        }
    }
    bail!(
        "{NAME} is neither beside {} nor in ../lib; say where with HEAPWARDEN_LIB=PATH",
        program.display()
    )
}
