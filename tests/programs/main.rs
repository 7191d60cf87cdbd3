//! Real programs behave under heapwarden exactly as without it: default options,
//! only `exitcode=0`, since some of them do leak.
//!
//! Run with the library built: `make && cargo test --test programs`.

#[path = "../common/built.rs"]
mod built;
mod checked;
mod harness;
mod servers;

use harness::{Scenario, inputs};

/// The other tests would pass with nothing preloaded at all.
#[test]
fn library_is_in_the_process() {
    let scenario = Scenario::new("in-the-process");
    scenario.begin();
    let maps = scenario.run(&["cat", "/proc/self/maps"], true);
    let name = std::env::var("HEAPWARDEN_LIB").unwrap_or_else(|_| "libheapwarden.so".to_owned());
    assert!(maps.stdout.contains(&name), "{}{}", maps.stdout, maps.stderr);
}

#[test]
fn small_tools() {
    Scenario::new("small-tools").script_behaves_the_same("bash", "small_tools.sh");
}

/// Pipes, subshells, arrays, here-documents, traps, background jobs.
#[test]
fn bash() {
    Scenario::new("bash").script_behaves_the_same("bash", "shell.sh");
}

/// Debian's python, with threads, subprocess and multiprocessing (fork and spawn).
#[test]
fn python_of_debian() {
    Scenario::new("python-debian").script_behaves_the_same("/usr/bin/python3", "work.py");
}

/// The same with every object from malloc.
#[test]
fn python_with_malloc() {
    Scenario::new("python-malloc")
        .environment("PYTHONMALLOC", "malloc")
        .script_behaves_the_same("/usr/bin/python3", "work.py");
}

/// Whatever python3 comes first on the path.
#[test]
fn python_of_the_machine() {
    Scenario::new("python-machine").script_behaves_the_same("python3", "work.py");
}

#[test]
fn perl() {
    Scenario::new("perl")
        .environment("PERL_HASH_SEED", "1")
        .script_behaves_the_same("perl", "work.pl");
}

/// init, commit, branch, merge, log, gc, fsck, clone.
#[test]
fn git() {
    Scenario::new("git").script_behaves_the_same("bash", "repository.sh");
}

/// Driver, cc1plus, assembler, linker; the object files must be the same bytes.
#[test]
fn gxx_compiles_regex() {
    Scenario::new("gxx").script_behaves_the_same("bash", "compile.sh");
}

#[test]
fn sqlite3() {
    let script = format!(".read {}", inputs().join("work.sql").display());
    let outcome = Scenario::new("sqlite3").behaves_the_same(&["sqlite3", "work.db", &script]);
    assert!(outcome.status.success(), "{}", outcome.stderr);
}

#[test]
fn lua() {
    Scenario::new("lua").script_behaves_the_same("lua5.4", "work.lua");
}

/// Worker threads, zlib's thread pool, a child process.
#[test]
fn node() {
    Scenario::new("node").script_behaves_the_same("node", "work.js");
}

#[test]
fn java_version() {
    let outcome = Scenario::new("java-version").behaves_the_same(&["java", "-version"]);
    assert!(outcome.status.success(), "{}", outcome.stderr);
}

/// Compiles and runs a class with threads and collections.
#[test]
fn java_program() {
    Scenario::new("java").script_behaves_the_same("bash", "java.sh");
}

/// A breakpoint, a backtrace and a value, in a debuggee that is preloaded too.
#[test]
fn gdb() {
    let mut scenario = Scenario::new("gdb");
    scenario.normalise = without_process_numbers_and_addresses;
    let outcome = scenario.script_behaves_the_same("bash", "debugger.sh");
    assert!(outcome.stdout.contains("sum_of_squares"), "gdb did not stop: {}", outcome.stdout);
}

/// A process's number and a block's address are no part of its behaviour.
fn without_process_numbers_and_addresses(text: &str) -> String {
    let mut clean = String::new();
    for part in text.split_inclusive("process ").flat_map(|part| part.split_inclusive("0x")) {
        let number = if clean.ends_with("0x") {
            |letter: char| letter.is_ascii_hexdigit()
        } else {
            |letter: char| letter.is_ascii_digit()
        };
        let known = clean.ends_with("0x") || clean.ends_with("process ");
        clean += if known { part.trim_start_matches(number) } else { part };
    }
    clean
}

#[test]
fn rustc() {
    Scenario::new("rustc").script_behaves_the_same("bash", "rustc.sh");
}

#[test]
fn z3() {
    let problem = inputs().join("puzzle.smt2");
    let outcome = Scenario::new("z3").behaves_the_same(&["z3", problem.to_str().expect("path")]);
    assert!(outcome.status.success() && outcome.stdout.contains("sat"), "{}", outcome.stdout);
}

/// Renders a page to a bitmap and to PDF; the bitmap must be the same bytes.
#[test]
fn ghostscript() {
    Scenario::new("ghostscript").script_behaves_the_same("bash", "ghostscript.sh");
}

#[test]
fn xz_with_two_threads() {
    Scenario::new("xz").script_behaves_the_same("bash", "xz.sh");
}

#[test]
fn jq_and_xmllint() {
    Scenario::new("jq-xmllint").script_behaves_the_same("bash", "documents.sh");
}
