//! Tasks: what a thread is in an exploration. Each has its own thread pointer
//! word and its own destructors at its end.

use super::{MODE, Mode, mode, signals};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// What one task has for itself.
#[derive(Default)]
struct Local {
    word: usize,
    at_end: Option<(usize, extern "C" fn(usize))>,
    number: u32,
}

/// Who is running.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    /// While places are discovered: how deep in spawned tasks.
    Nested(u32),
    Loom(loom::thread::ThreadId),
    Shuttle(shuttle::thread::ThreadId),
}

std::thread_local! {
    static LOCALS: RefCell<HashMap<Name, Local>> = RefCell::new(HashMap::new());
    static NEXT: Cell<u32> = const { Cell::new(1) };
    static NESTED: Cell<u32> = const { Cell::new(0) };
}

fn name() -> Name {
    match mode() {
        Mode::Loom => Name::Loom(loom::thread::current().id()),
        Mode::Shuttle => Name::Shuttle(shuttle::thread::current().id()),
        Mode::Discover | Mode::Plain => Name::Nested(NESTED.get()),
    }
}

fn with_local<T>(work: impl FnOnce(&mut Local) -> T) -> T {
    let name = name();
    LOCALS.with_borrow_mut(|locals| work(locals.entry(name).or_default()))
}

/// The calling task's thread pointer word; `None` outside an exploration.
pub fn local_word() -> Option<usize> {
    (mode() != Mode::Plain).then(|| with_local(|local| local.word))
}

/// Sets it; `false` outside an exploration.
pub fn set_local_word(word: usize) -> bool {
    let inside = mode() != Mode::Plain;
    if inside {
        with_local(|local| local.word = word);
    }
    inside
}

/// Has `destructor(value)` called as the calling task ends; `false` outside an
/// exploration.
pub fn watch_end(value: usize, destructor: extern "C" fn(usize)) -> bool {
    let inside = mode() != Mode::Plain;
    if inside {
        with_local(|local| local.at_end = Some((value, destructor)));
    }
    inside
}

/// The calling task's number, from 1; `None` outside an exploration.
pub fn number() -> Option<u32> {
    (mode() != Mode::Plain).then(|| with_local(|local| local.number))
}

/// Tasks that this iteration has made so far.
pub fn tasks_so_far() -> u32 {
    NEXT.get() - 1
}

/// Forgets all tasks: an iteration begins.
pub fn forget_all() {
    LOCALS.with_borrow_mut(HashMap::clear);
    NEXT.set(1);
    NESTED.set(0);
}

/// Runs `work` as a thread of its own would be: with an end.
pub fn live<T>(work: impl FnOnce() -> T) -> T {
    live_as(NEXT.replace(NEXT.get() + 1), work)
}

fn live_as<T>(number: u32, work: impl FnOnce() -> T) -> T {
    with_local(|local| local.number = number);
    signals::begin_task();
    let result = work();
    // POSIX: destructors run again while values are set, four rounds at most.
    for _ in 0..4 {
        match with_local(|local| local.at_end.take()) {
            Some((value, destructor)) => destructor(value),
            None => break,
        }
    }
    signals::end_task();
    result
}

/// A task that was spawned.
pub enum Task<T> {
    /// It has run already.
    Done(T),
    /// loom's.
    Loom(loom::thread::JoinHandle<T>),
    /// shuttle's.
    Shuttle(shuttle::thread::JoinHandle<T>),
}

/// Starts a task.
///
/// # Panics
/// Outside an exploration.
pub fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Task<T> {
    match mode() {
        Mode::Plain => panic!("a task needs an exploration"),
        Mode::Discover => {
            let outer = NESTED.replace(tasks_so_far());
            let result = live(work);
            NESTED.set(outer);
            Task::Done(result)
        }
        Mode::Loom => Task::Loom(loom::thread::spawn(move || live(work))),
        Mode::Shuttle => {
            let number = NEXT.replace(NEXT.get() + 1);
            signals::make_task(number);
            Task::Shuttle(shuttle::thread::spawn(move || live_as(number, work)))
        }
    }
}

impl<T> Task<T> {
    /// Waits for the task's end; what it gave.
    ///
    /// # Panics
    /// If the task did.
    pub fn join(self) -> T {
        match self {
            Task::Done(result) => result,
            Task::Loom(task) => task.join().expect("a task panicked"),
            Task::Shuttle(task) => task.join().expect("a task panicked"),
        }
    }
}

/// Leaves the exploration for good: in a forked child, where only the calling
/// task lives. It keeps its word.
pub fn go_on_alone() {
    let word = with_local(|local| local.word);
    MODE.set(Mode::Plain);
    crate::platform::linux::tls::set(word);
}
