//! The model against the arena, in each of its modes: verdicts, contents, live
//! bytes and leaks. `HEAPWARDEN_PROOF_SCALE=10` tries ten times as many.

mod tried;

use heapwarden::arena::{Bare, Guard, Mode, Owner, OwnerGuard};
use heapwarden::harness::{self, Rules, Tally, run};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};
use std::cell::Cell;
use tried::{BARE, GUARD, OWNER, POISONED, Tried, UNOWNED};

fn prove<M: Mode>(name: &str, rules: &Rules, poison_window: usize) {
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

#[test]
fn bare() {
    prove::<Bare>("arena, bare", &BARE, 0);
}

#[test]
fn owner() {
    prove::<Owner>("arena, owner", &OWNER, 0);
}

#[test]
fn guard() {
    prove::<Guard>("arena, guard", &UNOWNED, usize::MAX);
}

#[test]
fn owner_and_guard() {
    prove::<OwnerGuard>("arena, owner and guard", &GUARD, 0);
    prove::<OwnerGuard>("arena, owner, guard, poison", &POISONED, usize::MAX);
}

/// The fuzzer's corpus: what once was new to it, and what once failed.
#[test]
fn programs_of_the_fuzzer() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/arena");
    let mut sum = Tally::default();
    for file in std::fs::read_dir(folder).expect("a corpus") {
        let path = file.expect("a file").path();
        let bytes = std::fs::read(&path).expect("readable");
        match tried::try_bytes(&bytes) {
            Ok(tally) => sum += tally,
            Err(failure) => panic!("{}: {failure}", path.display()),
        }
    }
    assert!(sum.programs >= 3, "{} programs", sum.programs);
    harness::told("arena, programs of the fuzzer", &sum);
}
