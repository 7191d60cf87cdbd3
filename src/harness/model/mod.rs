//! The reference model: turns each step of a program into actions for a
//! machine, each with what must come of it.
//!
//! ```text
//!   places  0 ──► block 7 (start)         ghosts  0: block 3, freed at site 2
//!           1     nothing                         1: -
//!           2 ──► block 5, 16 bytes in
//!   pending: the one damage that nobody has found yet
//! ```
//!
//! Invariants: a place holds a live block or nothing; `live_bytes` is the sum
//! of the live blocks' sizes; while a damage is pending no second one is done,
//! so that each has one explanation (`docs/guarantees.md`, "the right block is
//! named", says what two together would be called).

mod action;
mod blocks;
mod crimes;
mod holding;

pub use action::{Action, Command, Outcome};

use super::leaks::{self, Leaks};
use super::operation::*;
use super::rules::Rules;
use super::verdict::{Crime, Facts, Verdict};
use crate::units::Family;
use std::vec;
use std::vec::Vec;

#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub size: usize,
    pub function: Function,
    pub alignment: usize,
    pub site: u8,
    pub tag: u32,
    pub freed: Option<u8>,
    /// What its first words point to: block and bytes into it.
    pub links: [Option<(usize, usize)>; LINKS as usize],
    /// Which of its first words are not the fill's any more.
    pub linked: u8,
}

/// The state that a program has reached.
#[derive(Clone)]
pub struct Model {
    rules: Rules,
    pub(super) blocks: Vec<Block>,
    /// Block and how far into it.
    pub(super) places: [Option<(usize, usize)>; PLACES as usize],
    ghosts: [Option<usize>; PLACES as usize],
    running: [bool; THREADS as usize],
    pending: Option<Verdict>,
    verdicts: usize,
    live_bytes: usize,
    allocations: usize,
    step: usize,
    thread: u8,
    site: u8,
    actions: Vec<Action>,
}

/// Requests of more bytes cannot be met by any machine of today.
const IMPOSSIBLE: usize = 1 << if usize::BITS == 64 { 47 } else { 31 };
/// Blocks up to this size lie in slots, whatever their alignment up to a page.
const SURELY_SLOT: usize = 32_000;
/// Freed blocks up to this size are watched whole.
const WATCHED_WHOLE: usize = 1000;
/// Bytes of a guard that are surely told as the block's own.
const GUARDED: u8 = WORD as u8 - 1;
const ENOMEM: i32 = 12;
const EINVAL: i32 = 22;

impl Model {
    /// Before the first step.
    pub fn new(rules: &Rules) -> Model {
        Model {
            rules: *rules,
            blocks: Vec::new(),
            places: [None; PLACES as usize],
            ghosts: [None; PLACES as usize],
            running: [true, false, false, false],
            pending: None,
            verdicts: 0,
            live_bytes: 0,
            allocations: 0,
            step: 0,
            thread: 0,
            site: 0,
            actions: Vec::new(),
        }
    }

    /// The actions of the next step; none if it makes no sense here.
    pub fn step(&mut self, step: &Step) -> Vec<Action> {
        let thread = step.thread % THREADS;
        self.thread = if self.running[thread as usize] { thread } else { 0 };
        self.site = step.site % SITES;
        self.operate(&step.operation);
        self.step += 1;
        core::mem::take(&mut self.actions)
    }

    /// What ends the program: every block is looked at, and freed where leaks
    /// are not looked for; the figures are asked for, the heap is checked.
    pub fn close(&mut self) -> Vec<Action> {
        (self.thread, self.site) = (0, 0);
        for place in 0..PLACES {
            let Some((id, 0)) = self.places[place as usize] else { continue };
            match self.rules.leaks {
                true => self.verify(place, id, self.blocks[id].size),
                false => self.free(place, Release::Fitting),
            }
        }
        if self.rules.statistics {
            self.operate(&Operation::Statistics);
        }
        core::mem::take(&mut self.actions)
    }

    /// The verdicts that are given at the end at the latest, and the leaks.
    pub fn end(&self) -> (Option<Verdict>, Leaks) {
        (self.pending, leaks::of(self, &self.rules))
    }

    /// The place's block goes to another program.
    pub(super) fn hand_out(&mut self, place: u8) -> Option<Block> {
        let id = self.held(place)?;
        self.places[place as usize] = None;
        self.ghosts[place as usize] = None;
        self.live_bytes -= self.blocks[id].size;
        self.blocks[id].freed = Some(0);
        Some(self.blocks[id])
    }

    /// An empty place gets the block of another program; whether it was empty.
    pub(super) fn take_in(&mut self, place: u8, block: Block) -> bool {
        if self.places[place as usize].is_some() {
            return false;
        }
        self.live_bytes += block.size;
        self.places[place as usize] = Some((self.blocks.len(), 0));
        self.ghosts[place as usize] = None;
        self.blocks.push(block);
        true
    }

    /// The damage that nobody has found yet.
    pub fn pending(&self) -> Option<Verdict> {
        self.pending
    }

    /// The last step was refused for want of memory: all is as it was `before`.
    pub fn refuse(&mut self, before: Model) {
        let step = self.step;
        *self = before;
        self.step = step;
    }

    /// The judge has seen the pending verdict.
    pub fn was_found(&mut self, number: usize) {
        if self.pending.is_some_and(|pending| pending.number == number) {
            self.pending = None;
        }
    }

    fn operate(&mut self, operation: &Operation) {
        let at = |place: u8| place % PLACES;
        match *operation {
            Operation::Allocate { place, function, size } => {
                self.allocate(at(place), function, size)
            }
            Operation::Resize { place, size } => self.resize(at(place), size),
            Operation::Free { place, by } => self.free(at(place), by),
            Operation::Usable { place } => self.usable(at(place)),
            Operation::Check => {
                self.act(Command::Check, Outcome::Value(usize::from(self.pending.is_some())));
                self.discover(None);
            }
            Operation::Statistics if self.rules.statistics => {
                let live_bytes = self.live_bytes;
                let allocations = self.rules.counts_allocations.then_some(self.allocations);
                self.act(Command::Statistics, Outcome::Figures { live_bytes, allocations });
            }
            Operation::Begin { thread } => self.switch(thread % THREADS, true),
            Operation::End { thread } => self.switch(thread % THREADS, false),
            Operation::Fork if self.rules.forks && self.pending.is_none() => self.fork(),
            Operation::FreeAgain { place } => self.free_again(at(place), None),
            Operation::ResizeFreed { place, size } => self.free_again(at(place), Some(size.max(1))),
            Operation::FreeInside { place, offset } => self.free_inside(at(place), offset),
            Operation::FreeForeign(what) if self.rules.crimes => {
                self.act(Command::FreeForeign(what), Outcome::Nothing);
                self.accuse(Crime::BadFree, None);
            }
            Operation::Damage { place, bytes, length, found } => {
                self.damage(at(place), bytes, length.clamp(1, 8), found)
            }
            Operation::Drop { place } => self.drop_pointer(at(place)),
            Operation::Hide { place, words } => self.hide(at(place), words),
            Operation::Link { from, slot, to, words } => {
                self.link(at(from), slot % LINKS, at(to), words)
            }
            Operation::Unlink { from, slot } => self.unlink(at(from), slot % LINKS),
            _ => {}
        }
    }

    fn act(&mut self, command: Command, outcome: Outcome) {
        self.actions.push(Action {
            step: self.step,
            thread: self.thread,
            site: self.site,
            command,
            outcome,
            certain: Vec::new(),
            possible: self.pending,
        });
    }

    /// The last action commits a crime that is told at once.
    fn accuse(&mut self, crime: Crime, block: Option<Facts>) {
        let number = self.verdicts;
        self.verdicts += 1;
        let verdict = Verdict { number, crime, block, site: Some(self.site) };
        if let Some(action) = self.actions.last_mut() {
            action.certain.push(verdict);
        }
    }

    /// The last action finds the pending damage, if it is the block's (`None`:
    /// whosever it is).
    fn discover(&mut self, block: Option<usize>) {
        let Some(pending) = self.pending else { return };
        let is_freed = pending.crime == Crime::UseAfterFree;
        if block.is_none_or(|id| !is_freed && pending.block.is_some_and(|facts| facts.id == id))
            && let Some(action) = self.actions.last_mut()
        {
            self.pending = None;
            action.possible = None;
            action.certain.push(pending);
        }
    }

    fn facts(&self, id: usize, offset: i64) -> Facts {
        let Block { size, site, freed, .. } = self.blocks[id];
        Facts { id, size, offset, allocated: site, freed }
    }

    /// The block whose start the place holds.
    fn held(&self, place: u8) -> Option<usize> {
        match self.places[place as usize] {
            Some((id, 0)) => Some(id),
            _ => None,
        }
    }

    fn new_block(&mut self, function: Function, size: usize, alignment: usize) -> usize {
        if self.rules.reuses_at_once {
            self.ghosts = [None; PLACES as usize];
        }
        self.allocations += 1;
        self.live_bytes += size;
        let id = self.blocks.len();
        self.blocks.push(Block {
            size,
            function,
            alignment,
            site: self.site,
            tag: id as u32 + 1,
            freed: None,
            links: [None; LINKS as usize],
            linked: 0,
        });
        id
    }
}

impl Model {
    /// All actions of a program, for machines that run it whole, and the state
    /// in which it ends.
    pub fn plan(program: &Program, rules: &Rules) -> (Vec<Action>, Model) {
        let mut model = Model::new(rules);
        let mut actions = vec![];
        for step in &program.steps {
            actions.extend(model.step(step));
        }
        actions.extend(model.close());
        (actions, model)
    }
}
