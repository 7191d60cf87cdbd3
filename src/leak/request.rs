//! Requests: another process asks this one for a check, by the handshake's own
//! signal with a word of ours in it.
//!
//! ```text
//!   /proc/PID/maps   … /memfd:heapwarden-check:41:3:2:1:7 (deleted)
//!                                signal ─┘  │ │ │ └─ descriptor of the report
//!                      checks begun, ended ─┴─┘ └─── verdict of the last
//! ```
//!
//! The name of an empty mapping is the notice board: whoever may read the
//! process's memory map learns which signal to send, and later that the check
//! has ended. It costs one page of address space, no memory until somebody reads
//! it and no descriptor, and needs neither ptrace rights nor a socket or file.
//!
//! Invariant: the board names a signal only while our handler stands behind
//! it; a signal without our word in it is not a request.

use super::signal;
use crate::platform::OsError;
use crate::platform::linux::syscall::call;
use crate::sync::atomics::{
    AtomicUsize,
    Ordering::{AcqRel, Acquire, Release},
};
use crate::units::{OS_PAGE, Text};
use core::fmt::Write;

/// The word that a request's signal carries ("HWcheck" and a version).
pub const REQUEST: u64 = u64::from_be_bytes(*b"HWcheck\x01");
/// What the board's name begins with.
pub const BOARD: &str = "heapwarden-check";

/// Called in the handler, with all signals blocked, for each request.
pub type Hook = fn(&libc::ucontext_t);

static HOOK: AtomicUsize = AtomicUsize::new(0);
/// The board's page; 0 = none.
static PAGE: AtomicUsize = AtomicUsize::new(0);

/// What the board says of checks that were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Checks that were begun.
    pub begun: u32,
    /// Checks that have ended: as many, or one less.
    pub ended: u32,
    /// Verdict of the last: 0 clean, 1 leaks, 2 it could not be done.
    pub verdict: u32,
    /// Where the report goes in the process; -1 while it is not open.
    pub descriptor: i32,
}

/// Settles on a signal and puts the board up; `hook` is called for requests.
pub fn accept(hook: Hook, progress: &Progress) -> Result<(), OsError> {
    HOOK.store(hook as usize, Release);
    signal::settle(0, super::handshake::handler())?;
    announce(progress)
}

/// Renews the board.
pub fn announce(progress: &Progress) -> Result<(), OsError> {
    let Progress { begun, ended, verdict, descriptor } = *progress;
    let mut buffer = [0; 96];
    let mut name = Text::new(&mut buffer);
    let signal = signal::settled();
    let _ = write!(name, "{BOARD}:{signal}:{begun}:{ended}:{verdict}:{descriptor}\0");
    // The file has a page, so that whoever reads all that is mapped meets no
    // SIGBUS here.
    // SAFETY: the name ends in a zero byte; the descriptor is closed here, and
    // nobody relies on the fresh mapping.
    let page = unsafe {
        let close_on_exec = libc::MFD_CLOEXEC as usize;
        let name = name.as_bytes().as_ptr() as usize;
        let file = call(libc::SYS_memfd_create, [name, close_on_exec, 0, 0, 0, 0])?;
        let _ = call(libc::SYS_ftruncate, [file, OS_PAGE, 0, 0, 0, 0]);
        let (access, flags) = (libc::PROT_READ as usize, libc::MAP_SHARED as usize);
        let page = call(libc::SYS_mmap, [0, OS_PAGE, access, flags, file, 0]);
        let _ = call(libc::SYS_close, [file, 0, 0, 0, 0, 0]);
        page?
    };
    take_down(PAGE.swap(page, AcqRel));
    Ok(())
}

/// Takes the board down: there is no signal that requests could come by.
pub fn withdraw() {
    take_down(PAGE.swap(0, AcqRel));
}

fn take_down(page: usize) {
    if page != 0 {
        // SAFETY: a page that `announce` mapped, known to nobody else since the
        // swap.
        let _ = unsafe { call(libc::SYS_munmap, [page, OS_PAGE, 0, 0, 0, 0]) };
    }
}

/// A signal came that no check of this process sent.
pub(super) fn on_signal(value: u64, context: &libc::ucontext_t) {
    let hook = HOOK.load(Acquire);
    if value == REQUEST && hook != 0 {
        // SAFETY: `accept` stored a function of this type.
        let hook = unsafe { core::mem::transmute::<usize, Hook>(hook) };
        hook(context);
    }
}
