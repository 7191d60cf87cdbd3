//! Threads: what each thread heap counted, which blocks wait in its
//! quarantine, and which spans are remembered after their end.

use super::memory::{Memory, ReadError, half_at, word_at};
use super::root::LedgerRoot;
use heapwarden::heap::Held;

/// Most thread heaps, and most places of a ring, that are believed.
const MOST_HEAPS: usize = 1 << 20;
const LARGEST_RING: u64 = 1 << 26;
const MOST_GRAVES: u64 = 1 << 16;

/// A thread heap.
#[derive(Clone, Debug, Default)]
pub struct ThreadHeap {
    /// The heap's number of the thread that has it, or had it last.
    pub number: u32,
    /// The kernel's.
    pub kernel_id: u32,
    /// Whether that thread lives.
    pub alive: bool,
    /// Allocations it made.
    pub allocations: u64,
    /// Bytes in its quarantine.
    pub held: u64,
    is_fallback: bool,
    ring: u64,
    ring_mask: u64,
    ring_next: u64,
    ring_lap: u64,
    ring_tail: u64,
    ring_inherited: u64,
}

/// A span whose memory was given back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grave {
    /// Bytes asked for.
    pub size: u64,
    /// Who made it.
    pub stack: u32,
    /// Who freed it.
    pub freed_by: u32,
}

/// All thread heaps that ever were.
pub struct Threads {
    /// Newest first.
    pub heaps: Vec<ThreadHeap>,
}

impl Threads {
    /// Reads the list of heaps.
    pub fn read(memory: &dyn Memory, root: &LedgerRoot) -> Result<Threads, ReadError> {
        let fields = &root.tables.heap.thread_heap;
        let mut heaps = Vec::new();
        let mut bytes = vec![0; (fields.bytes as usize).min(1 << 16)];
        let mut next = memory.word(root.tables.heap.heaps)?;
        while next != 0 && heaps.len() < MOST_HEAPS {
            match memory.read(next, &mut bytes) {
                Err(ReadError::Unreadable(_)) => break,
                other => other?,
            }
            let word = |offset: u32| word_at(&bytes, offset as usize);
            let half = |offset: u32| half_at(&bytes, offset as usize);
            let byte = |offset: u32| bytes.get(offset as usize).copied().unwrap_or(0);
            heaps.push(ThreadHeap {
                number: half(fields.number),
                kernel_id: half(fields.kernel_id),
                alive: byte(fields.state) == 1,
                allocations: word(fields.allocations),
                held: word(fields.held).wrapping_sub(word(fields.held_room)),
                is_fallback: byte(fields.is_fallback) != 0,
                ring: word(fields.ring),
                ring_mask: word(fields.ring_mask),
                ring_next: word(fields.ring_next),
                ring_lap: word(fields.ring_lap),
                ring_tail: word(fields.ring_tail),
                ring_inherited: word(fields.ring_inherited),
            });
            next = word(fields.next);
        }
        Ok(Threads { heaps })
    }

    /// Allocations made so far.
    pub fn allocations(&self) -> u64 {
        self.heaps.iter().fold(0, |sum, heap| sum.wrapping_add(heap.allocations))
    }

    /// Bytes held back in quarantines.
    pub fn held(&self) -> u64 {
        self.heaps.iter().fold(0, |sum, heap| sum.wrapping_add(heap.held))
    }

    /// Threads alive that have a heap.
    pub fn alive(&self) -> usize {
        self.heaps.iter().filter(|heap| heap.alive && !heap.is_fallback).count()
    }

    /// The kernel's id of a thread that lives; 0 = unknown.
    pub fn kernel_id(&self, number: u32) -> u32 {
        let is_it = |heap: &&ThreadHeap| heap.alive && !heap.is_fallback && heap.number == number;
        self.heaps.iter().find(is_it).map_or(0, |heap| heap.kernel_id)
    }

    /// Stack and thread (0 = unknown) of the free that put a block into a
    /// quarantine: slot `index` of the slab that begins with granule `head`, or
    /// with 0 the span that does.
    pub fn freed_by(&self, memory: &dyn Memory, head: u32, index: u32) -> Option<(u32, u32)> {
        let mut found = None;
        for heap in &self.heaps {
            let places = heap.ring_mask.saturating_add(1);
            if !places.is_power_of_two() || places > LARGEST_RING {
                continue;
            }
            let Ok(ring) = memory.words(heap.ring, places as usize) else { continue };
            let next = heap.ring_next.wrapping_sub(heap.ring) / 8;
            let end = heap.ring_lap.saturating_add(next);
            let end = end.min(heap.ring_tail.saturating_add(places));
            for number in heap.ring_tail..end {
                let entry = ring[(number & heap.ring_mask) as usize];
                let (granule, slot, stack) = Held::of_word(entry).parts();
                if (granule, slot) == (head, index) {
                    let is_own = number >= heap.ring_inherited && !heap.is_fallback;
                    found = Some((stack.0, if is_own { heap.number } else { 0 }));
                }
            }
        }
        found
    }
}

/// The last span that began at `start` and was given back, if remembered.
pub fn grave(memory: &dyn Memory, root: &LedgerRoot, start: u64) -> Option<Grave> {
    let part = &root.tables.heap;
    let graves = part.graves.clamp(1, MOST_GRAVES);
    let buried = memory.word(part.buried).ok()?;
    let words = memory.words(part.graveyard, graves as usize * 3).ok()?;
    (0..graves.min(buried)).find_map(|back| {
        let at = ((buried - 1 - back) % graves) as usize * 3;
        let (stack, freed_by) = ((words[at + 2] >> 32) as u32, words[at + 2] as u32);
        (words[at] == start).then(|| Grave { size: words[at + 1], stack, freed_by })
    })
}
