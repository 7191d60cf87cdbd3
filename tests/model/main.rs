//! The model against heapwarden: generated programs, whose verdicts, contents,
//! figures and leaks it must predict to the byte.
//!
//! `HEAPWARDEN_PROOF_SCALE=10` tries ten times as many.

#[path = "../common/built.rs"]
mod built;
mod hosted;
mod in_process;
mod outside;

use heapwarden::harness::{self, Failure, Program, Rules, Tally, c_program};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};
use std::cell::Cell;

/// Runs `usual` generated programs and prints what was tried. A program that
/// fails is made short and printed as C.
fn prove(
    name: &str,
    usual: u32,
    steps: usize,
    rules: &Rules,
    run: impl Fn(&Program) -> Result<Tally, Box<Failure>>,
) {
    let config = ProptestConfig {
        cases: harness::cases(usual),
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..ProptestConfig::default()
    };
    let sum = Cell::new(Tally::default());
    let result = TestRunner::new(config).run(&harness::programs(rules, steps), |program| {
        let mut tally = sum.get();
        tally += run(&program).map_err(|failure| TestCaseError::fail(failure.to_string()))?;
        sum.set(tally);
        Ok(())
    });
    match result {
        Ok(()) => harness::told(name, &sum.get()),
        Err(TestError::Fail(reason, program)) => {
            let source = c_program(&program, rules);
            let main = source.find("int main").unwrap_or_default();
            let file = std::env::temp_dir().join(format!("heapwarden-{}.c", std::process::id()));
            std::fs::write(&file, &source).expect("the program can be written");
            panic!("{reason}\nas C, in {}:\n{}", file.display(), &source[main..]);
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
