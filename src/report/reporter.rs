//! The reporter: one door for every finding, from any thread, at any time.
//!
//! Invariant: one record is rendered and written at a time, and nobody waits
//! longer than [`LOCK_PATIENCE_MS`] for another's. A thread that faults while
//! it is writing a record itself gets one plain line out and returns.

use super::event::{ErrorReport, HiddenLeak, Leak, Record, Warning};
use super::render::{self, Context, FRAMES_MAX, Form, functions_at, outside_of};
use super::sink::Sink;
use super::source::{Code, Names, Stacks};
use super::suppress::{Finding, Site, Suppressions};
use super::time::Timestamp;
use super::totals::{Count, Exhaustion, Matched, Summary};
use super::words::Printable;
use crate::config::{Format, Options, PATH_MAX};
use crate::platform::linux::files::{File, read_file};
use crate::platform::linux::{output, process};
use crate::platform::{Host, Platform};
use crate::sync::{Guard, Lock, Rank};
use crate::units::{LeakKinds, StackId, Text};
use core::fmt::{self, Write};
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Longest time that a record waits for another thread's, milliseconds.
pub const LOCK_PATIENCE_MS: u64 = 15_000;
/// Longest record, in bytes.
const RECORD_MAX: usize = 64 << 10;

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

struct State {
    stacks: &'static dyn Stacks,
    names: &'static dyn Names,
    own_code: (usize, usize),
    sink: Sink,
    suppressions: Suppressions,
    form: Form,
    is_fatal: bool,
    generates: bool,
    lists_matched: bool,
    shown: LeakKinds,
    most_leaks: u64,
    /// Why names are missing was said already.
    has_complained: bool,
    /// Leak records since the last summary.
    leaks: u64,
    codes: [Code; FRAMES_MAX],
    buffer: [u8; RECORD_MAX],
}

impl Reporter {
    /// A reporter to standard error, in text, by default options.
    pub const fn new(stacks: &'static dyn Stacks, names: &'static dyn Names) -> Self {
        let state = State {
            stacks,
            names,
            own_code: (0, 0),
            sink: Sink::new(),
            suppressions: Suppressions::new(),
            form: Form::Text,
            is_fatal: true,
            generates: false,
            lists_matched: true,
            shown: LeakKinds::USUAL,
            most_leaks: 0,
            has_complained: false,
            leaks: 0,
            codes: [Code { address: 0, module: 0 }; FRAMES_MAX],
            buffer: [0; RECORD_MAX],
        };
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
    pub fn leak(&self, leak: &Leak) -> Outcome {
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

impl State {
    fn write(&mut self, record: Record<'_>) -> Outcome {
        let context = self.context();
        match render::render(record, self.form, &context, &mut self.codes, &mut self.buffer) {
            Some(bytes) if self.sink.write(bytes) => Outcome::Written,
            _ => Outcome::Failed,
        }
    }

    fn render(&mut self, record: Record<'_>, take: &mut dyn FnMut(&[u8])) {
        let context = self.context();
        if let Some(bytes) =
            render::render(record, self.form, &context, &mut self.codes, &mut self.buffer)
        {
            take(bytes);
        }
    }

    fn context(&self) -> Context<'static> {
        let (seconds, nanoseconds) = output::realtime();
        Context {
            pid: process::id(),
            time: Timestamp { seconds, nanoseconds },
            stacks: self.stacks,
            names: self.names,
            thread_name,
            own_code: self.own_code,
            is_fatal: self.is_fatal,
        }
    }

    fn write_heading(&mut self) {
        let mut text = Text::new(&mut self.buffer);
        let line = "=================================================================";
        let _ = write!(
            text,
            "\n{line}\n=={}==ERROR: heapwarden: detected memory leaks\n\n",
            process::id()
        );
        self.sink.write(text.as_bytes());
    }

    fn want(&mut self, stack: StackId) {
        let codes = frames_of(self.stacks, self.own_code, stack, &mut self.codes);
        codes.iter().for_each(|code| self.names.want(code.call()));
    }

    fn resolve(&mut self) {
        if let Err(why) = self.names.resolve()
            && !core::mem::replace(&mut self.has_complained, true)
        {
            self.write(Record::Notice(why));
        }
    }

    fn is_suppressed(&mut self, finding: Finding, stack: StackId, size: Count) -> bool {
        if self.suppressions.is_empty() {
            return false;
        }
        let names = self.names;
        let codes = frames_of(self.stacks, self.own_code, stack, &mut self.codes);
        self.suppressions.matches(finding, size, |each| {
            for code in codes {
                functions_at(names, code.call(), &mut |shown| {
                    each(&Site {
                        function: shown.frame.function.unwrap_or_default(),
                        file: shown.frame.file.unwrap_or_default(),
                        module: shown.place.map_or(&[], |place| place.module),
                    });
                });
            }
        })
    }

    /// Prints a line that would suppress this finding.
    fn suggest(&mut self, finding: Finding, stack: StackId) {
        let kind = match finding {
            Finding::Leak(_) => "leak",
            Finding::Hidden => "hidden",
            Finding::Error => "error",
        };
        let mut buffer = [0; 400];
        let mut line = Text::new(&mut buffer);
        let codes = frames_of(self.stacks, self.own_code, stack, &mut self.codes);
        // A wrapper of libc (strdup) would match far too much: the first
        // frame outside of system libraries is meant.
        for is_any_good in [false, true] {
            for code in codes {
                functions_at(self.names, code.call(), &mut |shown| {
                    let module = shown.place.map_or(&[][..], |place| place.module);
                    let is_system =
                        [&b"/lib"[..], b"/usr/lib"].iter().any(|it| module.starts_with(it));
                    if !line.as_bytes().is_empty() || (is_system && !is_any_good) {
                        return;
                    }
                    let _ = match (shown.frame.function, shown.place) {
                        (Some(function), _) => write!(line, "{kind}:^{}$", Printable(function)),
                        (None, Some(place)) => write!(line, "{kind}:{}", Printable(place.module)),
                        (None, None) => Ok(()),
                    };
                });
            }
        }
        if line.as_bytes().is_empty() {
            return;
        }
        let mut buffer = [0; 512];
        let mut message = Text::new(&mut buffer);
        let _ = write!(message, "suppress the above with: {}", line.as_str());
        self.write(Record::Notice(message.as_str()));
    }

    fn load_suppressions(&mut self, path: &[u8]) {
        let mut name = [0; PATH_MAX + 1];
        name[..path.len()].copy_from_slice(path);
        let file = File::open(&name[..=path.len()], libc::O_RDONLY | libc::O_NONBLOCK, 0);
        match file.and_then(|file| file.map()) {
            Ok(text) => self.add_suppressions(text),
            Err(error) => self.notice_bytes(format_args!(
                "cannot read suppressions='{}' (error {}); nothing is suppressed",
                path[..path.len().min(256)].escape_ascii(),
                error.0
            )),
        }
    }

    fn add_suppressions(&mut self, text: &'static [u8]) {
        let mut bad = [0; 128];
        let mut first_bad = Text::new(&mut bad);
        let mut count = 0u32;
        self.suppressions.add(text, |line| {
            count += 1;
            if count == 1 {
                let _ = write!(first_bad, "{}", line[..line.len().min(64)].escape_ascii());
            }
        });
        if count > 0 {
            self.notice_bytes(format_args!(
                "{count} line(s) of the suppressions are not understood; the first: '{}'",
                first_bad.as_str()
            ));
        }
    }

    fn notice_bytes(&mut self, message: fmt::Arguments<'_>) {
        let mut buffer = [0; 512];
        let mut text = Text::new(&mut buffer);
        let _ = text.write_fmt(message);
        self.write(Record::Notice(text.as_str()));
    }

    fn list_matched(&mut self) {
        let mut index = 0;
        loop {
            let (mut seen, mut found) = (0, None);
            self.suppressions.for_each_matched(|pattern, count| {
                if seen == index {
                    let mut copy = [0; 256];
                    let length = pattern.len().min(copy.len());
                    copy[..length].copy_from_slice(&pattern[..length]);
                    found = Some((copy, length, count));
                }
                seen += 1;
            });
            let Some((copy, length, count)) = found else { return };
            self.write(Record::Matched(&Matched { pattern: &copy[..length], count }));
            index += 1;
        }
    }
}

fn frames_of<'c>(
    stacks: &dyn Stacks,
    own_code: (usize, usize),
    stack: StackId,
    codes: &'c mut [Code; FRAMES_MAX],
) -> &'c [Code] {
    if stack == StackId::UNKNOWN {
        return &[];
    }
    let (frames, _) = stacks.frames(stack, codes);
    outside_of(&(own_code.0..own_code.1), &codes[..frames.min(FRAMES_MAX)])
}

/// The name of thread `os_id` of this process.
fn thread_name(os_id: u32, buffer: &mut [u8; 16]) -> usize {
    let mut path = [0; 48];
    let mut text = Text::new(&mut path);
    let _ = write!(text, "/proc/self/task/{os_id}/comm\0");
    read_file(text.as_bytes(), buffer).map_or(0, |name| name.trim_ascii_end().len())
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
