//! Where a report gets call stacks and names from.
//!
//! Invariant: report imports neither the stack depot nor the symboliser; it
//! is handed both as these traits, so a test (and a device) can supply its own.
//!
//! Addresses of a stack are **return addresses**: the instruction after the
//! call. Whoever has an exact address instead (the instruction that faulted)
//! stores it plus one. Names are looked up, and addresses printed, at minus
//! one, which lies in the call itself.

use crate::units::StackId;

/// How many frames a stack gave, and whether it goes to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Depth {
    /// Frames written.
    pub frames: usize,
    /// The outermost frame is the thread's first function (or `stack_depth`
    /// was reached); `false`: the walk broke off before.
    pub complete: bool,
}

/// Turns stack ids into return addresses. May be called in a signal handler.
pub trait Stacks: Sync {
    /// Writes the return addresses of `stack` into `frames`, innermost first.
    fn frames(&self, stack: StackId, frames: &mut [usize]) -> Depth;
}

/// One function at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Frame<'a> {
    /// The function, demangled (bytes as the file has them, mostly UTF-8).
    pub function: Option<&'a [u8]>,
    /// The source file.
    pub file: Option<&'a [u8]>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
    /// Whether it is inlined into the next frame.
    pub inlined: bool,
}

/// The file that an address lies in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place<'a> {
    /// Its path.
    pub module: &'a [u8],
    /// The address as the file states it: the address minus the load bias.
    pub offset: u64,
    /// The file's build-id; empty = none.
    pub build_id: &'a [u8],
}

/// Names addresses. May be called in a signal handler.
pub trait Names: Sync {
    /// Looks all of `addresses` up at once, so that `at` knows them; called
    /// before records are rendered. Does nothing by default.
    fn prepare(&self, addresses: &[usize]) {
        let _ = addresses;
    }
    /// Calls `visit` for each function at `address` (already minus one),
    /// innermost first; not at all if none is known.
    fn at(&self, address: usize, visit: &mut dyn FnMut(&Frame<'_>));
    /// Calls `visit` with the file that `address` lies in, if it is known.
    fn place(&self, address: usize, visit: &mut dyn FnMut(&Place<'_>));
}
