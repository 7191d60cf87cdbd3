//! Where may a pointer hide? Each case keeps the only pointer to a block in
//! one place and says what a check must find; each has a twin without it.

mod heap;
mod live;
mod roots;

use heap::{Hidden, Turn, record_of};
use heapwarden::leak::{LeakOptions, Outcome, RootKind, annotations};
use heapwarden::ledger::{Record, State};
use heapwarden::units::{Family, LeakKind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static GLOBAL: AtomicUsize = AtomicUsize::new(0);

/// What a check says while `GLOBAL` holds a word made of the block's address.
fn with_global(turn: &Turn, block: Hidden, word: impl Fn(usize) -> usize) -> (u64, u64, u64) {
    block.hold(&GLOBAL, word);
    let found = turn.check().counts();
    GLOBAL.store(0, Relaxed);
    found
}

#[test]
fn a_block_that_nothing_holds_is_definite_and_one_that_a_global_holds_is_not() {
    let turn = Turn::begin();
    let block = turn.block(100);
    let found = turn.check();
    assert!(!matches!(found.summary.outcome, Outcome::Impossible(_)), "{:?}", found.summary);
    assert_eq!(found.counts(), (1, 0, 0));
    assert_eq!(found.groups[0].stack, turn.stack);
    assert_eq!(found.groups[0].count.bytes, 100);
    assert!(block.is(found.groups[0].first.address));
    drop(found);
    assert_eq!(with_global(&turn, block, |at| at), (0, 0, 0));
}

#[test]
fn a_pointer_counts_into_the_block_and_right_behind_it_but_not_beyond() {
    let turn = Turn::begin();
    let block = turn.block(100);
    for offset in [1, 16, 99, 100] {
        assert_eq!(with_global(&turn, block, |at| at + offset), (0, 0, 1), "{offset}");
    }
    assert_eq!(with_global(&turn, block, |at| at + 101), (1, 0, 0));
    assert_eq!(with_global(&turn, block, |at| at - 1), (1, 0, 0));
    assert_eq!(with_global(&turn, block, |at| at | 0xabcd << 48), (1, 0, 0));
    assert_eq!(with_global(&turn, block, |at| !at), (1, 0, 0));
}

#[test]
fn large_blocks_are_held_by_the_same_rules() {
    let turn = Turn::begin();
    let large = turn.block(3 << 20);
    let small = turn.block(40);
    large.link((3 << 20) - 8, small);
    assert_eq!(with_global(&turn, large, |at| at), (0, 0, 0));
    assert_eq!(with_global(&turn, large, |at| at + (2 << 20)), (0, 0, 2));
    assert_eq!(with_global(&turn, large, |at| at + (3 << 20)), (0, 0, 2));
    assert_eq!(with_global(&turn, large, |at| at + (3 << 20) + 1), (1, 1, 0));
}

#[test]
fn a_lost_parent_holds_its_children_and_tells_their_sum() {
    let turn = Turn::begin();
    let parent = turn.block(32);
    for i in 0..3 {
        let child = turn.block(24);
        parent.link(i * 8, child);
    }
    let found = turn.check();
    assert_eq!(found.counts(), (1, 3, 0));
    let definite = &found.groups[0];
    assert_eq!(
        (definite.kind, definite.holds.blocks, definite.holds.bytes),
        (LeakKind::Definite, 3, 72)
    );
    let indirect = &found.groups[1];
    assert!(parent.is(indirect.parent.unwrap().address));
}

#[test]
fn of_a_cycle_one_block_is_definite() {
    let turn = Turn::begin();
    let ring: Vec<Hidden> = (0..5).map(|_| turn.block(48)).collect();
    for i in 0..5 {
        ring[i].link(8, ring[(i + 1) % 5]);
    }
    assert_eq!(turn.check().counts(), (1, 4, 0));
    // A block that leads to the cycle is its leader; one it leads to is not.
    let leader = turn.block(200);
    leader.link(0, ring[3]);
    let tail = turn.block(16);
    ring[1].link(16, tail);
    let found = turn.check();
    assert_eq!(found.counts(), (1, 6, 0));
    assert_eq!(found.groups[0].count.bytes, 200);
    assert_eq!(found.groups[0].holds.bytes, 5 * 48 + 16);
}

#[test]
fn a_cycle_that_leads_to_a_cycle_is_the_leader_whatever_the_order() {
    for swap in [false, true] {
        let turn = Turn::begin();
        let (mut a, mut b) = ([turn.block(40), turn.block(40)], [turn.block(40), turn.block(40)]);
        if swap {
            (a, b) = (b, a);
        }
        for pair in [a, b] {
            pair[0].link(0, pair[1]);
            pair[1].link(0, pair[0]);
        }
        a[1].link(8, b[0]);
        let found = turn.check();
        assert_eq!(found.counts(), (1, 3, 0));
        let leader = found.groups[0].first.address;
        assert!(a.iter().any(|block| block.is(leader)));
    }
}

#[test]
fn a_block_that_points_to_itself_is_still_definite() {
    let turn = Turn::begin();
    let block = turn.block(64);
    block.link(0, block);
    assert_eq!(turn.check().counts(), (1, 0, 0));
}

#[test]
fn freed_blocks_and_slack_hold_nothing() {
    let turn = Turn::begin();
    let (holder, held) = (turn.block(41), turn.block(64));
    holder.link(0, held);
    holder.hold(&GLOBAL, |at| at);
    assert_eq!(turn.check().counts(), (0, 0, 0));
    let record = record_of(holder);
    let live = Record(record.load(Relaxed));
    for state in [State::Held, State::Free] {
        record.store(live.with_state(state).0, Relaxed);
        assert_eq!(turn.check().counts(), (1, 0, 0));
    }
    record.store(live.0, Relaxed);
    holder.store(0, 0);
    holder.link(40, held);
    assert_eq!(turn.check().counts(), (1, 0, 0));
    GLOBAL.store(0, Relaxed);
}

#[test]
fn an_ignored_block_and_what_it_holds_are_no_leaks() {
    let turn = Turn::begin();
    let (holder, held) = (turn.block(64), turn.block(64));
    holder.link(8, held);
    let record = record_of(holder);
    record.store(Record(record.load(Relaxed)).with_state(State::Ignored).0, Relaxed);
    assert_eq!(turn.check().counts(), (0, 0, 0));
}

#[test]
fn what_a_possible_block_holds_is_possible() {
    let turn = Turn::begin();
    let (holder, held) = (turn.block(64), turn.block(64));
    holder.link(8, held);
    assert_eq!(with_global(&turn, holder, |at| at + 32), (0, 0, 2));
}

#[test]
fn a_registered_region_is_a_root_until_taken_back() {
    let turn = Turn::begin();
    let block = turn.block(64);
    // Memory that the check does not look at by itself: a file's, shared.
    let path = std::env::temp_dir().join(format!("heapwarden-region-{}", std::process::id()));
    std::fs::write(&path, [0u8; 4096]).unwrap();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let region = roots::map(4096, libc::MAP_SHARED, std::os::fd::AsRawFd::as_raw_fd(&file));
    block.hold(unsafe { &*(region as *const AtomicUsize).add(3) }, |at| at);
    assert_eq!(turn.check().counts(), (1, 0, 0));
    assert!(annotations::add_root(region, 4096));
    assert_eq!(turn.check().counts(), (0, 0, 0));
    assert!(annotations::remove_root(region, 4096));
    assert_eq!(turn.check().counts(), (1, 0, 0));
    unsafe { libc::munmap(region as *mut _, 4096) };
    std::fs::remove_file(path).unwrap();
}

#[test]
fn an_array_of_objects_is_held_by_the_pointer_that_new_gave() {
    let turn = Turn::begin();
    let array = turn.block_of(8 + 7 * 40, Family::NewArray);
    array.store(0, 7);
    assert_eq!(with_global(&turn, array, |at| at + 8), (0, 0, 0));
    array.store(0, 6);
    assert_eq!(with_global(&turn, array, |at| at + 8), (0, 0, 1));
}

#[test]
fn tagged_and_packed_pointers_are_found_when_asked_for() {
    let turn = Turn::begin();
    let block = turn.block(64);
    block.hold(&GLOBAL, |at| at | 0xbeef << 48);
    assert_eq!(turn.check().counts(), (1, 0, 0));
    let masked = LeakOptions { pointer_mask: (1 << 48) - 1, ..LeakOptions::DEFAULT };
    assert_eq!(turn.check_with(&masked).counts(), (0, 0, 0));
    GLOBAL.store(0, Relaxed);
    static PACKED: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    block.hold(&PACKED[0], |at| at << 32);
    block.hold(&PACKED[1], |at| at >> 32);
    assert_eq!(turn.check().counts(), (1, 0, 0));
    let packed = LeakOptions { step: 4, ..LeakOptions::DEFAULT };
    assert_eq!(turn.check_with(&packed).counts(), (0, 0, 0));
    PACKED[1].store(0, Relaxed);
}

#[test]
fn ten_thousand_blocks_from_one_place_are_one_group() {
    let turn = Turn::begin();
    for i in 0..10_000 {
        turn.block(16 + i % 64);
    }
    let found = turn.check();
    assert_eq!(found.counts(), (10_000, 0, 0));
    assert_eq!(found.groups.len(), 1);
}

#[test]
fn a_long_lost_list_has_one_leader() {
    let turn = Turn::begin();
    let blocks: Vec<Hidden> = (0..50_000).map(|_| turn.block(24)).collect();
    for pair in blocks.windows(2) {
        pair[1].link(0, pair[0]);
    }
    let found = turn.check();
    assert_eq!(found.counts(), (1, 49_999, 0));
    assert!(blocks[49_999].is(found.groups[0].first.address));
}

#[test]
fn a_reachable_block_tells_who_holds_it() {
    let turn = Turn::begin();
    let blocks: Vec<Hidden> = (0..40).map(|_| turn.block(64)).collect();
    for pair in blocks.windows(2) {
        pair[0].link(8, pair[1]);
    }
    blocks[0].hold(&GLOBAL, |at| at);
    let asked = LeakOptions { show_reachable: true, holders: true, ..LeakOptions::DEFAULT };
    let found = turn.check_with(&asked);
    GLOBAL.store(0, Relaxed);
    let group = &found.groups[0];
    assert_eq!((group.kind, group.count.blocks), (LeakKind::Reachable, 40));
    let held = group.held_by.unwrap();
    assert_eq!((held.root, held.word), (RootKind::Global, &raw const GLOBAL as usize));
    // The group's first block is the chain's first: no epochs, so no order.
    assert!(blocks[0].is(group.first.address));
    assert_eq!((held.steps, held.holder), (0, None));
}

#[test]
fn nodes_of_a_search_tree_are_held_by_pointers_with_a_colour() {
    let turn = Turn::begin();
    let (root, left) = (turn.block(24), turn.block(24));
    root.store(0, &raw const GLOBAL as usize);
    left.store(0, &raw const GLOBAL as usize);
    root.link(8, left);
    assert_eq!(with_global(&turn, root, |at| at | 1), (0, 0, 0));
    root.store(0, 77);
    assert_eq!(with_global(&turn, root, |at| at | 1), (0, 0, 2));
}

#[test]
fn a_pool_that_names_its_own_start_is_held_by_what_was_taken_from_it() {
    let turn = Turn::begin();
    let (pool, held) = (turn.block(1000), turn.block(64));
    pool.link(504, held);
    assert_eq!(with_global(&turn, pool, |at| at + 300), (0, 0, 2));
    pool.link(320, pool);
    assert_eq!(with_global(&turn, pool, |at| at + 300), (0, 0, 0));
    assert_eq!(with_global(&turn, pool, |at| !at), (1, 1, 0));
}
