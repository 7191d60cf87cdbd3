//! Heuristics: pointers into a block that are as good as pointers to its
//! start, because that is how a common idiom holds a block.
//!
//! | idiom | the pointer | the evidence in the block |
//! |---|---|---|
//! | `new T[n]` with destructors | behind the cookie | the cookie `n` divides the rest |
//! | base class subobject | to the second vtable pointer | vtable pointers there and at the start |
//! | C++ exception | to its inner header, or to what was thrown | the class that unwinders know it by |
//! | Python object | behind the collector's two words | its type's type is its own |
//! | pool that holds its owner | anywhere | a pointer to its own start |
//! | node of glibc's tsearch tree | one byte in: a red node | a key and two children |
//! | string behind its lengths | behind the header | the header states the length of the rest |
//!
//! (Valgrind's newarray, multipleinheritance, stdstring and length64; the
//! last row also covers redis' sds and the strings of GCC 4's libstdc++.)
//!
//! Invariant: nothing here reads memory; what it asks goes through [`Sight`],
//! so that the process itself and a tool that reads an image of it judge alike.

use crate::units::Family;

/// Longest header of a string that is looked into.
const HEADER: u64 = 32;
/// How far a block is searched for a pointer to itself.
const FAR: u64 = 16 * 1024;

/// A live block, as whoever judges it sees it.
pub trait Sight {
    /// The block's address.
    fn start(&self) -> u64;
    /// Bytes asked for.
    fn size(&self) -> u64;
    /// The functions that made it.
    fn family(&self) -> Family;
    /// The eight bytes at `offset`, which end within the block or are its first.
    fn word(&self, offset: u64) -> u64;
    /// The four bytes at `offset`, which end within the block.
    fn half(&self, offset: u64) -> u64;
    /// The byte at `offset`, which is within the block.
    fn byte(&self, offset: u64) -> u8;
    /// The word at any address, if it is readable memory.
    fn word_at(&self, address: u64) -> Option<u64>;
    /// Whether the address is in a file's read-only memory, as a vtable is.
    fn is_constant(&self, address: u64) -> bool;
    /// Whether the address is the heap's.
    fn is_heap(&self, address: u64) -> bool;
}

/// Whether a pointer `inside` bytes into the block counts as one to its start.
pub fn counts_as_start(block: &impl Sight, inside: u64) -> bool {
    is_new_array(block, inside)
        || is_second_base(block, inside)
        || is_behind_header(block, inside)
        || is_tree_node(block, inside)
        || is_exception(block, inside)
        || is_python_object(block, inside)
}

/// Whether the block holds a pointer to its own start: who has a pointer into
/// it can find the start there, as in a pool whose first object is its owner.
/// Only the first pages are looked at.
pub fn holds_itself(block: &impl Sight) -> bool {
    let bytes = block.size().min(FAR);
    (0..bytes / 8).any(|index| block.word(index * 8) == block.start())
}

/// The C++ runtime holds an exception in flight, caught or stored by pointers
/// behind the start of its block (Itanium C++ ABI: Exception Handling, 2.2).
fn is_exception(block: &impl Sight, inside: u64) -> bool {
    /// Bytes before what was thrown, the unwinder's header being the last 32.
    const BEFORE: u64 = 128;
    const CLASSES: [&[u8; 7]; 2] = [b"GNUCC++", b"CLNGC++"];
    let class = || block.word(BEFORE - 32).to_be_bytes();
    inside <= BEFORE
        && inside.is_multiple_of(16)
        && block.size() >= BEFORE
        && CLASSES.iter().any(|known| class().starts_with(*known))
}

/// CPython's collector keeps two words before each object; an object that it
/// does not track has zeros there, and only pointers behind them. Python's
/// `type` is the only object that is its own type.
fn is_python_object(block: &impl Sight, inside: u64) -> bool {
    const HEAD: u64 = 16;
    if inside != HEAD || block.size() < HEAD + 16 || block.word(0) != 0 || block.word(HEAD) == 0 {
        return false;
    }
    let type_of = |object: u64| object.checked_add(8).and_then(|at| block.word_at(at));
    let mut object = block.word(HEAD + 8);
    for _ in 0..4 {
        match type_of(object) {
            Some(above) if above == object && object != 0 => return true,
            Some(above) => object = above,
            None => return false,
        }
    }
    false
}

/// tsearch(3): glibc keeps a node's colour in the low bit of the pointer to
/// it, and grows such trees for itself (setenv).
fn is_tree_node(block: &impl Sight, inside: u64) -> bool {
    const NODE: u64 = 24;
    let is_child = |word: u64| word & !1 == 0 || block.is_heap(word & !1);
    inside == 1
        && block.size() == NODE
        && (1 << 16..1 << 47).contains(&block.word(0))
        && is_child(block.word(8))
        && is_child(block.word(16))
}

fn is_new_array(block: &impl Sight, inside: u64) -> bool {
    let is_array = matches!(block.family(), Family::NewArray | Family::NewArrayAligned);
    if !is_array || !inside.is_power_of_two() || inside < 8 || inside > block.size() {
        return false;
    }
    // Itanium C++ ABI, 2.7: the count is the last word before the array.
    let (count, rest) = (block.word(inside - 8), block.size() - inside);
    if count == 0 { rest == 0 } else { rest.is_multiple_of(count) && count <= rest }
}

fn is_second_base(block: &impl Sight, inside: u64) -> bool {
    inside.is_multiple_of(8)
        && inside + 8 <= block.size()
        && [block.word(0), block.word(inside)]
            .into_iter()
            .all(|vtable| vtable.is_multiple_of(8) && block.is_constant(vtable))
}

fn is_behind_header(block: &impl Sight, inside: u64) -> bool {
    if inside > HEADER || inside > block.size() {
        return false;
    }
    let rest = block.size() - inside;
    let states_rest = |value: u64| value == rest || value.checked_add(1) == Some(rest);
    if rest > 15 {
        let words = (0..inside / 8).any(|index| states_rest(block.word(index * 8)));
        let halves = (0..inside / 4).any(|index| states_rest(block.half(index * 4)));
        if words || halves {
            return true;
        }
    }
    // sds: {length, capacity, flags} packed; the flags' low bits say how wide.
    let flags = match inside {
        0 => return false,
        _ => block.byte(inside - 1),
    };
    match (flags & 7, inside) {
        (0, 1) => rest == u64::from(flags >> 3) + 1 && block.byte(rest) == 0,
        (1, 3) => states_rest(u64::from(block.byte(1))),
        (2, 5) => states_rest(block.half(2) & 0xffff),
        (3, 9) => states_rest(block.half(4)),
        (4, 17) => states_rest(block.word(8)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::leak::live_block::LiveBlock;
    use crate::leak::mappings::Mappings;
    use crate::leak::room::Room;
    use crate::leak::scratch::Scratch;
    use crate::leak::tiles::Block;
    use crate::ledger::Record;
    use crate::units::StackId;

    fn judge(family: Family, memory: &[u8], inside: u64) -> bool {
        let scratch = Scratch::new(Room::AMPLE.bytes_to_read()).unwrap();
        let mappings = Mappings::read(&scratch, &Room::AMPLE).unwrap();
        let mut slot = std::vec![0u64; memory.len() / 8 + 5];
        // SAFETY: the vector has room for the bytes.
        unsafe {
            slot.as_mut_ptr().cast::<u8>().copy_from(memory.as_ptr(), memory.len());
        }
        let block = Block {
            address: slot.as_ptr() as usize,
            size: memory.len(),
            record: Record::live(family, 8, 1, StackId(1)),
        };
        counts_as_start(&LiveBlock { block: &block, mappings: &mappings }, inside)
    }

    #[test]
    fn an_array_with_a_cookie_is_held_by_a_pointer_behind_it() {
        let mut memory = std::vec![0u8; 8 + 5 * 24];
        memory[0] = 5;
        assert!(judge(Family::NewArray, &memory, 8));
        assert!(!judge(Family::Malloc, &memory, 8));
        memory[0] = 7;
        assert!(!judge(Family::NewArray, &memory, 8));
        assert!(!judge(Family::NewArray, &memory, 16));
    }

    #[test]
    fn a_second_base_is_known_by_two_vtables_and_not_by_other_words() {
        trait Shape {
            fn side(&self) -> u32;
        }
        impl Shape for u32 {
            fn side(&self) -> u32 {
                *self
            }
        }
        let shape: &dyn Shape = &4u32;
        assert_eq!(shape.side(), 4);
        // SAFETY: a trait object is two words, the second the vtable.
        let vtable = unsafe { core::mem::transmute::<&dyn Shape, [usize; 2]>(shape) }[1];
        let mut memory = std::vec![0u8; 64];
        memory[..8].copy_from_slice(&vtable.to_ne_bytes());
        memory[16..24].copy_from_slice(&vtable.to_ne_bytes());
        assert!(judge(Family::New, &memory, 16));
        assert!(!judge(Family::New, &memory, 24));
    }

    #[test]
    fn a_python_object_is_held_behind_its_collectors_words() {
        let metatype = std::boxed::Box::leak(std::boxed::Box::new([9usize, 0]));
        metatype[1] = metatype.as_ptr() as usize;
        let type_object =
            std::boxed::Box::leak(std::boxed::Box::new([9, metatype.as_ptr() as usize]));
        let bytes = |words: [usize; 6]| words.map(usize::to_ne_bytes).concat();
        let object = bytes([0, 0, 1, type_object.as_ptr() as usize, 7, 7]);
        assert!(judge(Family::Malloc, &object, 16));
        assert!(!judge(Family::Malloc, &object, 24));
        let other = bytes([0, 0, 1, &raw const object as usize, 7, 7]);
        assert!(!judge(Family::Malloc, &other, 16));
    }

    #[test]
    fn an_exception_is_held_behind_its_header_and_other_blocks_are_not() {
        let mut memory = std::vec![0u8; 128 + 24];
        assert!(!judge(Family::Malloc, &memory, 128));
        memory[96..104].copy_from_slice(&u64::from_be_bytes(*b"GNUCC++\0").to_ne_bytes());
        assert!(judge(Family::Malloc, &memory, 16) && judge(Family::Malloc, &memory, 128));
        assert!(!judge(Family::Malloc, &memory, 136));
    }

    #[test]
    fn a_string_behind_its_length_is_held_and_a_stepped_pointer_is_not() {
        let mut cow = std::vec![0u8; 24 + 41];
        cow[0] = 10;
        cow[8] = 40;
        assert!(judge(Family::New, &cow, 24));
        assert!(judge(Family::Malloc, b"\x05\x08\x01hello\0\0\0\0", 3));
        assert!(judge(Family::Malloc, b"\x28hello\0", 1));
        assert!(!judge(Family::Malloc, b"\x28hello!", 1));
        let text = b"a string that somebody steps through";
        assert!((1..=text.len() as u64).all(|inside| !judge(Family::Malloc, text, inside)));
    }
}
