//! The handshake of a check against threads that run, end, begin, wait for
//! locks, adopt heaps and fork, in many orders (shuttle).
//!
//! The first task checks. No other joins: to shuttle that is no sleep that a
//! signal ends.

use super::handshake::{Answer, Handshake, answer};
use crate::heap;
use crate::heap::orders::{Shared, consume, produce, without_quarantine};
use crate::platform::linux::process::block_signals;
use crate::platform::{Host, Platform};
use crate::sync::atomics::{AtomicU32, Ordering::Relaxed};
use crate::sync::interleave::{Task, leave, many_orders, spawn, spin_loop, tasks, with_signals};
use std::sync::Arc;
use std::vec::Vec;

/// Nobody needs that long.
const FAR_NS: u64 = 100_000_000_000;

fn handler(value: u64) {
    answer(value, |_| ());
}

fn hold(deadline_ns: u64) -> Handshake {
    Handshake::begin(0, deadline_ns, false, &|_| {}).expect("there is memory for slots")
}

/// Counts of a thread: each goes on as it runs.
type Counts = Arc<[AtomicU32; 8]>;

fn fresh() -> Counts {
    Arc::new([const { AtomicU32::new(0) }; 8])
}

fn now(counts: &Counts) -> Vec<u32> {
    counts.iter().map(|count| count.load(Relaxed)).collect()
}

fn count(counts: &Counts, place: usize) {
    (0..6).for_each(|_| _ = counts[place].fetch_add(1, Relaxed));
}

/// What a check relies on: who is held stands still, who is gone has ended, and
/// nobody else is there.
fn check(held: &Handshake, counts: &Counts) {
    let me = Host::thread_id();
    let slots: Vec<_> = held.threads().map(|(slot, answer)| (slot.task, answer)).collect();
    let before = now(counts);
    let alive = tasks().expect("signals are modelled");
    (0..20).for_each(|_| spin_loop());
    assert_eq!(now(counts), before, "somebody runs: {slots:?}");
    for task in alive.into_iter().filter(|&task| task != me) {
        assert!(slots.contains(&(task, Answer::Held)), "{task} lives: {slots:?}");
    }
    assert!(slots.iter().all(|&(_, answer)| answer != Answer::Silent), "{slots:?}");
}

/// Threads that run, one that begins another, and their ends: at any moment.
#[test]
fn who_is_held_stands_still_while_threads_begin_and_end() {
    many_orders("handshakes against threads' beginnings and ends", 400, || {
        with_signals(handler);
        let counts = fresh();
        let busy: Vec<_> = (0..2)
            .map(|place| {
                let counts = counts.clone();
                spawn(move || count(&counts, place))
            })
            .collect();
        let others = counts.clone();
        let parent = spawn(move || {
            let last = others.clone();
            // It lives long enough to be missed.
            let late = spawn(move || (0..8).for_each(|_| count(&last, 3)));
            count(&others, 2);
            late
        });
        for _ in 0..2 {
            let held = hold(FAR_NS);
            check(&held, &counts);
        }
        parent.join().join();
        busy.into_iter().for_each(Task::join);
        assert_eq!(now(&counts), [6, 6, 6, 48, 0, 0, 0, 0], "all went on to their ends");
    });
}

/// A deadline that has passed: who answers too late goes on at once, and the
/// next check finds everybody.
#[test]
fn late_answers_hold_nobody_and_disturb_no_later_check() {
    many_orders("handshakes that are given up", 400, || {
        with_signals(handler);
        let counts = fresh();
        let busy: Vec<_> = (0..3)
            .map(|place| {
                let counts = counts.clone();
                spawn(move || count(&counts, place))
            })
            .collect();
        for _ in 0..2 {
            let given_up = hold(0);
            assert!(given_up.threads().count() <= 3);
        }
        check(&hold(FAR_NS), &counts);
        busy.into_iter().for_each(Task::join);
        assert_eq!(now(&counts)[..3], [6, 6, 6]);
    });
}

/// One that runs, or is kept by the kernel, and takes no signal: the deadline
/// ends the wait, and the others are held all the same.
#[test]
fn who_never_answers_is_waited_for_until_the_deadline() {
    many_orders("a handshake with one that never answers", 50, || {
        with_signals(handler);
        let counts = fresh();
        let others = counts.clone();
        let deaf = spawn(move || {
            block_signals();
            // Ends only once the check has.
            while others[7].load(Relaxed) == 0 {
                spin_loop();
            }
        });
        let ours = counts.clone();
        let busy = spawn(move || count(&ours, 0));
        let begun = Host::monotonic_ns();
        let held = hold(20_000_000);
        assert!(Host::monotonic_ns() - begun < 40_000_000, "the deadline, and some looks");
        let silent = held.threads().filter(|(_, answer)| *answer == Answer::Silent).count();
        assert!(silent <= 2, "{silent}");
        drop(held);
        counts[7].store(1, Relaxed);
        deaf.join();
        busy.join();
        assert_eq!(now(&counts)[0], 6);
    });
}

/// Blocks that are live, as a scan sees them.
fn live_blocks() -> usize {
    let mut live = 0;
    heap::for_each_block(|block| live += usize::from(block.is_live()));
    live
}

/// The whole of a check: the heap's locks, the handshake, a copy by a real
/// fork(2). Threads allocate, free one another's blocks, end, and adopt heaps
/// meanwhile. The heap that the check sees has every block that was handed out.
#[test]
fn a_check_sees_a_whole_heap_whatever_threads_are_at() {
    without_quarantine();
    many_orders("checks against ends, adoptions and frees", 100, || {
        with_signals(handler);
        let shared: Shared = Arc::default();
        let before = live_blocks();
        let busy: Vec<_> = (0..3u8)
            .map(|number| {
                let shared = shared.clone();
                spawn(move || {
                    produce(&shared, &[24, 3000, 24], number * 50);
                    consume(&shared, 2);
                    let late = shared.clone();
                    let adopts = (number == 0).then(|| spawn(move || produce(&late, &[24], 7)));
                    consume(&shared, 2);
                    adopts
                })
            })
            .collect();
        for _ in 0..2 {
            if !heap::before_fork_within(FAR_NS) {
                continue;
            }
            let held = hold(FAR_NS);
            let known: Vec<usize> =
                shared.lock().expect("nobody panicked").iter().map(|block| block.0).collect();
            assert!(held.threads().all(|(_, answer)| answer != Answer::Silent));
            let look = || {
                // At most one of each thread is on its way between heap and list.
                let live = live_blocks() - before;
                known.iter().all(|&block| heap::judge(block).is_ok())
                    && (known.len()..=known.len() + 4).contains(&live)
            };
            // SAFETY: fork(2); the child only looks, and leaves.
            let copy = unsafe { libc::fork() };
            if copy == 0 {
                leave();
                let is_whole = std::panic::catch_unwind(look).unwrap_or(false);
                // SAFETY: ends the child without running anything of the parent's.
                unsafe { libc::_exit(i32::from(!is_whole)) };
            }
            assert!(look(), "in the process");
            drop(held);
            // SAFETY: this task took the locks above.
            unsafe { heap::after_fork_in_parent() };
            let mut status = 0;
            // SAFETY: waitpid writes the status, which lives on our stack.
            assert_eq!(unsafe { libc::waitpid(copy, &raw mut status, 0) }, copy);
            assert_eq!(status, 0, "in the copy");
        }
        busy.into_iter().filter_map(Task::join).for_each(Task::join);
        consume(&shared, 100);
        assert_eq!(live_blocks(), before);
    });
}

/// The program forks while a check holds the heap's locks and its threads: both
/// come to their end, and the child has a whole heap.
#[test]
fn a_fork_and_a_check_wait_for_one_another_not_for_ever() {
    without_quarantine();
    many_orders("checks against forks", 100, || {
        with_signals(handler);
        let shared: Shared = Arc::default();
        let (mine, others) = (shared.clone(), shared.clone());
        let forking = spawn(move || {
            produce(&mine, &[24, 200], 1);
            heap::before_fork();
            // SAFETY: fork(2); the child uses the heap only, and leaves.
            let child = unsafe { libc::fork() };
            if child == 0 {
                leave();
                // SAFETY: this is the child of the fork above. A child that
                // waits for a lock for ever is ended.
                unsafe {
                    heap::after_fork_in_child();
                    libc::alarm(60);
                }
                let inner: Shared = Arc::default();
                let is_whole = std::panic::catch_unwind(|| {
                    produce(&inner, &[24, 3000, 100_000], 3);
                    consume(&inner, 100);
                    assert_eq!(heap::check_heap(crate::units::StackId::UNKNOWN), 0);
                });
                // SAFETY: ends the child without running anything of the parent's.
                unsafe { libc::_exit(i32::from(is_whole.is_err())) };
            }
            // SAFETY: this task called before_fork.
            unsafe { heap::after_fork_in_parent() };
            let mut status = 0;
            // SAFETY: waitpid writes the status, which lives on our stack.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0, "the child's heap was not whole");
        });
        let busy = spawn(move || {
            produce(&others, &[24, 3000], 9);
            consume(&others, 1);
        });
        for _ in 0..2 {
            assert!(heap::before_fork_within(FAR_NS), "the locks come free");
            let held = hold(FAR_NS);
            let live = live_blocks();
            (0..20).for_each(|_| spin_loop());
            assert_eq!(live_blocks(), live, "somebody is at the heap");
            drop(held);
            // SAFETY: this task took the locks above.
            unsafe { heap::after_fork_in_parent() };
        }
        forking.join();
        busy.join();
        consume(&shared, 100);
    });
}
