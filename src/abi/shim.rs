//! The first instructions of malloc and its family.
//!
//! A shim hands its arguments on, with two more: where the stack pointer
//! stood and what the frame pointer held when the caller's call arrived. So
//! the stack walk starts exactly at the caller and has no frames of ours to
//! skip, and the shim itself is a jump, not a frame.

use crate::trace::Entry;

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

/// The registers that a function must give back as it found them, as a
/// checkpoint pushed them: what its callers keep there, they keep here too.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Saved {
    rbp: usize,
    others: [usize; 5],
}

impl Saved {
    /// What the caller's call left: where to walk the stack from.
    pub(super) fn entry(saved: *const Saved) -> Entry {
        // SAFETY: a checkpoint passes its own frame, which it has not left.
        let fp = unsafe { (*saved).rbp };
        Entry { sp: saved as usize + size_of::<Saved>(), fp }
    }
}

/// Exports `$name` as a function that pushes those registers and calls
/// `$inner` with `$name`'s arguments and then the [`Saved`] ones' address:
/// from there up, the stack holds all that the program's frames hold.
macro_rules! checkpoint {
    ($($name:literal($saved:literal) => $inner:path;)*) => { $(
        const _: () = {
            #[unsafe(naked)]
            #[unsafe(export_name = $name)]
            unsafe extern "C" fn checkpoint() {
                core::arch::naked_asm!(
                    "push r15", "push r14", "push r13", "push r12", "push rbx", "push rbp",
                    concat!("mov ", $saved, ", rsp"),
                    "sub rsp, 8",
                    "call {inner}",
                    "add rsp, 56",
                    "ret",
                    inner = sym $inner,
                )
            }
        };
    )* };
}

pub(super) use {checkpoint, shim};
