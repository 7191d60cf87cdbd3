//! Orphans: what is kept when a block is freed that held others' addresses.
//!
//! Poison overwrites a freed block, so why a block is lost must be noted at the
//! free of its holder: the fast path compares the upper halves of the words in
//! the block's first 256 bytes with the window's ([`super::address_words`]),
//! and only if one is alike the words are looked at one by one.
//!
//! ```text
//!   fresh     256 notes, a child's at the place that its address hashes to
//!   settled   a hash table by the child's address ([`super::orphan_table`])
//! ```
//!
//! A word that is no live block's address is passed over: a child that was
//! freed before its holder. Most other children are freed soon after, or are
//! named by one freed block after the other (a tree's root, a parent). So a
//! fresh note is only replaced, by a later one of its child, or by one of
//! another; and in that case it settles, if its child is live still.
//!
//! Without a quarantine nothing is noted: a child's slot would have a new block
//! at once. Of two holders of a child the later counts.
//!
//! Invariant: a note is empty or whole; only the heap's owner writes.

use super::address_words::{matching, pair, upper};
use super::orphan_table::{OrphanTable, hash, is_empty, is_there};
use super::pool;
use super::thread_heap::ThreadHeap;
use crate::ledger::{Holder, Orphan, Record};
use crate::memory::{Kind, Window};
use crate::sync::atomics::Ordering::Relaxed;
use crate::units::StackId;

/// Fresh notes.
const FRESH: usize = 256;
/// Bytes of a holder whose words are looked at, if one of the first 256 is
/// alike.
const LOOKED_AT: usize = 4096;

/// What a thread remembers of the blocks it freed.
pub(super) struct Orphans {
    fresh: [Orphan; FRESH],
    settled: OrphanTable,
}

/// Calls `visit` with each live block whose address stood in a block that was
/// freed, as far as the threads remember; of one thread's, the later of two
/// for one block is the later free. No other thread runs meanwhile.
pub fn for_each_orphan(visit: &mut dyn FnMut(&Orphan)) {
    pool::for_each_heap(|heap| heap.orphans.for_each(visit));
}

/// The record of the block that starts at `address`, below the extent; all
/// zero if none does.
#[inline(always)]
pub(super) fn record_at(address: usize) -> Record {
    let granule = Window::granule_at(address - Window::base());
    // SAFETY: granules below the extent are mapped, and so is all metadata
    // that ever was: a racing change of the slab's use is read as some record.
    unsafe {
        let index = (*granule).slot_at(address.wrapping_sub((*granule).first));
        if index < (*granule).slots {
            return Record((*(*granule).records.add(index as usize)).load(Relaxed));
        }
        match (*granule).kind == Kind::Span && (*granule).first == address {
            true => Record((*granule).record.load(Relaxed)),
            false => Record(0),
        }
    }
}

impl ThreadHeap {
    /// A live block of `size` bytes at `start`, with this record, is about to
    /// be freed from `stack`: takes note of what it holds. At least the 32
    /// bytes at `start` and all of the block, in sixteens, are readable.
    ///
    /// # Safety
    /// As said.
    #[inline(never)]
    pub(super) unsafe fn note_children(
        &mut self,
        start: usize,
        size: usize,
        record: Record,
        freed: StackId,
    ) {
        if self.quarantine.limit == 0 {
            return;
        }
        let (base, extent, upper) = (Window::base(), Window::extent(), upper());
        let stamp = self.stamp();
        let holder = Holder { address: start, size, stack: record.stack(), freed, stamp };
        let end = start + size.min(LOOKED_AT);
        let mut at = start;
        while at < end {
            // The last sixteen bytes are read together with those before.
            let from = if at + 16 < end || at == start { at } else { at - 16 };
            // SAFETY: the caller's promise.
            let mut bits = matching(unsafe { pair(from, upper) });
            bits &= if from < at { 0b1100 } else { 0b1111 };
            while bits != 0 {
                // SAFETY: as above.
                let child =
                    unsafe { ((from + bits.trailing_zeros() as usize * 8) as *const usize).read() };
                bits &= bits - 1;
                let hash = hash(child);
                if child.wrapping_sub(base) < extent
                    && child != start
                    && self.orphans.settled.wants(hash)
                {
                    let record = record_at(child);
                    if record.is_live() {
                        self.orphans.note(hash, Orphan::new(child, record, &holder));
                    }
                }
            }
            at = from + 32;
        }
    }
}

impl Orphans {
    /// Puts a note among the fresh ones; the one in its place settles if it is
    /// another child's, and that is live still.
    #[inline(always)]
    fn note(&mut self, hash: u64, note: Orphan) {
        let place = &mut self.fresh[(hash >> (64 - FRESH.ilog2())) as usize];
        let old = *place;
        if !is_empty(&old) && !old.is_of_same_child(&note) && is_there(&old) {
            self.settled.keep(old);
        }
        note.put(place);
    }

    /// Calls `visit` with all orphans; the later of two for one child is the
    /// later free. The owner stands still.
    fn for_each(&self, visit: &mut dyn FnMut(&Orphan)) {
        self.settled.for_each(visit);
        for place in &self.fresh {
            // SAFETY: aligned words inside a heap, which is never freed.
            let note = unsafe { (&raw const *place).read_volatile() };
            if is_there(&note) {
                visit(&note);
            }
        }
    }
}
