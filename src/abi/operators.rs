//! Operators new and delete that are not ours, recognised by name.
//!
//! A program may bring its own: libstdc++ linked in statically, or replaced
//! ones. They call our malloc and free, so their blocks look like malloc's.
//! Whether they are is looked up only when a pair seems wrong: by the name of
//! the function that called malloc, or free.
//!
//! Invariant: what has no name is not guessed at.

use crate::report::{Code, Names, Stacks};
use crate::symbol::{Depot, NAMES};
use crate::units::{Family, OS_PAGE, StackId};

/// The family of the operator that called, if the innermost frame is one.
pub(super) fn family_of_caller(stack: StackId) -> Option<Family> {
    let call = innermost(stack)?.call();
    family_of_code(call)
}

/// The family of the operator through which free was called, if it was one
/// that ended in a jump to free and so left no frame: the target of the call
/// that returns to the innermost frame.
pub(super) fn family_of_callee(stack: StackId) -> Option<Family> {
    const CALL: u8 = 0xe8;
    let code = innermost(stack)?;
    let after = code.address as *const u8;
    // A shorter call may begin its page, and nothing need lie before that.
    if code.address % OS_PAGE < 5 {
        return None;
    }
    // SAFETY: the thread returns to this address when free is done, so its
    // page, which holds the bytes before it too, is there to be read.
    let (opcode, distance) =
        unsafe { (after.sub(5).read(), after.sub(4).cast::<i32>().read_unaligned()) };
    if opcode != CALL {
        return None;
    }
    let target = code.address.wrapping_add_signed(distance as isize);
    family_of_code(Code { address: target, ..code })
}

fn innermost(stack: StackId) -> Option<Code> {
    let mut frames = [Code::default(); 1];
    (Depot.frames(stack, &mut frames).0 > 0).then_some(frames[0])
}

fn family_of_code(code: Code) -> Option<Family> {
    NAMES.want(code);
    let _ = NAMES.resolve();
    let mut family = None;
    NAMES.at(code, &mut |frame| {
        // The outermost of inlined frames comes last: the function itself.
        family = frame.function.and_then(family_of_name);
    });
    family
}

/// `operator new[](unsigned long)` and its kind, demangled or not.
pub(super) fn family_of_name(name: &[u8]) -> Option<Family> {
    let is_aligned = [b"align_val_t".as_slice()]
        .iter()
        .any(|part| name.windows(part.len()).any(|window| window == *part));
    let starts = |texts: [&[u8]; 2]| texts.iter().any(|text| name.starts_with(text));
    let plain = if starts([b"operator new[](", b"_Zna"]) || starts([b"operator delete[](", b"_Zda"])
    {
        Family::NewArray
    } else if starts([b"operator new(", b"_Znw"]) || starts([b"operator delete(", b"_Zdl"]) {
        Family::New
    } else {
        return None;
    };
    Some(match (plain, is_aligned) {
        (Family::New, true) => Family::NewAligned,
        (Family::NewArray, true) => Family::NewArrayAligned,
        (plain, _) => plain,
    })
}

/// Whether a block of one family may be freed by the other's function.
pub(super) fn fit(made: Family, used: Family) -> bool {
    made.deallocator() == used.deallocator() && is_aligned_new(made) == is_aligned_new(used)
}

fn is_aligned_new(family: Family) -> bool {
    matches!(family, Family::NewAligned | Family::NewArrayAligned)
}
