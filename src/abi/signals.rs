//! sigaction(2) and signal(2) for the two fault signals and our own.
//!
//! Our handler stands before the program's own: it looks at each fault first,
//! and passes on what is not ours. So that the program notices nothing, its
//! handler's flags and mask are the ones installed, it is called by a jump
//! with the kernel's arguments, and what it asks about is what it had set.
//!
//! ```text
//!   program: sigaction(SIGSEGV, H)   ──>  kernel: on_fault with H's flags, mask
//!   fault ──> on_fault ──> a block of ours explains it: report, die of it
//!                      └─> else H, or the default
//! ```
//!
//! The signal that leak checks come by is hidden from the program too: it
//! finds the default there, and may have it.
//!
//! Invariant: `Chained` holds what the program last set while our handler is
//! installed for the signal. A handler that was there before us, and one set
//! by a raw system call, stay as they are.

use super::{faults, watch};
use crate::leak;
use crate::sync::atomics::{
    AtomicBool, AtomicI32, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use core::ffi::c_void;

type Sigaction = unsafe extern "C" fn(i32, *const libc::sigaction, *mut libc::sigaction) -> i32;
type Signal = unsafe extern "C" fn(i32, usize) -> usize;

unsafe extern "C" {
    /// libc's own, under the names that nobody replaces.
    fn __sigaction(signal: i32, new: *const libc::sigaction, old: *mut libc::sigaction) -> i32;
    fn ssignal(signal: i32, handler: usize) -> usize;
}

/// What the program set for one signal.
struct Chained {
    ours: AtomicBool,
    handler: AtomicUsize,
    flags: AtomicI32,
}

impl Chained {
    const fn nothing() -> Chained {
        Chained {
            ours: AtomicBool::new(false),
            handler: AtomicUsize::new(libc::SIG_DFL),
            flags: AtomicI32::new(0),
        }
    }
}

static SEGV: Chained = Chained::nothing();
static BUS: Chained = Chained::nothing();
/// The next sigaction and signal behind ours, if another library has them.
static NEXT: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

fn chained(signal: i32) -> Option<&'static Chained> {
    let chained = match signal {
        libc::SIGSEGV => &SEGV,
        libc::SIGBUS => &BUS,
        _ => return None,
    };
    chained.ours.load(Acquire).then_some(chained)
}

fn next_sigaction() -> Sigaction {
    match NEXT[0].load(Relaxed) {
        0 => __sigaction,
        // SAFETY: `install` stored what dlsym found under this name.
        function => unsafe { core::mem::transmute::<usize, Sigaction>(function) },
    }
}

fn next_signal() -> Signal {
    match NEXT[1].load(Relaxed) {
        0 => ssignal,
        // SAFETY: as above.
        function => unsafe { core::mem::transmute::<usize, Signal>(function) },
    }
}

/// Puts our handler in place for each fault signal that has none yet.
pub(super) fn install() {
    for (place, name) in NEXT.iter().zip([c"sigaction", c"signal"]) {
        // SAFETY: a constant name; dlsym may allocate, which works by now.
        let function = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        place.store(function as usize, Relaxed);
    }
    for (signal, chained) in [(libc::SIGSEGV, &SEGV), (libc::SIGBUS, &BUS)] {
        // SAFETY: both structures live on our stack; zero is a valid action.
        unsafe {
            let mut now: libc::sigaction = core::mem::zeroed();
            if next_sigaction()(signal, core::ptr::null(), &raw mut now) != 0
                || now.sa_sigaction != libc::SIG_DFL
            {
                continue;
            }
            let action = default_action();
            chained.ours.store(true, Release);
            if next_sigaction()(signal, &raw const action, core::ptr::null_mut()) != 0 {
                chained.ours.store(false, Release);
            }
        }
    }
}

/// Our handler where the program wants the default.
fn default_action() -> libc::sigaction {
    // SAFETY: zero is a valid action (no flags, empty mask).
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    action
}

/// The handler: ours first, then the program's.
unsafe extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes both (sigaction(2), SA_SIGINFO).
    let dies = unsafe { faults::explain(signal, &*info, &*context.cast::<libc::ucontext_t>()) };
    let Some(chained) = chained(signal) else { return };
    let handler = chained.handler.load(Relaxed);
    if dies || handler == libc::SIG_DFL {
        // SAFETY: as above.
        unsafe { faults::die_of(signal, &*info) };
        return;
    }
    if chained.flags.load(Relaxed) & libc::SA_RESETHAND != 0 {
        // The kernel put the default back when it called us.
        chained.handler.store(libc::SIG_DFL, Relaxed);
    }
    // SAFETY: the program set this handler for this signal. Handlers without
    // SA_SIGINFO take the first argument only; the others do no harm in the
    // System V calling convention.
    unsafe {
        let handler: unsafe extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void) =
            core::mem::transmute(handler);
        handler(signal, info, context);
    }
}

/// What is to be installed for what the program wants.
fn in_front_of(wanted: &libc::sigaction) -> libc::sigaction {
    match wanted.sa_sigaction {
        libc::SIG_DFL => default_action(),
        libc::SIG_IGN => *wanted,
        _ => {
            let mut action = *wanted;
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags |= libc::SA_SIGINFO;
            action
        }
    }
}

/// sigaction for the signal that checks of ours come by: to the program it has
/// its default action. A handler of the program's gets it, and we take
/// another.
///
/// # Safety
/// As sigaction(2).
unsafe fn give_up(
    next: Sigaction,
    signal: i32,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> i32 {
    // SAFETY: `new` and `old` are null or the caller's structures, which may be
    // the same; zero is a valid action.
    unsafe {
        let keeps = new.is_null() || (*new).sa_sigaction == libc::SIG_DFL;
        if !keeps {
            let result = next(signal, new, core::ptr::null_mut());
            if result != 0 {
                return result;
            }
            leak::move_signal(&watch::progress());
        }
        if !old.is_null() {
            *old = core::mem::zeroed();
        }
        0
    }
}

/// sigaction(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(
    signal: i32,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> i32 {
    let next = next_sigaction();
    if watch::is_taken(signal) {
        // SAFETY: the caller's arguments.
        return unsafe { give_up(next, signal, new, old) };
    }
    let Some(chained) = chained(signal) else {
        // SAFETY: the caller's arguments, passed on.
        return unsafe { next(signal, new, old) };
    };
    let before = (chained.handler.load(Relaxed), chained.flags.load(Relaxed));
    // SAFETY: `new` and `old` are null or the caller's structures; copies are
    // taken before anything is written, because they may be the same.
    unsafe {
        let mut previous: libc::sigaction = core::mem::zeroed();
        let result = if new.is_null() {
            next(signal, new, &raw mut previous)
        } else {
            let wanted = *new;
            let action = in_front_of(&wanted);
            chained.handler.store(wanted.sa_sigaction, Relaxed);
            chained.flags.store(wanted.sa_flags, Relaxed);
            let result = next(signal, &raw const action, &raw mut previous);
            if result != 0 {
                chained.handler.store(before.0, Relaxed);
                chained.flags.store(before.1, Relaxed);
            }
            result
        };
        if result == 0 && !old.is_null() {
            if previous.sa_sigaction == on_fault as *const () as usize {
                previous.sa_sigaction = before.0;
                previous.sa_flags = before.1;
            }
            *old = previous;
        }
        result
    }
}

/// signal(2) with BSD's meaning, as glibc's: restarting, the signal blocked
/// while its handler runs.
#[unsafe(no_mangle)]
unsafe extern "C" fn signal(number: i32, handler: usize) -> usize {
    if chained(number).is_none() && !watch::is_taken(number) {
        // SAFETY: the caller's arguments, passed on.
        return unsafe { next_signal()(number, handler) };
    }
    // SAFETY: structures on our stack; zero is a valid action.
    unsafe {
        let mut new: libc::sigaction = core::mem::zeroed();
        let mut old: libc::sigaction = core::mem::zeroed();
        new.sa_sigaction = handler;
        new.sa_flags = libc::SA_RESTART;
        // Signals are counted from 1, the mask's bits from 0 (sigsetops(3)).
        (&raw mut new.sa_mask).cast::<u64>().write(1 << (number - 1));
        // Exported functions of ours never call one another by name.
        match self::sigaction(number, &raw const new, &raw mut old) {
            0 => old.sa_sigaction,
            _ => libc::SIG_ERR,
        }
    }
}
