//! Heuristics: pointers into a block that are as good as pointers to its
//! start. The table and the reasons are in the library's
//! `src/leak/heuristics.rs`; here the same idioms are looked for in an image.
//! A test runs both over one program.

use crate::ledger::{Block, Heap, Image};
use heapwarden::units::Family;

/// Longest header of a string that is looked into.
const HEADER: u64 = 32;
/// How far a block is searched for a pointer to itself.
const FAR: u64 = 16 * 1024;

/// Whether a pointer `inside` bytes into `block` counts as one to its start.
pub fn counts_as_start(image: &Image, heap: &Heap, block: &Block, inside: u64) -> bool {
    let look = Look { image, heap, block };
    look.is_new_array(inside)
        || look.is_second_base(inside)
        || look.is_behind_header(inside)
        || look.is_tree_node(inside)
        || look.is_python_object(inside)
        || look.holds_itself()
}

struct Look<'a> {
    image: &'a Image,
    heap: &'a Heap,
    block: &'a Block,
}

impl Look<'_> {
    fn word(&self, offset: u64) -> u64 {
        let mut bytes = [0; 8];
        let start = self.block.start + offset;
        let found = self.image.bytes(start, start + 8);
        bytes[..found.len()].copy_from_slice(found);
        u64::from_le_bytes(bytes)
    }

    fn half(&self, offset: u64) -> u64 {
        self.word(offset) & 0xffff_ffff
    }

    fn byte(&self, offset: u64) -> u8 {
        self.word(offset) as u8
    }

    fn is_new_array(&self, inside: u64) -> bool {
        let family = self.block.record.family();
        let is_array = matches!(family, Family::NewArray | Family::NewArrayAligned);
        if !is_array || !inside.is_power_of_two() || inside < 8 || inside > self.block.size {
            return false;
        }
        // Itanium C++ ABI, 2.7: the count is the last word before the array.
        let (count, rest) = (self.word(inside - 8), self.block.size - inside);
        if count == 0 { rest == 0 } else { rest.is_multiple_of(count) && count <= rest }
    }

    fn is_second_base(&self, inside: u64) -> bool {
        let is_constant = |address: u64| {
            let mapping = self.image.mapping(address);
            mapping.is_some_and(|map| map.readable && !map.writable && map.path.is_some())
        };
        inside.is_multiple_of(8)
            && inside + 8 <= self.block.size
            && [self.word(0), self.word(inside)]
                .into_iter()
                .all(|vtable| vtable.is_multiple_of(8) && is_constant(vtable))
    }

    fn is_tree_node(&self, inside: u64) -> bool {
        const NODE: u64 = 24;
        let is_child = |word: u64| {
            word & !1 == 0 || (word & !1).wrapping_sub(self.heap.base) < self.heap.extent
        };
        inside == 1
            && self.block.size == NODE
            && (1 << 16..1 << 47).contains(&self.word(0))
            && is_child(self.word(8))
            && is_child(self.word(16))
    }

    fn is_python_object(&self, inside: u64) -> bool {
        const HEAD: u64 = 16;
        if inside != HEAD
            || self.block.size < HEAD + 16
            || self.word(0) != 0
            || self.word(HEAD) == 0
        {
            return false;
        }
        let mut object = self.word(HEAD + 8);
        for _ in 0..4 {
            match object.checked_add(8).and_then(|at| self.image.word(at)) {
                Some(above) if above == object && object != 0 => return true,
                Some(above) => object = above,
                None => return false,
            }
        }
        false
    }

    fn is_behind_header(&self, inside: u64) -> bool {
        if inside > HEADER || inside > self.block.size {
            return false;
        }
        let rest = self.block.size - inside;
        let states_rest = |value: u64| value == rest || value.checked_add(1) == Some(rest);
        if rest > 15 {
            let words = (0..inside / 8).any(|index| states_rest(self.word(index * 8)));
            let halves = (0..inside / 4).any(|index| states_rest(self.half(index * 4)));
            if words || halves {
                return true;
            }
        }
        // sds: {length, capacity, flags} packed; the flags' low bits say how wide.
        let flags = match inside {
            0 => return false,
            _ => self.byte(inside - 1),
        };
        match (flags & 7, inside) {
            (0, 1) => rest == u64::from(flags >> 3) + 1 && self.byte(rest) == 0,
            (1, 3) => states_rest(u64::from(self.byte(1))),
            (2, 5) => states_rest(self.half(2) & 0xffff),
            (3, 9) => states_rest(self.half(4)),
            (4, 17) => states_rest(self.word(8)),
            _ => false,
        }
    }

    fn holds_itself(&self) -> bool {
        let end = self.block.start + self.block.size.min(FAR);
        let bytes = self.image.bytes(self.block.start, end);
        crate::ledger::memory::words_of(bytes).any(|word| word == self.block.start)
    }
}
