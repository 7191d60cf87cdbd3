//! Runs programs in this process: one by one, or several at the same time.
//!
//! At the same time each program has a thread, a model and a judge of its own.
//! They share the book of live blocks, so that a block that two threads get is
//! found, and a shelf through which blocks go from one to another: there
//! `Begin` puts a block onto the shelf, `End` takes the oldest one.
//!
//! Invariant: a block is entered into the book after the allocator gave it and
//! struck out before it is given back.

use super::judge::{Claims, Failure, Fault, Judge};
use super::machine::{Allocator, Machine, MemoryMachine};
use super::model::{Action, Block, Model, Outcome};
use super::operation::{Operation, PLACES, Program};
use super::rules::Rules;
use super::tally::Tally;
use std::boxed::Box;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

/// Runs a program on an allocator and judges it.
///
/// # Errors
/// The first fault, and the program up to it.
pub fn run(
    program: &Program,
    rules: &Rules,
    allocator: &dyn Allocator,
) -> Result<Tally, Box<Failure>> {
    allocator.begin();
    let mut runner = Runner {
        program,
        rules,
        machine: MemoryMachine::new(allocator),
        judge: Judge::default(),
        model: Model::new(rules),
    };
    for step in &program.steps {
        let before = rules.may_refuse.then(|| runner.model.clone());
        let actions = runner.model.step(step);
        runner.perform(actions, before)?;
    }
    let actions = runner.model.close();
    runner.perform(actions, None)?;
    allocator.check();
    runner.end(allocator)
}

/// Runs programs on an allocator, all at the same time, and judges each; for
/// allocators that tell neither figures nor crimes (the rules' are not used).
///
/// # Errors
/// The first fault of one of them.
pub fn stress(
    programs: &[Program],
    rules: &Rules,
    allocator: &dyn Allocator,
) -> Result<Tally, Box<Failure>> {
    let rules = Rules {
        threads: false,
        forks: false,
        statistics: false,
        crimes: false,
        leaks: false,
        ..*rules
    };
    let (claims, shelf) = (Claims::default(), Shelf::default());
    let results: Vec<_> = std::thread::scope(|scope| {
        let runners: Vec<_> = programs
            .iter()
            .map(|program| {
                let (claims, shelf, rules) = (&claims, &shelf, &rules);
                scope.spawn(move || {
                    let mut runner = Runner {
                        program,
                        rules,
                        machine: MemoryMachine::new(allocator),
                        judge: Judge::sharing(claims),
                        model: Model::new(rules),
                    };
                    runner.run_beside_others(shelf)
                })
            })
            .collect();
        runners.into_iter().map(|runner| runner.join()).collect()
    });
    let mut last = Runner {
        program: &Program::default(),
        rules: &rules,
        machine: MemoryMachine::new(allocator),
        judge: Judge::sharing(&claims),
        model: Model::new(&rules),
    };
    let mut tally = Tally::default();
    for result in results {
        tally += result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    while last.take_from(&shelf, 0) {
        let actions = last.model.close();
        last.perform(actions, None)?;
    }
    Ok(tally)
}

/// Blocks on their way from one thread to another.
#[derive(Default)]
struct Shelf(Mutex<VecDeque<(usize, Block)>>);

struct Runner<'a> {
    program: &'a Program,
    rules: &'a Rules,
    machine: MemoryMachine<'a>,
    judge: Judge,
    model: Model,
}

impl Runner<'_> {
    /// Does what one step asks for; back to `before` if memory is short.
    fn perform(&mut self, actions: Vec<Action>, before: Option<Model>) -> Result<(), Box<Failure>> {
        for action in actions {
            self.judge.expect(&action);
            let seen = self.machine.perform(&action);
            let is_refused = seen.address == 0 && matches!(action.outcome, Outcome::Block { .. });
            if is_refused && let Some(before) = before {
                self.judge.was_refused();
                self.model.refuse(before);
                return Ok(());
            }
            if let Err(fault) = self.judge.observe(&action, &seen) {
                return Err(self.failure(fault, Some(action)));
            }
            if let Some(pending) = self.model.pending()
                && self.judge.has_come(pending.number)
            {
                self.model.was_found(pending.number);
            }
        }
        Ok(())
    }

    fn end(mut self, allocator: &dyn Allocator) -> Result<Tally, Box<Failure>> {
        let seen = allocator.verdicts();
        if self.rules.leaks {
            let (roots, (_, leaks)) = (self.machine.roots(), self.model.end());
            if let Err(what) = leaks.compare(|kind, site| allocator.leaks(&roots, kind, site)) {
                return Err(self.failure(Fault::Leaks(what), None));
            }
            self.judge.tally.leaks += leaks.blocks() as u64;
        }
        match self.judge.end(&self.model, &seen) {
            Ok(()) => Ok(self.judge.tally),
            Err(fault) => Err(self.failure(fault, None)),
        }
    }

    fn failure(&self, fault: Fault, action: Option<Action>) -> Box<Failure> {
        let count = action.as_ref().map_or(usize::MAX, |action| action.step.saturating_add(1));
        let steps = self.program.steps.iter().take(count).copied().collect();
        Box::new(Failure { fault, action, program: Program { steps } })
    }

    fn run_beside_others(&mut self, shelf: &Shelf) -> Result<Tally, Box<Failure>> {
        for step in &self.program.steps {
            match step.operation {
                Operation::Begin { thread } => self.put_onto(shelf, thread.wrapping_add(step.site)),
                Operation::End { thread } => {
                    self.take_from(shelf, thread.wrapping_add(step.site));
                }
                _ => {
                    let before = self.rules.may_refuse.then(|| self.model.clone());
                    let actions = self.model.step(step);
                    self.perform(actions, before)?;
                }
            }
        }
        let actions = self.model.close();
        self.perform(actions, None)?;
        self.judge.tally.programs += 1;
        Ok(self.judge.tally)
    }

    fn put_onto(&mut self, shelf: &Shelf, place: u8) {
        let place = place % PLACES;
        if let Some(block) = self.model.hand_out(place)
            && let Some(address) = self.judge.hand_out(place)
        {
            let mut shelf = shelf.0.lock().unwrap_or_else(PoisonError::into_inner);
            shelf.push_back((address, block));
        }
    }

    fn take_from(&mut self, shelf: &Shelf, place: u8) -> bool {
        let place = place % PLACES;
        let mut shelf = shelf.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(&(address, block)) = shelf.front() else { return false };
        if self.model.take_in(place, block) {
            shelf.pop_front();
            self.judge.take_in(place, address);
            self.machine.take_in(place, address, block.function, block.size);
        }
        true
    }
}
