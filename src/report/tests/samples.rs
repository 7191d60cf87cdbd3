//! One record of every kind, each with everything filled in and with as
//! little as possible.

use crate::report::*;
use crate::units::{Family, LeakKind, StackId, ThreadNumber};

const WORKER: ThreadRef = ThreadRef { number: ThreadNumber(2), os_id: 99 };
const FIRST: ThreadRef = ThreadRef { number: ThreadNumber(1), os_id: 0 };
const FREED: Event = Event { stack: StackId(2), thread: FIRST, sequence: 18 };
const HOLDER: BlockRef = BlockRef { address: 0x600000, size: 32, stack: StackId(5) };

const TREE: [Held; 2] = [
    Held {
        depth: 1,
        stack: StackId(3),
        count: Count { blocks: 2, bytes: 48 },
        holds: Count { blocks: 1, bytes: 24 },
    },
    Held {
        depth: 2,
        stack: StackId(4),
        count: Count { blocks: 1, bytes: 24 },
        holds: Count { blocks: 0, bytes: 0 },
    },
];

const ORDINALS: Ordinals<'static> = Ordinals { allocations: 4000, smallest: &[17, 1402] };

pub fn leak() -> Leak<'static> {
    Leak {
        kind: LeakKind::Definite,
        blocks: 3,
        bytes: 42,
        family: Family::Malloc,
        stack: StackId(4),
        thread: WORKER,
        first: FirstBlock { address: 0x7000_0000_0010, size: 14, age_ms: 1234, sequence: 17 },
        parent: None,
        holds: Count::default(),
        tree: &[],
        tree_left_out: 0,
        lost_because: None,
        held_by: None,
        ordinals: Ordinals::default(),
    }
}

pub fn overflow(neighbours: &[Neighbour]) -> ErrorReport<'_> {
    ErrorReport {
        kind: ErrorKind::HeapBufferOverflow,
        address: 0x50_000c,
        message: "2 bytes were written past the end of the block",
        stack: StackId(4),
        thread: WORKER,
        block: Some(BlockInfo {
            address: 0x50_0000,
            size: 10,
            offset: 12,
            family: Family::NewArray,
            age_ms: Some(1500),
            allocated: Event { stack: StackId(3), thread: WORKER, sequence: 17 },
            freed: Some(FREED),
            allocated_again: Some(FREED),
        }),
        neighbours,
    }
}

pub fn for_each_sample(visit: &mut dyn FnMut(Record<'_>)) {
    for kind in [LeakKind::Definite, LeakKind::Indirect, LeakKind::Possible, LeakKind::Reachable] {
        visit(Record::Leak(&Leak { kind, ..leak() }));
        visit(Record::Leak(&Leak {
            kind,
            stack: StackId::UNKNOWN,
            thread: ThreadRef::default(),
            parent: Some(HOLDER),
            holds: Count { blocks: 3, bytes: 72 },
            tree: &TREE,
            tree_left_out: 1,
            lost_because: Some(LostBecause::HolderFreed {
                holder: HOLDER,
                freed: FREED,
                blocks: 2,
            }),
            held_by: Some("the global variable 'cache' of /bin/true"),
            ordinals: ORDINALS,
            ..leak()
        }));
    }
    let evidence = Evidence { growth_bytes_per_s: -5, oldest_ms: 9, ..Evidence::default() };
    let ordinals = Ordinals::default();
    let hidden = HiddenLeak { blocks: 7, bytes: 1 << 40, stack: StackId(3), evidence, ordinals };
    visit(Record::HiddenLeak(&hidden));
    let evidence = Evidence {
        growth_bytes_per_s: 1 << 20,
        snapshots: 5,
        freed_permille: 1000,
        idle: Some((7, 1500)),
        held_by: Some("global \"cache\"\n"),
        ..evidence
    };
    visit(Record::HiddenLeak(&HiddenLeak { evidence, ordinals: ORDINALS, ..hidden }));
    let after = Neighbour { side: Side::After, block: HOLDER, is_freed: true, is_damaged: true };
    let before = Neighbour { side: Side::Before, is_freed: false, is_damaged: false, ..after };
    for kind in ErrorKind::ALL {
        visit(Record::Error(&ErrorReport { kind, ..overflow(&[before, after]) }));
        visit(Record::Error(&ErrorReport {
            kind,
            address: usize::MAX,
            block: None,
            ..overflow(&[])
        }));
    }
    for kind in [
        WarningKind::CallocOverflow,
        WarningKind::AllocationSizeTooBig,
        WarningKind::InvalidAlignment,
        WarningKind::StackMismatch,
    ] {
        let warning = Warning { kind, message: "malloc(-8)", stack: StackId(3), count: 2 };
        visit(Record::Warning(&warning));
    }
    let top = [Holder { blocks: 9, bytes: 900, stack: StackId(4) }, Holder::default()];
    let refused = Exhaustion {
        level: Level::Refused,
        requested: 1_000_000,
        limit: 1000,
        limit_from: "heap_limit_mb",
        in_use: 950,
        peak: 990,
        heap: 999,
        held: 7,
        largest_free: 3,
        stack: StackId(3),
        top: &top,
        left_out: 2,
        lost_bytes: Some(u64::MAX),
        hidden_bytes: Some(77),
    };
    visit(Record::Exhaustion(&refused));
    let early = Exhaustion {
        level: Level::Early,
        in_use: 0,
        top: &[],
        lost_bytes: None,
        hidden_bytes: None,
        ..refused
    };
    visit(Record::Exhaustion(&early));
    visit(Record::Exhaustion(&Exhaustion { level: Level::Peak, ..refused }));
    visit(Record::Exhaustion(&Exhaustion { level: Level::OnPurpose, ..early }));
    visit(Record::Summary(&Summary::default()));
    let some = Count { blocks: u64::MAX, bytes: 1 };
    visit(Record::Summary(&Summary {
        definite: some,
        hidden: some,
        suppressed: some,
        errors: 3,
        cost: Cost { metadata_bytes: 1, scan_ms: 2, longest_pause_ms: 3 },
        dropped: Dropped { stacks: 1, records: 2, threads: 3, names: 4 },
        ..Summary::default()
    }));
    let matched = Matched { pattern: b"^main\xff$", count: some };
    visit(Record::Matched(&matched));
    visit(Record::Notice("unknown option 'x'\u{7f}"));
}
