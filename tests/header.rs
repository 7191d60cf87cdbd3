//! include/heapwarden.h is what cbindgen makes of the source, and compiles
//! without a warning in every C and C++ it promises.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file that holds functions of the header.
const SOURCES: [&str; 2] = ["src/abi/own.rs", "src/abi/own_exhaustion.rs"];

fn generated() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root().join(source));
    }
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    String::from_utf8(text).unwrap()
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
    let body = "#include \"heapwarden.h\"\n#include \"heapwarden.h\"\n\
        int main(void) { uint64_t m = heapwarden_mark(); heapwarden_disable(); heapwarden_enable();\n\
        return (int)heapwarden_check_heap() + heapwarden_leaks_since(m); }\n";
    std::fs::write(&source, body).unwrap();
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
