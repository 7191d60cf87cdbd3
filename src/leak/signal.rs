//! The handshake's signal: one that the program leaves alone.

use super::registers::restorer;
use crate::platform::OsError;
use crate::platform::linux::process::KernelAction;
use crate::platform::linux::syscall::call;
use crate::sync::atomics::{
    AtomicI32,
    Ordering::{Acquire, Release},
};

static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// The signal that was settled on; 0 = none yet.
pub fn settled() -> i32 {
    SIGNAL.load(Acquire)
}

/// Whether `signal` is the one that was settled on and our handler stands
/// behind it.
pub fn is_ours(signal: i32) -> bool {
    signal != 0
        && settled() == signal
        && action(signal).is_ok_and(|action| action.handler == super::handshake::handler())
}

/// The program has taken our signal for itself: settles on another one, and
/// tells on the board.
pub fn move_away(progress: &super::request::Progress) {
    if settle(0, super::handshake::handler()).is_err()
        || super::request::announce(progress).is_err()
    {
        super::request::withdraw();
    }
}

/// Finds a signal that the program leaves alone and puts the handler there,
/// for good: a thread that blocks the signal now may get it much later, and
/// its default action would end the process.
pub fn settle(wanted: i32, handler: usize) -> Result<i32, OsError> {
    let old = SIGNAL.load(Acquire);
    if old != 0 && action(old).is_ok_and(|action| action.handler == handler) {
        return Ok(old);
    }
    let is_free = |signal: i32| action(signal).is_ok_and(|action| action.handler == libc::SIG_DFL);
    let signal = if wanted != 0 {
        wanted
    } else {
        (41..=64).chain(35..41).find(|&signal| is_free(signal)).ok_or(OsError(libc::EBUSY))?
    };
    let new = KernelAction {
        handler,
        flags: (libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK | SA_RESTORER) as u64,
        restorer: restorer(),
        mask: u64::MAX,
    };
    // SAFETY: the structure has the kernel's layout (rt_sigaction(2)); the
    // handler is async-signal-safe and stays loaded (the library is never
    // unloaded: -z nodelete).
    unsafe {
        call(libc::SYS_rt_sigaction, [signal as usize, &raw const new as usize, 0, 8, 0, 0])?;
    }
    SIGNAL.store(signal, Release);
    Ok(signal)
}

const SA_RESTORER: i32 = if cfg!(target_arch = "x86_64") { 0x0400_0000 } else { 0 };

fn action(signal: i32) -> Result<KernelAction, OsError> {
    let mut old = KernelAction { handler: 0, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: the kernel writes one structure of its layout to our stack.
    unsafe {
        call(libc::SYS_rt_sigaction, [signal as usize, 0, &raw mut old as usize, 8, 0, 0])?;
    }
    Ok(old)
}
