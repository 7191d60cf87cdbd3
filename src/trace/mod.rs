//! Call stacks: captured without allocating at every malloc and free, exact on
//! code without frame pointers, and interned to a number.
//!
//! - `cfi`, `expression`, `rule`: from `.eh_frame` to a rule of eight bytes
//! - `object`, `module`, `headerless`: which file lies at an address, remembered after dlclose
//! - `rule_table`, `depot`, `hash_table`, `tables`: what all threads share
//! - `stack_range`, `cursor`, `path`, `front`, `front_hash`, `thread`, `full_walk`: a thread's walk
//! - `check`, `sampling`: captures compared with libgcc's unwinder
//!
//! Invariant: a stack id names frames that libgcc's unwinder would find too,
//! in this order; where the walk cannot go on, the stack says so
//! ([`Completeness`]). Nothing here waits for another thread.

mod callers;
mod cfi;
mod check;
mod cursor;
mod depot;
mod expression;
mod front;
mod front_hash;
mod full_walk;
mod hash_table;
mod headerless;
mod module;
mod object;
#[cfg(all(test, feature = "interleave"))]
mod orders;
mod outside;
mod path;
mod rule;
mod rule_table;
mod sampling;
mod stack_range;
mod tables;
mod thread;

pub use crate::units::StackId;
pub use check::{Backtrace, Comparison, GetCfa, GetIpInfo, Unwinder, check_against_unwinder};
pub use module::{ModuleId, ModuleRecord};
pub use object::loader_is_ready;
pub use outside::OUTSIDE;
pub use rule_table::CodeAddress;
pub use sampling::{CheckedStacks, check_every, checked_stacks};
pub use thread::{DEEPEST, Entry, ThreadTrace, expect_depth, expected_depth};

/// How a stack ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completeness {
    /// With the program's or the thread's first function.
    Complete,
    /// There are more frames than were kept.
    Truncated,
    /// At code without unwind information, or a stack that could not be read.
    Incomplete,
    /// Outer frames were guessed by frame pointers. (Not produced today.)
    Guessed,
}

/// One frame of an interned stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Frame {
    /// The return address: the call is the instruction that ends before it.
    /// (For a function that a signal interrupted, the interrupted
    /// instruction's address plus one, so that `address - 1` always names it.)
    pub address: usize,
    /// The module that was there when the frame was met.
    pub module: ModuleId,
}

/// Writes the frames of a stack to `out`, innermost (the caller of malloc)
/// first; how many, and how the stack ended (`Truncated` when `out` is short).
pub fn frames(id: StackId, out: &mut [usize]) -> (usize, Completeness) {
    fill(id, out, |frame| frame.address)
}

/// The same with modules, so that frames of closed modules keep their names.
pub fn frames_with_modules(id: StackId, out: &mut [Frame]) -> (usize, Completeness) {
    fill(id, out, |frame| frame)
}

fn fill<T>(id: StackId, out: &mut [T], convert: impl Fn(Frame) -> T) -> (usize, Completeness) {
    let mut count = 0;
    let end = depot::walk(id, |code| match out.get_mut(count) {
        Some(place) => {
            *place = convert(Frame { address: code.address(), module: code.module() });
            count += 1;
            true
        }
        None => false,
    });
    (count, end)
}

/// A number that two stacks share iff their innermost `depth` frames are most
/// surely the same (64-bit hash). Stack ids may differ in frames further out
/// than were asked for; reports group by this.
pub fn group(id: StackId, depth: usize) -> u64 {
    let (mut hash, mut count) = (0xcbf2_9ce4_8422_2325_u64, 0);
    depot::walk(id, |code| {
        if count == depth {
            return false;
        }
        hash = (hash ^ code.0).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        count += 1;
        true
    });
    hash
}

/// The unwind rule at `address` of a module that lies at 0x1000 and holds these
/// bytes, as hostile as they may be; whether there is one. For fuzzing.
#[cfg(any(test, feature = "harness"))]
pub fn interpret(sections: &[u8], address: u64) -> bool {
    let sections = cfi::UnwindSections {
        header: &sections[..sections.len().min(20)],
        header_address: 0x1000,
        readable: sections,
        readable_address: 0x1000,
    };
    !matches!(cfi::rule_for(&sections, address).unpack(), rule::Step::Unknown)
}

/// The record of a module; `None` for [`ModuleId::UNKNOWN`].
pub fn module(id: ModuleId) -> Option<&'static ModuleRecord> {
    module::record(id)
}

/// The newest module met so far that lies, or lay, at `address`.
pub fn module_of(address: usize) -> Option<(ModuleId, &'static ModuleRecord)> {
    module::at(address)
}

/// The loader's list changed. After a dlclose that may have unmapped something
/// (`closed`), and did unmap code that was met, every rule and every kept path is
/// dropped; interned stacks stay.
/// Nothing negative is kept, so an opening needs no call.
pub fn modules_changed(closed: bool) {
    if closed && module::mark_closed() {
        thread::forget_rules();
    }
}

/// In a forked child, by its only thread: frees tables that another thread of
/// the parent was changing. Their contents are sound at every instant.
pub fn after_fork_in_child() {
    rule_table::after_fork_in_child();
    depot::after_fork_in_child();
    module::after_fork_in_child();
}

/// Figures for reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceStatistics {
    /// Nodes of the calling-context tree; each is a stack or part of one.
    pub nodes: usize,
    /// Bytes mapped for nodes, index, rules and modules.
    pub bytes: usize,
    /// Captures whose stack found no room and was cut short.
    pub dropped: usize,
}

/// See [`TraceStatistics`].
pub fn statistics() -> TraceStatistics {
    let (nodes, dropped) = depot::counts();
    TraceStatistics { nodes, bytes: tables::bytes(), dropped }
}
