//! The examples for test frameworks, run as a user would: a C macro, a
//! GoogleTest listener, a CTest project. Where a framework is not installed,
//! its test says that it is skipped.
//!
//! Needs `make` first (`HEAPWARDEN_LIB_DIR`: where `libheapwarden.so` and the
//! command lie).

#[path = "../common/built.rs"]
mod built;

use built::built;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn has_ctest() -> bool {
    Command::new("ctest").arg("--version").output().is_ok_and(|out| out.status.success())
}

/// A directory that is gone when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("heapwarden-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn compile(&self, compiler: &str, name: &str, text: &str, libraries: &[&str]) -> PathBuf {
        let (source, program) = (self.0.join(name), self.0.join("tests"));
        fs::write(&source, text).unwrap();
        let status = Command::new(compiler)
            .args(["-g", "-O0", "-Wall", "-Wextra", "-Werror", "-fno-builtin"])
            .arg("-I")
            .arg(example("testing"))
            .arg("-o")
            .args([&program, &source])
            .args(libraries)
            .status()
            .unwrap();
        assert!(status.success());
        program
    }

    /// Runs a program here, told where the library is.
    fn step(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.0);
        command.env("HEAPWARDEN_LIB", built("libheapwarden.so")).output().unwrap()
    }

    /// Sets up and builds an example's CMake project here.
    fn build_with_cmake(&self, name: &str) {
        let source = example(name).display().to_string();
        let tool = format!("-DHEAPWARDEN={}", built("heapwarden").display());
        for arguments in [[source.as_str(), tool.as_str()], ["--build", "."]] {
            let done = self.step("cmake", &arguments);
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a program, with the library or without.
fn run(program: &Path, arguments: &[&str], is_watched: bool) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).env("HEAPWARDEN_OPTIONS", "exitcode=0");
    if is_watched {
        command.env("LD_PRELOAD", built("libheapwarden.so"));
    }
    command.output().unwrap()
}

#[test]
fn the_c_macro_fails_the_test_that_loses_memory() {
    let scratch = Scratch::new("macro");
    let program = scratch.compile(
        "cc",
        "macro.c",
        r#"#include "heapwarden_assert.h"
static void *volatile kept;
static void lose(void) { kept = malloc(10); kept = NULL; }
static void release(void) { kept = malloc(10); free(kept); kept = NULL; }
int main(int argc, char **argv) {
    (void)argv;
    HEAPWARDEN_NO_LEAKS(release());
    puts("released");
    fflush(stdout);
    if (argc > 1) HEAPWARDEN_NO_LEAKS(lose());
    return 0;
}
"#,
        &[],
    );
    let innocent = run(&program, &[], true);
    assert!(innocent.status.success(), "{}", String::from_utf8_lossy(&innocent.stderr));
    let guilty = run(&program, &["lose"], true);
    let complaint = String::from_utf8_lossy(&guilty.stderr).into_owned();
    assert!(!guilty.status.success());
    assert_eq!(guilty.stdout, b"released\n");
    assert!(complaint.contains("macro.c:10: blocks are lost after: lose()"), "{complaint}");
    assert!(run(&program, &["lose"], false).status.success(), "without the library: a no-op");
}

#[test]
fn the_googletest_listener_fails_only_the_leaking_test() {
    if !Path::new("/usr/include/gtest/gtest.h").exists() {
        eprintln!("SKIPPED: GoogleTest is not installed (apt-get install libgtest-dev)");
        return;
    }
    let scratch = Scratch::new("gtest");
    let program = scratch.compile(
        "c++",
        "tests.cpp",
        r#"#include "heapwarden_gtest.h"
static int *volatile kept;
TEST(Heap, Releases) { kept = new int(1); delete kept; kept = nullptr; }
TEST(Heap, Loses) { kept = new int(2); kept = nullptr; }
int main(int argc, char **argv) {
    testing::InitGoogleTest(&argc, argv);
    heapwarden::listen();
    return RUN_ALL_TESTS();
}
"#,
        &["-lgtest", "-pthread"],
    );
    let watched = run(&program, &[], true);
    let text = String::from_utf8_lossy(&watched.stdout).into_owned();
    assert_eq!(watched.status.code(), Some(1), "{text}");
    assert!(text.contains("[       OK ] Heap.Releases"), "{text}");
    assert!(text.contains("this test loses memory"), "{text}");
    assert!(text.contains("[  FAILED  ] Heap.Loses"), "{text}");
    assert!(run(&program, &[], false).status.success(), "the twin: without the library");
}

#[test]
fn ctest_fails_the_leaking_program_and_shows_the_report() {
    if !has_ctest() {
        eprintln!("SKIPPED: CTest is not installed (apt-get install cmake)");
        return;
    }
    let scratch = Scratch::new("ctest");
    scratch.build_with_cmake("ci");
    let tested = scratch.step("ctest", &["--output-on-failure"]);
    let text = String::from_utf8_lossy(&tested.stdout).into_owned();
    assert!(!tested.status.success());
    assert!(text.contains("1 tests failed out of 2"), "{text}");
    assert!(text.contains("Direct leak of 10 byte(s) in 1 object(s) allocated from:"), "{text}");
    assert!(text.contains("leaking.c:4"), "{text}");
}

#[test]
fn each_catch2_test_runs_under_the_warden_and_only_the_leaking_one_fails() {
    let is_there = |path: &str| Path::new(path).exists();
    if !["catch2/catch.hpp", "catch2/catch_all.hpp"]
        .iter()
        .any(|header| is_there(&format!("/usr/include/{header}")))
        || !has_ctest()
    {
        eprintln!("SKIPPED: Catch2 or CMake is not installed (apt-get install catch2 cmake)");
        return;
    }
    let scratch = Scratch::new("catch2");
    scratch.build_with_cmake("catch2");
    let tested = scratch.step("ctest", &["--output-on-failure"]);
    let text = String::from_utf8_lossy(&tested.stdout).into_owned();
    assert!(text.contains("1 tests failed out of 2"), "{text}");
    assert!(text.contains("Direct leak of 4 byte(s) in 1 object(s) allocated from:"), "{text}");
    assert!(text.contains("tests.cpp:16"), "{text}");
}

#[test]
fn ctests_memcheck_step_counts_the_leaks_of_each_test() {
    if !has_ctest() {
        eprintln!("SKIPPED: CTest is not installed (apt-get install cmake)");
        return;
    }
    let scratch = Scratch::new("memcheck");
    scratch.build_with_cmake("ci");
    let checked = scratch.step("ctest", &["-T", "memcheck"]);
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(text.contains("Direct leak - 1"), "one defect, by its kind: {text}");
    let found = files_below(&scratch.0.join("Testing"), "DynamicAnalysis.xml");
    assert_eq!(found.len(), 1, "{found:?}");
    let page = fs::read_to_string(&found[0]).unwrap();
    // The page lists the tests with defects, and only those.
    let guilty: Vec<&str> = page.split("<Test Status=").skip(1).collect();
    assert_eq!(guilty.len(), 1, "{page}");
    assert!(guilty[0].contains("<Name>leaking</Name>"), "{page}");
    assert!(guilty[0].contains("<Defect type=\"Direct leak\">1</Defect>"), "{page}");
}

/// All files of that name below `directory`.
fn files_below(directory: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, name));
        } else if path.file_name().is_some_and(|own| own == name) {
            found.push(path);
        }
    }
    found
}
