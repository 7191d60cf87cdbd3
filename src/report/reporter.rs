//! The reporter: one door for every finding, from any thread, at any time.
//!
//! Invariant: one record is rendered and written at a time, and nobody waits
//! longer than [`LOCK_PATIENCE_MS`] for another's. A thread that faults while
//! it is writing a record itself gets one plain line out and returns.

use super::event::{ErrorReport, HiddenLeak, Leak, Record, Warning};
use super::render::Form;
use super::sink::Sink;
use super::source::{Names, Stacks};
use super::state::State;
use super::suppress::Finding;
use super::totals::{Count, Exhaustion, Summary};
use crate::config::{Format, Options};
use crate::platform::linux::process;
use crate::platform::{Host, Platform};
use crate::sync::atomics::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Guard, Lock, Rank};
use crate::units::{StackId, Text};
use core::fmt::{self, Write};
use core::mem::ManuallyDrop;

/// Longest time that a record waits for another thread's, milliseconds.
pub const LOCK_PATIENCE_MS: u64 = 15_000;

/// Signals that a fault raises, as a set.
const FAULTS: u64 = 1 << (libc::SIGSEGV - 1)
    | 1 << (libc::SIGBUS - 1)
    | 1 << (libc::SIGILL - 1)
    | 1 << (libc::SIGFPE - 1)
    | 1 << (libc::SIGTRAP - 1)
    | 1 << (libc::SIGABRT - 1);

/// What became of a finding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was written.
    Written,
    /// A suppression matched; it counts as if it were not there.
    Suppressed,
    /// Options do not want to see it (`show_leak_kinds`, `max_leaks`).
    LeftOut,
    /// It could not be written.
    Failed,
}

/// Writes findings. Meant to be one `static` of the process.
pub struct Reporter {
    state: Lock<State>,
    /// The thread that holds the state; 0 = none.
    writer: AtomicU32,
}

impl Reporter {
    /// A reporter to standard error, in text, by default options.
    pub const fn new(stacks: &'static dyn Stacks, names: &'static dyn Names) -> Self {
        let state = State::new(stacks, names);
        Reporter { state: Lock::new(Rank::Report, state), writer: AtomicU32::new(0) }
    }

    /// Takes over the options. In a secure process pass
    /// [`Options::DEFAULT`]-like options: their paths are opened.
    pub fn configure(&self, options: &Options) {
        if let Some(mut state) = self.enter() {
            state.form = match options.format {
                Format::Text => Form::Text,
                Format::Json => Form::Json,
            };
            state.is_fatal = options.halt_on_error;
            state.generates = options.gen_suppressions;
            state.lists_matched = options.print_suppressions;
            state.shown = options.show_leak_kinds;
            state.most_leaks = options.max_leaks;
            state.sink.set_path(&options.log_path);
            if !options.suppressions.is_empty() {
                state.load_suppressions(options.suppressions.as_bytes());
            }
        }
    }

    /// Adds suppressions that the program links in
    /// (`heapwarden_default_suppressions`, `__lsan_default_suppressions`).
    pub fn add_suppressions(&self, text: &'static [u8]) {
        if let Some(mut state) = self.enter() {
            state.add_suppressions(text);
        }
    }

    /// Leaves frames in this range of addresses out at the top of stacks.
    pub fn set_own_code(&self, start: usize, end: usize) {
        if let Some(mut state) = self.enter() {
            state.own_code = (start, end);
        }
    }

    /// Names all addresses of `stacks` in one go. Before many records, this
    /// saves a child process for each.
    pub fn prepare(&self, stacks: &mut dyn Iterator<Item = StackId>) {
        if let Some(mut state) = self.enter() {
            stacks.for_each(|stack| state.want(stack));
            state.resolve();
        }
    }

    /// Reports blocks that nobody released.
    pub fn leak(&self, leak: &Leak<'_>) -> Outcome {
        let size = Count { blocks: leak.blocks, bytes: leak.bytes };
        self.find(Record::Leak(leak), Some((Finding::Leak(leak.kind), leak.stack, size)))
    }

    /// Reports a suspected hidden leak.
    pub fn hidden_leak(&self, leak: &HiddenLeak<'_>) -> Outcome {
        let size = Count { blocks: leak.blocks, bytes: leak.bytes };
        self.find(Record::HiddenLeak(leak), Some((Finding::Hidden, leak.stack, size)))
    }

    /// Reports a misuse. The caller aborts afterwards, or not.
    pub fn error(&self, error: &ErrorReport<'_>) -> Outcome {
        let size = Count { blocks: 1, bytes: 0 };
        self.find(Record::Error(error), Some((Finding::Error, error.stack, size)))
    }

    /// Reports a refused request.
    pub fn warning(&self, warning: &Warning<'_>) -> Outcome {
        self.find(Record::Warning(warning), None)
    }

    /// Reports that memory has run out, or nearly.
    pub fn exhaustion(&self, exhaustion: &Exhaustion<'_>) -> Outcome {
        self.find(Record::Exhaustion(exhaustion), None)
    }

    /// Renders that memory is in use, with the names that are known already,
    /// and passes the bytes on instead of writing them.
    pub fn render_exhaustion(&self, exhaustion: &Exhaustion<'_>, take: &mut dyn FnMut(&[u8])) {
        if let Some(mut state) = self.enter() {
            state.render(Record::Exhaustion(exhaustion), take);
        }
    }

    /// Reports the end of a check, and which suppressions matched.
    pub fn summary(&self, summary: &Summary) -> Outcome {
        let Some(mut state) = self.enter() else { return Outcome::Failed };
        state.leaks = 0;
        if state.lists_matched {
            state.list_matched();
        }
        state.write(Record::Summary(summary))
    }

    /// The descriptor that reports go to: the open file's, 1 or 2; -1 if a file
    /// was not opened yet.
    pub fn descriptor(&self) -> i32 {
        self.enter().map_or(-1, |state| state.sink.descriptor())
    }

    /// One line about the warden itself.
    pub fn notice(&self, message: fmt::Arguments<'_>) -> Outcome {
        let mut buffer = [0; 512];
        let mut text = Text::new(&mut buffer);
        let _ = text.write_fmt(message);
        self.find(Record::Notice(text.as_str()), None)
    }

    /// Plain text for a person (`help=1`), in pieces of any length.
    pub fn print(&self, fill: impl FnOnce(&mut dyn Write)) {
        if let Some(mut state) = self.enter() {
            let state = &mut *state;
            let mut text = Text::new(&mut state.buffer);
            fill(&mut text);
            state.sink.write(text.as_bytes());
        }
    }

    /// Takes the reporter across fork(2): no record is half written then.
    pub fn before_fork(&self) {
        self.state.acquire();
    }

    /// Frees what [`Reporter::before_fork`] took.
    ///
    /// # Safety
    /// This thread called `before_fork`, and this is the parent, or the only
    /// thread of the child.
    pub unsafe fn after_fork(&self) {
        // SAFETY: the caller promises that this thread holds the lock.
        unsafe { self.state.release() }
    }

    fn find(&self, record: Record<'_>, finding: Option<(Finding, StackId, Count)>) -> Outcome {
        let Some(mut state) = self.enter() else {
            say_directly(record);
            return Outcome::Failed;
        };
        record.for_each_stack(&mut |stack| state.want(stack));
        state.resolve();
        if let Some((finding, stack, size)) = finding {
            if state.is_suppressed(finding, stack, size) {
                return Outcome::Suppressed;
            }
            if let Finding::Leak(kind) = finding {
                let is_one_too_many = state.most_leaks > 0 && state.leaks >= state.most_leaks;
                if !state.shown.contains(kind) || is_one_too_many {
                    return Outcome::LeftOut;
                }
                state.leaks += 1;
                if state.leaks == 1 && state.form == Form::Text {
                    state.write_heading();
                }
            }
        }
        let outcome = state.write(record);
        if state.generates
            && let Some((finding, stack, _)) = finding
        {
            state.suggest(finding, stack);
        }
        outcome
    }

    /// The state, unless this thread holds it already (a fault while writing)
    /// or another holds it for too long.
    fn enter(&self) -> Option<Entered<'_>> {
        let thread = Host::thread_id();
        if self.writer.load(Relaxed) == thread {
            return None;
        }
        let sleeper = AtomicU32::new(0);
        let mut waited_ms = 0;
        let old_mask = process::block_signals();
        process::restore_signals(old_mask | !FAULTS);
        loop {
            if let Some(guard) = self.state.try_lock() {
                self.writer.store(thread, Relaxed);
                process::restore_signals(old_mask | !FAULTS);
                let guard = ManuallyDrop::new(guard);
                return Some(Entered { guard, writer: &self.writer, old_mask });
            }
            if waited_ms >= LOCK_PATIENCE_MS {
                process::restore_signals(old_mask);
                return None;
            }
            Host::wait(&sleeper, 0, 1_000_000);
            waited_ms += 1;
        }
    }
}

/// The state while this thread holds it.
///
/// The program's signals wait meanwhile, so that no handler of it can jump
/// out of a half-written record; those that a fault raises do not.
struct Entered<'a> {
    /// Given back before `old_mask` is: a guard restores the mask it found.
    guard: ManuallyDrop<Guard<'a, State>>,
    writer: &'a AtomicU32,
    old_mask: u64,
}

impl core::ops::Deref for Entered<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        &self.guard
    }
}

impl core::ops::DerefMut for Entered<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.guard
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.writer.store(0, Relaxed);
        // SAFETY: `self` is being dropped, so the guard is used no more and
        // dropped this once.
        unsafe { ManuallyDrop::drop(&mut self.guard) };
        process::restore_signals(self.old_mask);
    }
}

/// The least that can be said when the reporter cannot be had.
fn say_directly(record: Record<'_>) {
    let mut buffer = [0; 256];
    let mut line = Text::new(&mut buffer);
    let _ = write!(line, "=={}==heapwarden: ", process::id());
    let _ = match record {
        Record::Error(error) => writeln!(
            line,
            "{} on address {:#x}, met while another report was being written",
            error.kind.name(),
            error.address
        ),
        Record::Notice(message) => writeln!(line, "{message}"),
        _ => writeln!(line, "a record was dropped: another report is still being written"),
    };
    Sink::new().write(line.as_bytes());
}
