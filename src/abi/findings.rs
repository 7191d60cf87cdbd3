//! What the leak scan found, in the words of the report: a group of lost or
//! hidden blocks becomes a record with its stacks, its holder and its tree.

use super::holders::describe;
use super::runtime::REPORTER;
use crate::leak::{self, HiddenEvidence, LeakGroup, Leaks};
use crate::report::{
    self, BlockRef, Count, Event, Evidence, FirstBlock, Held, HiddenLeak, Leak, LostBecause,
    Ordinals,
};
use crate::units::{StackId, Text, ThreadNumber};

/// All call stacks that a group's record shows.
pub(super) fn stacks(group: &LeakGroup) -> impl Iterator<Item = StackId> {
    let parent = group.parent.map(|parent| parent.stack);
    let cause = group.lost_because.map(|because| because.holder);
    let cause = cause.into_iter().flat_map(|holder| [holder.stack, holder.freed]);
    let holder = group.held_by.and_then(|held_by| held_by.holder).map(|holder| holder.stack);
    [group.stack].into_iter().chain(parent).chain(cause).chain(holder)
}

/// Reports a site suspected of a hidden leak.
pub(super) fn tell_hidden(group: &LeakGroup, evidence: &HiddenEvidence) -> report::Outcome {
    let mut buffer = [0; 512];
    let mut text = Text::new(&mut buffer);
    let holder = group.held_by.as_ref();
    holder.inspect(|holder| describe(&mut text, holder));
    REPORTER.hidden_leak(&HiddenLeak {
        blocks: group.count.blocks,
        bytes: group.count.bytes,
        stack: group.stack,
        evidence: Evidence {
            growth_bytes_per_s: evidence.growth_bytes_per_s as i64,
            oldest_ms: evidence.oldest_ms,
            freed_permille: evidence.freed_permille,
            snapshots: evidence.snapshots,
            idle: evidence.idle.map(|idle| (idle.permille, idle.ms)),
            held_by: holder.map(|_| text.as_str()),
        },
        ordinals: ordinals_of(group),
    })
}

/// Which of its site's allocations the blocks were, if that is counted.
pub(super) fn ordinals_of(group: &LeakGroup) -> Ordinals<'_> {
    let leak::Ordinals { allocations, .. } = group.ordinals;
    Ordinals { allocations, smallest: group.ordinals.smallest() }
}

/// Most lines of the tree of what a group holds.
pub(super) const TREE_LINES: usize = 24;

/// The tree of what a group holds, and how many lines had no room.
pub(super) fn tree_of<'l>(
    leaks: &Leaks<'_>,
    group: &LeakGroup,
    lines: &'l mut [Held; TREE_LINES],
) -> (&'l [Held], u64) {
    let (mut used, mut left_out) = (0, 0);
    leaks.tree(group, |depth, node| {
        // The group itself is a line only if it holds blocks of its own stack.
        if depth == 0 && node.count.blocks == 0 {
            return;
        }
        let Some(line) = lines.get_mut(used) else {
            left_out += 1;
            return;
        };
        let below = if depth == 0 { leak::Count::default() } else { node.below };
        *line = Held {
            depth: depth.max(1) as u16,
            stack: node.stack,
            count: Count { blocks: node.count.blocks, bytes: node.count.bytes },
            holds: Count { blocks: below.blocks, bytes: below.bytes },
        };
        used += 1;
    });
    (&lines[..used], left_out)
}

/// The record of a group, without what the caller adds: tree, holder, ordinals.
pub(super) fn leak_of(group: &LeakGroup, now_ms: u64) -> Leak<'static> {
    Leak {
        kind: group.kind,
        blocks: group.count.blocks,
        bytes: group.count.bytes,
        family: group.family,
        stack: group.stack,
        thread: super::violations::thread(ThreadNumber(group.first.thread.0)),
        first: FirstBlock {
            address: group.first.address,
            size: group.first.size,
            age_ms: now_ms.saturating_sub(group.first.born_ms),
            sequence: group.first.sequence,
        },
        parent: group.parent.map(|parent| BlockRef {
            address: parent.address,
            size: parent.size,
            stack: parent.stack,
        }),
        holds: Count { blocks: group.holds.blocks, bytes: group.holds.bytes },
        tree: &[],
        tree_left_out: 0,
        lost_because: group.lost_because.map(|because| {
            let leak::LostBecause { holder, thread, blocks } = because;
            LostBecause::HolderFreed {
                holder: BlockRef {
                    address: holder.address,
                    size: holder.size,
                    stack: holder.stack,
                },
                freed: Event {
                    stack: holder.freed,
                    thread: super::violations::thread(thread),
                    sequence: 0,
                },
                blocks,
            }
        }),
        held_by: None,
        ordinals: Ordinals::default(),
    }
}
