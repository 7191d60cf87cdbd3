//! Replays the fuzz corpus (fuzz/corpus/TARGET): what once was new to the
//! fuzzer, and every input that once broke something, named after it.

#[path = "../fuzz/bodies.rs"]
mod bodies;

use heapwarden::harness::told;
use std::fs;
use std::path::Path;

/// The files of a target's corpus.
fn files(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files = Vec::new();
    for file in fs::read_dir(&folder).expect("a corpus") {
        let path = file.expect("a file").path();
        println!("{}", path.display());
        files.push(fs::read(&path).expect("readable"));
    }
    assert!(files.len() >= 3, "{} has {} files", folder.display(), files.len());
    files
}

/// Damaged copies of a target's files, about; twice as many with those cut short.
const DAMAGED: usize = 400;

/// Runs `body` on every file of a target's corpus.
fn replay(target: &str, body: fn(&[u8])) {
    let files = files(target);
    let each = DAMAGED.div_ceil(files.len());
    let mut inputs = 0;
    for bytes in &files {
        body(bytes);
        inputs += 1;
        // So that a seed is worth more than itself.
        for at in (0..bytes.len()).step_by(bytes.len() / each + 1) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            body(&damaged);
            body(&bytes[..at]);
            inputs += 2;
        }
    }
    told(&format!("fuzz corpus, {target}"), &format!("{inputs} inputs"));
}

/// No damaged copies: each is a program that the model's own tests try many of.
#[test]
fn operations() {
    let files = files("operations");
    for bytes in &files {
        bodies::operations(bytes);
    }
    told("fuzz corpus, operations", &format!("{} inputs", files.len()));
}

#[test]
fn option_strings() {
    replay("options", bodies::options);
}

#[test]
fn suppression_files() {
    replay("suppressions", bodies::suppressions);
}

#[test]
fn unwind_tables() {
    replay("cfi", bodies::cfi);
}

#[test]
fn symbols_and_dwarf() {
    replay("symbols", bodies::symbols);
}
