//! Sites: leaks of one kind from one call stack become one record.
//!
//! Invariant: a site that finds no room is counted in `dropped`, and its
//! blocks are in the totals all the same.

use super::hidden::{HiddenEvidence, History, Span};
use super::ordinals::Ordinals;
use super::roots::RootKind;
use super::scratch::{Scratch, Zeroed};
use super::snapshots::Snapshots;
use super::tiles::{Block, Tiles};
use super::tree::{Node, Trees};
use crate::ledger::{Holder, allocations_of, epoch, has_ordinals};
use crate::units::{Family, LeakKind, StackId, ThreadNumber};

/// Blocks and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// How many blocks.
    pub blocks: u64,
    /// Bytes asked for, all together.
    pub bytes: u64,
}

impl Count {
    /// Adds a block of `bytes` bytes.
    pub fn add(&mut self, blocks: u64, bytes: u64) {
        self.blocks += blocks;
        self.bytes += bytes;
    }
}

/// A block as a record mentions it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BlockSummary {
    /// Its address.
    pub address: usize,
    /// Bytes asked for.
    pub size: usize,
    /// Where it was allocated.
    pub stack: StackId,
    /// When its thread's epoch began: milliseconds of the monotonic clock.
    pub born_ms: u64,
    /// About how many allocations the process had made before.
    pub sequence: u64,
    /// Who allocated it.
    pub thread: ThreadNumber,
}

impl BlockSummary {
    /// What the ledger knows of a block.
    pub fn of(block: &Block) -> BlockSummary {
        let epoch = epoch(block.record.stamp()).unwrap_or_default();
        BlockSummary {
            address: block.address,
            size: block.size,
            stack: block.record.stack(),
            born_ms: epoch.begun_ms,
            sequence: epoch.sequence,
            thread: epoch.thread,
        }
    }
}

/// Who holds a reachable block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldBy {
    /// What the chain begins with.
    pub root: RootKind,
    /// The word there that holds the first block of the chain; 0 = not found
    /// again.
    pub word: usize,
    /// In a stack: a return address into the function whose frame that word
    /// lies in; 0 = not known.
    pub frame: usize,
    /// The kernel id of the thread that the root belongs to; 0 = none.
    pub task: u32,
    /// Blocks between the root and the block; 0 = the root holds it itself.
    pub steps: u32,
    /// The block that holds it, if there is one.
    pub holder: Option<BlockSummary>,
}

/// Why blocks are lost: the blocks that held them were freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LostBecause {
    /// The one that held the oldest of them.
    pub holder: Holder,
    /// The thread that freed it.
    pub thread: ThreadNumber,
    /// Of how many blocks that is known.
    pub blocks: u64,
}

/// What is known of a block's place in the graph, besides its record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Links {
    /// What only it holds.
    pub holds: Count,
    /// What holds it.
    pub parent: Option<Block>,
    /// What held it and was freed.
    pub cause: Option<Holder>,
    /// Which of its stack's allocations it was; 0 = not known.
    pub ordinal: u32,
}

/// Blocks of one kind from one call stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeakGroup {
    /// What became of them.
    pub kind: LeakKind,
    /// Only memory that is neither the program's data nor its heap (an
    /// anonymous mapping that nothing points to) holds them.
    pub is_foreign: bool,
    /// Functions they were allocated by.
    pub family: Family,
    /// Where they were allocated.
    pub stack: StackId,
    /// How many, and their bytes.
    pub count: Count,
    /// The oldest of them.
    pub first: BlockSummary,
    /// What only these blocks hold.
    pub holds: Count,
    /// For indirect leaks: the lost block that holds the first.
    pub parent: Option<BlockSummary>,
    /// For definite leaks: why they are lost, if it is known of any.
    pub lost_because: Option<LostBecause>,
    /// For reachable blocks, if asked for: who holds the first.
    pub held_by: Option<HeldBy>,
    /// For reachable blocks, if asked for: the evidence that nobody needs
    /// them any more.
    pub hidden: Option<HiddenEvidence>,
    /// Which of their stack's allocations they were, if asked for.
    pub ordinals: Ordinals,
}

impl LeakGroup {
    /// Adds a block; `is_first`: the first there is.
    fn add(&mut self, block: &Block, links: &Links, is_first: bool) {
        let sequence = || epoch(block.record.stamp()).map(|epoch| epoch.sequence);
        if is_first || sequence().is_some_and(|sequence| sequence < self.first.sequence) {
            self.first = BlockSummary::of(block);
            self.parent = links.parent.as_ref().map(BlockSummary::of);
        }
        if let Some(holder) = links.cause {
            let is_of_first = self.first.address == block.address;
            let known = self.lost_because.filter(|_| !is_of_first);
            let thread = epoch(holder.stamp).map_or(ThreadNumber(0), |epoch| epoch.thread);
            let blocks = self.lost_because.map_or(0, |because| because.blocks) + 1;
            let because = known.unwrap_or(LostBecause { holder, thread, blocks });
            self.lost_because = Some(LostBecause { blocks, ..because });
        }
        self.ordinals.add(links.ordinal);
        self.count.add(1, block.size as u64);
        self.holds.add(links.holds.blocks, links.holds.bytes);
    }
}

#[derive(Clone, Copy)]
struct Site {
    /// 0 = free; kind, foreign, stack.
    key: u64,
    /// When its live blocks were born, and how many slots of it are free.
    history: History,
    group: LeakGroup,
}

// SAFETY: a free site is never read but for its key, and zero is valid for
// each field: integers, enums whose first variant is zero, an Option whose
// discriminant zero is None or Some of integers.
unsafe impl Zeroed for Site {}

/// What must be shared with the copy that fills the table.
#[derive(Clone, Copy)]
struct Header {
    used: usize,
    dropped: u64,
}

// SAFETY: integers.
unsafe impl Zeroed for Header {}

fn key(stack: StackId, kind: LeakKind, is_foreign: bool) -> u64 {
    u64::from(stack.0) << 8 | (kind as u64) << 2 | u64::from(is_foreign) << 1 | 1
}

/// Bytes of scratch that [`Sites::new`] needs for `sites` sites.
pub const fn bytes_needed(sites: usize) -> usize {
    sites * (size_of::<Site>() + size_of::<u32>()) + 256
}

/// All sites of a check.
pub struct Sites<'s> {
    table: &'s mut [Site],
    order: &'s mut [u32],
    header: &'s mut [Header],
}

impl<'s> Sites<'s> {
    /// No sites yet, and room for three quarters of `sites`, a power of two.
    pub fn new(scratch: &'s Scratch, sites: usize) -> Sites<'s> {
        Sites { table: scratch.take(sites), order: scratch.take(sites), header: scratch.take(1) }
    }

    /// Blocks whose site found no room.
    pub fn dropped(&self) -> u64 {
        self.header.first().map_or(u64::MAX, |header| header.dropped)
    }

    /// Adds a block.
    pub fn add(&mut self, kind: LeakKind, is_foreign: bool, block: &Block, links: &Links) {
        let stack = block.record.stack();
        let key = key(stack, kind, is_foreign);
        let Some(at) = self.find(key) else {
            self.header.iter_mut().for_each(|header| header.dropped += 1);
            return;
        };
        let site = &mut self.table[at];
        let is_first = site.key == 0;
        if is_first {
            site.key = key;
            site.history = History::default();
            site.group = LeakGroup {
                kind,
                is_foreign,
                family: block.record.family(),
                stack,
                count: Count::default(),
                first: BlockSummary::default(),
                holds: Count::default(),
                parent: None,
                lost_because: None,
                held_by: None,
                hidden: None,
                ordinals: Ordinals::default(),
            };
            self.order[self.header[0].used] = at as u32;
            self.header[0].used += 1;
        }
        site.group.add(block, links, is_first);
    }

    fn find(&self, key: u64) -> Option<usize> {
        // Three quarters full at most, so that searches stay short.
        let is_full = self.header.first()?.used >= self.table.len() / 4 * 3;
        let mask = self.table.len().checked_sub(1)?;
        let mut at = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize & mask;
        loop {
            match self.table[at].key {
                0 => return (!is_full).then_some(at),
                found if found == key => return Some(at),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Adds a birth to the history of a site of reachable blocks.
    pub fn add_birth(&mut self, stack: StackId, span: Span, born_ms: u64, bytes: u64) {
        if let Some(history) = self.history(stack) {
            history.add_birth(span, born_ms, bytes);
        }
    }

    /// Counts the freed blocks of sites of reachable blocks. Of one that was
    /// freed lately the lifetime is known: from its birth to now.
    pub fn add_all_freed(&mut self, tiles: &Tiles<'_>, span: Span) {
        tiles.for_each_freed(|stack, stamp| {
            if let Some(history) = self.history(stack) {
                let born = stamp.and_then(epoch).map(|epoch| epoch.begun_ms);
                history.add_freed(born.map(|born| span.now_ms.saturating_sub(born)));
            }
        });
    }

    fn history(&mut self, stack: StackId) -> Option<&mut History> {
        let at = self.find(key(stack, LeakKind::Reachable, false))?;
        let site = &mut self.table[at];
        (site.key != 0).then_some(&mut site.history)
    }

    /// Judges the history of each site of reachable blocks.
    pub fn judge(&mut self, span: Span, snapshots: &mut Snapshots) {
        let used = self.header.first().map_or(0, |header| header.used);
        for &at in &self.order[..used] {
            let site = &mut self.table[at as usize];
            if site.group.kind == LeakKind::Reachable {
                let (stack, bytes) = (site.group.stack, site.group.count.bytes);
                let trend = snapshots.trend(stack, span.now_ms, bytes);
                site.group.hidden = site.history.judge(span, &site.group, trend);
            }
        }
    }

    /// Looks up how many allocations each site's stack has made.
    pub fn count_allocations(&mut self) {
        if has_ordinals() {
            self.for_each_mut(|group| group.ordinals.allocations = allocations_of(group.stack));
        }
    }

    /// Each site, in the order of its first block.
    pub fn for_each_mut(&mut self, mut visit: impl FnMut(&mut LeakGroup)) {
        let used = self.header.first().map_or(0, |header| header.used);
        for &at in &self.order[..used] {
            visit(&mut self.table[at as usize].group);
        }
    }

    /// All sites, the largest first within each kind.
    pub fn sorted<'t>(&'t mut self, trees: &'t Trees<'_>) -> Leaks<'t> {
        let table = &*self.table;
        let used = self.header.first().map_or(0, |header| header.used);
        let order = &mut self.order[..used];
        order.sort_unstable_by_key(|&at| {
            let group = &table[at as usize].group;
            let bytes = group.count.bytes + group.holds.bytes;
            (group.kind, group.is_foreign, core::cmp::Reverse(bytes), group.stack)
        });
        Leaks { table, order, trees: Some(trees) }
    }
}

/// What a check found, the largest first within each kind.
#[derive(Clone, Copy)]
pub struct Leaks<'s> {
    table: &'s [Site],
    order: &'s [u32],
    trees: Option<&'s Trees<'s>>,
}

impl<'s> Leaks<'s> {
    /// No leaks.
    pub const NONE: Leaks<'static> = Leaks { table: &[], order: &[], trees: None };

    /// How many groups there are.
    pub fn count(&self) -> usize {
        self.order.len()
    }

    /// Each group.
    pub fn iter(&self) -> impl Iterator<Item = &'s LeakGroup> + use<'s> {
        let Leaks { table, order, .. } = *self;
        order.iter().map(move |&at| &table[at as usize].group)
    }

    /// Calls `visit` with what the blocks of a definite group hold, summed by
    /// call stack (see [`Node`]), and how deep it lies; 0 is the group itself.
    pub fn tree(&self, group: &LeakGroup, visit: impl FnMut(usize, &Node)) {
        if let Some(trees) = self.trees.filter(|_| group.kind == LeakKind::Definite) {
            trees.walk(group.stack, visit);
        }
    }
}
