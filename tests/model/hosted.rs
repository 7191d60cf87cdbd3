//! The model against the hosted heap in this process, with four fillings; four
//! programs at the same time, and every offset of every class.

use super::in_process::{HEAP, Hosted, TIERED, allocate, free, usable};
use super::prove;
use heapwarden::guard::ViolationKind;
use heapwarden::harness::{self, Allocator, Rules, Tally, run, told};
use heapwarden::heap::{self, Poisoning, Request, Settings};
use heapwarden::slab::{CLASSES, MEDIUM_LIMIT, SizeClass};
use heapwarden::units::Family;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// One test, because the heap is the process's only one.
#[test]
fn the_heap_in_process_does_what_the_model_says() {
    let tiered = TIERED;
    let full = Rules { poisoned_edge: usize::MAX / 4, ..HEAP };
    // What malloc makes of a slot that it did not poison writes over the guard
    // at its end without a look: there the block above may have underflowed.
    let none = Rules { poisoned_edge: 0, underflows: false, ..HEAP };
    // The fullest filling first.
    let settings = [
        ("poison=full", 40, Settings { poisoning: Poisoning::Full, ..tiered }, full),
        ("heap in process", 250, tiered, HEAP),
        ("fill_on_alloc=1", 40, Settings { fill_on_alloc: true, ..tiered }, HEAP),
        ("poison=none", 40, Settings { poisoning: Poisoning::None, ..tiered }, none),
    ];
    let heap = Hosted::new(&settings[0].2);
    for (name, cases, settings, rules) in settings {
        heap::configure(&settings);
        prove(name, cases, 150, &rules, |program| run(program, &rules, &heap));
        four_programs_at_the_same_time(name, &rules, &heap);
    }
    every_offset_of_every_class_is_judged();
}

/// Each in a thread of its own, which ends; blocks go from one to another.
fn four_programs_at_the_same_time(name: &str, rules: &Rules, heap: &Hosted) {
    let rules = Rules { crimes: false, ..*rules };
    let mut runner = TestRunner::deterministic();
    let programs = prop::collection::vec(harness::programs(&rules, 400), 4);
    let mut tally = Tally::default();
    for _ in 0..harness::cases(10) {
        let programs = programs.new_tree(&mut runner).expect("programs can be made").current();
        heap.begin();
        tally += harness::stress(&programs, &rules, heap).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(heap.statistics().0, 0, "bytes that all were freed");
        assert_eq!((heap.check(), heap.verdicts()), (0, vec![]));
    }
    told(&format!("{name}, four at the same time"), &tally);
}

/// What the judge says of an address.
fn verdict(address: usize) -> Result<usize, ViolationKind> {
    heap::judge(address).map(|block| block.start).map_err(|(kind, _)| kind)
}

fn every_offset_of_every_class_is_judged() {
    let plain = |size| Request { size, alignment: 16, family: Family::Malloc, zeroed: false };
    // One size a class, and spans: right above the last class, and longer.
    let slots = (0..CLASSES as u8).map(|class| SizeClass(class).slot() - 8);
    let mut judged = 0usize;
    for size in slots.chain([MEDIUM_LIMIT + 1, 100_000, 200_000]) {
        // SAFETY: any request may be made; the block is freed below.
        let start = unsafe { allocate(&plain(size), 0) }.addr();
        assert_ne!(start, 0);
        assert_eq!(verdict(start), Ok(start), "size {size}");
        for offset in 1..size + 8 {
            assert_eq!(
                verdict(start + offset),
                Err(ViolationKind::InteriorFree),
                "{size} {offset}"
            );
        }
        // SAFETY: live.
        unsafe { free(start, Family::Malloc as u8) };
        assert_eq!(verdict(start), Err(ViolationKind::DoubleFree), "size {size}");
        judged += size + 9;
    }
    for alignment in (5..=16).map(|power| 1 << power) {
        for size in (0..2000).chain((2000..80_000).step_by(997)) {
            let request = Request { alignment, family: Family::Aligned, ..plain(size) };
            // SAFETY: as above.
            let start = unsafe { allocate(&request, 0) }.addr();
            assert_eq!(start % alignment, 0, "{size} aligned to {alignment}");
            // SAFETY: as above.
            unsafe {
                assert_eq!(usable(start, 0), size, "aligned to {alignment}");
                free(start, Family::Malloc as u8);
            }
            judged += 1;
        }
    }
    told("every class and alignment", &format!("{judged} pointers judged"));
}
