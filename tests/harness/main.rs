//! The harness on allocators that are not ours, and on ones that are broken on
//! purpose: a harness that finds nothing proves nothing.

mod broken;
mod functions;

use broken::{Broken, Fault, Racing};
use heapwarden::harness::{self, Failure, Program, Rules, RustAllocator, Tally};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};
use std::alloc::{GlobalAlloc, System};
use std::cell::Cell;

/// Runs `usual` generated programs; the tally, or the smallest failing program.
fn prove(
    usual: u32,
    rules: &Rules,
    run: impl Fn(&Program) -> Result<Tally, Box<Failure>>,
) -> Result<Tally, Program> {
    let config = ProptestConfig {
        cases: harness::cases(usual),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    let sum = Cell::new(Tally::default());
    let result = TestRunner::new(config).run(&harness::programs(rules, 150), |program| {
        let mut tally = sum.get();
        tally += run(&program).map_err(|failure| TestCaseError::fail(failure.to_string()))?;
        sum.set(tally);
        Ok(())
    });
    match result {
        Ok(()) => Ok(sum.get()),
        Err(TestError::Fail(reason, program)) => {
            println!("{reason}");
            Err(program)
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

#[test]
fn the_systems_allocator_keeps_its_promises() {
    let tally = prove(150, &Rules::RUST, |program| {
        harness::run(program, &Rules::RUST, &RustAllocator(&System))
    });
    harness::told("GlobalAlloc System", &tally.expect("no fault"));
}

/// Steps of what counts as a short program.
const SHORT: usize = 6;

#[test]
fn every_planted_bug_is_found_and_its_twin_passes() {
    let mut found = String::new();
    for fault in Fault::ALL {
        let program = prove(3000, &Rules::RUST, |program| {
            let broken = Broken::new(Some(fault));
            harness::run(program, &Rules::RUST, &RustAllocator(&broken))
        })
        .expect_err(&format!("{fault:?} was not found"));
        let steps = program.steps.len();
        assert!(steps <= SHORT, "{fault:?} did not shrink: {steps} steps\n{program}");
        found += &format!(" {fault:?} ({steps} steps)");
    }
    let tally = prove(150, &Rules::RUST, |program| {
        harness::run(program, &Rules::RUST, &RustAllocator(&Broken::new(None)))
    });
    harness::told("planted bugs, shrunk to", &found);
    harness::told("their unbroken twin", &tally.expect("no fault"));
}

/// Four long programs at a time, on an allocator of their own; the fault found.
fn tried_by_threads<A: GlobalAlloc + Sync>(
    usual: u32,
    rules: &Rules,
    allocator: impl Fn() -> A,
) -> Result<Tally, Box<Failure>> {
    let mut runner = TestRunner::deterministic();
    let programs = prop::collection::vec(harness::programs(rules, 800), 4);
    let mut tally = Tally::default();
    for _ in 0..harness::cases(usual) {
        let programs = programs.new_tree(&mut runner).expect("programs can be made").current();
        let allocator = allocator();
        tally += harness::stress(&programs, rules, &RustAllocator(&allocator))?;
    }
    Ok(tally)
}

#[test]
fn a_block_that_two_threads_get_is_found() {
    let rules = Rules { largest: 500, largest_alignment: 512, may_refuse: true, ..Rules::RUST };
    let failure = tried_by_threads(1000, &rules, Racing::new).expect_err("not found");
    let fault = failure.fault.to_string();
    assert!(matches!(
        failure.fault,
        harness::Fault::Overlap { .. } | harness::Fault::Contents { .. }
    ));
    harness::told("a free list without a lock", &fault);
    let tally = tried_by_threads(10, &Rules::RUST, || System);
    harness::told("four threads on System", &tally.map_err(|failure| failure.to_string()).unwrap());
}

#[test]
fn mallocs_given_as_functions_keep_their_promises() {
    let glibc = Rules { small_blocks_aligned: true, zero_resize_frees: true, ..Rules::C };
    let mimalloc = Rules { refusals_set_errno: false, ..Rules::C };
    let others = [
        ("glibc", Some(functions::glibc()), glibc),
        ("jemalloc", functions::opened(Some("libjemalloc.so.2"), ""), Rules::C),
        ("mimalloc", functions::opened(Some("libmimalloc.so.2"), ""), mimalloc),
    ];
    for (name, malloc, rules) in others {
        let Some(malloc) = malloc else {
            harness::told(name, &"not installed, or not to be opened: not tried");
            continue;
        };
        let tally = prove(100, &rules, |program| harness::run(program, &rules, &malloc));
        harness::told(name, &tally.expect(name));
    }
}
