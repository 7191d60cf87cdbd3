//! A crime, as the heap sees it: what a report needs to name it.

use crate::units::{Family, StackId};

/// What was done. Names follow AddressSanitizer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ViolationKind {
    /// Bytes behind a block were written.
    Overflow,
    /// Bytes before a block were written.
    Underflow,
    /// A freed block was written, read or resized.
    UseAfterFree,
    /// A fresh block was used before anything was written to it.
    UseOfUninitialised,
    /// A block was freed that was free already.
    DoubleFree,
    /// The heap's, but not the start of a block.
    InteriorFree,
    /// Not the heap's at all.
    WildFree,
    /// Freed by the function of another family.
    Mismatch,
    /// Sized or aligned delete with a size or alignment that is not the block's.
    NewDeleteType,
    /// free_sized or free_aligned_sized with values that are not the block's.
    SizeMismatch,
}

/// A crime: kind, address, the block it touches.
#[derive(Clone, Copy, Debug)]
pub struct Violation {
    /// What was done.
    pub kind: ViolationKind,
    /// The pointer that was passed, or the first byte that was changed.
    pub address: usize,
    /// Start of the block it concerns; 0 when there is none.
    pub block: usize,
    /// How many changed bytes were found (overflow, underflow, write after free).
    pub changed: usize,
    /// The function family that was used (mismatch), by its number.
    pub family: Family,
    /// Size or alignment that was given, where there was one.
    pub given: usize,
    /// Who did it, or found it.
    pub stack: StackId,
}
