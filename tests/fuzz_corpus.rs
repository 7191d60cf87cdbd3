//! Replays the fuzz corpus (fuzz/corpus/TARGET): what once was new to the
//! fuzzer, and every input that once broke something, named after it.

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::fs;
use std::path::Path;

/// Runs `body` on every file of a target's corpus.
fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for file in fs::read_dir(&folder).expect("a corpus") {
        let path = file.expect("a file").path();
        let bytes = fs::read(&path).expect("readable");
        println!("{}", path.display());
        body(&bytes);
        // Damaged copies, so that a seed is worth more than itself.
        for at in (0..bytes.len()).step_by(bytes.len() / 64 + 1) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            body(&damaged);
            body(&bytes[..at]);
        }
        count += 1;
    }
    assert!(count >= 3, "{} has {count} files", folder.display());
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
