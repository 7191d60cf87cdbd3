//! What the reporter holds while it works on one record.
//!
//! Invariant: only the thread that holds the reporter's lock is in here; every
//! text is built in `buffer` or on the stack.

use super::event::Record;
use super::render::{self, Context, FRAMES_MAX, Form, functions_at, outside_of};
use super::reporter::Outcome;
use super::sink::Sink;
use super::source::{Code, Names, Stacks};
use super::suppress::{Finding, Site, Suppressions};
use super::time::Timestamp;
use super::totals::{Count, Matched};
use super::words::Printable;
use crate::config::PATH_MAX;
use crate::platform::linux::files::{File, read_file};
use crate::platform::linux::{output, process};
use crate::units::{LeakKinds, StackId, Text};
use core::fmt::{self, Write};

/// Longest record, in bytes.
const RECORD_MAX: usize = 64 << 10;

/// Everything behind the reporter's lock.
pub(super) struct State {
    pub(super) stacks: &'static dyn Stacks,
    pub(super) names: &'static dyn Names,
    pub(super) own_code: (usize, usize),
    pub(super) sink: Sink,
    pub(super) suppressions: Suppressions,
    pub(super) form: Form,
    pub(super) is_fatal: bool,
    pub(super) generates: bool,
    pub(super) lists_matched: bool,
    pub(super) shown: LeakKinds,
    pub(super) most_leaks: u64,
    /// Why names are missing was said already.
    pub(super) has_complained: bool,
    /// Leak records since the last summary.
    pub(super) leaks: u64,
    pub(super) codes: [Code; FRAMES_MAX],
    pub(super) buffer: [u8; RECORD_MAX],
}

impl State {
    /// The state of a reporter to standard error, in text, by default options.
    pub(super) const fn new(stacks: &'static dyn Stacks, names: &'static dyn Names) -> State {
        State {
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
        }
    }

    pub(super) fn write(&mut self, record: Record<'_>) -> Outcome {
        let context = self.context();
        match render::render(record, self.form, &context, &mut self.codes, &mut self.buffer) {
            Some(bytes) if self.sink.write(bytes) => Outcome::Written,
            _ => Outcome::Failed,
        }
    }

    pub(super) fn render(&mut self, record: Record<'_>, take: &mut dyn FnMut(&[u8])) {
        let context = self.context();
        if let Some(bytes) =
            render::render(record, self.form, &context, &mut self.codes, &mut self.buffer)
        {
            take(bytes);
        }
    }

    pub(super) fn context(&self) -> Context<'static> {
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

    pub(super) fn write_heading(&mut self) {
        let mut text = Text::new(&mut self.buffer);
        let line = "=================================================================";
        let _ = write!(
            text,
            "\n{line}\n=={}==ERROR: heapwarden: detected memory leaks\n\n",
            process::id()
        );
        self.sink.write(text.as_bytes());
    }

    pub(super) fn want(&mut self, stack: StackId) {
        let codes = frames_of(self.stacks, self.own_code, stack, &mut self.codes);
        codes.iter().for_each(|code| self.names.want(code.call()));
    }

    pub(super) fn resolve(&mut self) {
        if let Err(why) = self.names.resolve()
            && !core::mem::replace(&mut self.has_complained, true)
        {
            self.write(Record::Notice(why));
        }
    }

    pub(super) fn is_suppressed(&mut self, finding: Finding, stack: StackId, size: Count) -> bool {
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
    pub(super) fn suggest(&mut self, finding: Finding, stack: StackId) {
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

    pub(super) fn load_suppressions(&mut self, path: &[u8]) {
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

    pub(super) fn add_suppressions(&mut self, text: &'static [u8]) {
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

    pub(super) fn notice_bytes(&mut self, message: fmt::Arguments<'_>) {
        let mut buffer = [0; 512];
        let mut text = Text::new(&mut buffer);
        let _ = text.write_fmt(message);
        self.write(Record::Notice(text.as_str()));
    }

    pub(super) fn list_matched(&mut self) {
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
