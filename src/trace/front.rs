//! The front cache: stacks this thread had before, recognised by looking at
//! the words that make them, with no walk at all.
//!
//! ```text
//!   index:  hash(return address, sp) ─→ | leaf | offset | tag |
//!                                          │       └ if not 0: look at the word there, hash on
//!   leaf:   | sp | rbp | rbp counts | id, checks | check | check | …
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
//! Invariant: a leaf is immutable until the ring comes round to it; positions
//! only grow, and an index entry whose position is more than a ring behind is
//! stale. Every word looked at lies in the thread's own stack, at or above sp.

use super::path::Check;
use super::rule::WORD;
use super::tables;
use crate::units::StackId;

/// Words in the ring of leaves, mapped at first use and touched as it fills.
const RING: u32 = 1 << 15;
const INDEX_BITS: u32 = 12;
const INDEX: usize = 1 << INDEX_BITS;
/// How many words are looked at to tell leaves apart, at most.
const LEVELS: usize = 32;
/// Checks come in groups of this many; the last is repeated to fill one up.
const GROUP: usize = 4;
const HEADER: u32 = 4;
/// The most checks a leaf has.
const CHECKS: usize = 512;
const WORD_BITS: u32 = 48;
const LOW: u64 = (1 << WORD_BITS) - 1;
/// Bits of the largest offset from sp, in bytes: 16 bits of words.
const REACH_BITS: u32 = 64 - WORD_BITS + WORD.trailing_zeros();

#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    position: u32,
    offset: u16,
    tag: u16,
}

/// See the module's text. All-zero is the empty cache.
#[repr(C)]
pub struct FrontCache {
    /// Null until first used, or when there was no memory.
    ring: *mut u64,
    /// Where the next leaf goes; 0 iff `ring` is null.
    head: u32,
    index: [Entry; INDEX],
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
    /// The end of the thread's own stack, which holds `sp`.
    pub high: usize,
}

impl Key {
    /// The word `offset` words above sp; its low 48 bits.
    #[inline]
    fn word(&self, offset: u16) -> Option<u64> {
        let address = self.sp + usize::from(offset) * WORD;
        if address >= self.high {
            return None;
        }
        // SAFETY: an aligned word of the thread's own stack, between its live
        // stack pointer and the stack's end (both multiples of a word).
        Some(unsafe { (address as *const u64).read_volatile() } & LOW)
    }
}

/// A view of a leaf in the ring.
#[derive(Clone, Copy)]
struct Leaf {
    words: *const u64,
}

impl Leaf {
    #[inline]
    fn header(&self, index: usize) -> u64 {
        // SAFETY: a whole leaf lies at `words` (made by `FrontCache::leaf`).
        unsafe { self.words.add(index).read() }
    }
    #[inline]
    fn checks(&self) -> &[u64] {
        let count = (self.header(3) >> 32) as usize;
        // SAFETY: `write` put `count` checks after the header.
        unsafe { core::slice::from_raw_parts(self.words.add(HEADER as usize), count) }
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
    #[inline]
    fn differs(check: u64, key: &Key) -> u64 {
        let address = key.sp + (check >> WORD_BITS) as usize * WORD;
        // SAFETY: the leaf was made at this very stack pointer of this thread
        // from words of its own stack, which still reaches that deep.
        unsafe { (address as *const u64).read_volatile() ^ check }
    }

    #[inline]
    fn holds(&self, key: &Key) -> bool {
        let (groups, _) = self.checks().as_chunks::<GROUP>();
        let mut all = 0;
        for group in groups {
            for &check in group {
                all |= Self::differs(check, key);
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
        if self.head != 0 {
            self.advance(RING + 1);
        }
    }

    /// Moves the head; positions that wrapped around must not look fresh.
    fn advance(&mut self, words: u32) {
        match self.head.checked_add(words) {
            Some(head) => self.head = head,
            None => {
                self.index = [Entry { position: 0, offset: 0, tag: 0 }; INDEX];
                self.head = RING + 1;
            }
        }
    }

    #[inline]
    fn leaf(&self, position: u32) -> Option<Leaf> {
        if self.head.wrapping_sub(position) > RING || self.head == 0 {
            return None;
        }
        // SAFETY: the ring is mapped when `head` is not 0; the mask keeps the
        // place inside, and a leaf never runs over the ring's end (`write`).
        Some(Leaf { words: unsafe { self.ring.add((position & (RING - 1)) as usize) } })
    }

    /// The stack id, if this very stack is in the cache.
    #[inline]
    pub fn find(&self, key: &Key) -> Option<StackId> {
        let mut hash = Hash::of(key.caller, key.sp);
        for _ in 0..LEVELS {
            let entry = &self.index[hash.place()];
            if entry.tag != hash.tag() {
                return None;
            }
            if entry.offset == 0 {
                let leaf = self.leaf(entry.position)?;
                return (leaf.is_for(key) && leaf.holds(key)).then(|| leaf.id());
            }
            hash = hash.and(key.word(entry.offset)?);
        }
        None
    }

    /// Keeps the stack `id`, whose checks (outermost first) hold right now;
    /// `needs_fp`: only with this rbp.
    pub fn insert(&mut self, key: &Key, id: StackId, needs_fp: bool, checks: &[Check]) {
        let Some(position) = self.write(key, id, needs_fp, checks) else { return };
        let mut hash = Hash::of(key.caller, key.sp);
        for _ in 0..LEVELS {
            let entry = self.index[hash.place()];
            let there = self.leaf(entry.position).filter(|leaf| {
                entry.tag == hash.tag() && entry.position != position && leaf.is_for(key)
            });
            let Some(leaf) = there else { break };
            let Some(difference) = leaf.first_difference(key) else { break };
            if entry.offset != 0 && entry.offset <= difference {
                let Some(word) = key.word(entry.offset) else { break };
                hash = hash.and(word);
                continue;
            }
            // The two part here: both go one level down, told apart by that word.
            let (Some(mine), Some(its)) = (key.word(difference), leaf.word(difference)) else {
                break;
            };
            self.index[hash.place()].offset = difference;
            let down = hash.and(its);
            self.set(down, entry.position);
            hash = hash.and(mine);
            break;
        }
        self.set(hash, position);
    }

    fn set(&mut self, hash: Hash, position: u32) {
        self.index[hash.place()] = Entry { position, offset: 0, tag: hash.tag() };
    }

    /// Writes a leaf; `None` when it cannot be told in this form.
    fn write(&mut self, key: &Key, id: StackId, needs_fp: bool, checks: &[Check]) -> Option<u32> {
        if self.ring.is_null() {
            self.ring = tables::map(RING as usize * size_of::<u64>())?.as_ptr().cast();
            self.head = RING + 1;
        }
        let count = checks.len().next_multiple_of(GROUP);
        if count > CHECKS || count == 0 {
            return None;
        }
        let words = HEADER + count as u32;
        let room = RING - (self.head & (RING - 1));
        if room < words {
            self.advance(room);
        }
        // The head moves first: what is written over is stale before it is.
        self.advance(words);
        let position = self.head - words;
        // SAFETY: `words` words from here lie inside the ring, seen above, and
        // no valid leaf reaches into them any more.
        let leaf = unsafe {
            let start = self.ring.add((position & (RING - 1)) as usize);
            core::slice::from_raw_parts_mut(start, words as usize)
        };
        leaf[0] = key.sp as u64;
        leaf[1] = key.fp as u64;
        leaf[2] = if needs_fp { u64::MAX } else { 0 };
        leaf[3] = u64::from(id.0) | (count as u64) << 32;
        let (places, padding) = leaf[HEADER as usize..].split_at_mut(checks.len());
        let mut too_large = 0;
        for (place, check) in places.iter_mut().zip(checks.iter().rev()) {
            // In bytes, a multiple of eight: its low bits make room for the word.
            let offset = check.address.wrapping_sub(key.sp) as u64;
            let word = check.word as u64;
            too_large |= offset >> REACH_BITS | word >> WORD_BITS;
            *place = offset << (64 - REACH_BITS) | word;
        }
        padding.fill(places[checks.len() - 1]);
        (too_large == 0).then_some(position)
    }
}
