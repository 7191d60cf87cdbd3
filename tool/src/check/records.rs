//! Records: what a check of an image found, as the library writes it.

use super::guards::{Crime, Damage};
use super::lost::{Lost, NONE};
use super::mark::{Mark, Marker};
use crate::ledger::epochs::{Epoch, Epochs};
use crate::ledger::heap::Place;
use crate::ledger::memory::Memory;
use crate::ledger::threads::Threads;
use crate::ledger::{Block, Heap, Image, Names, Stacks};
use crate::record::{
    self, BlockRef, Count, Event, FirstBlock, Leak, Line, Record, Summary, Thread,
};
use heapwarden::ledger::State;
use std::collections::HashMap;

/// What names a block's owner.
pub struct Ledger<'a> {
    /// Its memory.
    pub memory: &'a dyn Memory,
    /// Call stacks.
    pub stacks: &'a Stacks,
    /// Their names.
    pub names: &'a mut Names,
    /// Thread and time by stamp.
    pub epochs: &'a Epochs,
    /// Threads.
    pub threads: &'a Threads,
    /// Now, in milliseconds of the monotonic clock.
    pub now_ms: u64,
}

impl Ledger<'_> {
    /// What is known of a live or held block's birth.
    pub fn epoch(&self, block: &Block) -> Epoch {
        let knows = !matches!(block.record.state(), State::Free | State::Fresh);
        let stamp = block.record.stamp();
        self.epochs.epoch(stamp).filter(|_| knows).unwrap_or_default()
    }

    /// Milliseconds since an epoch began; 0 = unknown.
    pub fn age_ms(&self, epoch: Epoch) -> u64 {
        if epoch.begun_ms == 0 { 0 } else { self.now_ms.saturating_sub(epoch.begun_ms) }
    }

    /// A thread by the heap's number.
    pub fn thread(&self, number: u32) -> Thread {
        let id = self.threads.kernel_id(number);
        Thread { number: number.into(), id: (id != 0).then_some(id.into()), name: None }
    }

    /// The frames of a stack.
    pub fn stack(&mut self, stack: u32) -> record::Stack {
        self.names.stack(self.stacks, stack)
    }

    /// A block's allocation.
    pub fn allocated(&mut self, block: &Block) -> Event {
        let epoch = self.epoch(block);
        Event {
            stack: self.stack(block.record.stack().0),
            thread: self.thread(epoch.thread),
            sequence: epoch.sequence,
        }
    }

    /// A block's release, if it was released.
    pub fn freed(&mut self, heap: &Heap, block: &Block) -> Option<Event> {
        let (stack, thread) = match (block.record.state(), block.place) {
            (State::Free, _) => (block.record.freed_by().0, 0),
            (State::Held, place) => {
                let (head, index) = match place {
                    Place::Slot(slab, slot) => (heap.slabs[slab as usize].head, slot),
                    Place::Span(span) => (heap.spans[span as usize].head, 0),
                };
                let found = self.threads.freed_by(self.memory, head, index);
                let (stack, thread) = found.unwrap_or((0, 0));
                match place {
                    Place::Span(span) => (heap.spans[span as usize].freed_by, thread),
                    Place::Slot(..) => (stack, thread),
                }
            }
            _ => return None,
        };
        Some(Event { stack: self.stack(stack), thread: self.thread(thread), sequence: 0 })
    }
}

/// One site: kind and stack.
struct Site {
    count: Count,
    first: (Block, Epoch),
    parent: Option<Block>,
    holds: Count,
}

/// All leaks by site, the largest first within each kind, and the sums.
pub fn leaks(
    marker: &Marker<'_>,
    lost: &[Lost],
    ledger: &mut Ledger<'_>,
    shows_reachable: bool,
) -> (Vec<Record>, Summary) {
    let mut sites: HashMap<(usize, u32), Site> = HashMap::new();
    let mut summary = Summary::default();
    let mut add = |kind: usize, block: Block, holds: Count, parent: Option<Block>| {
        let count = Count { blocks: 1, bytes: block.size };
        let total = match kind {
            0 => &mut summary.definite,
            1 => &mut summary.indirect,
            2 => &mut summary.possible,
            _ => &mut summary.reachable,
        };
        total.add(count);
        if kind == 3 && !shows_reachable {
            return;
        }
        let epoch = ledger.epoch(&block);
        let site = sites.entry((kind, block.record.stack().0)).or_insert_with(|| Site {
            count: Count::default(),
            first: (block, epoch),
            parent,
            holds: Count::default(),
        });
        if epoch.sequence < site.first.1.sequence {
            (site.first, site.parent) = ((block, epoch), parent);
        }
        site.count.add(count);
        site.holds.add(holds);
    };
    let block = |number: u32| marker.heap.block(marker.numbers.place(number));
    for entry in lost {
        let holds = Count { blocks: entry.held.0, bytes: entry.held.1 };
        match entry.parent {
            NONE => add(0, block(entry.number), holds, None),
            parent => {
                let parent = block(lost[parent as usize].number);
                add(1, block(entry.number), Count::default(), Some(parent));
            }
        }
    }
    for (number, mark) in marker.marks.iter().enumerate() {
        match mark {
            Mark::Possible => add(2, block(number as u32), Count::default(), None),
            Mark::Reachable => add(3, block(number as u32), Count::default(), None),
            Mark::Lost | Mark::Dead => {}
        }
    }
    let mut sites: Vec<_> = sites.into_iter().collect();
    sites.sort_by_key(|((kind, stack), site)| (*kind, std::cmp::Reverse(site.count.bytes), *stack));
    let records = sites.into_iter().map(|((kind, stack), site)| leak(kind, stack, site, ledger));
    (records.collect(), summary)
}

fn leak(kind: usize, stack: u32, site: Site, ledger: &mut Ledger<'_>) -> Record {
    let (block, epoch) = site.first;
    Record::Leak(Leak {
        kind: ["definite", "indirect", "possible", "reachable"][kind].to_owned(),
        blocks: site.count.blocks,
        bytes: site.count.bytes,
        stack: ledger.stack(stack),
        thread: ledger.thread(epoch.thread),
        first: FirstBlock {
            address: format!("{:#x}", block.start),
            size: block.size,
            age_ms: ledger.age_ms(epoch),
            sequence: epoch.sequence,
        },
        parent: site.parent.map(|parent| BlockRef {
            address: format!("{:#x}", parent.start),
            size: parent.size,
            stack: ledger.stack(parent.record.stack().0),
        }),
        holds: (site.holds != Count::default()).then_some(site.holds),
        ..Leak::default()
    })
}

/// A damaged block as an error record.
pub fn error(damage: &Damage, heap: &Heap, ledger: &mut Ledger<'_>) -> Record {
    let Damage { crime, block, address, changed } = *damage;
    let offset = address as i64 - block.start as i64;
    let size = block.known_size();
    let (kind, message) = match crime {
        Crime::Overflow => (
            "heap-buffer-overflow",
            format!(
                "{changed} guard byte(s) changed, the first {} past the end of the block",
                offset - size as i64
            ),
        ),
        Crime::Underflow => (
            "heap-buffer-underflow",
            format!("{changed} guard byte(s) changed, the first {} before the block", -offset),
        ),
        Crime::UseAfterFree if block.record.stack().is_unknown() => (
            "heap-use-after-free",
            format!("{changed} byte(s) were written where no block ever was"),
        ),
        Crime::UseAfterFree => (
            "heap-use-after-free",
            format!(
                "{changed} byte(s) of a freed block were written, the first at offset {offset}"
            ),
        ),
    };
    Record::Error(record::Error {
        kind: kind.to_owned(),
        address: format!("{address:#x}"),
        message,
        block: Some(record::Block {
            address: format!("{:#x}", block.start),
            size,
            offset,
            allocated: ledger.allocated(&block),
            freed: ledger.freed(heap, &block),
            allocated_again: None,
        }),
        ..record::Error::default()
    })
}

/// Puts a record on a line of its own.
pub fn line(image: &Image, record: Record) -> Line {
    let time = humantime::format_rfc3339_millis(image.time).to_string();
    Line { v: 1, pid: image.pid, time, record }
}
