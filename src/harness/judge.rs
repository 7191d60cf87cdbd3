//! The judge: compares what a machine saw with what the model predicted.
//!
//! It keeps what the model must not know, the addresses: blocks that live at
//! the same time never overlap, whoever got them.

use super::model::{Action, Command, Model, Outcome};
use super::operation::Program;
use super::tally::Tally;
use super::verdict::{Seen, Verdict};
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::string::String;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

/// What a machine saw of one action.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Observation {
    /// The pointer that came back; 0: null or none.
    pub address: usize,
    /// errno afterwards (0 before); posix_memalign's result.
    pub errno: i32,
    /// The number that came back; of a look at bytes 1 + the first wrong one.
    pub value: usize,
    /// Figures: allocations so far.
    pub allocations: usize,
    /// The verdicts that were given, in order.
    pub verdicts: Vec<Seen>,
}

/// In what the allocator failed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the text of each is in `Display`
pub enum Fault {
    Overlap { address: usize, size: usize, other: usize, other_size: usize },
    Alignment { address: usize, alignment: usize },
    Contents { offset: usize },
    NotZero { offset: usize },
    Refused { errno: i32 },
    NotRefused,
    Errno { wanted: i32, seen: i32 },
    Value { wanted: usize, seen: usize },
    Figures { wanted: (usize, usize), seen: (usize, usize) },
    Missing(Verdict),
    Unexpected(Seen),
    Leaks(String),
    Machine(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Overlap { address, size, other, other_size } => write!(
                out,
                "the block at {address:#x} of {size} bytes overlaps the live one at {other:#x} of {other_size}"
            ),
            Fault::Alignment { address, alignment } => {
                write!(out, "{address:#x} is no multiple of {alignment}")
            }
            Fault::Contents { offset } => write!(out, "byte {offset} of the block has changed"),
            Fault::NotZero { offset } => write!(out, "byte {offset} of calloc's block is not zero"),
            Fault::Refused { errno } => write!(out, "refused with errno {errno}"),
            Fault::NotRefused => write!(out, "a request was met that cannot be"),
            Fault::Errno { wanted, seen } => write!(out, "errno is {seen} instead of {wanted}"),
            Fault::Value { wanted, seen } => {
                write!(out, "the answer is {seen} instead of {wanted}")
            }
            Fault::Figures { wanted, seen } => write!(
                out,
                "{} live bytes and {} allocations are told instead of {} and {}",
                seen.0, seen.1, wanted.0, wanted.1
            ),
            Fault::Missing(verdict) => write!(out, "not told: {verdict}"),
            Fault::Unexpected(seen) => write!(out, "told without cause: {seen:?}"),
            Fault::Leaks(what) => write!(out, "leaks: {what}"),
            Fault::Machine(what) => write!(out, "{what}"),
        }
    }
}

/// A fault, and the action that showed it (`None`: at the end).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What was wrong.
    pub fault: Fault,
    /// When.
    pub action: Option<Action>,
    /// The program up to there, to be printed (see [`super::c_program`]).
    pub program: Program,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.fault)?;
        if let Some(action) = &self.action {
            write!(
                out,
                "\n  in step {}, thread {}, site_{}: {:?}",
                action.step, action.thread, action.site, action.command
            )?;
        }
        write!(out, "\nthe program:\n{}", self.program)
    }
}

/// The blocks that live, by address; shared by the judges of one allocator.
#[derive(Clone, Default, Debug)]
pub struct Claims(Arc<Mutex<BTreeMap<usize, usize>>>);

impl Claims {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, address: usize, size: usize) -> Result<(), Fault> {
        let mut live = self.lock();
        let end = address.saturating_add(size.max(1));
        let before = live.range(..end).next_back();
        if let Some((&other, &other_size)) = before
            && other.saturating_add(other_size.max(1)) > address
        {
            return Err(Fault::Overlap { address, size, other, other_size });
        }
        live.insert(address, size);
        Ok(())
    }
}

/// Judges the run of one program.
#[derive(Default, Debug)]
pub struct Judge {
    claims: Claims,
    /// Address of each block, by the model's number.
    addresses: BTreeMap<usize, usize>,
    /// Address of the block that each place got last.
    places: BTreeMap<u8, usize>,
    /// The block that the action under way gives up: place, address, size.
    given_up: Option<(u8, usize, usize)>,
    /// Verdicts that have come, by number.
    come: BTreeSet<usize>,
    /// While a forked child is watched: what the parent has.
    parent: Option<(BTreeMap<usize, usize>, BTreeMap<u8, usize>)>,
    /// The step that the last action was of.
    step: Option<usize>,
    /// What was tried.
    pub tally: Tally,
}

impl Judge {
    /// One that shares the knowledge of live blocks with others.
    pub fn sharing(claims: &Claims) -> Judge {
        Judge { claims: claims.clone(), ..Judge::default() }
    }

    /// An action is about to be done: a block that goes is given up before
    /// anybody can get its memory.
    pub fn expect(&mut self, action: &Action) {
        self.given_up = None;
        match action.command {
            Command::Free { place, .. } => self.give_up(place),
            Command::Resize { place, .. } if !matches!(action.outcome, Outcome::Refused(_)) => {
                self.give_up(place);
            }
            Command::Fork => {
                self.parent = Some((self.claims.lock().clone(), self.places.clone()));
            }
            Command::ChildEnd => {
                if let Some((live, places)) = self.parent.take() {
                    *self.claims.lock() = live;
                    self.places = places;
                }
            }
            _ => {}
        }
    }

    /// The action was refused for want of memory: its block stays.
    pub fn was_refused(&mut self) {
        if let Some((place, address, size)) = self.given_up.take() {
            self.places.insert(place, address);
            self.claims.lock().insert(address, size);
        }
    }

    fn give_up(&mut self, place: u8) {
        if let Some(address) = self.places.remove(&place)
            && let Some(size) = self.claims.lock().remove(&address)
        {
            self.given_up = Some((place, address, size));
        }
    }

    /// The place's block is handed to another program: its address.
    pub(super) fn hand_out(&mut self, place: u8) -> Option<usize> {
        self.places.remove(&place)
    }

    /// The place gets a block that lives already.
    pub(super) fn take_in(&mut self, place: u8, address: usize) {
        self.places.insert(place, address);
    }

    /// Judges what came of an action.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn observe(&mut self, action: &Action, seen: &Observation) -> Result<(), Fault> {
        self.tally.actions += 1;
        self.tally.states += u64::from(self.step.replace(action.step) != Some(action.step));
        let told = self.compare_verdicts(action, &seen.verdicts)?;
        match action.outcome {
            Outcome::Nothing | Outcome::Null if seen.address != 0 => Err(Fault::NotRefused),
            Outcome::Nothing | Outcome::Null if seen.errno != 0 => {
                Err(Fault::Errno { wanted: 0, seen: seen.errno })
            }
            Outcome::Nothing | Outcome::Null => Ok(()),
            Outcome::Block { .. } if seen.address == 0 => Err(Fault::Refused { errno: seen.errno }),
            Outcome::Block { id, size, alignment } => {
                self.tally.blocks += 1;
                if !seen.address.is_multiple_of(alignment) {
                    return Err(Fault::Alignment { address: seen.address, alignment });
                }
                self.claims.claim(seen.address, size)?;
                self.addresses.insert(id, seen.address);
                if let Command::Allocate { place, .. } | Command::Resize { place, .. } =
                    action.command
                {
                    self.places.insert(place, seen.address);
                }
                Ok(())
            }
            Outcome::Refused(_) if seen.address != 0 => Err(Fault::NotRefused),
            Outcome::Refused(Some(errno)) if seen.errno != errno => {
                Err(Fault::Errno { wanted: errno, seen: seen.errno })
            }
            Outcome::Refused(_) => Ok(()),
            Outcome::Value(_) if action.command == Command::Check => match told == seen.value {
                true => Ok(()),
                false => Err(Fault::Value { wanted: told, seen: seen.value }),
            },
            Outcome::Value(0) if seen.value != 0 => {
                let offset = seen.value - 1;
                Err(match action.command {
                    Command::Zero { .. } => Fault::NotZero { offset },
                    Command::Verify { .. } => Fault::Contents { offset },
                    _ => Fault::Value { wanted: 0, seen: seen.value },
                })
            }
            Outcome::Value(wanted) if wanted != seen.value => {
                Err(Fault::Value { wanted, seen: seen.value })
            }
            Outcome::AtLeast(wanted) if wanted > seen.value => {
                Err(Fault::Value { wanted, seen: seen.value })
            }
            Outcome::Value(_) | Outcome::AtLeast(_) => Ok(()),
            Outcome::Figures { live_bytes, allocations } => {
                let allocations = allocations.unwrap_or(seen.allocations);
                let (wanted, seen) = ((live_bytes, allocations), (seen.value, seen.allocations));
                if wanted == seen { Ok(()) } else { Err(Fault::Figures { wanted, seen }) }
            }
        }
    }

    /// How many of the certain verdicts had not come before.
    fn compare_verdicts(&mut self, action: &Action, seen: &[Seen]) -> Result<usize, Fault> {
        let mut wanted: Vec<Verdict> = action
            .certain
            .iter()
            .copied()
            .filter(|verdict| !self.come.contains(&verdict.number))
            .collect();
        let certain = wanted.len();
        let mut possible = action.possible.filter(|verdict| !self.come.contains(&verdict.number));
        for verdict in seen {
            let matches = |wanted: &Verdict, addresses: &BTreeMap<usize, usize>| {
                let address = wanted.block.and_then(|facts| addresses.get(&facts.id)).copied();
                verdict.answers(wanted, address)
            };
            if let Some(first) = wanted.first()
                && matches(first, &self.addresses)
            {
                self.come.insert(wanted.remove(0).number);
            } else if let Some(other) = possible.take_if(|it| matches(it, &self.addresses)) {
                self.come.insert(other.number);
            } else {
                return Err(Fault::Unexpected(verdict.clone()));
            }
            self.tally.verdicts += 1;
        }
        match wanted.first() {
            Some(missing) => Err(Fault::Missing(*missing)),
            None => Ok(certain),
        }
    }

    /// Whether a verdict has come.
    pub fn has_come(&self, number: usize) -> bool {
        self.come.contains(&number)
    }

    /// Judges what was told after the last action.
    ///
    /// # Errors
    /// A verdict that is missing or without cause.
    pub fn end(&mut self, model: &Model, seen: &[Seen]) -> Result<(), Fault> {
        self.tally.programs += 1;
        let last = Action {
            step: 0,
            thread: 0,
            site: 0,
            command: Command::Check,
            outcome: Outcome::Nothing,
            certain: model.end().0.into_iter().collect(),
            possible: None,
        };
        self.compare_verdicts(&last, seen).map(|_| ())
    }
}
