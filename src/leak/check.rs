//! A check: from the first lock to the last record.

use super::copy::{Copy, End, is_room_for_a_copy};
use super::handshake::{Answer, Handshake};
use super::hidden::Span;
use super::holders::held_by;
use super::idle::{self, PAGES_BYTES, Pages};
use super::kernel::KernelValues;
use super::lost::{LostBlocks, NONE};
use super::mappings::Mappings;
use super::mark::{self, Marker, Reading};
use super::modules::Modules;
use super::options::{Caller, HeapAccess, LeakOptions, Obstacle, Outcome, Place, Summary};
use super::parents::Parents;
use super::pools::{self, PoolBlocks};
use super::room::Room;
use super::roots::{Checker, Root, RootKind, Roots};
use super::scratch::{Scratch, Zeroed};
use super::sites::{Count, Leaks, Links, Sites};
use super::snapshots::Snapshots;
use super::tiles::{Block, Tiles};
use super::tree::Trees;
use crate::ledger::epoch;
use crate::platform::{Host, OsError, Platform, linux::process};
use crate::sync::atomics::AtomicU32;
use crate::sync::{Guard, Lock, Rank};
use crate::units::{LeakKind, OS_PAGE};

/// Who holds it checks, and may touch the snapshots.
static ONE_AT_A_TIME: Lock<Snapshots> = Lock::new(Rank::Check, Snapshots::NONE);

/// Checks the heap for leaks and passes what it found to `sink`, after all
/// threads were let go: once, unless the check could not be done. The caller
/// holds no lock of the heap.
pub fn check(
    access: &dyn HeapAccess,
    caller: &Caller,
    options: &LeakOptions<'_>,
    sink: &mut dyn FnMut(Leaks<'_>, &Summary),
) -> Summary {
    let Some(mut snapshots) = begin_alone(options.busy_patience_ns) else {
        return Summary::impossible(Obstacle::Busy);
    };
    match check_alone(access, caller, options, &mut snapshots, sink) {
        Ok(summary) => summary,
        Err(obstacle) => Summary::impossible(obstacle),
    }
}

/// In a forked child: a check that another thread was doing is not this
/// process's.
pub fn after_fork_in_child() {
    if ONE_AT_A_TIME.try_lock().is_none() {
        // SAFETY: the only thread of a forked child, and the thread that held
        // the lock is not in it.
        unsafe { ONE_AT_A_TIME.release() };
    }
}

/// The right to check, which another check may keep for `patience_ns`.
pub(super) fn begin_alone(patience_ns: u64) -> Option<Guard<'static, Snapshots>> {
    let end = Host::monotonic_ns().saturating_add(patience_ns);
    loop {
        let guard = ONE_AT_A_TIME.try_lock();
        if guard.is_some() || Host::monotonic_ns() >= end {
            return guard;
        }
        Host::wait(&AtomicU32::new(0), 0, 1_000_000);
    }
}

/// What is read before threads are held.
struct Before<'s> {
    room: Room,
    modules: Modules<'s>,
    kernel: KernelValues<'s>,
}

/// What a copy hands back through shared memory, besides the sites.
struct Verdict {
    /// Whether the copy has come to its end.
    is_done: bool,
    result: Result<Summary, OsError>,
}

// SAFETY: zero is "not done", and the result is written before it is read.
unsafe impl Zeroed for Verdict {}

/// Memory for what a check reads and for what it finds: ample, or else as much
/// as there must be.
fn tables() -> Result<(Room, Scratch, Scratch), OsError> {
    let map = |room: Room| {
        let results = room.bytes_to_find() + PAGES_BYTES + size_of::<Verdict>() + 256;
        Ok((room, Scratch::new(room.bytes_to_read())?, Scratch::shared(results)?))
    };
    map(Room::AMPLE).or_else(|_: OsError| map(Room::measured()?))
}

fn check_alone(
    access: &dyn HeapAccess,
    caller: &Caller,
    options: &LeakOptions<'_>,
    snapshots: &mut Snapshots,
    sink: &mut dyn FnMut(Leaks<'_>, &Summary),
) -> Result<Summary, Obstacle> {
    let (room, scratch, results) = tables().map_err(Obstacle::System)?;
    let modules = Modules::read(&scratch, &room);
    let kernel = KernelValues::read(&scratch, &room);
    let before = Before { room, modules, kernel };
    let mut sites = Sites::new(&results, room.sites);
    let mut trees = Trees::new(&results, room.nodes);
    let mut pages = Pages::new(&results);
    let window = if options.hidden { idle::window_begun_ms() } else { None };
    let verdict = results.take::<Verdict>(1).first_mut();
    let verdict = verdict.ok_or(Obstacle::System(OsError(libc::ENOMEM)))?;
    let checker = Checker { registers: caller.0, task: Host::thread_id(), process: process::id() };
    if !access.lock() {
        return Err(Obstacle::HeapLocked);
    }
    // The program goes on writing while a copy lives, so all it has may be there
    // twice; a control group at its limit would then kill.
    let has_room = options.place == Place::Copy && is_room_for_a_copy();
    let begun = Host::monotonic_ns();
    let threads = Handshake::begin(options.signal, options.deadline_ns, options.quiet, &|visit| {
        access.threads(visit);
    });
    let result = threads.and_then(|threads| {
        let heap = Heap { access, scratch: &scratch, before: &before, threads: &threads };
        let mut work = || {
            let mut judge = |tiles: &Tiles<'_>, sites: &mut Sites<'_>, span| {
                sites.judge(span, snapshots);
                window.inspect(|&begun_ms| pages.choose(tiles, sites, begun_ms));
            };
            scan(&heap, &checker, options, (&mut sites, &mut trees), &mut judge)
        };
        if options.place == Place::InPlace {
            return work().map(|summary| (summary, None));
        }
        if !has_room {
            let no_copy = Some(OsError(libc::ENOMEM));
            return work().map(|summary| (Summary { no_copy, ..summary }, None));
        }
        let copy = Copy::start(options.copy_limit_ns, options.is_idle, || {
            verdict.result = work();
            verdict.is_done = true;
            0
        });
        match copy {
            Ok(copy) => Ok((Summary { place: Place::Copy, ..Summary::EMPTY }, Some(copy))),
            Err(error) => work().map(|summary| (Summary { no_copy: Some(error), ..summary }, None)),
        }
    });
    access.unlock();
    let pause_ns = Host::monotonic_ns() - begun;
    let (mut summary, copy) = result.map_err(Obstacle::System)?;
    if let Some(copy) = copy {
        let end = copy.wait(options.copy_limit_ns.saturating_add(1_000_000_000));
        // SAFETY: the copy has written it, or it is still zero; volatile,
        // because nothing in this process ever wrote it.
        let verdict = unsafe { (verdict as *const Verdict).read_volatile() };
        summary = match end {
            _ if verdict.is_done => match verdict.result {
                Ok(summary) => Summary { place: Place::Copy, ..summary },
                Err(error) => return Err(Obstacle::System(error)),
            },
            End::Killed(signal) => return Err(Obstacle::CopyDied(signal)),
            End::Exited(_) => return Err(Obstacle::CopyDied(0)),
        };
        if let Some(begun_ms) = window {
            pages.measure(&mut sites, begun_ms, summary.now_ms);
            idle::renew_window();
        }
    } else if options.hidden {
        idle::tell_surveyed(&mut sites);
    }
    if options.hidden && options.since_sequence == 0 {
        snapshots.take(&mut sites, summary.now_ms);
    }
    summary.pause_ns = pause_ns;
    summary.dropped += sites.dropped();
    if summary.silent_threads > 0 || summary.dropped > 0 || summary.damaged > 0 || !summary.has_map
    {
        summary.outcome = Outcome::Degraded;
    }
    sink(sites.sorted(&trees), &summary);
    Ok(summary)
}

/// The heap, held still, and what was read before.
#[derive(Clone, Copy)]
struct Heap<'a> {
    access: &'a dyn HeapAccess,
    scratch: &'a Scratch,
    before: &'a Before<'a>,
    threads: &'a Handshake,
}

/// Marks and classifies; threads are held, or this is a copy of the process.
fn scan(
    heap: &Heap<'_>,
    checker: &Checker,
    options: &LeakOptions<'_>,
    (sites, trees): (&mut Sites<'_>, &mut Trees<'_>),
    judge: &mut dyn FnMut(&Tiles<'_>, &mut Sites<'_>, Span),
) -> Result<Summary, OsError> {
    let begun = Host::monotonic_ns();
    let Heap { access, scratch, before, threads } = *heap;
    let read = Mappings::read(scratch, &before.room);
    let has_map = read.is_ok();
    let mappings = match read {
        Ok(mappings) => mappings,
        Err(_) => guess_mappings((scratch, &before.room), &before.modules, threads, checker),
    };
    let mut roots =
        Roots::collect((scratch, &before.room), &mappings, &before.modules, threads, checker);
    let values = before.kernel.as_slice().as_ptr_range();
    roots.add(RootKind::Kernel, values.start as usize, values.end as usize, 0);
    let mut summary = Summary { now_ms: begun / 1_000_000, ..Summary::EMPTY };
    summary.has_map = has_map;
    summary.silent_threads = threads.unlisted as u32
        + threads.threads().filter(|(_, answer)| *answer == Answer::Silent).count() as u32;
    summary.dropped = (roots.dropped() + before.modules.dropped()) as u64;
    let tile_bytes = Tiles::bytes_needed();
    let parent_bytes = if options.holders { Parents::bytes_at_most(tile_bytes) } else { 0 };
    let pool_bytes = pools::bytes_needed();
    let needed = tile_bytes + mark::bytes_needed() + pool_bytes;
    let marks = Scratch::new(needed + parent_bytes).or_else(|_| Scratch::new(needed))?;
    let mut tiles = Tiles::read(&marks);
    tiles.pools = PoolBlocks::read(&marks, &mut tiles, &mappings);
    let reading =
        Reading { step: options.step, mask: options.pointer_mask, heuristics: options.heuristics };
    let (list, foreign) = roots.parts();
    let mut marker = Marker::new(&marks, tiles, &mappings, foreign, reading);
    if options.holders {
        marker.parents = Parents::new(&marks, &marker.tiles);
    }
    let marking = process::processor_ns();
    let wanted = |root: &&Root| options.roots.contains(root.kind);
    marker.flood_reachable(list.iter().filter(wanted).copied());
    summary.mark_ns = process::processor_ns() - marking;
    let span = Span::until(summary.now_ms);
    let mut ledger = Ledger { options, sites, summary: &mut summary, span };
    classify_reachable(&marker.tiles, &mut ledger);
    if options.hidden {
        ledger.sites.add_all_freed(&marker.tiles, span);
        judge(&marker.tiles, ledger.sites, span);
    }
    if let Some(parents) = marker.parents.take() {
        ledger.sites.for_each_mut(|group| {
            let address = group.first.address;
            group.held_by =
                held_by(&marker.tiles, &parents, list, marker.foreign, &mappings, address);
        });
    }
    let marking = process::processor_ns();
    marker.flood_possible();
    ledger.summary.mark_ns += process::processor_ns() - marking;
    classify_possible(&marker.tiles, &mut ledger);
    ledger.summary.bytes_read = marker.bytes_read;
    marker.tiles.hide_lost_in_lost();
    classify_lost(access, &mut marker.tiles, trees, &mut ledger)?;
    ledger.sites.count_allocations();
    summary.damaged = marker.tiles.damaged;
    summary.scan_ns = Host::monotonic_ns() - begun;
    Ok(summary)
}

/// The memory map as far as it is known without /proc: where the threads'
/// stacks and control blocks are.
fn guess_mappings<'s>(
    (scratch, room): (&'s Scratch, &Room),
    modules: &Modules<'_>,
    threads: &Handshake,
    checker: &Checker,
) -> Mappings<'s> {
    let mut points = [0usize; 512];
    let mut count = 0;
    let held = threads.threads().filter(|(_, answer)| *answer == Answer::Held);
    let all = held.map(|(slot, _)| &slot.registers).chain([&checker.registers]);
    for registers in all.take(points.len() / 2) {
        points[count] = registers.stack_pointer;
        points[count + 1] = registers.thread_pointer;
        count += 2;
    }
    Mappings::guess(scratch, room, modules, &points[..count])
}

/// Puts blocks into sites and totals, as far as the options ask for them.
struct Ledger<'a, 's> {
    options: &'a LeakOptions<'a>,
    sites: &'a mut Sites<'s>,
    summary: &'a mut Summary,
    /// For hidden leaks: how far back births are looked at.
    span: Span,
}

impl Ledger<'_, '_> {
    /// Adds a block that is lost or possibly lost.
    fn add(&mut self, kind: LeakKind, is_foreign: bool, block: &Block, links: &Links) {
        let options = self.options;
        if let Some(known) = options.remember {
            known.insert(block);
        }
        let is_wanted = options.only_if_in.is_none_or(|known| known.contains(block, true))
            && options.only_if_not_in.is_none_or(|known| !known.contains(block, false))
            && is_since(block, options.since_sequence);
        if is_wanted {
            if let Some(known) = options.remember_told {
                known.insert(block);
            }
            let total = match kind {
                LeakKind::Definite => &mut self.summary.definite,
                LeakKind::Indirect => &mut self.summary.indirect,
                _ => &mut self.summary.possible,
            };
            total.add(1, block.size as u64);
            self.sites.add(kind, is_foreign, block, links);
        }
    }

    fn add_reachable(&mut self, block: &Block, ordinal: u32) {
        self.summary.reachable.add(1, block.size as u64);
        let is_shown = self.options.show_reachable || self.options.hidden;
        if is_shown && is_since(block, self.options.since_sequence) {
            let links = Links { ordinal, ..Links::default() };
            self.sites.add(LeakKind::Reachable, false, block, &links);
            if self.options.hidden
                && let Some(epoch) = epoch(block.record.stamp())
            {
                let stack = block.record.stack();
                self.sites.add_birth(stack, self.span, epoch.begun_ms, block.size as u64);
            }
        }
    }
}

fn is_since(block: &Block, sequence: u64) -> bool {
    sequence == 0 || epoch(block.record.stamp()).is_some_and(|epoch| epoch.sequence >= sequence)
}

fn classify_reachable(tiles: &Tiles<'_>, ledger: &mut Ledger<'_, '_>) {
    tiles.for_each(
        |group| group.mark,
        |place| ledger.add_reachable(&tiles.block(place), tiles.ordinal(place)),
    );
}

fn classify_possible(tiles: &Tiles<'_>, ledger: &mut Ledger<'_, '_>) {
    for is_foreign in [false, true] {
        tiles.for_each(
            |group| group.mark & if is_foreign { !group.extra } else { group.extra },
            |place| {
                let block = tiles.block(place);
                let links = Links { ordinal: tiles.ordinal(place), ..Links::default() };
                ledger.add(LeakKind::Possible, is_foreign, &block, &links);
            },
        );
    }
}

fn classify_lost(
    access: &dyn HeapAccess,
    tiles: &mut Tiles<'_>,
    trees: &mut Trees<'_>,
    ledger: &mut Ledger<'_, '_>,
) -> Result<(), OsError> {
    let count = LostBlocks::count(tiles);
    if count == 0 {
        return Ok(());
    }
    // Without room, all count as definite: see `LostBlocks::unlisted`.
    let scratch =
        Scratch::new(LostBlocks::bytes_needed(count)).or_else(|_| Scratch::new(OS_PAGE))?;
    let mut lost = LostBlocks::find(&scratch, tiles, trees);
    lost.find_causes(&scratch, tiles, |visit| access.orphans(visit));
    if lost.unlisted > 0 {
        ledger.summary.dropped += lost.unlisted as u64;
        tiles.for_each(
            |group| group.live & !group.mark,
            |place| {
                let block = tiles.block(place);
                let links = Links { ordinal: tiles.ordinal(place), ..Links::default() };
                ledger.add(LeakKind::Definite, false, &block, &links);
            },
        );
    }
    for entry in lost.blocks.iter() {
        let block = tiles.block(entry.place);
        let (kind, parent) = match entry.parent {
            NONE => (LeakKind::Definite, None),
            parent => (LeakKind::Indirect, lost.block(tiles, parent)),
        };
        let holds = Count { blocks: u64::from(entry.held_blocks), bytes: entry.held_bytes };
        let ordinal = tiles.ordinal(entry.place);
        let links = Links { holds, parent, cause: lost.cause(entry), ordinal };
        ledger.add(kind, false, &block, &links);
    }
    Ok(())
}
