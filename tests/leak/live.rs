//! Checks of a process that goes on: by a copy, since a mark, again.

use super::heap::{Hidden, Turn};
use heapwarden::leak::{KnownBlocks, LeakOptions, Obstacle, Outcome, Place};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};

static HOLDER: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_copy_says_the_same_as_a_check_in_place() {
    let turn = Turn::begin();
    let blocks: Vec<Hidden> = (0..1000).map(|_| turn.block(100)).collect();
    for pair in blocks[..500].windows(2) {
        pair[0].link(0, pair[1]);
    }
    blocks[600].hold(&HOLDER, |at| at + 1);
    let (here, copy) = (turn.check(), turn.check_with(&LeakOptions::LIVE));
    assert_eq!(copy.summary.place, Place::Copy);
    assert_eq!(here.counts(), (500, 499, 1));
    assert_eq!(copy.counts(), here.counts());
    assert_eq!(copy.groups, here.groups);
    HOLDER.store(0, SeqCst);
}

#[test]
fn the_program_goes_on_while_a_copy_reads_and_sees_no_child() {
    let turn = Turn::begin();
    let _lost = turn.block(64);
    static STOP: AtomicBool = AtomicBool::new(false);
    let thread = std::thread::spawn(|| {
        let mut children = 0;
        while !STOP.load(SeqCst) {
            children +=
                u32::from(unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0);
        }
        children
    });
    for _ in 0..20 {
        let found = turn.check_with(&LeakOptions::LIVE);
        assert_eq!(found.counts(), (1, 0, 0));
    }
    STOP.store(true, SeqCst);
    assert_eq!(thread.join().unwrap(), 0);
}

#[test]
fn where_no_copy_can_be_made_the_check_is_done_in_place_and_says_so() {
    let turn = Turn::begin();
    let _lost = turn.block(64);
    // No more processes for this user, where that binds (not for root).
    let id = unsafe { libc::getuid() };
    if id == 0 {
        return sandboxed(&turn);
    }
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe { libc::getrlimit(libc::RLIMIT_NPROC, &mut old) };
    let none = libc::rlimit { rlim_cur: 0, rlim_max: old.rlim_max };
    unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &none) };
    let found = turn.check_with(&LeakOptions::LIVE);
    unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &old) };
    assert!(found.summary.no_copy.is_some());
    assert_eq!((found.summary.place, found.counts()), (Place::InPlace, (1, 0, 0)));
}

/// As root no limit binds: a seccomp filter in a thread of its own refuses
/// clone for it.
fn sandboxed(turn: &Turn) {
    let found = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                refuse(libc::SYS_clone as u32, libc::EAGAIN as u32);
                turn.check_with(&LeakOptions::LIVE)
            })
            .join()
            .unwrap()
    });
    assert_eq!(found.summary.no_copy.map(|error| error.0), Some(libc::EAGAIN));
    assert_eq!((found.summary.place, found.counts()), (Place::InPlace, (1, 0, 0)));
}

fn refuse(call: u32, error: u32) {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | error),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let mode = libc::SECCOMP_MODE_FILTER;
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, mode, &program as *const _, 0, 0), 0);
    }
}

#[test]
fn what_an_earlier_check_found_can_be_confirmed_or_left_out() {
    let turn = Turn::begin();
    let known = KnownBlocks::new(10_000).unwrap();
    let (lost, flying) = (turn.block(64), turn.block(64));
    let first = LeakOptions { remember: Some(&known), ..LeakOptions::LIVE };
    assert_eq!(turn.check_with(&first).counts(), (2, 0, 0));
    assert_eq!(known.count(), 2);
    // One turns up again; another is lost since.
    flying.hold(&HOLDER, |at| at);
    let later = turn.block(64);
    let confirmed = LeakOptions { only_if_in: Some(&known), ..LeakOptions::LIVE };
    let found = turn.check_with(&confirmed);
    assert_eq!(found.counts(), (1, 0, 0));
    assert!(lost.is(found.groups[0].first.address));
    let fresh = LeakOptions { only_if_not_in: Some(&known), ..LeakOptions::LIVE };
    let found = turn.check_with(&fresh);
    assert_eq!(found.counts(), (1, 0, 0));
    assert!(later.is(found.groups[0].first.address));
    HOLDER.store(0, SeqCst);
}

#[test]
fn a_second_check_at_the_same_time_is_refused_not_waited_for() {
    let turn = Turn::begin();
    for _ in 0..3000 {
        turn.block(3000);
    }
    let (a, b) = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            (0..20).map(|_| turn.check_with(&LeakOptions::LIVE).summary.outcome).collect::<Vec<_>>()
        });
        let own: Vec<_> =
            (0..20).map(|_| turn.check_with(&LeakOptions::LIVE).summary.outcome).collect();
        (own, other.join().unwrap())
    });
    let is_busy = |outcome: &&Outcome| **outcome == Outcome::Impossible(Obstacle::Busy);
    let done = a.iter().chain(&b).filter(|outcome| !is_busy(outcome)).count();
    assert!((20..=40).contains(&done), "{a:?} {b:?}");
}
