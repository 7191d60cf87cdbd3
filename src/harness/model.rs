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

use super::leaks::{self, Leaks};
use super::operation::*;
use super::rules::Rules;
use super::verdict::{Crime, Facts, Verdict};
use crate::units::Family;
use std::vec;
use std::vec::Vec;

/// What a machine shall do, without having to know why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // places, sizes and offsets as in `Operation`
pub enum Command {
    Allocate {
        place: u8,
        function: Function,
        size: usize,
    },
    Resize {
        place: u8,
        size: usize,
    },
    /// By the function of a family; with the size and alignment where told.
    Free {
        place: u8,
        by: Family,
        size: Option<usize>,
        alignment: usize,
    },
    /// Fills a block with the bytes that `tag` makes.
    Fill {
        place: u8,
        size: usize,
        tag: u32,
    },
    /// Looks for the first byte that is not `tag`'s, leaving out linked words.
    Verify {
        place: u8,
        size: usize,
        tag: u32,
        links: u8,
    },
    /// Looks for the first byte that is not zero.
    Zero {
        place: u8,
        size: usize,
    },
    Usable {
        place: u8,
    },
    Check,
    Statistics,
    Begin {
        thread: u8,
    },
    End {
        thread: u8,
    },
    /// What follows until `ChildEnd` is done by a forked child.
    Fork,
    ChildEnd,
    FreeGhost {
        place: u8,
    },
    ResizeGhost {
        place: u8,
        size: usize,
    },
    FreeInside {
        place: u8,
        offset: usize,
    },
    FreeForeign(Foreign),
    /// Changes each of `length` bytes from `offset`, of the freed block if so.
    Damage {
        place: u8,
        freed: bool,
        offset: i64,
        length: u8,
    },
    Forget {
        place: u8,
    },
    Shift {
        place: u8,
        offset: i64,
    },
    Store {
        from: u8,
        slot: u8,
        to: u8,
        offset: usize,
    },
    Clear {
        from: u8,
        slot: u8,
    },
}

/// What must come of an action, besides verdicts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// No value; errno as it was.
    Nothing,
    /// A block of so many bytes at a multiple of `alignment`.
    Block {
        /// The model's number of it.
        id: usize,
        /// Bytes asked for.
        size: usize,
        /// A power of two.
        alignment: usize,
    },
    /// Null, and nothing wrong.
    Null,
    /// Null and this errno, if it is said (posix_memalign: its result).
    Refused(Option<i32>),
    /// This value.
    Value(usize),
    /// This value or more.
    AtLeast(usize),
    /// Figures of the heap.
    Figures {
        /// Bytes asked for and not freed.
        live_bytes: usize,
        /// Allocations that were met, where they are told.
        allocations: Option<usize>,
    },
}

/// One thing to do, and all that must come of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action {
    /// Which step of the program it belongs to.
    pub step: usize,
    /// Who does it.
    pub thread: u8,
    /// From where.
    pub site: u8,
    /// What.
    pub command: Command,
    /// What comes back.
    pub outcome: Outcome,
    /// Verdicts that must be given now, in this order.
    pub certain: Vec<Verdict>,
    /// One that may be given now, because somebody may come upon the damage.
    pub possible: Option<Verdict>,
}

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
const IMPOSSIBLE: usize = 1 << 47;
/// Blocks up to this size lie in slots, whatever their alignment up to a page.
const SURELY_SLOT: usize = 32_000;
/// Freed blocks up to this size are watched whole.
const WATCHED_WHOLE: usize = 1000;
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
        (self.pending, leaks::of(self, self.rules.pools_hold_themselves))
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

    fn allocate(&mut self, place: u8, function: Function, size: usize) {
        let rules = self.rules;
        let size = size.max(rules.least_size);
        if self.places[place as usize].is_some() || !self.is_known(function) {
            return;
        }
        let bytes = function.bytes(size).filter(|&bytes| bytes < IMPOSSIBLE);
        let command = Command::Allocate { place, function, size };
        if bytes.is_none() || !function.is_aligned_well() {
            let throws = matches!(
                function,
                Function::New { nothrow: false, .. } | Function::NewAligned { .. }
            );
            let strict =
                rules.strict_aligned_alloc || !matches!(function, Function::AlignedAlloc { .. });
            let errno = if function.is_aligned_well() { ENOMEM } else { EINVAL };
            if rules.refusals && !throws && strict {
                // C++ says nothing of errno.
                let is_new = matches!(function, Function::New { .. });
                let errno = self.errno(errno).filter(|_| !is_new);
                self.act(command, Outcome::Refused(errno));
            }
            return;
        }
        let bytes = bytes.unwrap_or_default();
        let alignment = rules.alignment_of(bytes, function.alignment());
        if bytes > rules.largest
            || function.alignment() > rules.largest_alignment
            || self.live_bytes + bytes > rules.most_live
        {
            return;
        }
        let id = self.new_block(function, bytes, function.alignment());
        self.act(command, Outcome::Block { id, size: bytes, alignment });
        self.places[place as usize] = Some((id, 0));
        self.ghosts[place as usize] = None;
        if matches!(function, Function::Calloc { .. }) {
            self.act(Command::Zero { place, size: bytes }, Outcome::Value(0));
        }
        self.fill(place, id);
    }

    fn errno(&self, errno: i32) -> Option<i32> {
        self.rules.refusals_set_errno.then_some(errno)
    }

    fn is_known(&self, function: Function) -> bool {
        let rules = &self.rules;
        match function {
            Function::Malloc | Function::Calloc { .. } | Function::Realloc => true,
            Function::AlignedAlloc { .. } => true,
            Function::New { .. } | Function::NewAligned { .. } => {
                rules.cxx && function.alignment().is_power_of_two()
            }
            Function::Memalign { alignment } => {
                rules.aligned_functions
                    && (rules.strict_aligned_alloc || alignment.is_power_of_two())
            }
            Function::Pvalloc => rules.pvalloc,
            _ => rules.aligned_functions,
        }
    }

    fn fill(&mut self, place: u8, id: usize) {
        let Block { size, tag, .. } = self.blocks[id];
        self.act(Command::Fill { place, size, tag }, Outcome::Nothing);
        self.blocks[id].links = [None; LINKS as usize];
        self.blocks[id].linked = 0;
    }

    fn verify(&mut self, place: u8, id: usize, size: usize) {
        let Block { tag, linked, .. } = self.blocks[id];
        self.act(Command::Verify { place, size, tag, links: linked }, Outcome::Value(0));
    }

    fn retire(&mut self, place: u8, id: usize) {
        self.live_bytes -= self.blocks[id].size;
        self.blocks[id].freed = Some(self.site);
        self.places[place as usize] = None;
        self.ghosts[place as usize] = Some(id);
    }

    fn resize(&mut self, place: u8, size: usize) {
        let Some(id) = self.held(place) else { return };
        let Block { function, alignment, size: old, .. } = self.blocks[id];
        let is_ours = matches!(function.family(), Family::Malloc | Family::Aligned);
        // A pointer to a block that may move or stay would mean either.
        if !is_ours || leaks::is_linked(self, id) {
            return;
        }
        let command = Command::Resize { place, size };
        if size >= IMPOSSIBLE {
            if self.rules.refusals {
                self.act(command, Outcome::Refused(self.errno(ENOMEM)));
                self.verify(place, id, old);
            }
            return;
        }
        if size == 0 {
            if self.rules.zero_resize_frees {
                self.verify(place, id, old);
                self.act(command, Outcome::Null);
                self.discover(Some(id));
                self.retire(place, id);
            }
            return;
        }
        if size > self.rules.largest || self.live_bytes + size > self.rules.most_live {
            return;
        }
        self.verify(place, id, old);
        let needed = if self.rules.resize_keeps_alignment { alignment } else { 1 };
        let new = self.new_block(function, size, needed);
        // The same bytes: what the old tag filled is still there.
        (self.blocks[new].tag, self.blocks[new].linked) =
            (self.blocks[id].tag, self.blocks[id].linked);
        let alignment = self.rules.alignment_of(size, needed);
        self.act(command, Outcome::Block { id: new, size, alignment });
        self.discover(Some(id));
        self.retire(place, id);
        self.ghosts[place as usize] = None;
        self.places[place as usize] = Some((new, 0));
        self.verify(place, new, old.min(size));
        self.blocks[new].tag = new as u32 + 1;
        self.fill(place, new);
    }

    fn free(&mut self, place: u8, by: Release) {
        let Some(id) = self.held(place) else { return };
        let Block { size, function, alignment, .. } = self.blocks[id];
        // A stale pointer would hold whoever gets the memory next.
        if self.rules.leaks && self.rules.reuses_at_once && leaks::is_linked(self, id) {
            return;
        }
        let made = function.family();
        let (used, told) = match by {
            Release::Plain(family) if self.rules.families => (family, None),
            Release::Sized(family, more) if self.rules.sized => {
                (family, Some(size.saturating_add_signed(more as isize)))
            }
            _ => (made, None),
        };
        let fits = made == used || [made, used].iter().all(|&family| is_c(family));
        let lies = told.is_some_and(|told| told != size);
        let is_crime = !fits || lies;
        let (used, told) = match self.rules.crimes || !is_crime {
            true => (used, told),
            false => (made, None),
        };
        let used = if used == Family::Aligned && told.is_none() { Family::Malloc } else { used };
        self.verify(place, id, size);
        // What an aligned delete is told of a block that is aligned to less
        // would be a second lie.
        let alignment = alignment.max(if is_aligned_new(made) { 1 } else { 16 });
        let alignment = if is_aligned_new(used) && !is_aligned_new(made) { 16 } else { alignment };
        self.act(Command::Free { place, by: used, size: told, alignment }, Outcome::Nothing);
        if self.rules.crimes && lies {
            let crime = if is_c(used) { Crime::SizeMismatch } else { Crime::NewDeleteType };
            self.accuse(crime, Some(self.facts(id, 0)));
        }
        if self.rules.crimes && !fits {
            self.accuse(Crime::Mismatch, Some(self.facts(id, 0)));
        }
        self.discover(Some(id));
        self.retire(place, id);
    }

    fn usable(&mut self, place: u8) {
        let Some(id) = self.held(place) else { return };
        let size = self.blocks[id].size;
        let outcome = match self.rules.exact_size {
            true => Outcome::Value(size),
            false => Outcome::AtLeast(size),
        };
        self.act(Command::Usable { place }, outcome);
        self.discover(Some(id));
    }

    fn switch(&mut self, thread: u8, on: bool) {
        if !self.rules.threads || thread == 0 || self.running[thread as usize] == on {
            return;
        }
        self.thread = 0;
        self.running[thread as usize] = on;
        let command = if on { Command::Begin { thread } } else { Command::End { thread } };
        self.act(command, Outcome::Nothing);
    }

    /// The child does what the parent could, on a copy of everything.
    fn fork(&mut self) {
        self.thread = 0;
        self.act(Command::Fork, Outcome::Nothing);
        let mut child = self.clone();
        let mut last = None;
        for place in 0..PLACES {
            child.free(place, Release::Fitting);
            let in_use = child.places[place as usize].is_some();
            last = if in_use { last } else { Some(place) };
        }
        if let Some(place) = last {
            child.allocate(place, Function::Calloc { count: 3 }, 20);
            child.resize(place, 1000);
        }
        self.actions = core::mem::take(&mut child.actions);
        self.act(Command::ChildEnd, Outcome::Value(0));
    }

    fn free_again(&mut self, place: u8, size: Option<usize>) {
        let Some(id) = self.ghosts[place as usize].filter(|_| self.rules.crimes) else { return };
        let (command, outcome, crime) = match size {
            None => (Command::FreeGhost { place }, Outcome::Nothing, Crime::DoubleFree),
            Some(size) if size < IMPOSSIBLE => (
                Command::ResizeGhost { place, size },
                Outcome::Refused(self.errno(ENOMEM)),
                Crime::UseAfterFree,
            ),
            Some(_) => return,
        };
        self.act(command, outcome);
        self.accuse(crime, Some(self.facts(id, 0)));
    }

    fn free_inside(&mut self, place: u8, offset: usize) {
        let Some(id) = self.held(place).filter(|_| self.rules.crimes) else { return };
        let offset = 1 + offset % (self.blocks[id].size + 7);
        self.act(Command::FreeInside { place, offset }, Outcome::Nothing);
        self.accuse(Crime::BadFree, Some(self.facts(id, offset as i64)));
    }

    fn damage(&mut self, place: u8, bytes: Damage, length: u8, found: Found) {
        if !self.rules.crimes || self.pending.is_some() {
            return;
        }
        let Some((id, offset, length, at_once)) = self.extent(place, bytes, length) else { return };
        let freed = matches!(bytes, Damage::Freed { .. });
        self.act(Command::Damage { place, freed, offset, length }, Outcome::Nothing);
        let crime = match bytes {
            Damage::Behind { .. } => Crime::Overflow,
            Damage::Before { .. } => Crime::Underflow,
            Damage::Freed { .. } => Crime::UseAfterFree,
        };
        let number = self.verdicts;
        self.verdicts += 1;
        let block = Some(self.facts(id, offset));
        self.pending = Some(Verdict { number, crime, block, site: None });
        match found {
            Found::AtCheck if freed || !at_once => self.operate(&Operation::Check),
            _ if freed => {}
            Found::AtResize(size) if !self.rules.may_refuse => {
                self.resize(place, size.clamp(1, self.rules.largest));
            }
            Found::AtUsable => self.usable(place),
            Found::Later if !at_once => return,
            _ => {}
        }
        if at_once && self.pending.is_some() {
            self.free(place, Release::Fitting);
        } else if found == Found::AtFree && !freed {
            self.free(place, Release::Fitting);
        }
    }

    /// Block, first byte, and number of bytes of a damage that has one
    /// explanation; and whether the block itself must find it.
    fn extent(&self, place: u8, bytes: Damage, length: u8) -> Option<(usize, i64, u8, bool)> {
        let fits = |distance: u8, length: u8| (distance % 7, length.min(7 - distance % 7));
        match bytes {
            Damage::Behind { distance } => {
                let id = self.held(place)?;
                let end = self.blocks[id].size as i64;
                let (distance, part) = fits(distance, length);
                match distance {
                    0 => Some((id, end, length, false)),
                    _ => Some((id, end + i64::from(distance), part, true)),
                }
            }
            Damage::Before { distance } => {
                let id = self.held(place).filter(|_| self.rules.underflows)?;
                let Block { size, alignment, .. } = self.blocks[id];
                if size > SURELY_SLOT || alignment > 4096 {
                    return None;
                }
                let (distance, length) = fits(distance, length);
                Some((id, -i64::from(distance + length), length, distance > 0))
            }
            Damage::Freed { offset } => {
                let id = self.ghosts[place as usize]?;
                let Block { size, alignment, .. } = self.blocks[id];
                let edge = self.rules.poisoned_edge;
                // A small block that is aligned to more lies in a large slot.
                let is_whole = size <= WATCHED_WHOLE && alignment <= 1024;
                let first = self.rules.unwatched_start;
                if edge == 0 || size <= first {
                    return None;
                }
                let mut offset = first + offset % (size - first);
                if !is_whole && offset >= edge {
                    let from_end = 1 + offset % edge.min(size - first);
                    offset = size - from_end;
                }
                let length = (size - offset).min(usize::from(length)) as u8;
                let crosses = !is_whole && offset < edge;
                let length = if crosses { length.min((edge - offset) as u8) } else { length };
                Some((id, offset as i64, length, false))
            }
        }
    }

    fn drop_pointer(&mut self, place: u8) {
        if self.rules.leaks && self.places[place as usize].take().is_some() {
            self.act(Command::Forget { place }, Outcome::Nothing);
        }
    }

    fn hide(&mut self, place: u8, words: u16) {
        let Some((id, inside)) = self.places[place as usize].filter(|_| self.rules.leaks) else {
            return;
        };
        let size = self.blocks[id].size;
        let farthest = if self.rules.holds_from_behind { size } else { size.saturating_sub(1) };
        let offset = match inside {
            0 if farthest < 8 => return,
            0 => 8 + usize::from(words) % (farthest / 8) * 8,
            _ => 0,
        };
        self.places[place as usize] = Some((id, offset));
        self.act(Command::Shift { place, offset: offset as i64 - inside as i64 }, Outcome::Nothing);
    }

    fn link(&mut self, from: u8, slot: u8, to: u8, words: u16) {
        let (Some(holder), Some(held)) = (self.held(from), self.held(to)) else { return };
        let room = self.blocks[holder].size >= (usize::from(slot) + 1) * 8;
        if !self.rules.leaks || !room {
            return;
        }
        let size = self.blocks[held].size;
        let offset = match size {
            0..16 => 0,
            _ => usize::from(words) * 8 % size & !7,
        };
        self.act(Command::Store { from, slot, to, offset }, Outcome::Nothing);
        self.blocks[holder].links[slot as usize] = Some((held, offset));
        self.blocks[holder].linked |= 1 << slot;
    }

    fn unlink(&mut self, from: u8, slot: u8) {
        let Some(holder) = self.held(from).filter(|_| self.rules.leaks) else { return };
        if self.blocks[holder].links[slot as usize].take().is_some() {
            self.act(Command::Clear { from, slot }, Outcome::Nothing);
        }
    }
}

fn is_c(family: Family) -> bool {
    matches!(family, Family::Malloc | Family::Aligned)
}

fn is_aligned_new(family: Family) -> bool {
    matches!(family, Family::NewAligned | Family::NewArrayAligned)
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
