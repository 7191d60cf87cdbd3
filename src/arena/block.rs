//! One block: reading and writing its header, and the check word over it.
//!
//! Invariant: a [`Block`] is made only by [`Block::at`], whose caller promises
//! that the header lies inside a region of the heap that is locked by the
//! caller; all other methods are safe on that promise. The check word is right
//! iff nobody but the heap wrote to the header.

use core::marker::PhantomData;

use super::layout::*;

/// The address of a block's header inside a region.
pub struct Block<M>(usize, PhantomData<M>);

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
    /// `Block` is used.
    #[inline]
    pub unsafe fn at(address: usize) -> Self {
        Block(address, PhantomData)
    }

    #[inline]
    fn word(self, offset: usize) -> usize {
        // SAFETY: the promise of `Block::at` covers the header's words.
        unsafe { load(self.0 + offset) }
    }

    #[inline]
    fn set_word(self, offset: usize, value: usize) {
        // SAFETY: the promise of `Block::at` covers the header's words.
        unsafe { store(self.0 + offset, value) }
    }

    /// Where the header begins.
    #[inline]
    pub fn address(self) -> usize {
        self.0
    }

    /// Where the user's bytes begin.
    #[inline]
    pub fn payload(self) -> usize {
        self.0 + M::HEADER
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

    /// Bytes from this header to the next, `ALIGNMENT`-rounded.
    #[inline]
    pub fn size(self) -> usize {
        Self::size_in(self.state())
    }

    /// The size that a state word holds.
    #[inline]
    pub fn size_in(state: usize) -> usize {
        (state >> M::SIZE_SHIFT) & !(ALIGNMENT - 1)
    }

    /// Where the next header begins.
    #[inline]
    pub fn end(self) -> usize {
        self.0 + self.size()
    }

    /// Whether the block is free.
    #[inline]
    pub fn is_free(self) -> bool {
        self.state() & FREE != 0
    }

    /// Bytes the program may use: exactly what it asked for, except in bare
    /// mode, where the header has no room to remember it.
    #[inline]
    pub fn requested(self) -> usize {
        let state = self.state();
        let capacity = Self::size_in(state).wrapping_sub(M::HEADER + M::TAIL);
        if M::OWNER || M::GUARD {
            capacity.wrapping_sub(state >> SLACK_SHIFT & SLACK_MASK)
        } else {
            capacity
        }
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

    /// Writes owner, time and task; the check word is not touched.
    #[inline]
    pub fn set_owner(self, site: usize, birth: usize) {
        if M::OWNER {
            self.set_word(WORD, site);
            self.set_word(2 * WORD, birth);
        }
    }

    /// Next block in the free list, 0 at its end.
    #[inline]
    pub fn next(self) -> usize {
        self.word(M::LINKS)
    }

    /// Previous block in the free list, 0 at its head.
    #[inline]
    pub fn previous(self) -> usize {
        self.word(M::LINKS + WORD)
    }

    /// Writes and seals the header of a free block that becomes its list's head.
    #[inline]
    pub fn set_free(self, size: usize, flag: usize, next: usize, secret: usize) {
        let state = size << M::SIZE_SHIFT | FREE;
        self.set_state(state | flag);
        self.set_word(M::LINKS, next);
        self.set_word(M::LINKS + WORD, 0);
        if M::GUARD {
            let links = if M::SEALS_LINKS { next } else { 0 };
            self.set_word(M::HEADER - WORD, secret ^ self.0 ^ state ^ links);
        }
    }

    /// Changes one link of a sealed free block and keeps the seal: the check
    /// word is linear in its words, so the difference is enough.
    #[inline]
    pub fn relink_next(self, next: usize) {
        if M::SEALS_LINKS {
            let change = self.next() ^ next;
            self.set_word(M::HEADER - WORD, self.word(M::HEADER - WORD) ^ change);
        }
        self.set_word(M::LINKS, next);
    }

    /// See [`Block::relink_next`].
    #[inline]
    pub fn relink_previous(self, previous: usize) {
        if M::SEALS_LINKS {
            let change = self.previous() ^ previous;
            let check = self.word(M::HEADER - WORD) ^ change ^ (change << 3);
            self.set_word(M::HEADER - WORD, check);
        }
        self.set_word(M::LINKS + WORD, previous);
    }

    /// Writes the size into the last word of a free block, where the block
    /// above finds it.
    #[inline]
    pub fn set_footer(self, size: usize) {
        // SAFETY: the last word of a free block belongs to the heap; `size` was
        // just computed from blocks inside the region.
        unsafe { store(self.0 + size - WORD, size) }
    }

    /// The check word that the header should have.
    ///
    /// `b ^ b << 3` keeps two equal words (a stray `memset`) from cancelling.
    #[inline]
    fn expected(self, secret: usize) -> usize {
        let state = self.state();
        let covered = secret ^ self.0 ^ (state & CHECKED);
        if (state & FREE != 0) != M::SEALS_LINKS {
            return covered;
        }
        let (a, b) = (self.word(M::LINKS), self.word(M::LINKS + WORD));
        covered ^ a ^ b ^ (b << 3)
    }

    /// Makes the check word right.
    #[inline]
    pub fn seal(self, secret: usize) {
        if M::GUARD {
            self.set_word(M::HEADER - WORD, self.expected(secret));
        }
    }

    /// Whether the header is as the heap wrote it; always true without guard.
    #[inline]
    pub fn is_sealed(self, secret: usize) -> bool {
        !M::GUARD || self.compare_seal(secret)
    }

    /// As `is_sealed`, of a header whose state is known to be that of a free
    /// block of `size` bytes.
    #[inline(always)]
    pub fn is_sealed_free(self, size: usize, secret: usize) -> bool {
        let mut covered = secret ^ self.0 ^ (size << M::SIZE_SHIFT | FREE);
        if M::SEALS_LINKS {
            covered ^= self.next() ^ self.previous() ^ (self.previous() << 3);
        }
        !M::GUARD || self.word(M::HEADER - WORD) == covered
    }

    /// As `is_sealed`, for the caller in a hurry.
    #[inline(always)]
    pub fn is_sealed_here(self, secret: usize) -> bool {
        !M::GUARD || self.word(M::HEADER - WORD) == self.expected(secret)
    }

    #[inline(never)]
    fn compare_seal(self, secret: usize) -> bool {
        self.word(M::HEADER - WORD) == self.expected(secret)
    }

    /// Makes the header wrong, so that no stale one is left behind when the
    /// block is absorbed by its neighbour: freeing it again will show.
    #[inline]
    pub fn unseal(self, pattern: usize) {
        if M::GUARD {
            self.set_word(M::HEADER - WORD, pattern);
        } else {
            self.set_state(FREE);
        }
    }
}
