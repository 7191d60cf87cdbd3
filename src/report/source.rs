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

/// One place in code, as a stack holds it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Code {
    /// A return address in a stack; one less where names are looked up.
    pub address: usize,
    /// The caller's number of the module that was there when the stack was
    /// captured (another may be there now); 0 = unknown.
    pub module: u16,
}

impl Code {
    /// The call that returns to this address: one byte before it.
    #[must_use]
    pub fn call(self) -> Code {
        Code { address: self.address.wrapping_sub(1), ..self }
    }
}

/// How a stack ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum End {
    /// With the thread's first function.
    #[default]
    Complete,
    /// There were more frames than were kept (`stack_depth`).
    Truncated,
    /// The walk could not go on.
    Broken,
}

/// Turns stack ids into return addresses. May be called in a signal handler.
pub trait Stacks: Sync {
    /// Writes the return addresses of `stack` into `frames`, innermost first;
    /// how many, and how the stack ended.
    fn frames(&self, stack: StackId, frames: &mut [Code]) -> (usize, End);
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
    /// Notes that `code` (already minus one) will be asked for.
    fn want(&self, code: Code) {
        let _ = code;
    }
    /// Looks up all that is wanted and not yet known, in one go; why not, if
    /// some of it could not be.
    fn resolve(&self) -> Result<(), &'static str> {
        Ok(())
    }
    /// Calls `visit` for each function at `code` (already minus one),
    /// innermost first; not at all if none is known.
    fn at(&self, code: Code, visit: &mut dyn FnMut(&Frame<'_>));
    /// Calls `visit` with the file that `code` lies in, if it is known.
    fn place(&self, code: Code, visit: &mut dyn FnMut(&Place<'_>));
}
