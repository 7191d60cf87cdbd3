//! The instruction counts of the hot paths are pinned: `tests/fast_path.golden`
//! holds how many a call may take, measured by callgrind as the difference of
//! two runs, so that start and exit cancel out.
//!
//! `HEAPWARDEN_WRITE_GOLDEN=1` writes the table anew: look at the difference
//! before you commit it.

#[path = "common/built.rs"]
mod built;

use built::built;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = r#"
#include <stdlib.h>
#include <string.h>
static void *volatile sink;
int main(int argc, char **argv) {
    long rounds = atol(argv[2]);
    if (!strcmp(argv[1], "malloc-free"))
        for (long i = 0; i < rounds; i++) { sink = malloc(56); free(sink); }
    if (!strcmp(argv[1], "calloc-free"))
        for (long i = 0; i < rounds; i++) { sink = calloc(1, 56); free(sink); }
    if (!strcmp(argv[1], "malloc-free-1000"))
        for (long i = 0; i < rounds; i++) { sink = malloc(1000); free(sink); }
    if (!strcmp(argv[1], "realloc")) {
        sink = malloc(100);
        for (long i = 0; i < rounds; i++) sink = realloc(sink, 100 + (i & 1));
    }
    return argc > 3;
}
"#;

const OFF: &str = "stack_depth=0:poison=none:quarantine_mb=0";

/// Watching for hidden leaks adds nothing to a pair: a check at the end reads
/// all it needs from the ledger.
const HIDDEN: &str = "hidden_leaks=1:detect_leaks=1:exitcode=0";

/// Name in the table, loop of the program, options.
const ROWS: [(&str, &str, &str); 8] = [
    ("malloc-free", "malloc-free", ""),
    ("malloc-free-1000", "malloc-free-1000", ""),
    ("calloc-free", "calloc-free", ""),
    ("realloc", "realloc", ""),
    ("malloc-free-caller-only", "malloc-free", "stack_depth=0"),
    ("malloc-free-off", "malloc-free", OFF),
    ("malloc-free-hidden-leaks", "malloc-free", HIDDEN),
    ("malloc-free-ordinals", "malloc-free", "ordinals=1"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn library() -> PathBuf {
    built("libheapwarden.so")
}

fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) = (folder.join("fast_path.c"), folder.join("fast_path"));
    std::fs::write(&source, PROGRAM).unwrap();
    let status = Command::new("cc")
        .args(["-O1", "-fno-builtin-malloc", "-fno-builtin-free", "-fno-builtin", "-o"])
        .args([&program, &source])
        .status()
        .unwrap();
    assert!(status.success());
    program
}

/// Instructions of the whole run, as callgrind's last line says. A child that
/// the library forks at the end counts on from the fork, and may say so before
/// or after: the least is the program's own.
fn instructions(program: &Path, what: &str, options: &str, rounds: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([what, &rounds.to_string()])
        .env("LD_PRELOAD", library())
        .env("HEAPWARDEN_OPTIONS", format!("detect_leaks=0:{options}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let lines = text.lines().filter_map(|line| line.split("Collected :").nth(1));
    let counts = lines.map(|line| line.trim().parse().unwrap());
    counts.min().unwrap_or_else(|| panic!("no count in: {text}"))
}

#[test]
fn hot_paths_take_no_more_instructions_than_the_golden_table_says() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("SKIPPED: no valgrind");
        return;
    }
    let program = build();
    let path = root().join("tests/fast_path.golden");
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let mut table = String::from("# instructions a round; tests/fast_path.rs says how\n");
    let mut slower = Vec::new();
    for (name, what, options) in ROWS {
        let few = instructions(&program, what, options, 50_000);
        let many = instructions(&program, what, options, 150_000);
        let each = (many - few) / 100_000;
        table += &format!("{name} {each}\n");
        let pinned = golden.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let pinned: u64 = pinned.and_then(|number| number.parse().ok()).unwrap_or(0);
        // Which slabs and table lines are hit depends on addresses a little.
        if each > pinned + pinned / 20 {
            slower.push(format!("{name}: {each}, pinned at {pinned}"));
        }
    }
    if std::env::var_os("HEAPWARDEN_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &table).unwrap();
        return;
    }
    assert!(
        slower.is_empty(),
        "slower than tests/fast_path.golden:\n{}\n{table}",
        slower.join("\n")
    );
}
