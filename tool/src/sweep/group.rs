//! What came of the runs, grouped by outcome and by the call that failed.

use super::once::{Ending, Observation};
use crate::sites;
use std::collections::HashMap;

/// How a run went wrong; the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A signal such as SIGSEGV.
    Crashed,
    /// heapwarden reported a misuse of the heap.
    Damaged,
    /// It did not end.
    Hung,
    /// It ended as if nothing had happened, with another output.
    Silent,
    /// It lost blocks that the plain run does not lose.
    Leaked,
    /// It gave up by abort().
    Aborted,
}

impl Kind {
    /// How `seen` went wrong, compared with the plain run; `None` = well.
    pub fn of(seen: &Observation, plain: &Observation) -> Option<Kind> {
        match seen.ending {
            Ending::TimedOut => Some(Kind::Hung),
            _ if !seen.errors.is_empty() => Some(Kind::Damaged),
            Ending::Signal(signal) if signal == nix::libc::SIGABRT => Some(Kind::Aborted),
            Ending::Signal(_) if seen.ending != plain.ending => Some(Kind::Crashed),
            _ if seen.new_leaks(plain).next().is_some() => Some(Kind::Leaked),
            _ if seen.ending == plain.ending
                && plain.ending == Ending::Code(0)
                && plain.output.is_some()
                && seen.output != plain.output =>
            {
                Some(Kind::Silent)
            }
            _ => None,
        }
    }

    /// As a heading.
    pub const fn title(self) -> &'static str {
        match self {
            Kind::Crashed => "crash",
            Kind::Damaged => "misuse of the heap",
            Kind::Hung => "hang",
            Kind::Silent => "silent failure",
            Kind::Leaked => "leak",
            Kind::Aborted => "abort",
        }
    }

    /// As part of a sentence about the program.
    pub const fn verb(self) -> &'static str {
        match self {
            Kind::Crashed => "crashes",
            Kind::Damaged => "misuses the heap",
            Kind::Hung => "hangs",
            Kind::Silent => "gives other output each time",
            Kind::Leaked => "leaks",
            Kind::Aborted => "aborts",
        }
    }
}

/// Runs of one kind whose failed call has one stack.
pub struct Group {
    pub kind: Kind,
    /// The allocations that failed, ascending.
    pub numbers: Vec<u64>,
    /// What was seen of the first run that ended.
    pub first: Observation,
}

impl Group {
    /// Where it went wrong, if that is known: one bug may spoil many calls.
    pub fn cause(&self) -> Option<u64> {
        let error = self.first.errors.first()?;
        Some(sites::key(&error.kind, error.stack.get(..1)?))
    }

    /// What happened, in a few words.
    pub fn describe(&self, named: &Observation) -> String {
        match self.kind {
            Kind::Crashed | Kind::Aborted => format!("the program died of {}", self.first.ending),
            Kind::Damaged => {
                let error = named.errors.first().or(self.first.errors.first());
                error.map_or(String::new(), |error| error.kind.clone())
            }
            Kind::Hung => "the program did not end".to_owned(),
            Kind::Silent => "exit code 0, but its output is another one".to_owned(),
            Kind::Leaked => {
                format!("the error path loses memory; the program ends with {}", self.first.ending)
            }
        }
    }
}

/// All groups.
#[derive(Default)]
pub struct Groups(HashMap<(Kind, u64), Group>);

impl Groups {
    pub fn add(&mut self, kind: Kind, number: u64, seen: Observation) {
        let key = (kind, sites::key("", &seen.failed_stack));
        let group =
            self.0.entry(key).or_insert_with(|| Group { kind, numbers: Vec::new(), first: seen });
        let place = group.numbers.partition_point(|&other| other < number);
        group.numbers.insert(place, number);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The worst first, then by number.
    pub fn sorted(&self) -> Vec<&Group> {
        let mut groups: Vec<_> = self.0.values().collect();
        groups.sort_by_key(|group| (group.kind, group.numbers[0]));
        groups
    }
}
