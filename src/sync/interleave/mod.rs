//! The library's own code under two model checkers: loom tries every order of
//! a few operations under the C11 memory model, shuttle tries many random
//! orders of long ones under sequential consistency.
//!
//! ```text
//!             load, store, compare_exchange … of an atomic
//!   Plain     core's, at once                        (outside an exploration)
//!   Shuttle   perhaps another task first, then core's on the real memory
//!   Loom      on loom's copy of the place; the real memory keeps what it had
//!   Discover  on a plain copy: which places are there, before loom starts
//! ```
//!
//! The atomics have core's size and layout and are constructible in constants,
//! so statics, mapped memory and raw pointers work as ever, and what is checked
//! is the library itself. A task has its own thread pointer word, its own end
//! (pthread keys) and its own kernel id; sleeping on a word is modelled, so a
//! lost wake-up is found as a deadlock. Signals between tasks are modelled where
//! a body asks for them ([`with_signals`]).
//!
//! Invariant: one exploration at a time in the process; outside of one, all
//! here does what core and Linux do.

mod atomic;
mod explore;
mod host;
mod place;
mod signals;
mod task;

pub use atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
pub use explore::{every_order, leave, many_orders};
pub use host::{Modelled, ticks};
pub use place::{reads, writes};
pub use signals::{blocked_signals, is_asleep, send, set_blocked_signals, tasks, with_signals};
pub use task::{Task, local_word, set_local_word, spawn, tasks_so_far, watch_end};

use std::cell::Cell;

/// Who decides what an atomic does; see the module's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// The processor.
    Plain,
    /// Nobody: one task after the other, to learn which places there are.
    Discover,
    /// loom.
    Loom,
    /// shuttle.
    Shuttle,
}

std::thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode::Plain) };
}

/// Who decides at the moment. A task that unwinds decides for itself: its
/// exploration has failed.
#[inline]
pub fn mode() -> Mode {
    match MODE.get() {
        Mode::Plain => Mode::Plain,
        _ if std::thread::panicking() => Mode::Plain,
        mode => mode,
    }
}

/// Lets another task go first, if the checker wants.
pub fn switch() {
    match mode() {
        // The cheapest operation that makes shuttle choose.
        Mode::Shuttle => {
            let _ = shuttle::sync::atomic::AtomicBool::new(false).load(ORDER);
            signals::deliver();
        }
        Mode::Loom | Mode::Plain | Mode::Discover => {}
    }
}

const ORDER: core::sync::atomic::Ordering = core::sync::atomic::Ordering::SeqCst;

/// One turn of waiting: other tasks run first.
pub fn spin_loop() {
    match mode() {
        Mode::Shuttle => {
            shuttle::thread::yield_now();
            signals::deliver();
        }
        Mode::Loom => loom::thread::yield_now(),
        Mode::Plain | Mode::Discover => core::hint::spin_loop(),
    }
}
