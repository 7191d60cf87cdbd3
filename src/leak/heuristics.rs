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

use super::mappings::Mappings;
use super::tiles::Block;
use crate::memory::Window;
use crate::units::Family;

/// Longest header of a string that is looked into.
const HEADER: usize = 32;

/// Whether a pointer `inside` bytes into `block` counts as one to its start.
pub fn counts_as_start(block: &Block, inside: usize, mappings: &Mappings<'_>) -> bool {
    is_new_array(block, inside)
        || is_second_base(block, inside, mappings)
        || is_behind_header(block, inside)
        || is_tree_node(block, inside)
        || is_exception(block, inside)
        || is_python_object(block, inside, mappings)
}

/// The C++ runtime holds an exception in flight, caught or stored by pointers
/// behind the start of its block (Itanium C++ ABI: Exception Handling, 2.2).
fn is_exception(block: &Block, inside: usize) -> bool {
    /// Bytes before what was thrown, the unwinder's header being the last 32.
    const BEFORE: usize = 128;
    const CLASSES: [&[u8; 7]; 2] = [b"GNUCC++", b"CLNGC++"];
    let class = || word(block, BEFORE - 32).to_be_bytes();
    inside <= BEFORE
        && inside.is_multiple_of(16)
        && block.size >= BEFORE
        && CLASSES.iter().any(|known| class().starts_with(*known))
}

/// CPython's collector keeps two words before each object; an object that it
/// does not track has zeros there, and only pointers behind them. Python's
/// `type` is the only object that is its own type.
fn is_python_object(block: &Block, inside: usize, mappings: &Mappings<'_>) -> bool {
    const HEAD: usize = 16;
    if inside != HEAD || block.size < HEAD + 16 || word(block, 0) != 0 || word(block, HEAD) == 0 {
        return false;
    }
    let type_of = |object: usize| object.checked_add(8).and_then(|at| mappings.word(at));
    let mut object = word(block, HEAD + 8);
    for _ in 0..4 {
        match type_of(object) {
            Some(above) if above == object && object != 0 => return true,
            Some(above) => object = above,
            None => return false,
        }
    }
    false
}

/// Whether the block holds a pointer to its own start: who has a pointer into
/// it can find the start there, as in a pool whose first object is its owner.
/// Only the first pages are looked at.
pub fn holds_itself(block: &Block) -> bool {
    const FAR: usize = 16 * 1024;
    let bytes = block.size.min(FAR);
    (0..bytes / 8).any(|i| word(block, i * 8) == block.address)
}

/// tsearch(3): glibc keeps a node's colour in the low bit of the pointer to
/// it, and grows such trees for itself (setenv).
fn is_tree_node(block: &Block, inside: usize) -> bool {
    const NODE: usize = 24;
    let is_child = |word: usize| word & !1 == 0 || Window::contains(word & !1);
    inside == 1
        && block.size == NODE
        && (1 << 16..1 << 47).contains(&word(block, 0))
        && is_child(word(block, 8))
        && is_child(word(block, 16))
}

fn is_new_array(block: &Block, inside: usize) -> bool {
    let is_array = matches!(block.record.family(), Family::NewArray | Family::NewArrayAligned);
    if !is_array || !inside.is_power_of_two() || inside < 8 || inside > block.size {
        return false;
    }
    // Itanium C++ ABI, 2.7: the count is the last word before the array.
    let count = word(block, inside - 8);
    let rest = block.size - inside;
    if count == 0 { rest == 0 } else { rest.is_multiple_of(count) && count <= rest }
}

fn is_second_base(block: &Block, inside: usize, mappings: &Mappings<'_>) -> bool {
    inside.is_multiple_of(8)
        && inside + 8 <= block.size
        && [word(block, 0), word(block, inside)].into_iter().all(|vtable| {
            vtable.is_multiple_of(8)
                && mappings.find(vtable).is_some_and(|mapping| mapping.is_constant)
        })
}

fn is_behind_header(block: &Block, inside: usize) -> bool {
    if inside > HEADER || inside > block.size {
        return false;
    }
    let rest = block.size - inside;
    let states_rest = |value: usize| value == rest || value.checked_add(1) == Some(rest);
    if rest > 15 {
        let words = (0..inside / 8).any(|i| states_rest(word(block, i * 8)));
        let halves = (0..inside / 4).any(|i| states_rest(half(block, i * 4)));
        if words || halves {
            return true;
        }
    }
    // sds: {length, capacity, flags} packed; the flags' low bits say how wide.
    let flags = match inside {
        0 => return false,
        _ => byte(block, inside - 1),
    };
    match (flags & 7, inside) {
        (0, 1) => rest == usize::from(flags >> 3) + 1 && byte(block, rest) == 0,
        (1, 3) => states_rest(usize::from(byte(block, 1))),
        (2, 5) => states_rest(half(block, 2) & 0xffff),
        (3, 9) => states_rest(half(block, 4)),
        (4, 17) => states_rest(word(block, 8)),
        _ => false,
    }
}

fn word(block: &Block, offset: usize) -> usize {
    debug_assert!(offset + 8 <= block.size.max(8));
    // SAFETY: a live block's slot is at least 24 bytes long and readable, and
    // callers stay below its size or in its first word.
    unsafe { ((block.address + offset) as *const usize).read_unaligned() }
}

fn half(block: &Block, offset: usize) -> usize {
    // SAFETY: as in `word`.
    unsafe { ((block.address + offset) as *const u32).read_unaligned() as usize }
}

fn byte(block: &Block, offset: usize) -> u8 {
    // SAFETY: as in `word`.
    unsafe { ((block.address + offset) as *const u8).read() }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::room::Room;
    use super::super::scratch::Scratch;
    use super::*;
    use crate::ledger::Record;
    use crate::units::StackId;

    fn judge(family: Family, memory: &[u8], inside: usize) -> bool {
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
        counts_as_start(&block, inside, &mappings)
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
        assert!((1..=text.len()).all(|inside| !judge(Family::Malloc, text, inside)));
    }
}
