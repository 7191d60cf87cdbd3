//! The crate as a Rust program's `#[global_allocator]`: `examples/rust`, built
//! as a user's program would be, is told what it lost; its innocent twin is not.

use std::path::Path;
use std::process::{Command, Output};

fn built() -> std::path::PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rust-example");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rust/Cargo.toml"))
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("debug/heapwarden-example")
}

fn run(program: &Path, arguments: &[&str]) -> (Output, String) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert_eq!(output.stdout, b"hello Alan\n");
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, report)
}

#[test]
fn a_rust_program_is_told_what_it_lost_and_its_twin_is_not() {
    let program = built();
    let (output, report) = run(&program, &[]);
    assert_eq!(output.status.code(), Some(23), "{report}");
    for part in ["heapwarden_example::forget", "heapwarden_example::person", "main.rs:28"] {
        assert!(report.contains(part), "no {part} in\n{report}");
    }
    assert!(report.contains("1000 byte(s) in 1 object(s)"), "{report}");
    let (output, report) = run(&program, &["innocent"]);
    assert_eq!((output.status.code(), report.as_str()), (Some(0), ""));
}
