//! The front cache: stacks this thread had before, recognised by looking at
//! the words that make them, with no walk at all.
//!
//! ```text
//!   index:  hash(return address, sp) ─→ | leaf | below | tag | offset |
//!           or the place beside it         │      └──────────────┴ if the offset is not 0:
//!                                          │        look at the word there, hash on
//!   leaf:   | sp | rbp | rbp counts | id 32, groups 32 | check | check | … |
//!   check:  | offset from sp, words, plus one 16 | word 48 |
//! ```
//!
//! A leaf holds all checks of a path (see `path`) relative to one stack
//! pointer. If all hold, the stack is this one: the same proof as there, but
//! the words are looked at independently of one another, where a walk waits
//! for each frame to find the next. Leaves whose return address and sp agree
//! are told apart by the innermost word in which they differ: the index is a
//! trie over stack words, spread out in one hash table.
//!
//! A leaf is written only for a stack that was missed twice lately: writing one
//! costs more than a walk that meets the last path, and a program with more
//! stacks than the ring holds would write all of them in vain.
//!
//! Invariant: leaves are written over from the front, so a leaf whose first
//! word is in place is whole. They begin at even words, where nothing else in
//! the ring is a stack pointer (a check's upper bits are never 0): a word of
//! the ring that an index entry names, and that is the stack pointer, begins a
//! whole leaf for it, whatever the entry was made for. Every word looked at
//! lies in the thread's own stack, at or above sp. While somebody looks or
//! writes, a signal handler may look; it may not write.

use super::front_hash::{Hash, INDEX_BITS, in_order};
use super::path::Check;
use super::rule::WORD;
use super::stack_range::StackRange;
use crate::sync::atomics::{Ordering::SeqCst, compiler_fence};
use crate::units::StackId;

/// Words in the ring of leaves, touched as it fills.
const RING: usize = 1 << 15;
const INDEX: usize = 1 << INDEX_BITS;
/// How many words are looked at to tell leaves apart, at most.
const LEVELS: usize = 4;
/// Checks come in groups of this many; the last is repeated to fill one up.
const GROUP: usize = 4;
const HEADER: usize = 4;
/// Where the first leaf lies: the words before it stay 0.
const FIRST: usize = HEADER;
/// The most checks a leaf has.
const CHECKS: usize = 512;
const WORD_BITS: u32 = 48;
const LOW: u64 = (1 << WORD_BITS) - 1;
const SEEN_BITS: u32 = 11;

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
struct Entry {
    /// Where the leaf lies in the ring; 0 when it takes a look at a word to
    /// tell which leaf, or when there is none.
    leaf: u16,
    /// Then, one of the leaves further down.
    below: u16,
    tag: u16,
    offset: u16,
}

const NOTHING: Entry = Entry { leaf: 0, below: 0, tag: 0, offset: 0 };

/// See the module's text. All-zero is the empty cache.
#[repr(C)]
pub struct FrontCache {
    index: [Entry; INDEX],
    /// Tags of stacks that were missed lately, by hash: the latest two each.
    seen: [[u16; 2]; 1 << SEEN_BITS],
    /// Where the next leaf goes; 0 before the first.
    head: usize,
    ring: [u64; RING],
}

/// What identifies the stack before any word above `sp` is looked at.
#[derive(Clone, Copy)]
pub struct Key {
    /// malloc's return address.
    pub caller: usize,
    /// rsp at malloc's entry.
    pub sp: usize,
    /// rbp at malloc's entry.
    pub fp: usize,
}

/// The low 48 bits of the word `offset` words above `sp`, if both are on `home`.
#[inline(always)]
fn word(sp: usize, offset: u16, home: &StackRange) -> Option<u64> {
    let distance = usize::from(offset) * WORD;
    // Offsets are those of words on `home`, so this does not wrap.
    let room = home.high.wrapping_sub(home.low).wrapping_sub(distance);
    if sp.wrapping_sub(home.low) >= room {
        return None;
    }
    // SAFETY: a word of the thread's own stack, between its live stack pointer
    // and the stack's end.
    Some(unsafe { ((sp + distance) as *const u64).read_volatile() } & LOW)
}

/// A view of a leaf in the ring: where it begins.
#[derive(Clone, Copy)]
struct Leaf {
    start: *const u64,
}

impl Leaf {
    #[inline(always)]
    fn word(&self, index: usize) -> u64 {
        // SAFETY: a whole leaf lies there (made by `FrontCache::leaf`), and the
        // words asked for are its own.
        unsafe { self.start.add(index).read() }
    }
    /// One half of a word: each is read for itself.
    #[inline(always)]
    fn half(&self, index: usize, upper: bool) -> u32 {
        // SAFETY: as for `word`; little-endian.
        unsafe { self.start.add(index).cast::<u32>().add(upper.into()).read() }
    }
    #[inline(always)]
    fn id(&self) -> StackId {
        StackId(self.half(3, false))
    }
    #[inline(always)]
    fn groups(&self) -> u32 {
        self.half(3, true)
    }
    #[inline]
    fn checks(&self) -> &[u64] {
        let count = self.groups() as usize * GROUP;
        // SAFETY: `write` put so many checks behind the header.
        unsafe { core::slice::from_raw_parts(self.start.add(HEADER), count) }
    }

    /// How many words above sp the word of a check lies.
    #[inline]
    fn offset(check: u64) -> u16 {
        (check >> WORD_BITS) as u16 - 1
    }

    /// The low 48 bits are zero iff the check, of a leaf for `sp`, holds.
    #[inline(always)]
    fn differs(check: *const u64, sp: usize) -> u64 {
        // SAFETY: the check is a whole leaf's, the offset its upper bits
        // (little-endian); the leaf was made at this very stack pointer of this
        // thread from words of its own stack, which still reaches that deep.
        unsafe {
            let offset = check.cast::<u16>().add(3).read() as usize;
            (sp as *const u64).wrapping_add(offset).wrapping_sub(1).read_volatile() ^ check.read()
        }
    }

    /// Whether the stack at `sp`, which must be the leaf's, is this one.
    #[inline(always)]
    fn holds(&self, sp: usize, fp: usize) -> bool {
        let group = |all: u64, first: *const u64| {
            (0..GROUP).fold(all, |all, check| {
                in_order(all | Self::differs(first.wrapping_add(check), sp))
            })
        };
        // There is at least one group (`write`), and often no more.
        let mut check = self.start.wrapping_add(HEADER);
        let mut all = group(0, check);
        let mut left = self.groups();
        while left != 1 {
            check = check.wrapping_add(GROUP);
            all = group(all, check);
            left -= 1;
        }
        let fp = fp as u64 & self.word(2) ^ self.word(1);
        all << (64 - WORD_BITS) | fp == 0
    }

    /// The offset of the innermost word that is not as it was.
    fn first_difference(&self, key: &Key) -> Option<u16> {
        let differs = |check: &&u64| Self::differs(*check, key.sp) & LOW != 0;
        self.checks().iter().find(differs).map(|&check| Self::offset(check))
    }

    /// The word this leaf has at `offset`.
    fn word_at(&self, offset: u16) -> Option<u64> {
        let check = self.checks().iter().find(|&&check| Self::offset(check) == offset)?;
        Some(check & LOW)
    }
}

impl FrontCache {
    /// Forgets all leaves.
    pub fn clear(&mut self) {
        if self.head != 0 {
            self.index = [NOTHING; INDEX];
            compiler_fence(SeqCst);
            self.head = FIRST;
        }
    }

    /// The leaf at `place`, if one for `sp` lies there.
    #[inline(always)]
    fn leaf(&self, place: u16, sp: usize) -> Option<Leaf> {
        // A leaf with this sp says that sp lies on the thread's own stack.
        let leaf = self.leaf_at(place);
        (leaf.word(0) == sp as u64).then_some(leaf)
    }

    #[inline(always)]
    fn leaf_at(&self, place: u16) -> Leaf {
        // SAFETY: only places in the ring are in the index.
        Leaf { start: unsafe { self.ring.as_ptr().add(place.into()) } }
    }

    /// The stack id, if this very stack is in the cache and one look finds it.
    ///
    /// # Safety
    /// `sp` is where a call put its return address.
    #[inline(always)]
    pub unsafe fn find_at_once(&self, sp: usize, fp: usize) -> Option<StackId> {
        // SAFETY: the caller's promise.
        let caller = unsafe { (sp as *const usize).read_volatile() };
        let leaf = self.leaf(self.index[Hash::first_place(caller, sp)].leaf, sp)?;
        leaf.holds(sp, fp).then(|| leaf.id())
    }

    /// The stack id, if this very stack is in the cache. `home` is the stack
    /// that the leaves were made on; `sp` may lie on another.
    ///
    /// # Safety
    /// `sp` is where a call put its return address.
    #[inline(always)]
    pub unsafe fn find(&self, sp: usize, fp: usize, home: &StackRange) -> Option<StackId> {
        // SAFETY: the caller's promise.
        let caller = unsafe { (sp as *const usize).read_volatile() };
        let mut place = self.index[Hash::first_place(caller, sp)].leaf;
        if self.leaf(place, sp).is_none() {
            // SAFETY: the caller's promise.
            place = unsafe { self.find_further(sp, home)? };
        }
        let leaf = self.leaf_at(place);
        leaf.holds(sp, fp).then(|| leaf.id())
    }

    /// Where the leaf lies that it takes more than one look to find.
    ///
    /// # Safety
    /// As for [`find`](Self::find).
    #[inline(always)]
    unsafe fn find_further(&self, sp: usize, home: &StackRange) -> Option<u16> {
        // Read again, so that the usual road need not keep it.
        // SAFETY: the caller's promise.
        let caller = unsafe { (sp as *const usize).read_volatile() };
        let mut hash = Hash::of(caller, sp);
        for _ in 0..LEVELS {
            let entry = &self.index[self.way(hash)?];
            if self.leaf(entry.leaf, sp).is_some() {
                return Some(entry.leaf);
            }
            if entry.offset == 0 {
                return None;
            }
            hash = hash.and(word(sp, entry.offset, home)?);
        }
        None
    }

    /// Where in the index the entry for `hash` is.
    #[inline(always)]
    fn way(&self, hash: Hash) -> Option<usize> {
        let first = hash.place();
        [first, first ^ 1].into_iter().find(|&place| self.index[place].tag == hash.tag())
    }

    /// Whether a stack that was just missed is worth a leaf.
    #[inline]
    pub fn is_worth_a_leaf(&mut self, key: &Key, id: StackId) -> bool {
        let mixed = (u64::from(id.0) << 40 ^ key.sp as u64).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let tag = (mixed >> (64 - SEEN_BITS - 16)) as u16;
        let seen = &mut self.seen[(mixed >> (64 - SEEN_BITS)) as usize];
        if seen.contains(&tag) {
            return true;
        }
        *seen = [tag, seen[0]];
        false
    }

    /// Keeps the stack `id`, whose checks (outermost first) hold right now, on
    /// the stack `home`; `needs_fp`: only with this rbp.
    #[inline(never)]
    pub fn insert(
        &mut self,
        key: &Key,
        home: &StackRange,
        id: StackId,
        needs_fp: bool,
        checks: &[Check],
    ) {
        let Some(leaf) = self.write(key, id, needs_fp, checks) else { return };
        let mut hash = Hash::of(key.caller, key.sp);
        for _ in 0..LEVELS {
            let Some(place) = self.way(hash) else { break };
            let entry = self.index[place];
            let there = entry.leaf | entry.below;
            let Some(other) = self.leaf(there, key.sp).filter(|_| there != leaf) else { break };
            let Some(difference) = other.first_difference(key) else { break };
            if entry.offset != 0 && entry.offset <= difference {
                let Some(word) = word(key.sp, entry.offset, home) else { break };
                hash = hash.and(word);
                continue;
            }
            // The two part here: both go one level down, told apart by that word.
            let mine = word(key.sp, difference, home);
            let (Some(mine), Some(its)) = (mine, other.word_at(difference)) else { break };
            if difference == 0 {
                // Another return address: the entry was made for a leaf that is gone.
                break;
            }
            self.index[place] = Entry { leaf: 0, below: there, tag: entry.tag, offset: difference };
            self.set(hash.and(its), there);
            hash = hash.and(mine);
            break;
        }
        self.set(hash, leaf);
    }

    /// Makes the entry for `hash` lead to `leaf`; the one that was looked at
    /// first so far is looked at second, and one that was second goes.
    fn set(&mut self, hash: Hash, leaf: u16) {
        let first = hash.place();
        let place = match self.way(hash) {
            Some(place) => place,
            None if self.index[first] == NOTHING => first,
            None if self.index[first ^ 1] == NOTHING => first ^ 1,
            None => {
                self.index[first ^ 1] = self.index[first];
                first
            }
        };
        self.index[place] = Entry { leaf, tag: hash.tag(), ..NOTHING };
    }

    /// Writes a leaf; `None` when it cannot be told in this form.
    fn write(&mut self, key: &Key, id: StackId, needs_fp: bool, checks: &[Check]) -> Option<u16> {
        let count = checks.len().next_multiple_of(GROUP);
        if count > CHECKS || count == 0 {
            return None;
        }
        let words = HEADER + count;
        if self.head == 0 || self.head + words > RING {
            self.head = FIRST;
        }
        let start = self.head;
        self.head = start + words;
        let leaf = &mut self.ring[start..start + words];
        // Whoever looks meanwhile finds neither the old leaves nor the new one.
        leaf.fill(0);
        compiler_fence(SeqCst);
        let (header, places) = leaf.split_at_mut(HEADER);
        let mask = if needs_fp { u64::MAX } else { 0 };
        (header[1], header[2]) = (key.fp as u64 & mask, mask);
        header[3] = u64::from(id.0) | ((count / GROUP) as u64) << 32;
        let (places, padding) = places.split_at_mut(checks.len());
        let mut too_large = 0;
        for (place, check) in places.iter_mut().zip(checks.iter().rev()) {
            let offset = (check.address.wrapping_sub(key.sp) / WORD) as u64 + 1;
            let word = check.word as u64;
            too_large |= offset >> (64 - WORD_BITS) | word >> WORD_BITS;
            *place = offset << WORD_BITS | word & LOW;
        }
        padding.fill(places[checks.len() - 1]);
        if too_large != 0 {
            return None;
        }
        compiler_fence(SeqCst);
        header[0] = key.sp as u64;
        compiler_fence(SeqCst);
        Some(start as u16)
    }
}

#[cfg(test)]
#[path = "front_tests.rs"]
mod tests;
