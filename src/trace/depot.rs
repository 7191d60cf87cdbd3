//! The stack depot: every call stack ever met, as a path in one tree.
//!
//! ```text
//!   root (how the stack ended) ← main ← parse ← node ← caller of malloc
//!                                                      └ its number is the StackId
//!   node:  | module 16 : return address 48 | parent 32 | frames to the root 32 |
//! ```
//!
//! The calling-context tree (Ammons, Ball, Larus, PLDI 1997): a child is a call
//! made from its parent, so stacks share their outer frames, and a thread that
//! keeps its last path interns only the frames that are new.
//!
//! Invariant: a node never changes once its number was handed out, and its
//! parent's number is smaller than its own. Readers and writers never wait.
//! Two threads that intern the same path at once may make it twice when the
//! index grows meanwhile; both numbers mean the same frames.

use super::Completeness;
use super::hash_table::HashTable;
use super::rule_table::CodeAddress;
use super::tables;
use crate::units::StackId;
use core::sync::atomic::{
    AtomicPtr, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};

const ID_BITS: u32 = StackId::BITS;
const LIMIT: u32 = 1 << ID_BITS;
const SEGMENT_BITS: u32 = 14;
const SEGMENT_NODES: usize = 1 << SEGMENT_BITS;
const SEGMENTS: usize = 1 << (ID_BITS - SEGMENT_BITS);

/// The stack goes on to its end.
pub const ROOT_COMPLETE: StackId = StackId(1);
/// Frames further out were left out.
pub const ROOT_TRUNCATED: StackId = StackId(2);
/// The frames further out could not be found.
pub const ROOT_INCOMPLETE: StackId = StackId(3);
/// The frames further out are guesses.
pub const ROOT_GUESSED: StackId = StackId(4);
const FIRST: u32 = 8;

#[repr(C)]
struct Node {
    code: AtomicU64,
    parent: AtomicU32,
    depth: AtomicU32,
}

static INDEX: HashTable<AtomicU32> = HashTable::new(1 << 13);
static NODES: [AtomicPtr<Node>; SEGMENTS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; SEGMENTS];
static NEXT: AtomicU32 = AtomicU32::new(FIRST);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

fn node(id: u32) -> Option<&'static Node> {
    let segment = NODES.get((id >> SEGMENT_BITS) as usize)?.load(Acquire);
    if segment.is_null() {
        return None;
    }
    // SAFETY: a published segment holds SEGMENT_NODES zeroed nodes and stays
    // mapped; the mask keeps the index inside.
    Some(unsafe { &*segment.add(id as usize & (SEGMENT_NODES - 1)) })
}

#[inline]
fn hash(parent: u32, code: u64) -> u64 {
    let mixed = code.wrapping_add(u64::from(parent).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let product = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
    product ^ product >> 29
}

/// The index word: the number, and above it what is left of the hash.
#[inline]
fn word(id: u32, hash: u64) -> u32 {
    id | ((hash >> 55) as u32) << ID_BITS
}

/// The node for a call from `parent` that returns to `code`; makes it when it
/// is new. When there is no room left, `parent` itself if it is a node, else
/// unknown, and the loss is counted.
#[inline]
pub fn intern(parent: StackId, code: CodeAddress) -> StackId {
    let hash = hash(parent.0, code.0);
    match INDEX.find((hash >> 8) as usize, |found| is_child(found, hash, parent, code)) {
        Some(found) => StackId(found & (LIMIT - 1)),
        None => make(parent, code, hash),
    }
}

#[inline]
fn is_child(found: u32, hash: u64, parent: StackId, code: CodeAddress) -> bool {
    if found >> ID_BITS != word(0, hash) >> ID_BITS {
        return false;
    }
    node(found & (LIMIT - 1)).is_some_and(|node| {
        node.code.load(Relaxed) == code.0 && node.parent.load(Relaxed) == parent.0
    })
}

#[cold]
#[inline(never)]
fn make(parent: StackId, code: CodeAddress, hash: u64) -> StackId {
    try_make(parent, code, hash).unwrap_or_else(|| {
        DROPPED.fetch_add(1, Relaxed);
        if parent.0 < FIRST { StackId::UNKNOWN } else { parent }
    })
}

fn try_make(parent: StackId, code: CodeAddress, hash: u64) -> Option<StackId> {
    if NEXT.load(Relaxed) >= LIMIT {
        return None;
    }
    let id = NEXT.fetch_add(1, Relaxed);
    if id >= LIMIT {
        NEXT.store(LIMIT, Relaxed);
        return None;
    }
    let place = &NODES[(id >> SEGMENT_BITS) as usize];
    if place.load(Acquire).is_null() {
        let bytes = SEGMENT_NODES * size_of::<Node>();
        let segment = tables::map(bytes)?;
        let new = segment.as_ptr().cast();
        if place.compare_exchange(core::ptr::null_mut(), new, AcqRel, Acquire).is_err() {
            // SAFETY: just mapped and known to nobody.
            unsafe { tables::discard(segment, bytes) };
        }
    }
    let fresh = node(id)?;
    fresh.code.store(code.0, Relaxed);
    fresh.parent.store(parent.0, Relaxed);
    fresh.depth.store(depth(parent) + 1, Relaxed);
    let found = INDEX.insert(
        (hash >> 8) as usize,
        word(id, hash),
        |found| is_child(found, hash, parent, code),
        rehash,
    );
    // Not in the index (no memory, or it is being moved): still a good number,
    // only met again under another one.
    Some(StackId(found.unwrap_or(id) & (LIMIT - 1)))
}

fn rehash(found: u32) -> usize {
    node(found & (LIMIT - 1))
        .map_or(0, |node| (hash(node.parent.load(Relaxed), node.code.load(Relaxed)) >> 8) as usize)
}

/// Frames from this node to its root; 0 for roots and the unknown stack.
pub fn depth(id: StackId) -> u32 {
    if id.0 < FIRST { 0 } else { node(id.0).map_or(0, |node| node.depth.load(Relaxed)) }
}

/// Visits the frames of a stack, innermost first, until `visit` says `false`;
/// how the stack ended.
pub fn walk(id: StackId, mut visit: impl FnMut(CodeAddress) -> bool) -> Completeness {
    let mut id = id.0;
    while id >= FIRST {
        let Some(here) = node(id) else { return Completeness::Incomplete };
        if !visit(CodeAddress(here.code.load(Relaxed))) {
            return Completeness::Truncated;
        }
        let parent = here.parent.load(Relaxed);
        if parent >= id {
            return Completeness::Incomplete;
        }
        id = parent;
    }
    match StackId(id) {
        ROOT_COMPLETE => Completeness::Complete,
        ROOT_TRUNCATED => Completeness::Truncated,
        ROOT_GUESSED => Completeness::Guessed,
        _ => Completeness::Incomplete,
    }
}

/// Nodes in use, and stacks that found no room.
pub fn counts() -> (usize, usize) {
    (NEXT.load(Relaxed).saturating_sub(FIRST) as usize, DROPPED.load(Relaxed))
}

/// In a forked child: see [`HashTable::after_fork_in_child`].
pub fn after_fork_in_child() {
    INDEX.after_fork_in_child();
}

#[cfg(test)]
mod tests {
    use super::super::module::ModuleId;
    use super::*;
    use std::vec::Vec;

    fn code(address: usize) -> CodeAddress {
        CodeAddress::new(address, ModuleId::UNKNOWN)
    }

    #[test]
    fn same_path_same_number_other_path_other_number() {
        let mut seen = std::collections::HashMap::new();
        for round in 0..2 {
            for outer in 0..100 {
                let parent = intern(ROOT_COMPLETE, code(0x10_0000 + outer));
                for inner in 0..300 {
                    let id = intern(parent, code(0x20_0000 + inner));
                    let before = seen.insert((outer, inner), id);
                    assert_eq!(before.is_some(), round == 1);
                    assert!(before.is_none_or(|before| before == id));
                }
            }
        }
        let distinct: std::collections::HashSet<_> = seen.values().map(|id| id.0).collect();
        assert_eq!(distinct.len(), 30_000);
        for ((outer, inner), id) in seen {
            let mut frames = Vec::new();
            let end = walk(id, |code| {
                frames.push(code.address());
                true
            });
            assert_eq!(frames, [0x20_0000 + inner, 0x10_0000 + outer]);
            assert_eq!(end, Completeness::Complete);
        }
    }

    #[test]
    fn the_root_says_how_the_stack_ended() {
        for (root, end) in [
            (ROOT_COMPLETE, Completeness::Complete),
            (ROOT_TRUNCATED, Completeness::Truncated),
            (ROOT_INCOMPLETE, Completeness::Incomplete),
            (ROOT_GUESSED, Completeness::Guessed),
        ] {
            let id = intern(root, code(0x77_0000));
            assert_eq!(walk(id, |_| true), end);
            assert_eq!(walk(id, |_| false), Completeness::Truncated);
            assert_eq!(depth(id), 1);
        }
        assert_eq!(walk(StackId::UNKNOWN, |_| true), Completeness::Incomplete);
    }

    #[test]
    fn many_threads_intern_the_same_paths() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    for leaf in 0..20_000 {
                        let parent = intern(ROOT_COMPLETE, code(0x30_0000 + leaf % 97));
                        let id = intern(parent, code(0x40_0000 + leaf));
                        let mut frames = Vec::new();
                        walk(id, |code| {
                            frames.push(code.address());
                            true
                        });
                        assert_eq!(frames, [0x40_0000 + leaf, 0x30_0000 + leaf % 97]);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
