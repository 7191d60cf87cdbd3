//! The front cache: stacks this thread had before, recognised by looking at
//! the words that make them, with no walk at all.
//!
//! ```text
//!   index:  hash(return address, sp) ─→ | leaf | offset | tag |
//!                                          │       └ if not 0: look at the word there, hash on
//!   leaf:   | check | check | … | sp | rbp | rbp counts | id 32, −checks 32 |
//!                                └ its position
//!   check:  | offset from sp, words 16 | word 48 |
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
//! Invariant: a leaf is immutable until the ring comes round to it; positions
//! only grow, and an index entry whose leaf may be more than a ring behind is
//! stale. Every word looked at lies in the thread's own stack, at or above sp.
//! A signal handler may look at any moment, also while a leaf is being written,
//! and may write while the thread looks: the head moves before anything is
//! written over, the index learns of a leaf when it is whole, and who looks
//! takes a stack only if the head has not moved meanwhile.

use super::path::Check;
use super::rule::WORD;
use super::stack_range::StackRange;
use super::tables;
use crate::sync::atomics::{
    AtomicU32,
    Ordering::{Relaxed, SeqCst},
    compiler_fence,
};
use crate::units::StackId;

/// Words in the ring of leaves, mapped at first use and touched as it fills.
const RING: u32 = 1 << 15;
const INDEX_BITS: u32 = 12;
const INDEX: usize = 1 << INDEX_BITS;
/// How many words are looked at to tell leaves apart, at most.
const LEVELS: usize = 12;
/// Checks come in groups of this many; the last is repeated to fill one up.
const GROUP: usize = 4;
const HEADER: u32 = 4;
/// The most checks a leaf has.
const CHECKS: usize = 512;
const WORD_BITS: u32 = 48;
const LOW: u64 = (1 << WORD_BITS) - 1;
/// Bits of the largest offset from sp, in bytes: 16 bits of words.
const REACH_BITS: u32 = 64 - WORD_BITS + WORD.trailing_zeros();
const SEEN_BITS: u32 = 11;

#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    position: u32,
    /// Tag 16, offset 16.
    tag_offset: u32,
}

impl Entry {
    fn new(position: u32, tag: u16, offset: u16) -> Entry {
        Entry { position, tag_offset: u32::from(tag) << 16 | u32::from(offset) }
    }
    #[inline]
    fn tag(self) -> u16 {
        (self.tag_offset >> 16) as u16
    }
    #[inline]
    fn offset(self) -> u16 {
        self.tag_offset as u16
    }
}

/// See the module's text. All-zero is the empty cache.
#[repr(C)]
pub struct FrontCache {
    /// Null until first used, or when there was no memory.
    ring: *mut u64,
    /// Where the next leaf goes; 0 iff `ring` is null.
    head: AtomicU32,
    index: [Entry; INDEX],
    /// Tags of stacks that were missed lately, by hash: the latest two each.
    seen: [[u16; 2]; 1 << SEEN_BITS],
}

// SAFETY: the ring belongs to this cache alone and goes where it goes.
unsafe impl Send for FrontCache {}

/// The hash of a key and of the words looked at so far.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    #[inline]
    fn of(caller: usize, sp: usize) -> Hash {
        Hash((caller as u64 ^ (sp as u64).rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
    #[inline]
    fn and(self, word: u64) -> Hash {
        Hash((self.0.rotate_left(29) ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93))
    }
    #[inline]
    fn place(self) -> usize {
        (self.0 >> (64 - INDEX_BITS)) as usize
    }
    #[inline]
    fn tag(self) -> u16 {
        (self.0 >> (64 - INDEX_BITS - 16)) as u16
    }
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

impl Key {
    /// The low 48 bits of the word `offset` words above sp, if that is on
    /// `home`, as sp is.
    #[inline]
    fn word(&self, offset: u16, home: &StackRange) -> Option<u64> {
        let address = self.sp + usize::from(offset) * WORD;
        if address >= home.high {
            return None;
        }
        // SAFETY: an aligned word of the thread's own stack, between its live
        // stack pointer and the stack's end (both multiples of a word).
        Some(unsafe { (address as *const u64).read_volatile() } & LOW)
    }
}

/// A view of a leaf in the ring: where its header is.
#[derive(Clone, Copy)]
struct Leaf {
    header: *const u64,
}

impl Leaf {
    #[inline]
    fn header(&self, index: usize) -> u64 {
        // SAFETY: a whole leaf's header lies there (made by `FrontCache::leaf`).
        unsafe { self.header.add(index).read() }
    }
    /// The number of checks, negative.
    #[inline]
    fn minus_checks(&self) -> isize {
        // SAFETY: the upper half of the header's last word (little-endian).
        unsafe { self.header.cast::<i32>().add(2 * HEADER as usize - 1).read() as isize }
    }
    #[inline]
    fn checks(&self) -> &[u64] {
        let count = self.minus_checks();
        // SAFETY: `write` put so many checks before the header.
        unsafe { core::slice::from_raw_parts(self.header.offset(count), count.unsigned_abs()) }
    }
    #[inline]
    fn id(&self) -> StackId {
        StackId(self.header(3) as u32)
    }
    #[inline]
    fn is_for(&self, key: &Key) -> bool {
        self.header(0) == key.sp as u64
    }

    /// The low 48 bits are zero iff the check holds. `key.sp` must be the leaf's.
    #[inline(always)]
    fn differs(check: u64, key: &Key) -> u64 {
        let address = key.sp + (check >> WORD_BITS) as usize * WORD;
        // SAFETY: the leaf was made at this very stack pointer of this thread
        // from words of its own stack, which still reaches that deep.
        unsafe { (address as *const u64).read_volatile() ^ check }
    }

    /// Whether the stack at `key.sp`, which must be the leaf's, is this one.
    #[inline(always)]
    fn holds(&self, key: &Key) -> bool {
        let (mut index, mut all) = (self.minus_checks(), 0);
        // There is at least one group (`write`).
        loop {
            for in_group in 0..GROUP as isize {
                // SAFETY: checks come in whole groups (`write`), so this one
                // lies before the header.
                let check = unsafe { self.header.offset(index + in_group).read() };
                all |= Self::differs(check, key);
            }
            index += GROUP as isize;
            if index == 0 {
                break;
            }
        }
        let fp = (self.header(1) ^ key.fp as u64) & self.header(2);
        all << (64 - WORD_BITS) | fp == 0
    }

    /// The offset of the innermost word that is not as it was.
    fn first_difference(&self, key: &Key) -> Option<u16> {
        let check = self.checks().iter().find(|&&check| Self::differs(check, key) & LOW != 0)?;
        Some((check >> WORD_BITS) as u16)
    }

    /// The word this leaf has at `offset`.
    fn word(&self, offset: u16) -> Option<u64> {
        let check = self.checks().iter().find(|&&check| (check >> WORD_BITS) as u16 == offset)?;
        Some(check & LOW)
    }
}

impl FrontCache {
    /// Forgets all leaves.
    pub fn clear(&mut self) {
        if self.head.load(Relaxed) != 0 {
            self.advance(RING + 1);
        }
    }

    /// Moves the head; positions that wrapped around must not look fresh.
    fn advance(&mut self, words: u32) {
        let head = self.head.load(Relaxed).checked_add(words).unwrap_or_else(|| {
            self.index = [Entry::new(0, 0, 0); INDEX];
            RING + 1
        });
        compiler_fence(SeqCst);
        self.head.store(head, Relaxed);
        compiler_fence(SeqCst);
    }

    /// The leaf at `position`, if it is not stale at this head.
    #[inline(always)]
    fn leaf(&self, position: u32, head: u32) -> Option<Leaf> {
        // A position lies before the head, and the checks before the position;
        // without a ring both are 0.
        if head.wrapping_sub(position).wrapping_sub(1) >= RING - CHECKS as u32 {
            return None;
        }
        // SAFETY: the ring is mapped when `head` is not 0; the mask keeps the
        // place inside, and a leaf never runs over the ring's ends (`write`).
        Some(Leaf { header: unsafe { self.ring.add((position & (RING - 1)) as usize) } })
    }

    /// The stack id of the leaf at `entry`, if the stack is this very one.
    #[inline(always)]
    fn try_leaf(&self, entry: &Entry, key: &Key) -> Option<StackId> {
        let head = self.head.load(Relaxed);
        compiler_fence(SeqCst);
        let leaf = self.leaf(entry.position, head)?;
        // A leaf with this sp says that sp lies on the thread's own stack.
        let holds = leaf.is_for(key) && leaf.holds(key);
        let id = leaf.id();
        compiler_fence(SeqCst);
        (holds && self.head.load(Relaxed) == head).then_some(id)
    }

    /// The stack id, if this very stack is in the cache and it takes one look
    /// to find it.
    #[inline(always)]
    pub fn find(&self, key: &Key) -> Option<StackId> {
        let hash = Hash::of(key.caller, key.sp);
        let entry = &self.index[hash.place()];
        // With this tag, and no offset.
        let at_once = entry.tag_offset == u32::from(hash.tag()) << 16;
        if at_once { self.try_leaf(entry, key) } else { None }
    }

    /// The stack id, if this very stack is in the cache, but not where
    /// [`find`](Self::find) looks. `home` is the stack that the leaves were
    /// made on; `key.sp` may lie on another.
    #[inline]
    pub fn find_further(&self, key: &Key, home: &StackRange) -> Option<StackId> {
        let mut hash = Hash::of(key.caller, key.sp);
        if !home.contains(key.sp) {
            return None;
        }
        for level in 0..LEVELS {
            let entry = &self.index[hash.place()];
            match entry.offset() {
                _ if entry.tag() != hash.tag() => return None,
                0 if level == 0 => return None,
                0 => return self.try_leaf(entry, key),
                offset => hash = hash.and(key.word(offset, home)?),
            }
        }
        None
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
        let Some(position) = self.write(key, id, needs_fp, checks) else { return };
        let head = self.head.load(Relaxed);
        let mut hash = Hash::of(key.caller, key.sp);
        for _ in 0..LEVELS {
            let entry = self.index[hash.place()];
            let there = self.leaf(entry.position, head).filter(|leaf| {
                entry.tag() == hash.tag() && entry.position != position && leaf.is_for(key)
            });
            let Some(leaf) = there else { break };
            let Some(difference) = leaf.first_difference(key) else { break };
            if entry.offset() != 0 && entry.offset() <= difference {
                let Some(word) = key.word(entry.offset(), home) else { break };
                hash = hash.and(word);
                continue;
            }
            // The two part here: both go one level down, told apart by that word.
            let mine = key.word(difference, home);
            let (Some(mine), Some(its)) = (mine, leaf.word(difference)) else { break };
            self.index[hash.place()] = Entry::new(entry.position, entry.tag(), difference);
            let down = hash.and(its);
            self.set(down, entry.position);
            hash = hash.and(mine);
            break;
        }
        self.set(hash, position);
    }

    fn set(&mut self, hash: Hash, position: u32) {
        self.index[hash.place()] = Entry::new(position, hash.tag(), 0);
    }

    /// Writes a leaf; `None` when it cannot be told in this form.
    fn write(&mut self, key: &Key, id: StackId, needs_fp: bool, checks: &[Check]) -> Option<u32> {
        if self.ring.is_null() {
            self.ring = tables::map(RING as usize * size_of::<u64>())?.as_ptr().cast();
            self.head.store(RING + 1, Relaxed);
        }
        let count = checks.len().next_multiple_of(GROUP);
        if count > CHECKS || count == 0 {
            return None;
        }
        let words = HEADER + count as u32;
        let room = RING - (self.head.load(Relaxed) & (RING - 1));
        if room < words {
            self.advance(room);
        }
        // The head moves first: what is written over is stale before it is.
        self.advance(words);
        let position = self.head.load(Relaxed) - HEADER;
        // SAFETY: `words` words up to the head lie inside the ring, seen
        // above, and no valid leaf reaches into them any more.
        let leaf = unsafe {
            let start = self.ring.add((position & (RING - 1)) as usize).sub(count);
            core::slice::from_raw_parts_mut(start, words as usize)
        };
        let (places, header) = leaf.split_at_mut(count);
        header[0] = key.sp as u64;
        header[1] = key.fp as u64;
        header[2] = if needs_fp { u64::MAX } else { 0 };
        header[3] = u64::from(id.0) | u64::from((count as u32).wrapping_neg()) << 32;
        let (places, padding) = places.split_at_mut(checks.len());
        let mut too_large = 0;
        for (place, check) in places.iter_mut().zip(checks.iter().rev()) {
            // In bytes, a multiple of eight: its low bits make room for the word.
            let offset = check.address.wrapping_sub(key.sp) as u64;
            let word = check.word as u64;
            too_large |= offset >> REACH_BITS | word >> WORD_BITS;
            *place = offset << (64 - REACH_BITS) | word;
        }
        padding.fill(places[checks.len() - 1]);
        // The index learns of it only now, also in the eyes of a signal handler.
        compiler_fence(SeqCst);
        (too_large == 0).then_some(position)
    }
}
