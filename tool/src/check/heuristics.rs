//! A block of an image, as the library's heuristics want to see it.

use crate::ledger::{Block, Heap, Image};
use heapwarden::leak::heuristics::{self, Sight};
use heapwarden::units::Family;

/// Whether a pointer `inside` bytes into `block` counts as one to its start.
pub fn counts_as_start(image: &Image, heap: &Heap, block: &Block, inside: u64) -> bool {
    let bytes = image.bytes(block.start, block.start + block.size);
    let seen = Seen { image, heap, block, bytes };
    heuristics::counts_as_start(&seen, inside) || heuristics::holds_itself(&seen)
}

struct Seen<'a> {
    image: &'a Image,
    heap: &'a Heap,
    block: &'a Block,
    /// What the image has of the block in one piece.
    bytes: &'a [u8],
}

impl Seen<'_> {
    /// `N` bytes from `offset` on; zeros where the image has none.
    fn take<const N: usize>(&self, offset: u64) -> [u8; N] {
        let from = offset as usize;
        let here = self.bytes.get(from..from + N);
        let there = || {
            let start = self.block.start + offset;
            self.image.bytes(start, start + N as u64)
        };
        let found = here.unwrap_or_else(there);
        let mut taken = [0; N];
        taken[..found.len()].copy_from_slice(found);
        taken
    }
}

impl Sight for Seen<'_> {
    fn start(&self) -> u64 {
        self.block.start
    }

    fn size(&self) -> u64 {
        self.block.size
    }

    fn family(&self) -> Family {
        self.block.record.family()
    }

    fn word(&self, offset: u64) -> u64 {
        u64::from_le_bytes(self.take(offset))
    }

    fn half(&self, offset: u64) -> u64 {
        u64::from(u32::from_le_bytes(self.take(offset)))
    }

    fn byte(&self, offset: u64) -> u8 {
        u8::from_le_bytes(self.take(offset))
    }

    fn word_at(&self, address: u64) -> Option<u64> {
        self.image.word(address)
    }

    fn is_constant(&self, address: u64) -> bool {
        let mapping = self.image.mapping(address);
        mapping.is_some_and(|map| map.readable && !map.writable && map.path.is_some())
    }

    fn is_heap(&self, address: u64) -> bool {
        address.wrapping_sub(self.heap.base) < self.heap.extent
    }
}
