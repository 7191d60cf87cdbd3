//! The model against the arena, in each of its modes: verdicts, contents, live
//! bytes and leaks. `HEAPWARDEN_PROOF_SCALE=10` tries ten times as many.

mod tried;

use heapwarden::arena::{Bare, Guard, Mode, Owner, OwnerGuard};
use heapwarden::harness::{self, Rules, Tally, run};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};
use std::cell::Cell;
use std::path::Path;
use tried::{BARE, GUARD, OWNER, POISONED, Tried, UNOWNED};

fn prove<M: Mode>(mode: &str, rules: &Rules, poison_window: usize) {
    let name = &named(mode);
    let config = ProptestConfig {
        cases: harness::cases(400),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    let sum = Cell::new(Tally::default());
    let result = TestRunner::new(config).run(&harness::programs(rules, 150), |program| {
        let tried = Tried::<M>::new(poison_window);
        let mut tally = sum.get();
        tally += run(&program, rules, &*tried)
            .map_err(|failure| TestCaseError::fail(failure.to_string()))?;
        sum.set(tally);
        Ok(())
    });
    match result {
        Ok(()) => harness::told(name, &sum.get()),
        Err(TestError::Fail(reason, _)) => panic!("{name}: {reason}"),
        Err(TestError::Abort(reason)) => panic!("{name}: {reason}"),
    }
}

/// Where words have 32 bits (`embedded/word32`), the figures say so.
fn named(what: &str) -> String {
    match usize::BITS {
        64 => format!("arena, {what}"),
        bits => format!("arena of {bits}-bit words, {what}"),
    }
}

#[test]
fn bare() {
    prove::<Bare>("bare", &BARE, 0);
}

#[test]
fn owner() {
    prove::<Owner>("owner", &OWNER, 0);
}

#[test]
fn guard() {
    prove::<Guard>("guard", &UNOWNED, usize::MAX);
}

#[test]
fn owner_and_guard() {
    prove::<OwnerGuard>("owner and guard", &GUARD, 0);
    prove::<OwnerGuard>("owner, guard, poison", &POISONED, usize::MAX);
}

/// The fuzzer's corpus: what once was new to it, and what once failed.
#[test]
fn programs_of_the_fuzzer() {
    // This package's folder, or that of `embedded/word32` in it.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("fuzz/corpus/arena"))
        .find(|folder| folder.is_dir())
        .expect("a corpus");
    let mut sum = Tally::default();
    for file in std::fs::read_dir(folder).expect("readable") {
        let path = file.expect("a file").path();
        let bytes = std::fs::read(&path).expect("readable");
        match tried::try_bytes(&bytes) {
            Ok(tally) => sum += tally,
            Err(failure) => panic!("{}: {failure}", path.display()),
        }
    }
    assert!(sum.programs >= 3, "{} programs", sum.programs);
    harness::told(&named("programs of the fuzzer"), &sum);
}
