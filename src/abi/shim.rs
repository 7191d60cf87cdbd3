//! The first instructions of malloc and its family.
//!
//! A shim hands its arguments on, with two more: where the stack pointer
//! stood and what the frame pointer held when the caller's call arrived. So
//! the stack walk starts exactly at the caller and has no frames of ours to
//! skip, and the shim itself is a jump, not a frame.

/// Exports `$name` as a jump to `$inner`, which takes `$name`'s arguments
/// and then the stack and frame pointers at entry.
macro_rules! shim {
    ($($name:literal($sp:literal, $fp:literal) => $inner:path;)*) => { $(
        const _: () = {
            #[unsafe(naked)]
            #[unsafe(export_name = $name)]
            unsafe extern "C" fn shim() {
                core::arch::naked_asm!(
                    concat!("mov ", $sp, ", rsp"),
                    concat!("mov ", $fp, ", rbp"),
                    "jmp {inner}",
                    inner = sym $inner,
                )
            }
        };
    )* };
}

pub(super) use shim;
