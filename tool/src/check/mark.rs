//! Marking: which blocks of an image can be reached. The rules are the
//! library's own (`src/leak/mark.rs`): a pointer to a block's start, or by a
//! common idiom into it, makes it reachable; any other pointer into it, or one
//! from foreign memory that nothing reached, makes it possibly lost.

use super::heuristics;
use super::roots::Roots;
use crate::ledger::heap::Place;
use crate::ledger::memory::words_of;
use crate::ledger::{Block, Heap, Image};
use heapwarden::ledger::State;

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The program's, and not found yet: lost, if it stays so.
    Lost,
    /// Found.
    Reachable,
    /// Found by weak evidence.
    Possible,
    /// Not the program's.
    Dead,
}

/// All blocks by number: slots slab by slab, then spans.
pub struct Numbers {
    first: Vec<u32>,
    slots: u32,
}

impl Numbers {
    fn of(heap: &Heap) -> Numbers {
        let mut slots = 0u32;
        let first = heap
            .slabs
            .iter()
            .map(|slab| {
                let first = slots;
                slots = slots.saturating_add(slab.records.len() as u32);
                first
            })
            .collect();
        Numbers { first, slots }
    }

    /// The number of a place.
    pub fn number(&self, place: Place) -> u32 {
        match place {
            Place::Slot(slab, slot) => self.first[slab as usize] + slot,
            Place::Span(span) => self.slots + span,
        }
    }

    /// The place of a number.
    pub fn place(&self, number: u32) -> Place {
        if number >= self.slots {
            return Place::Span(number - self.slots);
        }
        let slab = self.first.partition_point(|&first| first <= number) - 1;
        // Slabs without slots share a first number with the next.
        Place::Slot(slab as u32, number - self.first[slab])
    }
}

/// Marks blocks.
pub struct Marker<'a> {
    /// The heap.
    pub heap: &'a Heap,
    /// Its memory.
    pub image: &'a Image,
    /// Numbers of the blocks.
    pub numbers: Numbers,
    /// By number.
    pub marks: Vec<Mark>,
    is_noted: Vec<bool>,
    queue: Vec<u32>,
    roots: Roots,
    /// All foreign memory lies in it.
    foreign: std::ops::Range<u64>,
}

impl<'a> Marker<'a> {
    /// Marks all that `roots` lead to.
    pub fn run(heap: &'a Heap, image: &'a Image, roots: Roots) -> Marker<'a> {
        let numbers = Numbers::of(heap);
        let marks: Vec<Mark> = heap
            .blocks()
            .map(|block| if block.record.is_live() { Mark::Lost } else { Mark::Dead })
            .collect();
        let low = roots.foreign.first().map_or(0, |foreign| foreign.range.start);
        let high = roots.foreign.iter().map(|foreign| foreign.range.end).max().unwrap_or(0);
        let mut marker = Marker {
            heap,
            image,
            numbers,
            is_noted: vec![false; marks.len()],
            marks,
            queue: Vec::new(),
            roots,
            foreign: low..high,
        };
        marker.flood_reachable();
        marker.flood_possible();
        marker
    }

    fn flood_reachable(&mut self) {
        const REACHABLE: Mark = Mark::Reachable;
        for address in std::mem::take(&mut self.roots.pinned) {
            if let Some(block) = self.heap.locate(address) {
                self.mark(&block, REACHABLE);
            }
        }
        for word in std::mem::take(&mut self.roots.words) {
            self.look(word, REACHABLE);
        }
        for range in std::mem::take(&mut self.roots.ranges) {
            self.read(range.start, range.end, REACHABLE);
        }
        let is_ignored = |block: &Block| block.record.state() == State::Ignored;
        let ignored: Vec<Block> = self.heap.blocks().filter(is_ignored).collect();
        ignored.iter().for_each(|block| self.mark(block, REACHABLE));
        loop {
            self.drain(REACHABLE);
            if !self.read_foreign(true, REACHABLE) {
                break;
            }
        }
    }

    fn flood_possible(&mut self) {
        for number in 0..self.marks.len() as u32 {
            if self.is_noted[number as usize] && self.marks[number as usize] == Mark::Lost {
                self.marks[number as usize] = Mark::Possible;
                self.queue.push(number);
            }
        }
        self.drain(Mark::Possible);
        self.read_foreign(false, Mark::Possible);
        self.drain(Mark::Possible);
    }

    /// Reads the foreign memory that was (not) reached and not read yet.
    fn read_foreign(&mut self, reached: bool, mark: Mark) -> bool {
        let mut any = false;
        for index in 0..self.roots.foreign.len() {
            let foreign = &mut self.roots.foreign[index];
            if foreign.is_reached == reached && !foreign.is_read {
                foreign.is_read = true;
                any = true;
                let range = foreign.range.clone();
                self.read(range.start, range.end, mark);
            }
        }
        any
    }

    fn mark(&mut self, block: &Block, mark: Mark) {
        let number = self.numbers.number(block.place);
        let place = &mut self.marks[number as usize];
        if *place == Mark::Lost {
            *place = mark;
            self.queue.push(number);
        }
    }

    fn drain(&mut self, mark: Mark) {
        while let Some(number) = self.queue.pop() {
            let block = self.heap.block(self.numbers.place(number));
            self.read(block.start, block.start + block.size, mark);
        }
    }

    /// Searches a range for pointers.
    fn read(&mut self, start: u64, end: u64, mark: Mark) {
        let image = self.image;
        image.parts(start, end, |at, bytes| {
            let skipped = (at.wrapping_neg() & 7) as usize;
            for word in words_of(bytes.get(skipped..).unwrap_or_default()) {
                self.look(word, mark);
            }
        });
    }

    /// Looks at a word that may be a pointer.
    fn look(&mut self, word: u64, mark: Mark) {
        if word.wrapping_sub(self.heap.base) < self.heap.extent {
            let Some(block) = self.heap.locate(word) else { return };
            let number = self.numbers.number(block.place) as usize;
            let inside = word - block.start;
            if self.marks[number] != Mark::Lost || inside > block.size {
                return;
            }
            if inside == 0 || mark == Mark::Possible || self.counts_as_start(&block, inside) {
                self.mark(&block, mark);
            } else {
                self.is_noted[number] = true;
            }
        } else if self.foreign.contains(&word) {
            self.reach_foreign(word);
        }
    }

    fn counts_as_start(&self, block: &Block, inside: u64) -> bool {
        heuristics::counts_as_start(self.image, self.heap, block, inside)
    }

    fn reach_foreign(&mut self, address: u64) {
        let foreign = &mut self.roots.foreign;
        let after = foreign.partition_point(|foreign| foreign.range.start <= address);
        if let Some(found) = after.checked_sub(1).map(|index| &mut foreign[index])
            && found.range.contains(&address)
        {
            found.is_reached = true;
        }
    }
}
