//! Tries an allocator: this one counts, and hands all requests on. Run with
//! `cargo run --example harness --features harness`.

use heapwarden::harness::{self, Rules, RustAllocator};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting(AtomicUsize);

// SAFETY: System does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

fn main() {
    let allocator = Counting(AtomicUsize::new(0));
    let programs = harness::programs(&Rules::RUST, 100);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(50));
    let result = runner.run(&programs, |program| {
        harness::run(&program, &Rules::RUST, &RustAllocator(&allocator))
            .map(|_| ())
            .map_err(|failure| TestCaseError::fail(failure.to_string()))
    });
    match result {
        Ok(()) => println!("no fault in {} allocations", allocator.0.load(Relaxed)),
        Err(failure) => println!("{failure}"),
    }
}
