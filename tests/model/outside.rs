//! The preloaded library from outside; and other people's, which are held to
//! the part of the contract that is everybody's.

use super::prove;
use heapwarden::harness::{Damage, Found, Function, Operation, Outside, Program, Release, Rules};
use heapwarden::harness::{Step, c_program, told};
use std::path::{Path, PathBuf};

fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The library under test, as `make` leaves it.
fn library() -> PathBuf {
    let folder = std::env::var_os("HEAPWARDEN_LIB_DIR").map(PathBuf::from);
    let library = folder.unwrap_or_else(|| target().join("release")).join("libheapwarden.so");
    assert!(library.is_file(), "{} is missing: run make first", library.display());
    library.canonicalize().expect("it is there")
}

fn outside(name: &str, library: Option<&Path>) -> Outside {
    let folder = target().join("model").join(name);
    Outside::new(&folder, library).expect("the driver builds")
}

#[test]
fn the_preloaded_library_does_what_the_model_says() {
    let outside = outside("all", Some(&library()));
    let rules = Rules::HEAPWARDEN;
    prove("preloaded", 150, 120, &rules, |program| outside.run(program, &rules));
}
