//! The one hash table of this room: words that are found without a lock.
//!
//! ```text
//!   Header { mask, used }  | word | word | word | …        (mask + 1 places)
//! ```
//!
//! Open addressing with linear probing; 0 is an empty place; places fill and
//! are never emptied. Growth copies into a table twice as large and retires
//! the old one. A word that another thread adds while the copy runs may be
//! lost: its owner then adds it again. The rooms above make that harmless.
//!
//! Invariant: `find` and `insert` never wait; the table is at most three
//! quarters full.

use super::tables;
use crate::sync::atomics::{
    AtomicPtr, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use core::ptr::NonNull;

/// A word type that can sit in a place, atomically.
pub trait Place: 'static {
    /// The word.
    type Word: Copy + PartialEq;
    /// The empty word: all bits zero.
    const EMPTY: Self::Word;
    /// Reads the place (acquire).
    fn get(&self) -> Self::Word;
    /// Fills an empty place; what is there instead if it was not empty.
    fn fill(&self, word: Self::Word) -> Result<(), Self::Word>;
}

impl Place for crate::sync::atomics::AtomicU32 {
    type Word = u32;
    const EMPTY: u32 = 0;
    #[inline]
    fn get(&self) -> u32 {
        self.load(Acquire)
    }
    #[inline]
    fn fill(&self, word: u32) -> Result<(), u32> {
        self.compare_exchange(0, word, AcqRel, Acquire).map(drop)
    }
}

#[repr(C, align(16))]
struct Header {
    mask: AtomicUsize,
    used: AtomicUsize,
}

impl Header {
    #[inline]
    fn mask(&self) -> usize {
        self.mask.load(Relaxed)
    }
}

/// Turns that `clear` waits for a growth: far longer than any takes.
const LONGEST_GROWTH: usize = 1 << 24;

/// A growing set of words; see the module's text. All-zero is the empty set.
pub struct HashTable<P: Place> {
    header: AtomicPtr<Header>,
    growing: AtomicUsize,
    first_places: usize,
    places: core::marker::PhantomData<P>,
}

impl<P: Place> HashTable<P> {
    /// An empty set that starts with `first_places` places, a power of two.
    pub const fn new(first_places: usize) -> Self {
        HashTable {
            header: AtomicPtr::new(core::ptr::null_mut()),
            growing: AtomicUsize::new(0),
            first_places,
            places: core::marker::PhantomData,
        }
    }

    fn bytes(places: usize) -> usize {
        size_of::<Header>() + places * size_of::<P>()
    }

    #[inline]
    fn places(header: &Header) -> *const P {
        // The places follow the header, whose size is a multiple of their alignment.
        (&raw const *header).wrapping_add(1).cast()
    }

    #[inline]
    fn place(header: &Header, index: usize) -> &P {
        // SAFETY: the table was mapped with `mask + 1` places after its
        // header and is never unmapped; the mask keeps the index inside.
        unsafe { &*Self::places(header).add(index & header.mask()) }
    }

    #[inline]
    fn current(&self) -> Option<&Header> {
        // SAFETY: null or a header published by `grow`; tables stay mapped.
        unsafe { self.header.load(Acquire).as_ref() }
    }

    /// The first word on `hash`'s path that `is_it` accepts.
    #[inline]
    pub fn find(&self, hash: usize, mut is_it: impl FnMut(P::Word) -> bool) -> Option<P::Word> {
        let header = self.current()?;
        // A header whose table was retired reads as zero: mask 0, one probe.
        let mask = header.mask();
        let mut step = 0;
        loop {
            let word = Self::place(header, hash.wrapping_add(step)).get();
            if word == P::EMPTY {
                return None;
            }
            if is_it(word) {
                return Some(word);
            }
            if step >= mask {
                return None;
            }
            step += 1;
        }
    }

    /// Adds `word`, not empty, at `hash`; an equal one that another thread
    /// added meanwhile (`is_it`) is returned instead. `None`: no memory.
    /// `rehash` gives the hash of a word that is in the table.
    pub fn insert(
        &self,
        hash: usize,
        word: P::Word,
        mut is_it: impl FnMut(P::Word) -> bool,
        rehash: impl Fn(P::Word) -> usize,
    ) -> Option<P::Word> {
        let mut header = self.current();
        if header.is_none_or(|header| header.used.load(Relaxed) * 4 >= header.mask() * 3) {
            self.grow(rehash);
            header = self.current();
        }
        let header = header?;
        if header.used.load(Relaxed) * 8 >= header.mask() * 7 {
            return None;
        }
        for step in 0..=header.mask() {
            let place = Self::place(header, hash.wrapping_add(step));
            let there = match place.get() {
                there if there != P::EMPTY => there,
                _ => match place.fill(word) {
                    Ok(()) => {
                        header.used.fetch_add(1, Relaxed);
                        return Some(word);
                    }
                    Err(there) => there,
                },
            };
            if is_it(there) {
                return Some(there);
            }
        }
        None
    }

    /// Doubles the table, unless somebody else is about it.
    #[cold]
    fn grow(&self, rehash: impl Fn(P::Word) -> usize) {
        let me = crate::platform::linux::tls::get() | 1;
        if self.growing.compare_exchange(0, me, Acquire, Relaxed).is_err() {
            return;
        }
        let old = self.current();
        let places = old.map_or(self.first_places, |header| (header.mask() + 1) * 2);
        if let Some(memory) = tables::map(Self::bytes(places)) {
            let new = memory.cast::<Header>();
            // SAFETY: freshly mapped, large enough, all zero, nobody else knows it.
            let header = unsafe { new.as_ref() };
            header.mask.store(places - 1, Relaxed);
            if let Some(old) = old {
                for index in 0..=old.mask() {
                    let word = Self::place(old, index).get();
                    if word != P::EMPTY {
                        Self::put(header, rehash(word), word);
                    }
                }
            }
            self.header.store(new.as_ptr(), Release);
            if let Some(old) = old {
                let bytes = Self::bytes(old.mask() + 1);
                // SAFETY: from `tables::map` with these bytes; a reader that
                // still holds it sees empty places.
                unsafe { tables::retire(NonNull::from(old).cast(), bytes) };
            }
        }
        self.growing.store(0, Release);
    }

    fn put(header: &Header, hash: usize, word: P::Word) {
        for step in 0..=header.mask() {
            if Self::place(header, hash.wrapping_add(step)).fill(word).is_ok() {
                header.used.fetch_add(1, Relaxed);
                return;
            }
        }
    }

    /// Forgets every word, in place: whoever looks meanwhile finds empty places.
    /// Waits for a growth that is under way, which would bring old words back.
    pub fn clear(&self) {
        let me = crate::platform::linux::tls::get() | 1;
        for _ in 0..LONGEST_GROWTH {
            if self.growing.compare_exchange(0, me, Acquire, Relaxed).is_ok() {
                break;
            }
            crate::sync::atomics::spin_loop();
        }
        if let Some(header) = self.current() {
            let mask = header.mask();
            let bytes = Self::bytes(mask + 1);
            // SAFETY: from `tables::map` with these bytes; zeros mean empty, a
            // mask of zero an empty table of one place.
            unsafe { tables::empty(NonNull::from(header).cast(), bytes) };
            header.mask.store(mask, Release);
        }
        self.growing.store(0, Release);
    }

    /// In a forked child: lets go of a growth that another thread of the
    /// parent was at (it will never end it). `me` is the calling thread's word.
    pub fn after_fork_in_child(&self) {
        let me = crate::platform::linux::tls::get() | 1;
        let holder = self.growing.load(Relaxed);
        if holder != 0 && holder != me {
            self.growing.store(0, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::atomics::AtomicU32;

    fn spread(word: u32) -> usize {
        (word as usize).wrapping_mul(0x9e37_79b9) >> 7
    }

    fn has(table: &HashTable<AtomicU32>, word: u32) -> bool {
        table.find(spread(word), |there| there == word).is_some()
    }

    fn add(table: &HashTable<AtomicU32>, word: u32) -> Option<u32> {
        table.insert(spread(word), word, |there| there == word, spread)
    }

    #[test]
    fn words_are_found_as_the_table_grows_and_not_after_clearing() {
        let table = HashTable::<AtomicU32>::new(8);
        assert!(!has(&table, 1));
        for round in 1..=3 {
            for word in 1..5000 {
                assert_eq!(add(&table, word), Some(word), "{round}");
                assert_eq!(add(&table, word), Some(word), "a second time is the first");
            }
            assert!((1..5000).all(|word| has(&table, word)) && !has(&table, 5000));
            let before = table.header.load(Relaxed);
            table.clear();
            assert!((1..5000).all(|word| !has(&table, word)));
            assert_eq!(table.header.load(Relaxed), before, "cleared in place");
        }
    }

    #[test]
    fn a_growth_that_another_thread_left_is_let_go_in_a_forked_child() {
        let table = HashTable::<AtomicU32>::new(8);
        add(&table, 1);
        let other = crate::platform::linux::tls::get() | 0x10;
        table.growing.store(other, Relaxed);
        let taken = (2..100).filter(|&word| add(&table, word).is_some()).count();
        assert!(taken < 8, "it cannot grow");
        table.after_fork_in_child();
        assert!((2..100).all(|word| add(&table, word).is_some()));
    }
}
