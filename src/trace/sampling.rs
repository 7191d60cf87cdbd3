//! The stack check of a running program (option `stack_check`): one capture in
//! so many is compared with what libgcc's unwinder finds at the same place, or,
//! in a program without it, with a walk that remembers nothing.
//!
//! Off, it costs nothing: on, every thread's depth is put aside for one that
//! nobody asks for, so that each capture leaves the fast path and comes here.
//! The first stack that differs is kept, for who writes reports to ask about.
//!
//! Invariant: one comparison at a time in the process, so that allocations of
//! the unwinder's own are not compared; only on a thread's own stack, since a
//! signal stack may be too small for an unwinder.

use super::check::{Comparison, Unwinder, check_against_unwinder, compare};
use super::thread::{Entry, ThreadTrace, forget_rules};
use crate::sync::atomics::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::units::StackId;

/// The depth that stands in while captures are checked.
const ASIDE: u32 = u32::MAX;

static EVERY: AtomicU64 = AtomicU64::new(0);
static TURN: AtomicU64 = AtomicU64::new(0);
static UNDER_WAY: AtomicBool = AtomicBool::new(false);
/// libgcc's three functions, or zeros.
static UNWINDER: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
static COMPARED: AtomicU64 = AtomicU64::new(0);
static DIFFERENT: AtomicU64 = AtomicU64::new(0);
/// Frame << 32 | stack of the first that differed.
static FIRST: AtomicU64 = AtomicU64::new(0);

/// What the check has found so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckedStacks {
    /// Stacks compared.
    pub compared: u64,
    /// Those in which a frame differed, or was missing without a word.
    pub different: u64,
    /// The first of them.
    pub stack: StackId,
    /// Its first frame that differed, 0 being malloc's caller.
    pub frame: usize,
}

/// Compares one capture in `every` from now on; 0: none. Called once, before
/// the program has threads.
pub fn check_every(every: u64, unwinder: Option<Unwinder>) {
    if let Some(unwinder) = unwinder {
        UNWINDER[1].store(unwinder.ip_info as usize, Relaxed);
        UNWINDER[2].store(unwinder.cfa as usize, Relaxed);
        UNWINDER[0].store(unwinder.backtrace as usize, Release);
    }
    EVERY.store(every, Release);
    if every != 0 {
        // No thread takes the fast path once more before it comes here.
        forget_rules();
    }
}

/// See [`CheckedStacks`].
pub fn checked_stacks() -> CheckedStacks {
    let first = FIRST.load(Relaxed);
    CheckedStacks {
        compared: COMPARED.load(Relaxed),
        different: DIFFERENT.load(Relaxed),
        stack: StackId(first as u32),
        frame: (first >> 32) as usize,
    }
}

/// Whether captures are to be checked.
#[inline]
pub(super) fn is_on() -> bool {
    EVERY.load(Relaxed) != 0
}

fn unwinder() -> Option<Unwinder> {
    let backtrace = UNWINDER[0].load(Acquire);
    if backtrace == 0 {
        return None;
    }
    // SAFETY: `check_every` stored functions of these types.
    unsafe {
        Some(Unwinder {
            backtrace: core::mem::transmute::<usize, super::check::Backtrace>(backtrace),
            ip_info: core::mem::transmute::<usize, super::check::GetIpInfo>(
                UNWINDER[1].load(Relaxed),
            ),
            cfa: core::mem::transmute::<usize, super::check::GetCfa>(UNWINDER[2].load(Relaxed)),
        })
    }
}

impl ThreadTrace {
    /// A capture as ever, and when it is one's turn, the comparison.
    #[cold]
    #[inline(never)]
    pub(super) fn capture_checked(&mut self, entry: Entry, depth: u32) -> StackId {
        if self.depth == ASIDE {
            self.depth = self.depth_aside;
        }
        let id = self.capture_unchecked(entry, depth);
        (self.depth_aside, self.depth) = (self.depth, ASIDE);
        let turn = TURN.fetch_add(1, Relaxed).is_multiple_of(EVERY.load(Relaxed).max(1));
        if turn && self.home.contains(entry.sp) && !UNDER_WAY.swap(true, Acquire) {
            let verdict = match unwinder() {
                Some(unwinder) => check_against_unwinder(entry, id, unwinder),
                None => compare(id, self.walk_alone(entry, depth)),
            };
            note(id, verdict);
            UNDER_WAY.store(false, Release);
        }
        id
    }

    fn capture_unchecked(&mut self, entry: Entry, depth: u32) -> StackId {
        if let Some(id) = self.look(entry, depth) {
            return id;
        }
        self.capture_by_walk(entry, depth)
    }
}

fn note(id: StackId, verdict: Comparison) {
    if verdict != Comparison::Unseen {
        COMPARED.fetch_add(1, Relaxed);
    }
    if let Comparison::Wrong(frame) = verdict
        && DIFFERENT.fetch_add(1, Relaxed) == 0
    {
        FIRST.store((frame as u64) << 32 | u64::from(id.0), Relaxed);
    }
}
