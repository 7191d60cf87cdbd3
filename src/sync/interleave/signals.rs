//! Signals between the tasks of one exploration by shuttle, and what the kernel
//! would tell of the tasks: which there are, what they block, who sleeps.
//!
//! ```text
//!   send ──▶ waiting ──▶ the task's next operation, unless it blocks signals:
//!                        the handler runs in between
//! ```
//!
//! Invariant: on only between [`with_signals`] and the iteration's end; a handler
//! runs in its own task, with all signals blocked.

use super::{Mode, mode, task};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;

/// What a task is to the kernel.
#[derive(Default)]
struct Thread {
    blocked: u64,
    waiting: VecDeque<u64>,
    is_asleep: bool,
    to_wake: Option<shuttle::thread::Thread>,
}

/// Nanoseconds from one look at the clock to the next.
const LOOK_NS: u64 = 100_000;

std::thread_local! {
    static HANDLER: Cell<Option<fn(u64)>> = const { Cell::new(None) };
    static THREADS: RefCell<BTreeMap<u32, Thread>> = const { RefCell::new(BTreeMap::new()) };
    static CLOCK: Cell<u64> = const { Cell::new(0) };
}

/// From here on to the iteration's end tasks can send one another signals, for
/// each of which `handler` is called with its word. Called by the first task.
pub fn with_signals(handler: fn(u64)) {
    HANDLER.set(Some(handler));
    begin_task();
}

fn handler() -> Option<fn(u64)> {
    (mode() == Mode::Shuttle).then(|| HANDLER.get()).flatten()
}

/// An iteration begins.
pub fn forget_all() {
    HANDLER.set(None);
    THREADS.with_borrow_mut(BTreeMap::clear);
    CLOCK.set(0);
}

fn with_own<T>(work: impl FnOnce(&mut Thread) -> T) -> Option<T> {
    let number = task::number()?;
    THREADS.with_borrow_mut(|threads| threads.get_mut(&number).map(work))
}

/// A task is made, which blocks all signals until it begins (pthread_create(3)
/// of glibc does so).
pub fn make_task(number: u32) {
    if handler().is_some() {
        let thread = Thread { blocked: u64::MAX, ..Thread::default() };
        THREADS.with_borrow_mut(|threads| threads.insert(number, thread));
    }
}

/// The calling task has begun.
pub fn begin_task() {
    if let (Some(_), Some(number)) = (handler(), task::number()) {
        let to_wake = Some(shuttle::thread::current());
        let thread = Thread { to_wake, ..Thread::default() };
        THREADS.with_borrow_mut(|threads| threads.insert(number, thread));
    }
}

/// The calling task has ended: signals that wait for it are lost.
pub fn end_task() {
    if let (Some(_), Some(number)) = (handler(), task::number()) {
        THREADS.with_borrow_mut(|threads| threads.remove(&number));
    }
}

/// The numbers of all tasks; `None`: the kernel is to be asked.
pub fn tasks() -> Option<Vec<u32>> {
    handler()?;
    Some(THREADS.with_borrow(|threads| threads.keys().copied().collect()))
}

/// The signals that a task blocks, `Some(None)` once it has ended; `None`: the kernel is
/// to be asked.
pub fn blocked_signals(task: u32) -> Option<Option<u64>> {
    handler()?;
    super::switch();
    Some(THREADS.with_borrow(|threads| threads.get(&task).map(|thread| thread.blocked)))
}

/// Whether a task sleeps on a word; `None`: the kernel is to be asked.
pub fn is_asleep(task: u32) -> Option<bool> {
    handler()?;
    super::switch();
    Some(THREADS.with_borrow(|threads| threads.get(&task).is_some_and(|thread| thread.is_asleep)))
}

/// Sends a signal; `Some(false)`: the task has ended; `None`: the kernel is to do it.
pub fn send(task: u32, value: u64) -> Option<bool> {
    handler()?;
    super::switch();
    let to_wake = THREADS.with_borrow_mut(|threads| {
        let thread = threads.get_mut(&task)?;
        thread.waiting.push_back(value);
        Some(thread.to_wake.clone())
    });
    if let Some(Some(thread)) = &to_wake {
        thread.unpark();
    }
    Some(to_wake.is_some())
}

/// Blocks these signals for the calling task; those blocked before. `None`: the
/// kernel is to do it.
pub fn set_blocked_signals(set: u64) -> Option<u64> {
    handler()?;
    let old = with_own(|thread| core::mem::replace(&mut thread.blocked, set))?;
    deliver();
    Some(old)
}

/// Notes that the calling task falls asleep, or has woken.
pub fn set_asleep(is_asleep: bool) {
    with_own(|thread| thread.is_asleep = is_asleep);
}

/// Runs the handler for each signal that waits for the calling task, unless it
/// blocks them.
pub fn deliver() {
    let Some(handler) = handler() else { return };
    let next = || {
        with_own(|thread| {
            let value = (thread.blocked == 0).then(|| thread.waiting.pop_front()).flatten()?;
            thread.blocked = u64::MAX;
            Some((value, core::mem::take(&mut thread.is_asleep)))
        })
        .flatten()
    };
    while let Some((value, was_asleep)) = next() {
        handler(value);
        with_own(|thread| (thread.blocked, thread.is_asleep) = (0, was_asleep));
    }
}

/// A clock that goes on with each look; `None`: the machine's.
pub fn clock_ns() -> Option<u64> {
    handler()?;
    CLOCK.set(CLOCK.get() + LOOK_NS);
    Some(CLOCK.get())
}
