//! One line for each kind of misuse: what to do next.

use crate::units::ErrorKind;

/// The one thing to try first.
pub const fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::HeapBufferOverflow => {
            "find who writes past the end: is the block too small, does a string lack room for its \
             final zero, does a loop run one too far? guard_sample=1 stops at the very instruction"
        }
        ErrorKind::HeapBufferUnderflow => {
            "find who writes before the start: a negative index, or a pointer stepped back too far? \
             guard_sample=1 stops at the very instruction"
        }
        ErrorKind::HeapUseAfterFree => {
            "after the free shown, some pointer to the block was still used; set it to NULL there, \
             or free later"
        }
        ErrorKind::DoubleFree => {
            "decide which of the two frees owns the block; set the pointer to NULL after the first"
        }
        ErrorKind::BadFree => {
            "pass exactly the pointer that malloc returned: not one into a block, and nothing that \
             is a variable, a literal or another allocator's"
        }
        ErrorKind::AllocDeallocMismatch => {
            "release with the partner of the function that allocated: malloc/free, new/delete, \
             new[]/delete[]"
        }
        ErrorKind::NewDeleteTypeMismatch => {
            "delete through the type that new made; a base class needs a virtual destructor"
        }
        ErrorKind::SizeMismatch => "pass the size and alignment that the block was asked for with",
        ErrorKind::UseOfUninitializedValue => {
            "set the memory before reading it: malloc does not, calloc does"
        }
    }
}
