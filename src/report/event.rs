//! What there is to say: one plain borrowed struct for each record.
//!
//! Invariant: a record holds numbers, ids and borrowed text, never names of
//! functions; those are looked up when it is rendered. Every record is `Copy`,
//! lives on its maker's stack and is rendered before the call returns.

use super::totals::{Count, Exhaustion, Matched, Summary};
use crate::units::{ErrorKind, Family, LeakKind, StackId, ThreadNumber};

/// A thread as a record names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ThreadRef {
    /// The heap's own number of the thread; 0 = unknown.
    pub number: ThreadNumber,
    /// The kernel's thread id; 0 = unknown or ended. A live thread's name is
    /// looked up by it.
    pub os_id: u32,
}

/// Something that happened to a block: its allocation, its release.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Event {
    /// Where.
    pub stack: StackId,
    /// By whom.
    pub thread: ThreadRef,
    /// Which allocation or release of the process it was, from 1; 0 = unknown.
    pub sequence: u64,
}

/// The oldest block of a leak record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FirstBlock {
    /// Its address.
    pub address: usize,
    /// Bytes asked for.
    pub size: usize,
    /// Milliseconds since its allocation.
    pub age_ms: u64,
    /// Which allocation of the process it was, from 1; 0 = unknown.
    pub sequence: u64,
}

/// A block and the stack that allocated it, as another record mentions it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BlockRef {
    /// Its address.
    pub address: usize,
    /// Bytes asked for.
    pub size: usize,
    /// Where it was allocated.
    pub stack: StackId,
}

/// Why no pointer to a lost block is left, where that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LostBecause {
    /// A block that held its address was released, and no other is known that
    /// was released later.
    HolderFreed {
        /// The block that held the address.
        holder: BlockRef,
        /// Its release.
        freed: Event,
        /// Of how many of the record's blocks such a holder is known.
        blocks: u64,
    },
}

/// Blocks of one call site that lost blocks hold: a line of a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// How deep in the tree, from 1; it hangs under the last line before it
    /// that is one less deep.
    pub depth: u16,
    /// Where they were allocated.
    pub stack: StackId,
    /// How many, and their bytes.
    pub count: Count,
    /// What they hold in turn.
    pub holds: Count,
}

/// Which allocations of their call site a record's blocks were.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ordinals<'a> {
    /// All allocations that the site made so far; 0 = not counted, and nothing
    /// is said.
    pub allocations: u64,
    /// The smallest ordinals among the blocks, from 1, ascending.
    pub smallest: &'a [u32],
}

/// Blocks of one call site that nobody released.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leak<'a> {
    /// What became of them.
    pub kind: LeakKind,
    /// How many.
    pub blocks: u64,
    /// Bytes asked for, all together.
    pub bytes: u64,
    /// Functions they were allocated by.
    pub family: Family,
    /// Where they were allocated.
    pub stack: StackId,
    /// The thread that allocated the first.
    pub thread: ThreadRef,
    /// The oldest of them.
    pub first: FirstBlock,
    /// For indirect leaks: the lost block that holds the first.
    pub parent: Option<BlockRef>,
    /// Blocks and bytes that only these blocks hold (their indirect leaks).
    pub holds: Count,
    /// The same, by call site; empty = not known.
    pub tree: &'a [Held],
    /// Lines for which there was no room in `tree`.
    pub tree_left_out: u64,
    /// Why they are lost.
    pub lost_because: Option<LostBecause>,
    /// For reachable blocks: who holds the first.
    pub held_by: Option<&'a str>,
    /// Which of the site's allocations they were.
    pub ordinals: Ordinals<'a>,
}

/// The evidence that reachable memory is not needed any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Evidence<'a> {
    /// Growth of the site's live bytes, bytes a second.
    pub growth_bytes_per_s: i64,
    /// How many checks' snapshots that is from; 0 = from the blocks' ages.
    pub snapshots: u32,
    /// Age of the oldest live block, milliseconds.
    pub oldest_ms: u64,
    /// Share of the site's blocks that were ever released, in thousandths.
    pub freed_permille: u16,
    /// Share of its older memory that nobody touched, in thousandths, and for
    /// how many milliseconds.
    pub idle: Option<(u16, u64)>,
    /// Who holds it: a global by its symbol, a thread's stack, a block.
    pub held_by: Option<&'a str>,
}

/// A call site suspected of a hidden leak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HiddenLeak<'a> {
    /// Live blocks of the site.
    pub blocks: u64,
    /// Live bytes asked for.
    pub bytes: u64,
    /// The site.
    pub stack: StackId,
    /// Why it is suspected.
    pub evidence: Evidence<'a>,
    /// Which of the site's allocations they were.
    pub ordinals: Ordinals<'a>,
}

/// The block that an error is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockInfo {
    /// Its address.
    pub address: usize,
    /// Bytes asked for.
    pub size: usize,
    /// The error's address minus the block's: negative before it, `size` or
    /// more behind it.
    pub offset: i64,
    /// Functions it was allocated by.
    pub family: Family,
    /// Milliseconds since its allocation; `None` = unknown.
    pub age_ms: Option<u64>,
    /// Its allocation.
    pub allocated: Event,
    /// Its release, if it was released.
    pub freed: Option<Event>,
    /// The allocation that got the same memory after that release, if the
    /// error hits the memory's next owner.
    pub allocated_again: Option<Event>,
}

/// Where a neighbour lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Below the block.
    Before,
    /// Above the block.
    After,
}

/// A block next to the one that an error is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// Where it lies.
    pub side: Side,
    /// The block.
    pub block: BlockRef,
    /// Whether it is released already.
    pub is_freed: bool,
    /// Whether its guard bytes or its poison are damaged too.
    pub is_damaged: bool,
}

/// One misuse of the heap.
#[derive(Clone, Copy, Debug)]
pub struct ErrorReport<'a> {
    /// Which.
    pub kind: ErrorKind,
    /// The address it is about.
    pub address: usize,
    /// What happened, in one sentence for a person, without a full stop.
    pub message: &'a str,
    /// Where it was found.
    pub stack: StackId,
    /// The thread it was found in.
    pub thread: ThreadRef,
    /// The block it is about, if there is one.
    pub block: Option<BlockInfo>,
    /// Blocks before and after it, nearest first.
    pub neighbours: &'a [Neighbour],
}

/// Kinds of refused requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WarningKind {
    /// calloc's or reallocarray's product does not fit.
    CallocOverflow,
    /// More bytes than pointer differences can hold.
    AllocationSizeTooBig,
    /// No power of two, or too small.
    InvalidAlignment,
    /// Not a request: a call stack of ours is not the one that the unwinder of
    /// libgcc finds (option `stack_check`).
    StackMismatch,
}

impl WarningKind {
    /// The kind's name in records.
    pub const fn name(self) -> &'static str {
        match self {
            WarningKind::CallocOverflow => "calloc-overflow",
            WarningKind::AllocationSizeTooBig => "allocation-size-too-big",
            WarningKind::InvalidAlignment => "invalid-alignment",
            WarningKind::StackMismatch => "stack-mismatch",
        }
    }
}

/// A request that was refused with the right error code.
#[derive(Clone, Copy, Debug)]
pub struct Warning<'a> {
    /// Why.
    pub kind: WarningKind,
    /// The request as the programmer wrote it: `malloc(-8)`.
    pub message: &'a str,
    /// Where.
    pub stack: StackId,
    /// How often, from this call site.
    pub count: u64,
}

/// Any record.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// Blocks that nobody released.
    Leak(&'a Leak<'a>),
    /// A suspected hidden leak.
    HiddenLeak(&'a HiddenLeak<'a>),
    /// A misuse.
    Error(&'a ErrorReport<'a>),
    /// A refused request.
    Warning(&'a Warning<'a>),
    /// Memory has run out.
    Exhaustion(&'a Exhaustion<'a>),
    /// The end of a check.
    Summary(&'a Summary),
    /// A suppression that matched.
    Matched(&'a Matched<'a>),
    /// One line about the warden itself: an option it did not understand, a
    /// file it could not write.
    Notice(&'a str),
}

impl Record<'_> {
    /// Calls `visit` with each call stack that the record names.
    pub fn for_each_stack(&self, visit: &mut dyn FnMut(StackId)) {
        match self {
            Record::Leak(leak) => {
                visit(leak.stack);
                leak.tree.iter().for_each(|held| visit(held.stack));
                if let Some(parent) = leak.parent {
                    visit(parent.stack);
                }
                if let Some(LostBecause::HolderFreed { holder, freed, .. }) = leak.lost_because {
                    visit(holder.stack);
                    visit(freed.stack);
                }
            }
            Record::HiddenLeak(leak) => visit(leak.stack),
            Record::Error(error) => {
                visit(error.stack);
                if let Some(block) = error.block {
                    visit(block.allocated.stack);
                    for event in [block.freed, block.allocated_again].into_iter().flatten() {
                        visit(event.stack);
                    }
                }
                error.neighbours.iter().for_each(|neighbour| visit(neighbour.block.stack));
            }
            Record::Warning(warning) => visit(warning.stack),
            Record::Exhaustion(exhaustion) => {
                visit(exhaustion.stack);
                exhaustion.top.iter().for_each(|holder| visit(holder.stack));
            }
            Record::Summary(_) | Record::Matched(_) | Record::Notice(_) => {}
        }
    }
}
