//! The harness: drives any allocator by one set of operations, and judges it
//! by one model. Feature `harness`; unlike the allocator it uses std.
//!
//! ```text
//!   strategy ──► Program ──► Model::step ──► Actions ──► Machine ──► Observations
//!   (proptest)   steps         what must       what a       does them      │
//!                              come of each    machine                     ▼
//!                                              shall do ────────────────► Judge
//! ```
//!
//! | file | role |
//! |------|------|
//! | [`operation`](Operation) | what a program may do, innocent and criminal |
//! | [`model`](Model) | the reference: predicts verdicts, contents, figures |
//! | `leaks` | who holds whom at the end, by definition of the leak kinds |
//! | [`judge`](Judge) | compares what was seen with what was predicted |
//! | [`machine`](Machine) | does actions in this process, on any [`Allocator`] |
//! | [`allocators`](RustAllocator) | a `GlobalAlloc`, or a malloc given as functions |
//! | [`run`] | runs a program, or several at the same time on one allocator |
//! | `script` | a program as numbers, and as [C that reproduces it](c_program) |
//! | [`outside`](Outside) | the same under any preloaded library; `report` reads its JSON |
//! | [`decode`] | any bytes as a program, for fuzzers |
//! | [`strategy`](programs) | proptest strategies that shrink to short programs |
//!
//! Invariant: the model never sees an address, and reads nothing of the heap it
//! judges; a program means the same for every allocator whose [`Rules`] agree.
//!
//! # Example
//!
//! ```
//! use heapwarden::harness::{self, Rules, RustAllocator};
//! use proptest::prelude::*;
//!
//! static SYSTEM: std::alloc::System = std::alloc::System;
//!
//! proptest!(ProptestConfig::with_cases(20), |(program in harness::programs(&Rules::RUST, 60))| {
//!     harness::run(&program, &Rules::RUST, &RustAllocator(&SYSTEM))
//!         .map_err(|failure| TestCaseError::fail(failure.to_string()))?;
//! });
//! ```

mod allocators;
mod decode;
mod judge;
mod leaks;
mod machine;
mod model;
mod operation;
mod outside;
mod report;
mod rules;
mod run;
mod script;
mod strategy;
mod tally;
mod verdict;

pub use allocators::{CFunctions, RustAllocator};
pub use decode::{STEP_BYTES, decode};
pub use judge::{Failure, Fault, Judge, Observation};
pub use leaks::{LeakSum, Leaks};
pub use machine::{Allocator, Freeing, Machine};
pub use model::{Action, Command, Model, Outcome};
pub use operation::{
    Damage, Foreign, Found, Function, LINKS, Operation, PLACES, Program, Release, SITES, Step,
    THREADS,
};
pub use outside::Outside;
pub use rules::Rules;
pub use run::{run, stress};
pub use script::c_program;
pub use strategy::programs;
pub use tally::{Tally, cases, told};
pub use verdict::{Crime, Facts, Seen, SeenBlock, Verdict};
