//! A check: from the first lock to the last record.

use super::handshake::{Answer, Handshake};
use super::lost::{LostBlocks, NONE};
use super::mappings::{MAPPINGS_BYTES, Mappings};
use super::mark::{self, Marker, Reading};
use super::modules::{MODULES_BYTES, Modules};
use super::registers::Registers;
use super::roots::{Checker, ROOTS_BYTES, Roots};
use super::scratch::Scratch;
use super::sites::{Count, LeakGroup, SITES_BYTES, Sites};
use super::tiles::Tiles;
use crate::platform::linux::process;
use crate::platform::{Host, OsError, Platform};
use crate::sync::{Lock, Rank};
use crate::units::LeakKind;

/// What a check needs from the heap above it.
pub trait HeapAccess {
    /// Takes all locks of the heap, so that no thread is held inside one.
    /// `false`: it could not within a short time, and took none.
    fn lock(&self) -> bool;
    /// Frees what [`HeapAccess::lock`] took.
    fn unlock(&self);
}

/// The frames that count as the program's: those above the place where this
/// was made.
#[derive(Clone, Copy, Debug)]
pub struct Caller(Registers);

impl Caller {
    /// The function that calls this, and its callers.
    #[inline(always)]
    pub fn here() -> Caller {
        Caller(Registers::here())
    }

    /// The same caller, with its stack read only from `stack_pointer` on:
    /// frames below it (of exit, of its handlers) hold nothing of the
    /// program's.
    #[must_use]
    pub fn from_stack_pointer(mut self, stack_pointer: usize) -> Caller {
        self.0.stack_pointer = stack_pointer;
        self
    }
}

/// How to check.
#[derive(Clone, Copy, Debug)]
pub struct LeakOptions {
    /// Longest time for which threads are waited for, in nanoseconds.
    pub deadline_ns: u64,
    /// The signal to ask threads with; 0 = one that the program leaves alone.
    pub signal: i32,
    /// No signal to threads that are blocked in the kernel: their system call
    /// is not disturbed, and their registers are not seen.
    pub quiet: bool,
    /// Whether reachable blocks become records too.
    pub show_reachable: bool,
    /// Whether pointers into a block by a common idiom hold it.
    pub heuristics: bool,
    /// Bytes from one candidate word to the next: 8 or 4.
    pub step: usize,
    /// Address bits of the program's tagged pointers; `!0` = not tagged.
    pub pointer_mask: usize,
}

impl LeakOptions {
    /// The defaults.
    pub const DEFAULT: LeakOptions = LeakOptions {
        deadline_ns: 50_000_000,
        signal: 0,
        quiet: false,
        show_reachable: false,
        heuristics: true,
        step: 8,
        pointer_mask: usize::MAX,
    };
}

impl Default for LeakOptions {
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
    /// A lock of the heap was not to be had: a thread died or was interrupted
    /// inside the heap.
    HeapLocked,
    /// No memory, no signal, or no /proc.
    System(OsError),
}

/// The result of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// How it went.
    pub outcome: Outcome,
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
    /// For how long other threads were held.
    pub pause_ns: u64,
    /// How long marking and classifying took.
    pub scan_ns: u64,
    /// Bytes read for pointers.
    pub bytes_read: u64,
    /// Milliseconds of the monotonic clock when the heap was looked at.
    pub now_ms: u64,
}

impl Summary {
    const EMPTY: Summary = Summary {
        outcome: Outcome::Complete,
        definite: Count { blocks: 0, bytes: 0 },
        indirect: Count { blocks: 0, bytes: 0 },
        possible: Count { blocks: 0, bytes: 0 },
        reachable: Count { blocks: 0, bytes: 0 },
        silent_threads: 0,
        dropped: 0,
        damaged: 0,
        pause_ns: 0,
        scan_ns: 0,
        bytes_read: 0,
        now_ms: 0,
    };

    fn impossible(obstacle: Obstacle) -> Summary {
        Summary { outcome: Outcome::Impossible(obstacle), ..Summary::EMPTY }
    }
}

static ONE_AT_A_TIME: Lock<()> = Lock::new(Rank::Check, ());

/// Checks the heap for leaks while all other threads are held, and passes
/// each group of leaks to `sink`, the largest first within each kind, after
/// they were let go.
///
/// The caller holds no lock of the heap.
pub fn check(
    access: &dyn HeapAccess,
    caller: &Caller,
    options: &LeakOptions,
    sink: &mut dyn FnMut(&LeakGroup),
) -> Summary {
    let Some(_one) = ONE_AT_A_TIME.try_lock() else {
        return Summary::impossible(Obstacle::Busy);
    };
    match check_in_place(access, caller, options, sink) {
        Ok(summary) => summary,
        Err(obstacle) => Summary::impossible(obstacle),
    }
}

fn check_in_place(
    access: &dyn HeapAccess,
    caller: &Caller,
    options: &LeakOptions,
    sink: &mut dyn FnMut(&LeakGroup),
) -> Result<Summary, Obstacle> {
    let scratch = Scratch::new(MAPPINGS_BYTES + MODULES_BYTES + ROOTS_BYTES + SITES_BYTES)
        .map_err(Obstacle::System)?;
    let modules = Modules::read(&scratch);
    let mut sites = Sites::new(&scratch);
    let checker = Checker { registers: caller.0, task: Host::thread_id(), process: process::id() };
    if !access.lock() {
        return Err(Obstacle::HeapLocked);
    }
    let begun = Host::monotonic_ns();
    let result = Handshake::begin(options.signal, options.deadline_ns, options.quiet)
        .and_then(|threads| scan(&scratch, &modules, &threads, &checker, options, &mut sites));
    access.unlock();
    let mut summary = result.map_err(Obstacle::System)?;
    summary.pause_ns = Host::monotonic_ns() - begun;
    summary.dropped += sites.dropped;
    if summary.silent_threads > 0 || summary.dropped > 0 || summary.damaged > 0 {
        summary.outcome = Outcome::Degraded;
    }
    sites.sorted().for_each(sink);
    Ok(summary)
}

/// Marks and classifies; threads are held, or this is a copy of the process.
fn scan(
    scratch: &Scratch,
    modules: &Modules<'_>,
    threads: &Handshake,
    checker: &Checker,
    options: &LeakOptions,
    sites: &mut Sites<'_>,
) -> Result<Summary, OsError> {
    let begun = Host::monotonic_ns();
    let mappings = Mappings::read(scratch)?;
    let mut roots = Roots::collect(scratch, &mappings, modules, threads, checker);
    let mut summary = Summary { now_ms: begun / 1_000_000, ..Summary::EMPTY };
    summary.silent_threads = threads.unlisted as u32
        + threads.threads().filter(|(_, answer)| *answer == Answer::Silent).count() as u32;
    summary.dropped = (roots.dropped() + modules.dropped()) as u64;
    let marks = Scratch::new(Tiles::bytes_needed() + mark::bytes_needed())?;
    let tiles = Tiles::read(&marks);
    let reading =
        Reading { step: options.step, mask: options.pointer_mask, heuristics: options.heuristics };
    let (list, foreign) = roots.parts();
    let mut marker = Marker::new(&marks, tiles, &mappings, foreign, reading);
    marker.flood_reachable(list.iter().copied());
    classify_reachable(&marker.tiles, options, sites, &mut summary);
    marker.flood_possible();
    classify_possible(&marker.tiles, sites, &mut summary);
    summary.bytes_read = marker.bytes_read;
    classify_lost(&mut marker.tiles, sites, &mut summary)?;
    summary.damaged = marker.tiles.damaged;
    summary.scan_ns = Host::monotonic_ns() - begun;
    Ok(summary)
}

fn classify_reachable(
    tiles: &Tiles<'_>,
    options: &LeakOptions,
    sites: &mut Sites<'_>,
    summary: &mut Summary,
) {
    tiles.for_each(
        |group| group.mark,
        |place| {
            let block = tiles.block(place);
            summary.reachable.add(1, block.size as u64);
            if options.show_reachable {
                sites.add(LeakKind::Reachable, false, &block, Count::default(), None);
            }
        },
    );
}

fn classify_possible(tiles: &Tiles<'_>, sites: &mut Sites<'_>, summary: &mut Summary) {
    for is_foreign in [false, true] {
        tiles.for_each(
            |group| group.mark & if is_foreign { !group.extra } else { group.extra },
            |place| {
                let block = tiles.block(place);
                summary.possible.add(1, block.size as u64);
                sites.add(LeakKind::Possible, is_foreign, &block, Count::default(), None);
            },
        );
    }
}

fn classify_lost(
    tiles: &mut Tiles<'_>,
    sites: &mut Sites<'_>,
    summary: &mut Summary,
) -> Result<(), OsError> {
    let count = LostBlocks::count(tiles);
    if count == 0 {
        return Ok(());
    }
    let scratch = Scratch::new(LostBlocks::bytes_needed(count))?;
    let lost = LostBlocks::find(&scratch, tiles);
    if lost.unlisted > 0 {
        summary.dropped += lost.unlisted as u64;
        tiles.for_each(
            |group| group.live & !group.mark,
            |place| {
                let block = tiles.block(place);
                summary.definite.add(1, block.size as u64);
                sites.add(LeakKind::Definite, false, &block, Count::default(), None);
            },
        );
    }
    for entry in lost.blocks.iter() {
        let block = tiles.block(entry.place);
        if entry.parent == NONE {
            summary.definite.add(1, block.size as u64);
            let holds = Count { blocks: u64::from(entry.held_blocks), bytes: entry.held_bytes };
            sites.add(LeakKind::Definite, false, &block, holds, None);
        } else {
            summary.indirect.add(1, block.size as u64);
            let parent = lost.block(tiles, entry.parent);
            sites.add(LeakKind::Indirect, false, &block, Count::default(), parent);
        }
    }
    Ok(())
}
