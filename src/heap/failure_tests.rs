//! Every call to the operating system fails in turn, and after it all of
//! them: each operation then returns null or succeeds, no block loses its
//! contents, nothing of ours is lost, and afterwards everything works.
//!
//! The failures are the platform's ([`crate::platform::sim`]) and strike the
//! whole process, so the test runs in a process of its own.

use super::{Request, allocate_general, free_general, memory, resize, trim};
use crate::platform::sim;
use crate::trace::Entry;
use crate::units::{Family, MIB};
use std::process::Command;
use std::vec::Vec;
use std::{eprintln, ptr, thread};

/// Where a caller of malloc would be.
pub(super) fn entry() -> Entry {
    let (sp, fp): (usize, usize);
    // SAFETY: reads two registers.
    unsafe {
        core::arch::asm!("mov {}, rsp", "mov {}, rbp", out(reg) sp, out(reg) fp,
            options(nomem, nostack, preserves_flags));
    }
    Entry { sp, fp }
}

struct Block {
    start: *mut u8,
    size: usize,
    fill: u8,
}

impl Block {
    fn new(size: usize, alignment: usize, zeroed: bool, fill: u8) -> Option<Block> {
        let request = Request { size, alignment, family: Family::Malloc, zeroed };
        let start = match alignment {
            16 if !zeroed => {
                super::allocate::<{ Family::Malloc as u8 }>(size, entry(), |_, entry| {
                    allocate_general(&request, entry)
                })
            }
            _ => allocate_general(&request, entry()),
        };
        if start.is_null() {
            return None;
        }
        assert_eq!(start as usize % alignment, 0);
        let block = Block { start, size, fill };
        // SAFETY: a fresh block of `size` bytes.
        unsafe {
            if zeroed {
                assert!((0..size).step_by(4097).all(|offset| *start.add(offset) == 0));
            }
            ptr::write_bytes(start, fill, size);
        }
        Some(block)
    }

    fn holds(&self, size: usize) -> bool {
        let size = self.size.min(size);
        // SAFETY: the block is live.
        (0..size).step_by(2047).all(|offset| unsafe { *self.start.add(offset) } == self.fill)
    }

    /// Whether it could be resized; it holds what it held either way.
    fn resize(&mut self, size: usize) -> bool {
        let start = resize(self.start as usize, size, entry());
        if start.is_null() {
            assert!(self.holds(usize::MAX), "a refused realloc leaves the block alone");
            return false;
        }
        let old = std::mem::replace(self, Block { start, size, fill: self.fill });
        assert!(Block { start, ..old }.holds(size), "a resized block keeps its contents");
        // SAFETY: the block has `size` bytes now.
        unsafe { ptr::write_bytes(start, self.fill, size) };
        true
    }

    fn free(self) {
        assert!(self.holds(usize::MAX));
        free_general(self.start as usize, Family::Malloc, entry());
    }
}

/// A bit of everything, in a thread that has no heap yet; how many requests
/// were refused, and whether a call was made to fail.
fn work(fail: fn(u64), nth: u64) -> (usize, bool) {
    thread::spawn(move || {
        fail(nth);
        let mut blocks = Vec::with_capacity(4096);
        let mut refused = 0;
        let mut ask = |size, alignment, zeroed| match Block::new(
            size,
            alignment,
            zeroed,
            (blocks.len() % 251) as u8 + 1,
        ) {
            Some(block) => blocks.push(block),
            None => refused += 1,
        };
        for round in 0..14 {
            ask(16 + round * 70, 16, false);
            ask(3000 + round * 2100, 16, round % 2 == 0);
            ask(100, 4096, false);
        }
        for size in [70_000, 300_000, 3 * MIB] {
            ask(size, 16, size > 200_000);
            ask(size, 1 << 20, false);
        }
        for (index, block) in blocks.iter_mut().enumerate() {
            let size = block.size * [2, 3, 1][index % 3] + 40;
            refused += usize::from(!block.resize(size));
            if index % 4 == 0 {
                refused += usize::from(!block.resize(size / 5 + 1));
            }
        }
        blocks.into_iter().for_each(Block::free);
        trim();
        let was_hit = sim::hit();
        sim::fail_at(0);
        (refused, was_hit)
    })
    .join()
    .expect("the work itself holds")
}

/// In a process whose heap is new: the work with failures, twice without, and
/// the heap is as empty as before. Whether there was such a call, and whether
/// a request was refused.
fn try_one(fail: fn(u64), nth: u64) -> (bool, bool) {
    let (refused, was_hit) = work(fail, nth);
    for _ in 0..2 {
        assert_eq!(work(sim::fail_at, 0), (0, false), "all works again");
    }
    trim();
    assert_eq!(memory().in_use, 0, "every run came back");
    // A heap that has worked before makes other calls: once more, twice.
    let mapped = memory();
    for _ in 0..2 {
        work(fail, nth);
    }
    assert_eq!(work(sim::fail_at, 0), (0, false), "all works again");
    trim();
    let after = memory();
    assert_eq!(after.in_use, 0, "every run came back");
    assert!(after.metadata <= mapped.metadata + MIB / 2, "{mapped:?} {after:?}");
    (was_hit, refused > 0)
}

/// Fails each call in turn, each time in a copy of this process; how many
/// calls there are, and how often a request was refused.
fn fail_each(fail: fn(u64)) -> (u64, u64) {
    let mut refusals = 0;
    for nth in 1..10_000 {
        // SAFETY: the copy has this thread only and ends by _exit.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let outcome = std::panic::catch_unwind(|| try_one(fail, nth));
            let code = outcome
                .map_or(99, |(was_hit, refused)| i32::from(was_hit) * 2 + i32::from(refused));
            // SAFETY: ends the copy.
            unsafe { libc::_exit(code) };
        }
        let mut status = 0;
        // SAFETY: waits for the copy made above.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert!(libc::WIFEXITED(status), "call {nth}: {status:#x}");
        let code = libc::WEXITSTATUS(status);
        assert!(code < 4, "call {nth}: code {code}; stopped at the first");
        refusals += u64::from(code as u8 & 1);
        if code & 2 == 0 {
            return (nth - 1, refusals);
        }
    }
    panic!("always one more call");
}

#[test]
#[ignore = "strikes the whole process: run by every_call_of_the_operating_system_may_fail"]
fn alone() {
    let (calls, refused) = fail_each(sim::fail_at);
    eprintln!("{calls} system calls failed in turn, {refused} requests refused of it");
    assert!(calls > 15);
    let (calls, refused) = fail_each(sim::fail_from);
    eprintln!("{calls} system calls failed with all after them, {refused} requests refused");
    assert!(refused > 5, "without memory requests are refused");
}

#[test]
#[cfg(feature = "harness")]
fn every_call_of_the_operating_system_may_fail() {
    let output = Command::new(std::env::current_exe().expect("this test has a file"))
        .args(["heap::failure_tests::alone", "--exact", "--ignored", "--nocapture"])
        .args(["--test-threads", "1"])
        .output()
        .expect("this test runs again");
    let text = std::string::String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}\n{text}", output.status);
    assert!(text.contains("calls failed with all after them"), "{text}");
    for line in text.lines().filter(|line| line.contains("calls failed")) {
        crate::harness::told("the operating system", &line);
    }
}
