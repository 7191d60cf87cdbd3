//! The heap check of an image: the guard behind and before each live block, the
//! poison in each freed one. Who did it is told as in the library
//! (`src/heap/crime.rs`): by the first damaged byte.
//!
//! ```text
//!   | block A …        |guard A | block B …
//!                       ^ first byte changed: A ran over
//!                              ^ only the last: B's underflow
//! ```

use super::Modes;
use crate::ledger::heap::{Place, Slab, Span};
use crate::ledger::{Block, Heap, Image};
use heapwarden::guard::{EDGE, GUARD_BYTES, Pattern, Tier};
use heapwarden::ledger::State;
use heapwarden::units::{GRANULE, OS_PAGE};

const GUARD: u64 = GUARD_BYTES as u64;
const PAGE: u64 = OS_PAGE as u64;

/// What was done to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crime {
    /// Bytes behind it were written.
    Overflow,
    /// Bytes before it were written.
    Underflow,
    /// It was written to after its end.
    UseAfterFree,
}

/// A damaged block.
#[derive(Clone, Copy, Debug)]
pub struct Damage {
    /// What was done.
    pub crime: Crime,
    /// To which block, or from which.
    pub block: Block,
    /// The first damaged byte.
    pub address: u64,
    /// How many are damaged.
    pub changed: u64,
}

/// Finds all damage.
pub fn check(heap: &Heap, image: &Image, modes: Modes) -> Vec<Damage> {
    let mut checker = Checker { heap, image, modes, found: Vec::new() };
    for number in 0..heap.slabs.len() as u32 {
        checker.check_slab(number);
    }
    for number in 0..heap.spans.len() as u32 {
        checker.check_span(number);
    }
    checker.found
}

struct Checker<'a> {
    heap: &'a Heap,
    image: &'a Image,
    modes: Modes,
    found: Vec<Damage>,
}

impl Checker<'_> {
    fn pattern(&self, start: u64) -> Pattern {
        Pattern::at((start - self.heap.base) as usize)
    }

    /// The first byte of `from..to` that is not the pattern's, and how many
    /// are not; those that `covers` leaves out do not count.
    fn difference(
        &self,
        from: u64,
        to: u64,
        pattern: Pattern,
        covers: impl Fn(u64) -> bool,
    ) -> Option<(u64, u64)> {
        let mut found: Option<(u64, u64)> = None;
        self.image.parts(from, to, |at, bytes| {
            let mut at = at;
            for chunk in bytes.chunks(8) {
                let want = pattern.seen_from(at as usize).to_le_bytes();
                if chunk != &want[..chunk.len()] {
                    let wrong = chunk.iter().zip(want).enumerate();
                    for (index, _) in wrong.filter(|(_, (is, want))| **is != *want) {
                        let address = at + index as u64;
                        if covers(address - from) {
                            let (first, changed) = found.unwrap_or((address, 0));
                            found = Some((first, changed + 1));
                        }
                    }
                }
                at += chunk.len() as u64;
            }
        });
        found
    }

    fn is_changed(&self, address: u64, pattern: Pattern) -> bool {
        let byte = self.image.bytes(address, address + 1).first();
        byte.is_some_and(|&byte| byte != pattern.byte(address as usize))
    }

    fn tell(&mut self, crime: Crime, block: Block, (address, changed): (u64, u64)) {
        self.found.push(Damage { crime, block, address, changed });
    }

    fn check_slab(&mut self, number: u32) {
        let heap = self.heap;
        let slab: &Slab = &heap.slabs[number as usize];
        let block = |slot: usize| heap.block(Place::Slot(number, slot as u32));
        let count = slab.records.len();
        if count == 0 {
            return;
        }
        let first = block(0);
        if first.record.is_live() {
            // The pad looks as if a slot lay there.
            let pattern = self.pattern(slab.first).before(slab.slot as usize);
            if let Some(found) =
                self.difference(first.start - GUARD, first.start, pattern, |_| true)
            {
                self.tell(Crime::Underflow, first, found);
            }
        }
        // Whether an overflow runs on through the guards so far.
        let mut runs_over = false;
        for slot in 0..count {
            let here = block(slot);
            let next = (slot + 1 < count).then(|| block(slot + 1)).filter(|it| it.record.is_live());
            runs_over = match here.record.state() {
                State::Live | State::Ignored => self.check_live(&here, next, runs_over),
                State::Held | State::Free => self.check_freed(&here, next, runs_over),
                State::Fresh => false,
            };
        }
    }

    /// Checks the guard behind a live block; whether what is behind that was
    /// run over from here.
    fn check_live(&mut self, block: &Block, next: Option<Block>, was_run_over: bool) -> bool {
        let pattern = self.pattern(block.start);
        let (from, end) = (block.start + block.size, block.start + block.slot);
        let Some(found) = self.difference(from, end, pattern, |_| true) else { return false };
        let reaches_end = self.is_changed(end - 1, pattern);
        match next {
            Some(next) if found.0 != from && found.0 + GUARD >= end && reaches_end => {
                self.tell(Crime::Underflow, next, found);
                return false;
            }
            // The origin was told; this block lies in its way.
            _ if was_run_over && found.0 == from => {}
            _ => self.tell(Crime::Overflow, *block, found),
        }
        reaches_end
    }

    fn check_freed(&mut self, block: &Block, next: Option<Block>, was_run_over: bool) -> bool {
        if !self.modes.poisons {
            return false;
        }
        let pattern = self.pattern(block.start);
        let slot = block.slot;
        let is_whole = self.modes.poisons_full || Tier::of(slot as usize) == Tier::Whole;
        // A block that is held: its own end too, which the slot's edge may miss.
        let end = match block.record.state() {
            State::Held => block.size.saturating_sub(EDGE as u64) & !15..(block.size + 15) & !15,
            _ => 0..0,
        };
        let covers = |offset: u64| {
            is_whole
                || offset < EDGE as u64
                || offset + EDGE as u64 >= slot
                || offset & 63 < 8
                || end.contains(&offset)
        };
        let found = self.difference(block.start, block.start + slot, pattern, covers);
        let Some(found) = found else { return false };
        let reaches_end = self.is_changed(block.start + slot - 1, pattern);
        match next {
            _ if was_run_over && found.0 == block.start => return reaches_end,
            // The last guard bytes never were this block's.
            Some(next) if found.0 + GUARD >= block.start + slot && reaches_end => {
                self.tell(Crime::Underflow, next, found);
            }
            _ => self.tell(Crime::UseAfterFree, *block, found),
        }
        false
    }

    fn check_span(&mut self, number: u32) {
        let heap = self.heap;
        let span: &Span = &heap.spans[number as usize];
        let block = heap.block(Place::Span(number));
        let pattern = self.pattern(span.first);
        if !span.record.is_live() {
            if self.modes.poisons && !span.guarded {
                self.check_held_span(&block);
            }
            return;
        }
        let behind = block.start + block.size;
        let end = match span.guarded {
            true => behind.next_multiple_of(PAGE),
            false => (behind + GUARD).next_multiple_of(PAGE).min(block.start + block.slot),
        };
        let run_start = heap.base + u64::from(span.head) * GRANULE as u64;
        let has_front = match span.guarded {
            true => block.start % PAGE >= 16,
            false => block.start != run_start,
        };
        if has_front
            && let Some(found) = self.difference(block.start - 16, block.start, pattern, |_| true)
        {
            self.tell(Crime::Underflow, block, found);
        }
        if let Some(found) = self.difference(behind, end, pattern, |_| true) {
            self.tell(Crime::Overflow, block, found);
        }
    }

    fn check_held_span(&mut self, block: &Block) {
        let bytes = block.size.next_multiple_of(16).max(32);
        let held = block.size.next_multiple_of(PAGE);
        let is_whole = self.modes.poisons_full || Tier::of(held as usize) == Tier::Whole;
        let covers = |offset: u64| {
            is_whole || offset < EDGE as u64 || offset + EDGE as u64 >= bytes || offset & 63 < 8
        };
        let end = block.start + bytes;
        if let Some(found) = self.difference(block.start, end, self.pattern(block.start), covers) {
            self.tell(Crime::UseAfterFree, *block, found);
        }
    }
}
