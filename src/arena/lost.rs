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
//! Every change of them mends the check word, so headers stay sealed throughout.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use super::block::{Block, load};
use super::door::Arena;
use super::event::ArenaBlock;
use super::heap::Heap;
use super::layout::*;
use super::pattern;
use super::region::ArenaCursor;
use crate::units::{LeakKind, align_down, align_up};

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

impl ArenaLeakKind {
    /// The `kind` in JSON records: the hosted heap's word.
    pub fn name(self) -> &'static str {
        let kind = match self {
            ArenaLeakKind::Definite => LeakKind::Definite,
            ArenaLeakKind::Reachable => LeakKind::Reachable,
            ArenaLeakKind::Possible => LeakKind::Possible,
            ArenaLeakKind::Indirect => LeakKind::Indirect,
        };
        kind.name()
    }
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

/// How much there is of one kind.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArenaLeakCount {
    /// Blocks.
    pub blocks: usize,
    /// Bytes asked for.
    pub bytes: usize,
}

/// How much there is of each [`ArenaLeakKind`], by its number.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArenaLeakTotals {
    /// Indexed by [`ArenaLeakKind`].
    pub kinds: [ArenaLeakCount; 4],
}

/// Colours, weakest first: a stronger one replaces a weaker one.
const UNREACHED: usize = 0;
const INDIRECT: usize = 1 << COLOUR_SHIFT;
const POSSIBLE: usize = 2 << COLOUR_SHIFT;
const REACHED: usize = 3 << COLOUR_SHIFT;

/// What [`ArenaLeakKind`] calls a colour.
#[inline(always)]
fn kind_of(colour: usize) -> usize {
    (colour.wrapping_neg() >> COLOUR_SHIFT) & 3
}

/// A scan under way.
struct Scan {
    /// Blocks whose words wait to be read; when it is full, PENDING alone tells.
    waiting: [MaybeUninit<usize>; 16],
    depth: usize,
    /// A block that found no room there, 0 = none.
    overflowed: usize,
    /// What the next words give to the blocks they point to.
    colour: usize,
    /// The lost block whose dependants are coloured; it keeps its own colour.
    origin: usize,
}

/// What a scan calls for each call site and kind, with the lock held; null:
/// nothing.
pub(super) type ArenaLeakVisitor =
    Option<unsafe extern "C" fn(context: *mut c_void, leak: *const ArenaLeak)>;

/// A closure as a visitor's context.
unsafe extern "C" fn call<F: FnMut(&ArenaLeak)>(context: *mut c_void, leak: *const ArenaLeak) {
    // SAFETY: the scan's own leak; the context is `visit` of the caller.
    unsafe { (*context.cast::<F>())(&*leak) }
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
    pub unsafe fn lost<F: FnMut(&ArenaLeak)>(
        self,
        roots: &[ArenaRoot],
        mut visit: F,
    ) -> ArenaLeakTotals {
        let mut totals = MaybeUninit::uninit();
        let context = (&raw mut visit).cast();
        // SAFETY: the caller's promise; the closure outlives the scan, which writes
        // the totals.
        unsafe {
            self.mark_lost(
                roots.as_ptr(),
                roots.len(),
                Some(call::<F>),
                context,
                totals.as_mut_ptr(),
            );
            totals.assume_init()
        }
    }

    /// As `lost`.
    ///
    /// # Safety
    /// The `count` roots are readable memory; `visit` may be called with `context`
    /// and does not use the heap; `totals` may be written to, or is null.
    #[inline(always)]
    pub(super) unsafe fn mark_lost(
        self,
        roots: *const ArenaRoot,
        count: usize,
        visit: ArenaLeakVisitor,
        context: *mut c_void,
        totals: *mut ArenaLeakTotals,
    ) {
        let mut unwanted = MaybeUninit::<ArenaLeakTotals>::uninit();
        let totals = if totals.is_null() { unwanted.as_mut_ptr() } else { totals };
        let from = totals.expose_provenance();
        // SAFETY: the caller's words, or the local's; all zeros are no blocks.
        // (Written as a constant, it would be a call of memset.)
        let totals = unsafe {
            pattern::fill(from, from + size_of::<ArenaLeakTotals>(), 0);
            &mut *totals
        };
        if !M::OWNER && !M::GUARD {
            return;
        }
        let heap = self.enter();
        let mut scan = Scan {
            waiting: [MaybeUninit::uninit(); 16],
            depth: 0,
            overflowed: 0,
            colour: 0,
            origin: 0,
        };
        for root in 0..count {
            // SAFETY: the caller's array.
            let root = unsafe { &*roots.add(root) };
            scan.colour = REACHED;
            heap.read_words(&mut scan, align_up(root.start.addr(), WORD), root.end.addr());
        }
        let mut cursor = ArenaCursor::default();
        while let Some(block) = heap.next_live(&mut cursor) {
            if block.state() & COLOUR_MASK == UNREACHED {
                scan.colour = INDIRECT;
                scan.origin = block.address();
                let payload = block.payload();
                heap.read_words(&mut scan, payload, payload + block.requested());
            }
        }
        // Adds up each kind and visits each call site of lost blocks once: the
        // blocks already told are PENDING. Behind it, all marks are gone.
        while let Some(block) = heap.next_live(&mut cursor) {
            let marks = block.state() & (COLOUR_MASK | PENDING);
            let kind = kind_of(marks);
            // SAFETY: two bits index four entries.
            let total = unsafe { totals.kinds.get_unchecked_mut(kind) };
            total.blocks += 1;
            total.bytes += block.requested();
            if marks < REACHED {
                let mut leak = MaybeUninit::<ArenaLeak>::uninit();
                let leak = leak.as_mut_ptr();
                // SAFETY: the local leak, all of whose fields are written; two bits
                // name one of four kinds; the caller's function.
                unsafe {
                    (*leak).kind = core::mem::transmute::<u32, ArenaLeakKind>(kind as u32);
                    (*leak).blocks = 0;
                    (*leak).bytes = 0;
                    heap.describe(block, &raw mut (*leak).first);
                    let mut rest = ArenaCursor { block: block.address() };
                    while let Some(other) = heap.next_live(&mut rest) {
                        let others = other.state() & (COLOUR_MASK | PENDING);
                        if others == marks && other.site() == block.site() {
                            other.set_marks(marks | PENDING);
                            (*leak).blocks += 1;
                            (*leak).bytes += other.requested();
                        }
                    }
                    if let Some(visit) = visit {
                        visit(context, leak);
                    }
                }
            }
            block.set_marks(0);
        }
        self.leave();
    }
}

impl<M: Mode> Heap<M> {
    /// Colours the blocks that the words of `[from, to)` point to, and all that
    /// those point to.
    #[inline(never)]
    fn read_words(&mut self, scan: &mut Scan, from: usize, to: usize) {
        let mut at = from;
        let mut to = align_down(to, WORD);
        let mut cursor = ArenaCursor::default();
        loop {
            while at < to {
                // SAFETY: a root that the caller called readable, or a live block.
                let word = unsafe { load(at) };
                self.reach(scan, word);
                at += WORD;
            }
            // What waits on the stack first, then a pass over the heap for what
            // did not fit, and another if that overflowed again.
            let next = if scan.depth > 0 {
                scan.depth -= 1;
                // SAFETY: below the old depth, which is at most the length; only
                // live blocks were pushed, and the lock is held.
                Some(unsafe {
                    Block::<M>::at(scan.waiting.get_unchecked(scan.depth).assume_init())
                })
            } else {
                if cursor.block == 0 {
                    if scan.overflowed == 0 {
                        return;
                    }
                    scan.overflowed = 0;
                }
                self.next_live(&mut cursor)
            };
            if let Some(block) = next
                && block.state() & PENDING != 0
            {
                scan.colour = block.state() & COLOUR_MASK;
                block.set_marks(scan.colour);
                at = block.payload();
                to = align_down(at + block.requested(), WORD);
            }
        }
    }

    /// Colours the block that `word` points to, if it does and that is news.
    #[inline(always)]
    fn reach(&mut self, scan: &mut Scan, word: usize) {
        let Some(block) = self.block_of(word) else { return };
        let mut colour = scan.colour;
        if word != block.payload() && colour == REACHED {
            colour = POSSIBLE;
        }
        let is_news = colour > block.state() & COLOUR_MASK;
        if is_news && block.address() != scan.origin {
            block.set_marks(colour | PENDING);
            if let Some(slot) = scan.waiting.get_mut(scan.depth) {
                slot.write(block.address());
                scan.depth += 1;
            } else {
                scan.overflowed = block.address();
            }
        }
    }

    /// The live block whose payload holds `address`.
    #[inline(never)]
    pub(super) fn block_of(&mut self, address: usize) -> Option<Block<M>> {
        if self.enter_region(address) == 0 {
            return None;
        }
        let block = if M::GUARD {
            // One step above the first place that could be its header.
            let from = align_down(address, ALIGNMENT) + ALIGNMENT - M::HEADER;
            let at = self.nearest_sound(from, ALIGNMENT.wrapping_neg());
            if at < self.first {
                return None;
            }
            // SAFETY: a sound header's place.
            unsafe { Block::<M>::at(at) }
        } else {
            let mut cursor = ArenaCursor::default();
            loop {
                let block = self.next_live(&mut cursor)?;
                if block.end_in_scan() > address && block.address() <= address {
                    break block;
                }
            }
        };
        // Of a block of no bytes, its address.
        let offset = address.wrapping_sub(block.payload());
        if block.is_free() || (offset != 0 && offset >= block.requested()) {
            return None;
        }
        Some(block)
    }
}
