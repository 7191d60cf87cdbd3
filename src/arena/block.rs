//! One block: reading and writing its header, and the check word over it.
//!
//! Invariant: a [`Block`] is made only by [`Block::at`], whose caller promises
//! that the header lies inside a region of the heap that is locked by the
//! caller; all other methods are safe on that promise. The check word is right
//! iff nobody but the heap wrote to the header.

use core::marker::PhantomData;
use core::num::NonZeroUsize;

use super::layout::*;
use crate::units::align_down;

/// The address of a block's header inside a region.
pub struct Block<M>(NonZeroUsize, PhantomData<M>);

impl<M> Clone for Block<M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M> Copy for Block<M> {}
impl<M> PartialEq for Block<M> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Reads the word at `address`.
///
/// # Safety
/// `address` is word-aligned and readable, and no other thread writes there.
#[inline]
pub unsafe fn load(address: usize) -> usize {
    // SAFETY: passed on to the caller.
    unsafe { core::ptr::with_exposed_provenance::<usize>(address).read() }
}

/// Writes the word at `address`.
///
/// # Safety
/// `address` is word-aligned, writable and owned by the caller.
#[inline]
pub unsafe fn store(address: usize, value: usize) {
    // SAFETY: passed on to the caller.
    unsafe { core::ptr::with_exposed_provenance_mut::<usize>(address).write(value) }
}

impl<M: Mode> Block<M> {
    /// The block whose header begins at `address`.
    ///
    /// # Safety
    /// `address` is word-aligned and the `FREE_HEADER` bytes from it lie inside
    /// a region of a heap which the caller has locked, for as long as the
    /// `Block` is used; of the sentinel, only the state is looked at.
    #[inline]
    pub unsafe fn at(address: usize) -> Self {
        // SAFETY: nothing of a region lies at 0, where its descriptor would have
        // to begin before the first address.
        Block(unsafe { NonZeroUsize::new_unchecked(address) }, PhantomData)
    }

    #[inline]
    fn word(self, offset: usize) -> usize {
        // SAFETY: the promise of `Block::at` covers the header's words.
        unsafe { load(self.address() + offset) }
    }

    #[inline]
    fn set_word(self, offset: usize, value: usize) {
        // SAFETY: the promise of `Block::at` covers the header's words.
        unsafe { store(self.address() + offset, value) }
    }

    /// Where the header begins.
    #[inline]
    pub fn address(self) -> usize {
        self.0.get()
    }

    /// Where the user's bytes begin.
    #[inline]
    pub fn payload(self) -> usize {
        self.address() + M::HEADER
    }

    /// The state word as it stands.
    #[inline]
    pub fn state(self) -> usize {
        self.word(0)
    }

    /// Replaces the state word; the check word is not touched.
    #[inline]
    pub fn set_state(self, state: usize) {
        self.set_word(0, state);
    }

    /// Bytes from this header to the next, `ALIGNMENT`-rounded. Not during a
    /// leak scan.
    #[inline]
    pub fn size(self) -> usize {
        let state = self.state();
        if M::SIZE_SHIFT == 0 { align_down(state, ALIGNMENT) } else { state >> M::SIZE_SHIFT }
    }

    /// Where the next header begins. Not during a leak scan.
    #[inline]
    pub fn end(self) -> usize {
        self.address() + self.size()
    }

    /// As `end`, but also while a leak scan keeps its marks in the size's lowest
    /// bits.
    #[inline]
    pub fn end_in_scan(self) -> usize {
        self.address() + align_down(self.size(), ALIGNMENT)
    }

    /// Whether the block is free.
    #[inline]
    pub fn is_free(self) -> bool {
        self.state() & M::FREE != 0
    }

    /// Bytes between the requested size and the capacity; unknown, and called 0,
    /// in bare mode, where the header has no room to remember them.
    #[inline]
    pub fn slack(self) -> usize {
        if M::SIZE_SHIFT == 0 { 0 } else { self.state() & SLACK_MASK }
    }

    /// Where a live block's canary begins, just after what was requested. Not
    /// during a leak scan.
    #[inline]
    pub fn canary(self) -> usize {
        self.end() - M::TAIL - self.slack()
    }

    /// Bytes the program may use: exactly what it asked for, except in bare
    /// mode.
    #[inline(never)]
    pub fn requested(self) -> usize {
        (self.end_in_scan() - self.payload()).wrapping_sub(M::TAIL + self.slack())
    }

    /// Call site (address of a site record) or return address with bit 0 set;
    /// 0 = unknown.
    #[inline]
    pub fn site(self) -> usize {
        if M::OWNER { self.word(WORD) } else { 0 }
    }

    /// `stamp << 8 | task`, see [`STAMP_MASK`].
    #[inline]
    pub fn birth(self) -> usize {
        if M::OWNER { self.word(2 * WORD) } else { 0 }
    }

    /// Writes the header of a live block, and seals it; `below` is PREVIOUS_FREE
    /// or 0.
    #[inline(always)]
    pub fn set_live(self, state: usize, below: usize, site: usize, birth: usize, secret: usize) {
        self.set_state(state | below);
        let mut covered = secret ^ self.address() ^ state;
        if M::OWNER {
            self.set_word(WORD, site);
            self.set_word(2 * WORD, birth);
            covered ^= site ^ birth ^ (birth << 3);
        }
        if M::GUARD {
            self.set_word(M::HEADER - WORD, covered);
        }
    }

    /// Next block in the free list, 0 at its end.
    #[inline]
    pub fn next(self) -> usize {
        self.word(M::LINKS)
    }

    /// The address of the word that points to this free block: its list's head,
    /// or the `next` link of the block before it.
    #[inline]
    pub fn slot(self) -> usize {
        self.word(M::LINKS + WORD)
    }

    /// Replaces the leak scan's marks, and keeps the seal.
    #[inline(never)]
    pub fn set_marks(self, marks: usize) {
        let change = (self.state() ^ marks) & (COLOUR_MASK | PENDING);
        self.set_state(self.state() ^ change);
        if M::GUARD {
            self.set_word(M::HEADER - WORD, self.word(M::HEADER - WORD) ^ change);
        }
    }

    /// Where this free block's `next` link lies: the slot of the one after it.
    #[inline]
    pub fn next_slot(self) -> usize {
        self.address() + M::LINKS
    }

    /// Writes the header of a free block, and seals it. Of the old state, only
    /// PREVIOUS_FREE stays.
    #[inline(always)]
    pub fn set_free(self, size: usize, next: usize, slot: usize, secret: usize) {
        let state = size << M::SIZE_SHIFT | M::FREE;
        self.set_state(state | self.state() & M::PREVIOUS_FREE);
        self.set_word(M::LINKS, next);
        self.set_word(M::LINKS + WORD, slot);
        if M::GUARD {
            let links = if M::SEALS_LINKS { next ^ slot ^ (slot << 3) } else { 0 };
            self.set_word(M::HEADER - WORD, secret ^ self.address() ^ state ^ links);
        }
    }

    /// Changes the next link of a sealed free block and keeps the seal: the
    /// check word is linear in its words, so the difference is enough.
    #[inline]
    pub fn relink_next(self, next: usize) {
        self.reseal(self.next() ^ next);
        self.set_word(M::LINKS, next);
    }

    /// See [`Block::relink_next`].
    #[inline]
    pub fn relink_slot(self, slot: usize) {
        let change = self.slot() ^ slot;
        self.reseal(change ^ (change << 3));
        self.set_word(M::LINKS + WORD, slot);
    }

    #[inline]
    fn reseal(self, change: usize) {
        if M::SEALS_LINKS {
            self.set_word(M::HEADER - WORD, self.word(M::HEADER - WORD) ^ change);
        }
    }

    /// Writes the size into the last word of a free block, where the block
    /// above finds it.
    #[inline]
    pub fn set_footer(self, size: usize) {
        // SAFETY: the last word of a free block belongs to the heap; `size` was
        // just computed from blocks inside the region.
        unsafe { store(self.address() + size - WORD, size) }
    }

    /// The check word that the header should have, its state being that of a
    /// free block or that of a live one.
    ///
    /// `b ^ b << 3` keeps two equal words (a stray `memset`) from cancelling.
    #[inline(always)]
    fn expected_as(self, is_free: bool, secret: usize) -> usize {
        let covered = secret ^ self.address() ^ (self.state() & !M::PREVIOUS_FREE);
        if is_free != M::SEALS_LINKS {
            return covered;
        }
        let (a, b) = (self.word(M::LINKS), self.word(M::LINKS + WORD));
        covered ^ a ^ b ^ (b << 3)
    }

    /// The bits in which the check word differs from what it should be; 0 = the
    /// header is as the heap wrote it.
    #[inline(always)]
    pub fn flaw(self, secret: usize) -> usize {
        self.word(M::HEADER - WORD) ^ self.expected_as(self.is_free(), secret)
    }

    /// Makes the check word right, which differed in the bits of `flaw`.
    #[inline]
    pub fn seal(self, flaw: usize) {
        self.set_word(M::HEADER - WORD, self.word(M::HEADER - WORD) ^ flaw);
    }

    /// Whether the header of a block that says it is free, or says it is not, is as
    /// the heap wrote it; always true without guard.
    #[inline(always)]
    pub fn is_sealed_as(self, is_free: bool, secret: usize) -> bool {
        !M::GUARD || self.word(M::HEADER - WORD) == self.expected_as(is_free, secret)
    }

    /// Makes the header of an absorbed block wrong, so that no stale one is left
    /// behind: freeing it again will show.
    #[inline]
    pub fn unseal(self, secret: usize) {
        if M::GUARD {
            self.set_word(M::HEADER - WORD, secret);
        } else {
            self.set_state(M::FREE | self.state() & M::PREVIOUS_FREE);
        }
    }
}
