//! The C and C++ scenarios under `c_tests/`, judged from outside.
//!
//! Each program states in its header what it does and what must come of it
//! (grammar: `c_tests/README.md`). It is compiled, run once with the library
//! preloaded and once linked against the static library, and judged on its exit
//! status and on every record of its JSON report: what was expected must be
//! there, and nothing else may be.
//!
//! ```text
//! c_tests/<group>/<scenario>.c ─ header ─▶ Program { cases, expectations }
//!        │                                              │
//!        └─ build ─▶ object ─▶ one program a link mode ─┴─ run ─▶ judge ─▶ failures
//! ```
//!
//! Environment of the test itself:
//! `HEAPWARDEN_LIB_DIR` (where `libheapwarden.so` and `.a` lie; default
//! `target/release`), `HEAPWARDEN_C_TEST=name` (only programs or cases of that
//! name, with their report shown), `HEAPWARDEN_C_LINK=mode` (only that link
//! mode), `HEAPWARDEN_C_BASELINE=1` (innocent programs on the plain libc, to
//! judge the tests themselves).

mod build;
mod expectation;
mod harness;
mod header;
mod judge;
mod library;
mod run;
mod suite;

/// One test a group, so that `cargo test --test c_suite leak` runs that group.
macro_rules! groups {
    ($($group:ident),* $(,)?) => {
        $(#[test] fn $group() { suite::run_group(stringify!($group)); })*

        /// Names of all groups, for the test that no folder is forgotten.
        pub(crate) const GROUPS: &[&str] = &[$(stringify!($group)),*];
    };
}

/// A name that no program has would run nothing and pass.
#[test]
fn the_filter_names_a_program() {
    let Ok(filter) = std::env::var("HEAPWARDEN_C_TEST") else { return };
    let name = filter.split('/').next().unwrap_or_default();
    let files = GROUPS.iter().flat_map(|group| suite::files_of(group));
    let is_known = |text: &str| text.contains(&format!("case: {name} "));
    let found = files.into_iter().any(|file| {
        file.file_stem().is_some_and(|stem| stem == name)
            || std::fs::read_to_string(&file).is_ok_and(|text| is_known(&text))
    });
    assert!(found, "no program or case is called {name}");
}

groups!(api, error, leak, fork, thread, exit, load, limit, cxx);
