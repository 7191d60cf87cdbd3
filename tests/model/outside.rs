//! The preloaded library from outside; and other people's, which are held to
//! the part of the contract that is everybody's.

use super::prove;
use crate::built::built;
use heapwarden::harness::{Damage, Found, Function, Operation, Outside, Program, Release, Rules};
use heapwarden::harness::{Step, c_program, told};
use heapwarden::units::Family;
use std::path::{Path, PathBuf};

fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The library under test, as `make` leaves it.
fn library() -> PathBuf {
    built("libheapwarden.so")
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

fn program(operations: &[Operation]) -> Program {
    let step =
        |(site, &operation): (usize, &Operation)| Step { thread: 0, site: site as u8, operation };
    Program { steps: operations.iter().enumerate().map(step).collect() }
}

/// One program a crime; each is printed as C, compiled, and run.
#[test]
fn a_printed_program_compiles_and_reproduces_its_crime() {
    let allocate = Operation::Allocate { place: 0, function: Function::Malloc, size: 24 };
    let free = Operation::Free { place: 0, by: Release::Fitting };
    let damage = |bytes| Operation::Damage { place: 0, bytes, length: 2, found: Found::Later };
    let behind = damage(Damage::Behind { distance: 0 });
    let before = damage(Damage::Before { distance: 0 });
    let freed = damage(Damage::Freed { offset: 3 });
    let crimes: [(&str, &[Operation]); 6] = [
        ("double-free", &[allocate, free, Operation::FreeAgain { place: 0 }]),
        ("bad-free", &[allocate, Operation::FreeInside { place: 0, offset: 7 }, free]),
        ("heap-buffer-overflow", &[allocate, behind, free]),
        ("heap-buffer-underflow", &[allocate, before, free]),
        ("heap-use-after-free", &[allocate, free, freed]),
        (
            "alloc-dealloc-mismatch",
            &[allocate, Operation::Free { place: 0, by: Release::Plain(Family::New) }],
        ),
    ];
    let outside = outside("reproduced", Some(&library()));
    for (kind, operations) in crimes {
        let source = c_program(&program(operations), &Rules::HEAPWARDEN);
        let told = outside.reproduce(&source).expect("the printed program builds and runs");
        assert_eq!(told, [kind], "{source}");
    }
    let innocent = c_program(&program(&[allocate, free]), &Rules::HEAPWARDEN);
    assert!(outside.reproduce(&innocent).expect("it builds and runs").is_empty());
    told("programs printed as C that reproduce", &crimes.len());
}

/// glibc, jemalloc and mimalloc are tried by the same programs, preloaded.
#[test]
fn other_libraries_keep_what_every_malloc_promises() {
    let folder = Path::new("/usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    let glibc = Rules { small_blocks_aligned: true, zero_resize_frees: true, ..Rules::PRELOADED };
    // mimalloc 2.0.9: memalign(16, 0) after memalign(1, 8) gives 8 modulo 16.
    let mimalloc = Rules { refusals_set_errno: false, least_size: 16, ..Rules::PRELOADED };
    let jemalloc = Rules { pvalloc: false, refusals_set_errno: false, ..Rules::PRELOADED };
    let others = [
        ("glibc", None, glibc),
        ("jemalloc", Some(folder.join("libjemalloc.so.2")), jemalloc),
        ("mimalloc", Some(folder.join("libmimalloc.so.2")), mimalloc),
    ];
    for (name, library, rules) in others {
        if library.as_ref().is_some_and(|library| !library.is_file()) {
            told(name, &"preloaded: not installed, not tried");
            continue;
        }
        let outside = outside(name, library.as_deref());
        let title = format!("{name} from outside");
        prove(&title, 60, 120, &rules, |program| outside.run(program, &rules));
    }
}
