//! include/heapwarden.h is what cbindgen makes of the source, and compiles
//! without a warning in every C and C++ it promises.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file that holds functions of the hosted part, and of the arena.
const HOSTED: [&str; 2] = ["src/abi/own.rs", "src/abi/own_exhaustion.rs"];
/// Modules that a file declares are read with it.
const ARENA: [&str; 6] = [
    "src/arena/event.rs",
    "src/arena/region.rs",
    "src/arena/lost.rs",
    "src/arena/owners.rs",
    "src/arena/pen.rs",
    "src/arena/c/mod.rs",
];

fn part(config: &str, sources: &[&str]) -> String {
    let config = cbindgen::Config::from_file(root().join(config)).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in sources {
        builder = builder.with_src(root().join(source));
    }
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    String::from_utf8(text).unwrap()
}

/// The hosted part and the arena's, in one include guard; the arena's outside of
/// what HEAPWARDEN_DISABLED takes away: firmware allocates from it.
fn generated() -> String {
    let hosted = part("cbindgen.toml", &HOSTED);
    // The type's `_t` is no part of its constants' names.
    let arena = part("cbindgen.arena.toml", &ARENA).replace("_T_", "_");
    format!("{hosted}\n{arena}\n#endif /* HEAPWARDEN_H */\n")
}

/// `make header` sets HEAPWARDEN_WRITE_HEADER to write it anew.
#[test]
fn the_committed_header_is_what_cbindgen_makes() {
    let path = root().join("include/heapwarden.h");
    let text = generated();
    if std::env::var_os("HEAPWARDEN_WRITE_HEADER").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "include/heapwarden.h is out of step: run `make header`");
}

fn compiles(compiler: &str, standard: &str, language: &str, extra: &[&str]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let name = format!("header_{}_{}", standard.replace('+', "x"), extra.len());
    let source = folder.join(format!("{name}.{language}"));
    // A second inclusion must change nothing.
    let again = if standard == "c11" { "#include \"heapwarden.h\"\n" } else { "" };
    let body = "#include \"heapwarden.h\"\n\
        int main(void) { uint64_t m = heapwarden_mark(); heapwarden_disable(); heapwarden_enable();\n\
        return (int)heapwarden_check_heap() + heapwarden_leaks_since(m); }\n\
        static inline void *with_site(heapwarden_arena_t *heap, heapwarden_arena_root_t *root) {\n\
        (void)root; return heapwarden_arena_malloc_at(heap, 1, HEAPWARDEN_ARENA_CALLER); }\n";
    std::fs::write(&source, format!("{again}{body}")).unwrap();
    let output = Command::new(compiler)
        .args([
            &format!("-std={standard}"),
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-c",
            "-o",
        ])
        .arg(folder.join(format!("{name}.o")))
        .args(extra)
        .arg("-I")
        .arg(root().join("include"))
        .arg(&source)
        .output()
        .unwrap();
    assert!(output.status.success(), "{standard}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_header_compiles_without_warnings_everywhere() {
    for extra in [&[][..], &["-DHEAPWARDEN_DISABLED"]] {
        for standard in ["c99", "c11", "c17", "c2x"] {
            compiles("cc", standard, "c", extra);
        }
        for standard in ["c++11", "c++17", "c++20"] {
            compiles("c++", standard, "cc", extra);
        }
    }
}

/// What firmware has: a compiler's own three headers, no library.
#[test]
fn the_header_needs_no_library() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = folder.join("header_freestanding.c");
    let body = "#include \"heapwarden.h\"\n\
        void *first(heapwarden_arena_t *heap) { return heapwarden_arena_malloc(heap, 24); }\n";
    std::fs::write(&source, body).unwrap();
    let output = Command::new("cc")
        .args(["-std=gnu11", "-ffreestanding", "-nostdinc", "-Wall", "-Wextra", "-Werror", "-c"])
        .arg("-isystem")
        .arg(compilers_own_headers())
        .arg("-I")
        .arg(root().join("include"))
        .arg("-o")
        .arg(folder.join("header_freestanding.o"))
        .arg(&source)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn compilers_own_headers() -> String {
    let output = Command::new("cc").arg("-print-file-name=include").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
