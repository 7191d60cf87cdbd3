//! The lock and the once under loom: every order of a few operations.

use super::interleave::{every_order, reads, spawn, writes};
use super::{Lock, Once, Rank};
use crate::sync::atomics::{AtomicU32, Ordering::Relaxed};
use std::vec::Vec;

/// Adds one to the locked value, and has loom prove that nobody else is at it.
fn count(lock: &Lock<u32>) {
    let mut value = lock.lock();
    reads(&raw const *value);
    *value += 1;
    writes(&raw const *value);
}

/// A lock of its own for each iteration, at the same address each time.
fn fresh(lock: &'static Lock<u32>) -> &'static Lock<u32> {
    *lock.lock() = 0;
    lock
}

#[test]
fn a_lock_is_held_by_one_and_its_value_is_seen_by_the_next() {
    static LOCK: Lock<u32> = Lock::new(Rank::Check, 0);
    every_order("lock, three tasks", 3, || {
        let lock = fresh(&LOCK);
        let tasks: Vec<_> = (0..2).map(|_| spawn(|| count(&LOCK))).collect();
        count(lock);
        tasks.into_iter().for_each(super::interleave::Task::join);
        assert_eq!(*lock.lock(), 3);
    });
}

/// The first version lost wake-ups, only with three tasks or more: one that had
/// slept took the lock as "held" though others slept on (docs/design.md).
#[test]
fn nobody_sleeps_on_when_three_have_waited() {
    static LOCK: Lock<u32> = Lock::new(Rank::Check, 0);
    every_order("lock, four tasks, no lost wake-up", 1, || {
        let lock = fresh(&LOCK);
        let held = lock.lock();
        let tasks: Vec<_> = (0..3).map(|_| spawn(|| count(&LOCK))).collect();
        drop(held);
        tasks.into_iter().for_each(super::interleave::Task::join);
        assert_eq!(*lock.lock(), 3);
    });
}

#[test]
fn a_lock_that_is_tried_or_taken_for_fork_is_held_by_one_too() {
    static LOCK: Lock<u32> = Lock::new(Rank::Check, 0);
    every_order("lock, try and acquire", 3, || {
        let lock = fresh(&LOCK);
        let trying = spawn(|| match LOCK.try_lock() {
            Some(mut value) => {
                writes(&raw const *value);
                *value += 1;
                1
            }
            None => 0,
        });
        let forking = spawn(|| {
            LOCK.acquire();
            // SAFETY: acquired above, and no guard of this task's lives.
            unsafe { LOCK.release() }
        });
        count(lock);
        forking.join();
        let taken = trying.join();
        assert_eq!(*lock.lock(), 1 + taken);
    });
}

/// Two threads that begin together once left the end of one unnoticed: who came
/// while the key was being made went without.
#[test]
fn a_number_is_made_by_one_and_seen_by_all() {
    static ONCE: Once = Once::new();
    static MADE: AtomicU32 = AtomicU32::new(0);
    every_order("once, three tasks", 3, || {
        let look = || {
            let number = ONCE.get_or_make(|| {
                writes(&raw const MADE);
                Some(MADE.fetch_add(1, Relaxed) + 40)
            });
            assert_eq!(number, Some(40));
            reads(&raw const MADE);
        };
        let tasks: Vec<_> = (0..2).map(|_| spawn(look)).collect();
        look();
        tasks.into_iter().for_each(super::interleave::Task::join);
        assert_eq!(MADE.load(Relaxed), 1);
    });
}
