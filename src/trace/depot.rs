//! The stack depot: every call stack ever met, as a path in one tree.
//!
//! ```text
//!   root (how the stack ended) ← main ← parse ← node ← caller of malloc
//!                                                      └ its number is the StackId
//!   node:   | module 16 : return address 48 | parent | child | child | more |
//!   more:   number of a family: | child | child | … | more |
//!   child:  | tag 9 : number 23 |
//! ```
//!
//! The calling-context tree (Ammons, Ball, Larus, PLDI 1997): a child is a call
//! made from its parent, so stacks share their outer frames, and a thread that
//! keeps its last path interns only the frames that are new.
//!
//! A node names its first two children itself and some more in a chain of
//! families; only those beyond are found by an index shared by all nodes. The
//! index of a program with many contexts has megabytes, and each look into it
//! waits for memory, whereas nodes and families made together lie together.
//! A child is named with a few bits of a hash of its address, so that other
//! children are not looked at.
//!
//! Invariant: a node's address and parent never change once its number was
//! handed out, and its parent's number is smaller than its own. Readers and
//! writers never wait.
//! Two threads that intern the same path at once may make it twice when the
//! index grows meanwhile; both numbers mean the same frames.

use super::Completeness;
use super::hash_table::HashTable;
use super::rule_table::CodeAddress;
use super::tables;
use crate::outside::Address;
use crate::sync::atomics::{
    AtomicPtr, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use crate::units::StackId;
use core::mem::offset_of;

const ID_BITS: u32 = StackId::BITS;
const LIMIT: u32 = 1 << ID_BITS;
const SEGMENT_BITS: u32 = 14;
const SEGMENT_LENGTH: usize = 1 << SEGMENT_BITS;
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
    /// The first children, or 0.
    children: [AtomicU32; 2],
    /// The first family with more, or 0.
    more: AtomicU32,
}

/// Some children of one node.
#[repr(C, align(32))]
struct Family {
    children: [AtomicU32; 7],
    /// The next family of this node, or 0.
    more: AtomicU32,
}

/// Families that a node has at most: children beyond are in the index.
const FAMILIES: usize = 4;

static INDEX: HashTable<AtomicU32> = HashTable::new(1 << 13);
static NODES: Segments<Node> = Segments::new();
static FAMILIES_MADE: Segments<Family> = Segments::new();
static NEXT: AtomicU32 = AtomicU32::new(FIRST);
static NEXT_FAMILY: AtomicU32 = AtomicU32::new(1);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Address of the table of nodes, of the next number, of the count of losses.
pub const OUTSIDE: [Address; 3] =
    [Address::of(&raw const NODES), Address::of(&raw const NEXT), Address::of(&raw const DROPPED)];
/// Segments, nodes in one, bytes of one, and the first number that is no end.
pub const OUTSIDE_SIZES: [u64; 4] =
    [SEGMENTS as u64, SEGMENT_LENGTH as u64, size_of::<Node>() as u64, FIRST as u64];
const _: () = assert!(offset_of!(Node, code) == 0 && offset_of!(Node, parent) == 8);

/// Numbered zeroed values, mapped some thousand at a time; they never move.
#[repr(transparent)]
struct Segments<T>([AtomicPtr<T>; SEGMENTS]);

impl<T> Segments<T> {
    const fn new() -> Self {
        Segments([const { AtomicPtr::new(core::ptr::null_mut()) }; SEGMENTS])
    }

    #[inline]
    fn get(&self, number: u32) -> Option<&'static T> {
        let segment = self.0.get((number >> SEGMENT_BITS) as usize)?.load(Acquire);
        if segment.is_null() {
            return None;
        }
        // SAFETY: a published segment holds SEGMENT_LENGTH zeroed values and
        // stays mapped; the mask keeps the index inside.
        Some(unsafe { &*segment.add(number as usize & (SEGMENT_LENGTH - 1)) })
    }

    /// Sees to it that `number` has memory.
    fn map(&self, number: u32) -> bool {
        let Some(place) = self.0.get((number >> SEGMENT_BITS) as usize) else { return false };
        if !place.load(Acquire).is_null() {
            return true;
        }
        let bytes = SEGMENT_LENGTH * size_of::<T>();
        let Some(segment) = tables::map(bytes) else { return false };
        let new = segment.as_ptr().cast();
        if place.compare_exchange(core::ptr::null_mut(), new, AcqRel, Acquire).is_err() {
            // SAFETY: just mapped and known to nobody.
            unsafe { tables::discard(segment, bytes) };
        }
        true
    }
}

#[inline]
fn node(id: u32) -> Option<&'static Node> {
    NODES.get(id)
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

/// The tag of a child that returns to `code`, in its place above a number.
#[inline]
fn tag(code: CodeAddress) -> u32 {
    ((code.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as u32) << ID_BITS
}

/// The node for a call from `parent` that returns to `code`; makes it when it
/// is new. When there is no room left, `parent` itself if it is a node, else
/// unknown, and the loss is counted.
#[inline]
pub fn intern(parent: StackId, code: CodeAddress) -> StackId {
    // The ends of stacks may have thousands of children (`stack_depth=0`).
    let Some(above) = node(parent.0).filter(|_| parent.0 >= FIRST) else {
        return intern_by_index(parent, code);
    };
    let tag = tag(code);
    if let Some(id) = child_among(&above.children, tag, code) {
        return id;
    }
    let (mut more, mut families, mut last) = (above.more.load(Acquire), 0, 0);
    while let Some(family) = FAMILIES_MADE.get(more).filter(|_| more != 0) {
        if let Some(id) = child_among(&family.children, tag, code) {
            return id;
        }
        more = family.more.load(Acquire);
        families += 1;
        last = family.children[family.children.len() - 1].load(Relaxed);
    }
    if families == FAMILIES && last != 0 {
        return intern_by_index(parent, code);
    }
    intern_further(above, parent, code)
}

#[inline(always)]
fn child_among(children: &[AtomicU32], tag: u32, code: CodeAddress) -> Option<StackId> {
    for child in children {
        // Another tag, or none there: a node does not return to address 0.
        let id = child.load(Acquire) ^ tag;
        if id < LIMIT && node(id).is_some_and(|node| node.code.load(Relaxed) == code.0) {
            return Some(StackId(id));
        }
    }
    None
}

/// A child that was not among those its parent names.
#[cold]
#[inline(never)]
fn intern_further(above: &Node, parent: StackId, code: CodeAddress) -> StackId {
    let mut fresh = None;
    let (mut children, mut more) = (&above.children[..], &above.more);
    for _ in 0..=FAMILIES {
        for child in children {
            let mut there = child.load(Acquire);
            if there == 0 {
                fresh = fresh.or_else(|| make(parent, code));
                let Some(id) = fresh else { return no_room(parent) };
                match child.compare_exchange(0, id | tag(code), AcqRel, Acquire) {
                    Ok(_) => return StackId(id),
                    // Somebody added a child: perhaps this one. Ours goes further on.
                    Err(now) => there = now,
                }
            }
            let id = there ^ tag(code);
            if id < LIMIT && node(id).is_some_and(|node| node.code.load(Relaxed) == code.0) {
                return StackId(id);
            }
        }
        let Some(family) = family_at(more) else { break };
        (children, more) = (&family.children, &family.more);
    }
    intern_by_index(parent, code)
}

/// The family that `link` names; makes it when there is none.
fn family_at(link: &AtomicU32) -> Option<&'static Family> {
    let mut number = link.load(Acquire);
    if number == 0 {
        let new = NEXT_FAMILY.load(Relaxed);
        // Before the number is taken, so that none are lost while memory is short.
        if new >= LIMIT || !FAMILIES_MADE.map(new) {
            return None;
        }
        let new = NEXT_FAMILY.fetch_add(1, Relaxed);
        if !FAMILIES_MADE.map(new) {
            return None;
        }
        number = match link.compare_exchange(0, new, AcqRel, Acquire) {
            Ok(_) => new,
            Err(there) => there,
        };
    }
    FAMILIES_MADE.get(number)
}

fn intern_by_index(parent: StackId, code: CodeAddress) -> StackId {
    let hash = hash(parent.0, code.0);
    let place = (hash >> 8) as usize;
    let is_it = |found| is_child(found, hash, parent, code);
    if let Some(found) = INDEX.find(place, is_it) {
        return StackId(found & (LIMIT - 1));
    }
    let Some(id) = make(parent, code) else { return no_room(parent) };
    // Not in the index (no memory, or it is being moved): still a good number,
    // only met again under another one.
    let found = INDEX.insert(place, word(id, hash), is_it, rehash).unwrap_or(id);
    StackId(found & (LIMIT - 1))
}

#[cold]
fn no_room(parent: StackId) -> StackId {
    DROPPED.fetch_add(1, Relaxed);
    if parent.0 < FIRST { StackId::UNKNOWN } else { parent }
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

/// A new node that nobody else can find yet.
#[cold]
#[inline(never)]
fn make(parent: StackId, code: CodeAddress) -> Option<u32> {
    let expected = NEXT.load(Relaxed);
    // Before the number is taken, so that none are lost while memory is short.
    if expected >= LIMIT || !NODES.map(expected) {
        return None;
    }
    let id = NEXT.fetch_add(1, Relaxed);
    if id >= LIMIT {
        NEXT.store(LIMIT, Relaxed);
        return None;
    }
    if id != expected && !NODES.map(id) {
        return None;
    }
    let fresh = node(id)?;
    fresh.code.store(code.0, Relaxed);
    fresh.parent.store(parent.0, Relaxed);
    Some(id)
}

fn rehash(found: u32) -> usize {
    node(found & (LIMIT - 1))
        .map_or(0, |node| (hash(node.parent.load(Relaxed), node.code.load(Relaxed)) >> 8) as usize)
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

/// Whether all numbers are taken, for good.
pub fn is_full() -> bool {
    NEXT.load(Relaxed) >= LIMIT
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
#[path = "depot_tests.rs"]
mod tests;
