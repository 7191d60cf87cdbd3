//! What a check takes and what it gives.

use super::known::KnownBlocks;
use super::registers::{RED_ZONE, Registers, thread_pointer};
use super::roots::RootKinds;
use super::sites::Count;
use crate::ledger::Orphan;
use crate::platform::OsError;

/// What a check needs from the heap above it.
pub trait HeapAccess {
    /// Takes all locks of the heap, so that no thread is held inside one.
    /// `false`: it could not within a short time, and took none.
    fn lock(&self) -> bool;
    /// Frees what [`HeapAccess::lock`] took.
    fn unlock(&self);
    /// Calls `visit` with the kernel ids of the threads that the heap knows:
    /// used where the kernel's own list cannot be read.
    fn threads(&self, visit: &mut dyn FnMut(u32)) {
        let _ = visit;
    }
    /// Calls `visit` with each live block whose address stood in a block that
    /// was freed, as far as the heap remembers.
    fn orphans(&self, visit: &mut dyn FnMut(&Orphan)) {
        let _ = visit;
    }
}

/// The frames that count as the program's: those above the place where this
/// was made.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub(super) Registers);

impl Caller {
    /// The function that calls this, and its callers.
    #[inline(always)]
    pub fn here() -> Caller {
        Caller(Registers::here())
    }

    /// The code that a signal interrupted, and its callers.
    pub fn interrupted(context: &libc::ucontext_t) -> Caller {
        let mut registers = Registers::NONE;
        // SAFETY: the reference is the handler's own, so the kernel wrote it.
        unsafe { registers.interrupted(context) };
        // A leaf function keeps words below its stack pointer.
        registers.stack_pointer = registers.stack_pointer.saturating_sub(RED_ZONE);
        Caller(registers)
    }

    /// The frames from `stack_pointer` up. Whatever registers their functions
    /// rely on, the caller has pushed there.
    pub fn on_stack_from(stack_pointer: usize) -> Caller {
        Caller(Registers { stack_pointer, thread_pointer: thread_pointer(), ..Registers::NONE })
    }
}

/// Where the heap is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the process itself, while all other threads are held.
    InPlace,
    /// In a forked copy of the process, while the program goes on.
    Copy,
}

/// How to check.
#[derive(Clone, Copy)]
pub struct LeakOptions<'a> {
    /// Where to read the heap. A copy that cannot be made is done without.
    pub place: Place,
    /// Longest time for which threads are waited for, in nanoseconds.
    pub deadline_ns: u64,
    /// Longest time for which another check is waited for, in nanoseconds.
    pub busy_patience_ns: u64,
    /// Most processor time that a copy may use, in nanoseconds; the longest
    /// time that it may get none, and a thirtieth of what it may live.
    pub copy_limit_ns: u64,
    /// Whether a copy stands back when others want the processor.
    pub is_idle: bool,
    /// The signal to ask threads with; 0 = one that the program leaves alone.
    pub signal: i32,
    /// No signal to threads that are blocked in the kernel: their system call
    /// is not disturbed, and their registers are not seen.
    pub quiet: bool,
    /// Which places outside the heap hold pointers.
    pub roots: RootKinds,
    /// Whether reachable blocks become records too.
    pub show_reachable: bool,
    /// Whether reachable blocks are judged by their site's history, and
    /// suspected sites become records.
    pub hidden: bool,
    /// Whether records of reachable blocks say who holds the first.
    pub holders: bool,
    /// Whether pointers into a block by a common idiom hold it.
    pub heuristics: bool,
    /// Bytes from one candidate word to the next: 8 or 4.
    pub step: usize,
    /// Address bits of the program's tagged pointers; `!0` = not tagged.
    pub pointer_mask: usize,
    /// Only blocks of epochs that began at this sequence or later: what was
    /// allocated since a mark. 0 = all.
    pub since_sequence: u64,
    /// Only blocks that were lost in that earlier check too.
    pub only_if_in: Option<&'a KnownBlocks>,
    /// Only blocks that were not lost in that earlier check.
    pub only_if_not_in: Option<&'a KnownBlocks>,
    /// Takes note of all blocks that are lost or possibly lost.
    pub remember: Option<&'a KnownBlocks>,
    /// Takes note of the blocks that this check tells of.
    pub remember_told: Option<&'a KnownBlocks>,
}

impl LeakOptions<'_> {
    /// The defaults: at exit, in place, everything.
    pub const DEFAULT: LeakOptions<'static> = LeakOptions {
        place: Place::InPlace,
        deadline_ns: 50_000_000,
        busy_patience_ns: 0,
        copy_limit_ns: 120_000_000_000,
        is_idle: true,
        signal: 0,
        quiet: false,
        roots: RootKinds::ALL,
        show_reachable: false,
        hidden: false,
        holders: false,
        heuristics: true,
        step: 8,
        pointer_mask: usize::MAX,
        since_sequence: 0,
        only_if_in: None,
        only_if_not_in: None,
        remember: None,
        remember_told: None,
    };

    /// The defaults for a process that goes on.
    pub const LIVE: LeakOptions<'static> =
        LeakOptions { place: Place::Copy, ..LeakOptions::DEFAULT };
}

impl Default for LeakOptions<'_> {
    fn default() -> Self {
        LeakOptions::DEFAULT
    }
}

/// How a check went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// All threads were held and all memory was read.
    Complete,
    /// Some threads did not answer, or something found no room; see the
    /// summary's counts.
    Degraded,
    /// It could not be done.
    Impossible(Obstacle),
}

/// Why a check could not be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// Another check is going on.
    Busy,
    /// A lock of the heap was not to be had in time.
    HeapLocked,
    /// No memory, no signal, or no /proc.
    System(OsError),
    /// The copy was ended by this signal: by 24 (SIGXCPU), 14 (SIGALRM) or 9
    /// (SIGKILL) it took too long or the machine ran out of memory; by any other the heap
    /// is damaged so that it cannot be read.
    CopyDied(i32),
}

/// The result of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// How it went.
    pub outcome: Outcome,
    /// Where the heap was read.
    pub place: Place,
    /// Why there was no copy, where one was asked for.
    pub no_copy: Option<OsError>,
    /// No pointer left.
    pub definite: Count,
    /// Held only by lost blocks.
    pub indirect: Count,
    /// Only interior pointers, or only foreign memory, hold them.
    pub possible: Count,
    /// Reachable.
    pub reachable: Count,
    /// Threads that did not answer.
    pub silent_threads: u32,
    /// Records, roots, mappings or blocks that found no room.
    pub dropped: u64,
    /// Granules whose description made no sense.
    pub damaged: u32,
    /// Whether the memory map could be read; without, foreign memory and
    /// stacks that the check does not run on may be missed.
    pub has_map: bool,
    /// For how long other threads were held.
    pub pause_ns: u64,
    /// How long marking and classifying took.
    pub scan_ns: u64,
    /// Processor time of the part that followed pointers, in nanoseconds.
    pub mark_ns: u64,
    /// Bytes read for pointers.
    pub bytes_read: u64,
    /// Milliseconds of the monotonic clock when the heap was looked at.
    pub now_ms: u64,
}

impl Summary {
    pub(super) const EMPTY: Summary = Summary {
        outcome: Outcome::Complete,
        place: Place::InPlace,
        no_copy: None,
        definite: Count { blocks: 0, bytes: 0 },
        indirect: Count { blocks: 0, bytes: 0 },
        possible: Count { blocks: 0, bytes: 0 },
        reachable: Count { blocks: 0, bytes: 0 },
        silent_threads: 0,
        dropped: 0,
        damaged: 0,
        has_map: true,
        pause_ns: 0,
        scan_ns: 0,
        mark_ns: 0,
        bytes_read: 0,
        now_ms: 0,
    };

    pub(super) fn impossible(obstacle: Obstacle) -> Summary {
        Summary { outcome: Outcome::Impossible(obstacle), ..Summary::EMPTY }
    }
}
