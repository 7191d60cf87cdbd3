//! Symbol: addresses to functions, files and lines, beside the program.
//!
//! Reading DWARF needs megabytes of memory, deep stacks and trust in files
//! that anybody may have written. None of it happens in the program itself:
//!
//! ```text
//!   program                                    child (clone, no flags = fork)
//!   want(code) ─> questions in the table
//!   resolve() ── clone ──────────────────────> own stack, own arena
//!      wait, at most symbolize_timeout_s       for each question:
//!      │                                         file, DWARF ─> answer in the
//!      └─ reap (or kill) <──── exit ──────────   shared table, then published
//!   at(code) <─ answers, bounds-checked
//! ```
//!
//! Why a copy of the process and not one that shares its memory: a child that
//! shares it (CLONE_VM) leaves its mapped files behind, may pull the program
//! down with a core dump (kernels before 5.16), and could write into it. The
//! price is a copy of the page tables, about 10 ms a GiB of small pages. No
//! SIGCHLD is raised (exit signal 0), no atfork handler runs, and only
//! `__WALL` waits can see the child.
//!
//! Invariant: `at` never fails and never waits. Whatever the child did not
//! publish, because it crashed, was refused, or ran out of time, has a module,
//! an offset and a build-id, and the reporter says why the names are missing.

#[cfg(any(feature = "abi", test))]
mod arena_alloc;
mod child;
#[cfg(target_arch = "x86_64")]
mod depot;
mod lookup;
mod table;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
pub use depot::{Depot, NAMES};

#[cfg(feature = "global")]
pub use arena_alloc::{ChildArena, is_child};

use crate::platform::linux::process;
use crate::report::{Code, Frame, Names, Place};
use crate::sync::atomics::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Lock, Rank};
use table::Table;

/// The file that code lies in, as it was loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LoadedModule<'a> {
    /// Its path, absolute; others are not opened.
    pub path: &'a [u8],
    /// Its build-id; empty = none.
    pub build_id: &'a [u8],
    /// Address in memory minus address in the file.
    pub load_bias: usize,
    /// First address in memory.
    pub start: usize,
    /// First address behind it.
    pub end: usize,
}

/// Knows which file code lies in, or lay in before dlclose. Called in signal
/// handlers and in the child: must not wait, lock or allocate.
pub trait Modules: Sync {
    /// Calls `visit` with the module of `code`, if it is known.
    fn module_of(&self, code: Code, visit: &mut dyn FnMut(&LoadedModule<'_>));
}

/// Names addresses by the files that `Modules` knows.
pub struct Namer {
    modules: &'static dyn Modules,
    /// Longest time for one `resolve`, milliseconds; 0 = do not look up.
    timeout_ms: AtomicU64,
    state: Lock<State>,
}

struct State {
    /// Questions and answers of process `owner`: a forked child must not
    /// write into its parent's table.
    table: Option<Table>,
    owner: u32,
}

impl Namer {
    /// A namer that knows nothing yet and waits 10 s for names.
    pub const fn new(modules: &'static dyn Modules) -> Self {
        Namer {
            modules,
            timeout_ms: AtomicU64::new(10_000),
            state: Lock::new(Rank::Report, State { table: None, owner: 0 }),
        }
    }

    /// Takes over `symbolize` and `symbolize_timeout_s`.
    pub fn configure(&self, symbolize: bool, timeout_s: u64) {
        let timeout_ms = if symbolize { timeout_s.saturating_mul(1000) } else { 0 };
        self.timeout_ms.store(timeout_ms, Relaxed);
    }
}

impl Names for Namer {
    fn want(&self, code: Code) {
        if self.timeout_ms.load(Relaxed) == 0 {
            return;
        }
        let Some(mut state) = self.state.try_lock() else { return };
        let owner = process::id();
        if state.table.is_none() || state.owner != owner {
            state.table = Table::map();
            state.owner = owner;
        }
        if let Some(table) = &mut state.table {
            table.ask(code);
        }
    }

    fn resolve(&self) -> Result<(), &'static str> {
        let timeout_ms = self.timeout_ms.load(Relaxed);
        let Some(mut state) = self.state.try_lock() else { return Ok(()) };
        let Some(table) = &mut state.table else { return Ok(()) };
        let questions = table.take_questions();
        if questions.is_empty() || timeout_ms == 0 {
            return Ok(());
        }
        let (modules, table) = (self.modules, &*table);
        child::run(timeout_ms, &|| lookup::answer(table, questions.clone(), modules))
    }

    fn at(&self, code: Code, visit: &mut dyn FnMut(&Frame<'_>)) {
        let Some(state) = self.state.try_lock() else { return };
        if let Some(table) = &state.table
            && state.owner == process::id()
        {
            table.answer_of(code, visit);
        }
    }

    fn place(&self, code: Code, visit: &mut dyn FnMut(&Place<'_>)) {
        self.modules.module_of(code, &mut |module| {
            visit(&Place {
                module: module.path,
                offset: code.address.wrapping_sub(module.load_bias) as u64,
                build_id: module.build_id,
            });
        });
    }
}
