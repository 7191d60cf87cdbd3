//! Lost blocks: a conservative mark over the roots the user names, without any
//! memory beyond a few words of stack.
//!
//! Two bits in each state word hold the colour; a third, PENDING, says that a
//! reached block's words are still to be read. A short mark stack serves lists
//! and trees; what overflows it stays PENDING and is found by the next pass
//! over the heap (Boehm and Weiser 1988 restart the same way).
//!
//! ```text
//!  UNREACHED  no pointer found          -> definite, if no lost block holds it
//!  REACHED    a pointer to its start from a root or a REACHED block
//!  POSSIBLE   only pointers into its inside, or held only by such blocks
//!  INDIRECT   held only by lost blocks
//! ```
//!
//! Interior pointers: the block's start is found by stepping down from the
//! pointer to the nearest sealed header (guard), or by walking up from the
//! region's start (owner without guard: slower, but it needs no check word).
//!
//! Invariant: colours and PENDING are zero in every block outside of a scan.
//! They are not covered by the check word, so headers stay sealed throughout.

use core::ffi::c_void;

use super::block::{Block, load};
use super::door::Arena;
use super::event::ArenaBlock;
use super::heap::Heap;
use super::layout::*;
use super::region::Region;

/// How a block is held; the names in reports are Valgrind's.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaLeakKind {
    /// No pointer to it is left.
    Definite = 0,
    /// A pointer to its start was found.
    Reachable = 1,
    /// Only pointers to its inside were found.
    Possible = 2,
    /// Only lost blocks point to it.
    Indirect = 3,
}

/// Memory that may hold pointers: `.data` and `.bss`, stacks, retained RAM.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ArenaRoot {
    /// First byte; rounded up to a word.
    pub start: *const c_void,
    /// First byte after it.
    pub end: *const c_void,
}

/// Lost blocks of one call site and kind.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ArenaLeak {
    /// How they are held.
    pub kind: ArenaLeakKind,
    /// How many.
    pub blocks: u32,
    /// Bytes asked for, together.
    pub bytes: usize,
    /// The one met first; `first.site` is the site of all.
    pub first: ArenaBlock,
}

/// Blocks and bytes of each [`ArenaLeakKind`], in its order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArenaLeakTotals {
    /// Blocks, by kind.
    pub blocks: [u32; 4],
    /// Bytes asked for, by kind.
    pub bytes: [usize; 4],
}

const UNREACHED: usize = 0;
const REACHED: usize = 1 << COLOUR_SHIFT;
const POSSIBLE: usize = 2 << COLOUR_SHIFT;
const INDIRECT: usize = 3 << COLOUR_SHIFT;

/// Blocks whose words wait to be read; when it is full, PENDING alone tells.
struct MarkStack {
    blocks: [usize; 16],
    depth: usize,
}

impl MarkStack {
    #[inline]
    fn push(&mut self, block: usize) {
        if let Some(slot) = self.blocks.get_mut(self.depth) {
            *slot = block;
            self.depth += 1;
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<usize> {
        self.depth = self.depth.checked_sub(1).unwrap_or(usize::MAX);
        let top = self.blocks.get(self.depth).copied();
        if top.is_none() {
            self.depth = 0;
        }
        top
    }
}

impl<M: Mode> Arena<M> {
    /// Marks from `roots`, calls `visit` once for each call site with lost or
    /// possibly lost blocks, and returns the totals of all kinds.
    ///
    /// The lock is held all the while: `visit` must not use the heap. In bare
    /// mode there is no room for marks: nothing is visited, all totals are 0.
    ///
    /// # Safety
    /// Every root is readable memory.
    pub unsafe fn lost(
        self,
        roots: &[ArenaRoot],
        mut visit: impl FnMut(&ArenaLeak),
    ) -> ArenaLeakTotals {
        if !M::OWNER && !M::GUARD {
            return ArenaLeakTotals::default();
        }
        self.locked(|heap| {
            let mut stack = MarkStack { blocks: [0; 16], depth: 0 };
            for root in roots {
                let start = (root.start.addr() + WORD - 1) & !(WORD - 1);
                heap.scan(start, root.end.addr(), REACHED, &mut stack, 0);
                heap.drain(&mut stack, 0);
            }
            heap.each(|heap, block| {
                if block.state() & COLOUR_MASK == UNREACHED {
                    let (from, to) = (block.payload(), block.payload() + block.requested());
                    heap.scan(from, to, INDIRECT, &mut stack, block.address());
                    heap.drain(&mut stack, block.address());
                }
            });
            let totals = heap.count(&mut visit);
            heap.each(|_, block| block.set_state(block.state() & !(COLOUR_MASK | PENDING)));
            totals
        })
    }
}

impl<M: Mode> Heap<M> {
    /// Calls `visit` for every live block, lowest address of the newest region
    /// first; stops in a region where a header makes no sense.
    pub(super) fn each(&mut self, mut visit: impl FnMut(&mut Self, Block<M>)) {
        // SAFETY: 0 or the newest descriptor.
        let mut region = unsafe { Region::at(self.regions) };
        while let Some(current) = region {
            let mut at = current.first::<M>();
            while at < current.end() {
                let Some(block) = self.plausible(current, at) else { break };
                at = block.end();
                if !block.is_free() {
                    visit(self, block);
                }
            }
            region = current.next();
        }
    }

    /// Reads the words of `[from, to)` and colours the blocks they point to;
    /// `origin` itself is left alone.
    fn scan(&self, from: usize, to: usize, colour: usize, stack: &mut MarkStack, origin: usize) {
        let mut at = from;
        while at < to & !(WORD - 1) {
            // SAFETY: a root that the caller called readable, or a live block.
            let word = unsafe { load(at) };
            at += WORD;
            let Some((block, exact)) = self.find(word) else { continue };
            let colour = if exact || colour != REACHED { colour } else { POSSIBLE };
            let old = block.state() & COLOUR_MASK;
            // UNREACHED < INDIRECT < POSSIBLE < REACHED; a scan of lost blocks
            // (INDIRECT) never meets a block of a higher colour as its own.
            let better = old == UNREACHED || (colour == REACHED && old == POSSIBLE);
            if better && block.address() != origin {
                block.set_state(block.state() & !COLOUR_MASK | colour | PENDING);
                stack.push(block.address());
            }
        }
    }

    /// Reads the words of all PENDING blocks until there are none.
    fn drain(&mut self, stack: &mut MarkStack, origin: usize) {
        loop {
            let overflowed = stack.depth == stack.blocks.len();
            while let Some(address) = stack.pop() {
                // SAFETY: pushed as a live block; the lock is held.
                self.read_pending(unsafe { Block::at(address) }, stack, origin);
            }
            if !overflowed {
                return;
            }
            self.each(|heap, block| heap.read_pending(block, stack, origin));
        }
    }

    fn read_pending(&self, block: Block<M>, stack: &mut MarkStack, origin: usize) {
        let state = block.state();
        if state & PENDING != 0 {
            block.set_state(state & !PENDING);
            let from = block.payload();
            self.scan(from, from + block.requested(), state & COLOUR_MASK, stack, origin);
        }
    }

    /// The live block that `word` points to, and whether to its start.
    fn find(&self, word: usize) -> Option<(Block<M>, bool)> {
        let region = self.region_of(word)?;
        let mut at = (word & !(ALIGNMENT - 1)).wrapping_sub(M::HEADER);
        let block = if M::GUARD {
            let (first, last) = (region.first::<M>(), region.end() - M::SMALLEST);
            if at > last {
                at = last;
            }
            loop {
                if at < first || at > last {
                    return None;
                }
                // SAFETY: at a block's phase, with room for a header.
                let block = unsafe { Block::<M>::at(at) };
                if block.is_sealed(self.secret) {
                    break block;
                }
                at -= ALIGNMENT;
            }
        } else {
            self.locate(region, word).block?
        };
        let offset = word.wrapping_sub(block.payload());
        let inside = offset == 0 || offset < block.requested();
        if block.is_free() || !inside { None } else { Some((block, offset == 0)) }
    }

    /// Adds up each kind and visits each call site of lost blocks once: the
    /// blocks already told are PENDING.
    fn count(&mut self, visit: &mut impl FnMut(&ArenaLeak)) -> ArenaLeakTotals {
        let mut totals = ArenaLeakTotals::default();
        self.each(|heap, block| {
            let colour = block.state() & COLOUR_MASK;
            let kind = (colour >> COLOUR_SHIFT) & 3;
            // SAFETY: two bits index four entries.
            unsafe {
                *totals.blocks.get_unchecked_mut(kind) += 1;
                *totals.bytes.get_unchecked_mut(kind) += block.requested();
            }
            if colour == REACHED || block.state() & PENDING != 0 {
                return;
            }
            let mut leak = ArenaLeak {
                kind: match colour {
                    UNREACHED => ArenaLeakKind::Definite,
                    POSSIBLE => ArenaLeakKind::Possible,
                    _ => ArenaLeakKind::Indirect,
                },
                blocks: 0,
                bytes: 0,
                first: heap.describe(block),
            };
            heap.each(|_, other| {
                let state = other.state();
                if state & (COLOUR_MASK | PENDING) == colour && other.site() == block.site() {
                    other.set_state(state | PENDING);
                    leak.blocks += 1;
                    leak.bytes += other.requested();
                }
            });
            visit(&leak);
        });
        totals
    }
}
