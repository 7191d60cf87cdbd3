//! The shared tables of the call stacks under loom: the hash table as it is
//! found in, filled, grown, cleared and forked, and the depot.

use super::depot::{self, ROOT_COMPLETE};
use super::hash_table::HashTable;
use super::module::ModuleId;
use super::rule_table::CodeAddress;
use crate::sync::atomics::AtomicU32;
use crate::sync::interleave::{Task, every_order, spawn};
use std::vec::Vec;

fn spread(word: u32) -> usize {
    word as usize
}

fn add(table: &HashTable<AtomicU32>, word: u32) -> Option<u32> {
    table.insert(spread(word), word, |there| there == word, spread)
}

fn has(table: &HashTable<AtomicU32>, word: u32) -> bool {
    table.find(spread(word), |there| there == word).is_some()
}

/// A word is met once: who inserts it second gets the first one's.
#[test]
fn a_word_that_two_insert_is_there_once() {
    every_order("hash table, same and colliding words", 3, || {
        static TABLE: HashTable<AtomicU32> = HashTable::new(8);
        add(&TABLE, 2);
        let other = spawn(|| {
            assert_eq!(add(&TABLE, 8), Some(8));
            assert_eq!(add(&TABLE, 16), Some(16));
        });
        assert_eq!(add(&TABLE, 16), Some(16));
        assert!(has(&TABLE, 2), "what was there before is found meanwhile");
        other.join();
        assert!(has(&TABLE, 8) && has(&TABLE, 16) && !has(&TABLE, 24));
        let mut found = 0;
        TABLE.find(0, |there| {
            found += u32::from(there == 16);
            false
        });
        assert_eq!(found, 1);
    });
}

/// While one grows the table, words that were in it stay findable, and a word
/// added meanwhile is there or can be added again.
#[test]
fn growth_loses_no_word_that_was_there() {
    every_order("hash table, growth", 2, || {
        static TABLE: HashTable<AtomicU32> = HashTable::new(4);
        for word in [1, 2, 3] {
            add(&TABLE, word);
        }
        let tasks: Vec<_> = [5, 6]
            .map(|word| {
                spawn(move || {
                    // No room, where the other one grows it just now.
                    assert!(matches!(add(&TABLE, word), None | Some(5 | 6)));
                })
            })
            .into();
        // A reader that holds the old table may find it empty, never wrong.
        TABLE.find(1, |there| {
            assert!(matches!(there, 1..=3 | 5 | 6), "{there}");
            false
        });
        tasks.into_iter().for_each(Task::join);
        for word in [1, 2, 3] {
            assert!(has(&TABLE, word), "{word}");
        }
        assert_eq!((add(&TABLE, 5), add(&TABLE, 6)), (Some(5), Some(6)));
    });
}

/// A cleared table does not get old words back from a growth under way.
#[test]
fn a_clearing_waits_for_a_growth() {
    every_order("hash table, growth against clearing", 2, || {
        static TABLE: HashTable<AtomicU32> = HashTable::new(4);
        for word in [1, 2, 3] {
            add(&TABLE, word);
        }
        let grower = spawn(|| {
            add(&TABLE, 4);
        });
        TABLE.clear();
        for word in [1, 2, 3] {
            assert!(!has(&TABLE, word), "{word} came back");
        }
        grower.join();
        assert!(!has(&TABLE, 1) && !has(&TABLE, 2) && !has(&TABLE, 3));
        assert_eq!(add(&TABLE, 1), Some(1));
    });
}

fn code(address: usize) -> CodeAddress {
    CodeAddress::new(address, ModuleId::UNKNOWN)
}

fn path_of(id: super::StackId) -> Vec<usize> {
    let mut frames = Vec::new();
    depot::walk(id, |code| {
        frames.push(code.address());
        true
    });
    frames
}

/// Whoever interns gets a number that names its frames, at once and for ever;
/// children of one node that three add at once are all found again.
#[test]
fn an_interned_stack_names_its_frames_whoever_else_interns() {
    // The memory for nodes is there before, and one node to be the parent.
    let parent = depot::intern(ROOT_COMPLETE, code(0x5000));
    depot::intern(parent, code(0x5001));
    every_order("depot, three intern below one node", 1, move || {
        let intern = move |address: usize| {
            let id = depot::intern(parent, code(address));
            assert_eq!(path_of(id), [address, 0x5000]);
            id
        };
        let tasks = [spawn(move || intern(0x6001)), spawn(move || intern(0x6002))];
        let here = intern(0x6001);
        let [same, other] = tasks.map(Task::join);
        assert_eq!(here, same, "the same path has one number");
        assert_ne!(here, other);
        assert_eq!(intern(0x6001), here);
        assert_eq!(intern(0x6002), other);
        assert_eq!(path_of(depot::intern(parent, code(0x5001))), [0x5001, 0x5000]);
    });
}
