//! The option `stack_check`: brings libgcc's unwinder to the call-stack room,
//! and tells what the comparison found.
//!
//! The unwinder is taken as the program has it (programs in C++ do, others get
//! it with `LD_PRELOAD=…:libgcc_s.so.1`); loading it from here would make libc
//! allocate and lock in the midst of somebody's malloc.
//!
//! Invariant: one record at most, when the process ends or is about to.

use super::runtime::REPORTER;
use crate::report::{Warning, WarningKind};
use crate::sync::atomics::{AtomicBool, Ordering::Relaxed};
use crate::trace::{self, Unwinder};
use crate::units::Text;
use core::ffi::CStr;
use core::fmt::Write;

static TOLD: AtomicBool = AtomicBool::new(false);

/// Compares one captured stack in `every` from now on; 0: none.
pub(super) fn start(every: u64) {
    if every == 0 {
        return;
    }
    let unwinder = unwinder();
    if unwinder.is_none() {
        REPORTER.notice(format_args!(
            "stack_check: the program has no libgcc_s; stacks are compared with walks of our own"
        ));
    }
    trace::check_every(every, unwinder);
}

fn unwinder() -> Option<Unwinder> {
    let find = |name: &CStr| {
        // SAFETY: a constant name; dlsym may allocate, which works by now.
        let function = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        (!function.is_null()).then_some(function)
    };
    let backtrace = find(c"_Unwind_Backtrace")?;
    let (ip_info, cfa) = (find(c"_Unwind_GetIPInfo")?, find(c"_Unwind_GetCFA")?);
    // SAFETY: the functions of these names have these types (LSB core 10.7,
    // unwind.h of gcc).
    unsafe {
        Some(Unwinder {
            backtrace: core::mem::transmute::<*mut _, trace::Backtrace>(backtrace),
            ip_info: core::mem::transmute::<*mut _, trace::GetIpInfo>(ip_info),
            cfa: core::mem::transmute::<*mut _, trace::GetCfa>(cfa),
        })
    }
}

/// Writes the record, if a stack was wrong and it was not told yet.
pub(super) fn tell() {
    let found = trace::checked_stacks();
    if found.different == 0 || TOLD.swap(true, Relaxed) {
        return;
    }
    let mut buffer = [0; 128];
    let mut message = Text::new(&mut buffer);
    let _ = write!(
        message,
        "frame {} is another with libgcc's unwinder; {} of {} stacks compared differ",
        found.frame, found.different, found.compared
    );
    REPORTER.warning(&Warning {
        kind: WarningKind::StackMismatch,
        message: message.as_str(),
        stack: found.stack,
        count: 1,
    });
}

/// In a forked child: what the parent found is the parent's to tell.
pub(super) fn after_fork_in_child() {
    TOLD.store(trace::checked_stacks().different != 0, Relaxed);
}
