//! Leak checks: what the scan found, as reports.

use super::runtime::{OPTIONS_BUFFER, REPORTER};
use crate::heap;
use crate::leak::{self, Caller, HeapAccess, LeakGroup, LeakOptions, Obstacle, Outcome};
use crate::memory;
use crate::platform::{Host, Platform};
use crate::report::{self, BlockRef, Cost, Count, Dropped, FirstBlock, Leak};
use crate::trace::{self, Entry};
use crate::units::{LeakKind, LeakKinds, ThreadNumber};
use core::mem::MaybeUninit;

/// Groups that one check reports; more are counted, not listed.
const GROUPS: usize = 8192;

/// What a check means for the exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Nothing that counts was lost.
    Clean,
    /// Leaks of a kind that counts.
    Leaks,
    /// The check could not be done; the report says why.
    Impossible,
}

struct Access;

impl HeapAccess for Access {
    fn lock(&self) -> bool {
        heap::before_fork();
        true
    }
    fn unlock(&self) {
        // SAFETY: the scan pairs this with `lock`, in one thread.
        unsafe { heap::after_fork_in_parent() };
    }
}

/// The check at exit. `entry` is where libc called our exit hook.
pub(super) fn check_at_exit(entry: Entry, since_sequence: u64) -> Verdict {
    let mut caller = Caller::here();
    if let Some(stack_pointer) = after_main(entry) {
        caller = caller.from_stack_pointer(stack_pointer);
    }
    let options = OPTIONS_BUFFER.get();
    let leak_options = LeakOptions {
        show_reachable: options.show_leak_kinds.contains(LeakKind::Reachable),
        quiet: options.quiet,
        step: if options.use_unaligned { 4 } else { 8 },
        since_sequence,
        ..LeakOptions::DEFAULT
    };
    check(&caller, &leak_options)
}

/// A check of the running process, for the functions of the program's own.
pub(super) fn check_live(caller: &Caller, leak_options: LeakOptions<'_>) -> Verdict {
    let options = OPTIONS_BUFFER.get();
    let leak_options = LeakOptions {
        show_reachable: options.show_leak_kinds.contains(LeakKind::Reachable),
        quiet: options.quiet,
        step: if options.use_unaligned { 4 } else { 8 },
        ..leak_options
    };
    check(caller, &leak_options)
}

/// Where the stack of a program that returned from main ends: main's frame is
/// gone, and what it left lies below. `None` when exit was called from within
/// the program, whose frames are all alive.
fn after_main(entry: Entry) -> Option<usize> {
    let stack = heap::capture(entry);
    let mut frames = [0; 16];
    let (count, _) = trace::frames(stack, &mut frames);
    let exit = libc::exit as *const () as usize;
    let inside = |address: &usize| address.wrapping_sub(exit) < 64;
    let position = frames[..count].iter().position(inside)?;
    let after_exit = *frames.get(position + 1).filter(|_| position + 1 < count)?;
    let (own, _) = trace::module_of(exit)?;
    let (caller, _) = trace::module_of(after_exit)?;
    if own != caller {
        return None;
    }
    // The slots that hold the return addresses, in this order, from the hook's.
    let mut slot = entry.sp;
    for &address in &frames[1..=position + 1] {
        let end = slot + 4096;
        loop {
            slot += 8;
            if slot >= end {
                return None;
            }
            // SAFETY: the hook's own stack, which goes on at least to the
            // frames that the walk has just read.
            if unsafe { (slot as *const usize).read() } == address {
                break;
            }
        }
    }
    Some(slot)
}

fn check(caller: &Caller, options: &LeakOptions<'_>) -> Verdict {
    let bytes = GROUPS * size_of::<LeakGroup>();
    let Ok(room) = Host::map(bytes) else {
        REPORTER
            .notice(format_args!("the leak check could not be done: no memory for its results"));
        return Verdict::Impossible;
    };
    // SAFETY: a fresh mapping of that many bytes, which nobody else knows.
    let groups = unsafe {
        core::slice::from_raw_parts_mut(room.cast::<MaybeUninit<LeakGroup>>().as_ptr(), GROUPS)
    };
    let (mut count, mut unlisted) = (0, 0);
    let summary = leak::check(&Access, caller, options, &mut |group| match groups.get_mut(count) {
        Some(place) => {
            place.write(*group);
            count += 1;
        }
        None => unlisted += 1,
    });
    // SAFETY: the first `count` were written above.
    let groups = unsafe { core::slice::from_raw_parts(groups.as_ptr().cast::<LeakGroup>(), count) };
    let verdict = tell(groups, unlisted, &summary);
    // SAFETY: mapped above; `groups` is not used any more.
    let _ = unsafe { Host::unmap(room.as_ptr() as usize, bytes) };
    verdict
}

fn tell(groups: &[LeakGroup], unlisted: u64, summary: &leak::Summary) -> Verdict {
    if let Outcome::Impossible(obstacle) = summary.outcome {
        let why = match obstacle {
            Obstacle::Busy => "another check is going on",
            Obstacle::HeapLocked => "a thread ended inside the heap",
            Obstacle::System(_) => "the system refused memory, signals or /proc",
            Obstacle::CopyDied(_) => {
                "the copy that scans died: too little time or memory, or a damaged heap"
            }
        };
        REPORTER.notice(format_args!("the leak check could not be done: {why} ({obstacle:?})"));
        return Verdict::Impossible;
    }
    let counted = OPTIONS_BUFFER.get().errors_for_leak_kinds;
    REPORTER.prepare(&mut groups.iter().map(|group| group.stack));
    let mut totals = report::Summary {
        reachable: Count { blocks: summary.reachable.blocks, bytes: summary.reachable.bytes },
        errors: super::violations::count(),
        cost: Cost {
            metadata_bytes: (memory::metadata_mapped() + trace::statistics().bytes) as u64,
            scan_ms: summary.scan_ns / 1_000_000,
            longest_pause_ms: summary.pause_ns / 1_000_000,
        },
        dropped: Dropped {
            stacks: trace::statistics().dropped as u64,
            records: unlisted + summary.dropped,
            threads: u64::from(summary.silent_threads),
            names: 0,
        },
        ..report::Summary::default()
    };
    let mut found = false;
    for group in groups {
        let outcome = REPORTER.leak(&leak_of(group, summary.now_ms));
        if outcome == report::Outcome::Suppressed {
            totals.suppressed.add(group.count.blocks, group.count.bytes);
            continue;
        }
        if group.kind != LeakKind::Reachable {
            totals.count_mut(group.kind).add(group.count.blocks, group.count.bytes);
        }
        found |= counts(counted, group.kind);
    }
    if summary.outcome == Outcome::Degraded {
        REPORTER.notice(format_args!(
            "the leak check is degraded: {} thread(s) did not answer, {} record(s) found no room, \
             {} damaged part(s) of the heap were left out",
            summary.silent_threads, summary.dropped, summary.damaged
        ));
    }
    REPORTER.summary(&totals);
    if found { Verdict::Leaks } else { Verdict::Clean }
}

fn counts(kinds: LeakKinds, kind: LeakKind) -> bool {
    kinds.contains(kind)
}

fn leak_of(group: &LeakGroup, now_ms: u64) -> Leak {
    Leak {
        kind: group.kind,
        blocks: group.count.blocks,
        bytes: group.count.bytes,
        family: group.family,
        stack: group.stack,
        thread: super::violations::thread(ThreadNumber(group.first.thread.0)),
        first: FirstBlock {
            address: group.first.address,
            size: group.first.size,
            age_ms: now_ms.saturating_sub(group.first.born_ms),
            sequence: group.first.sequence,
        },
        parent: group.parent.map(|parent| BlockRef {
            address: parent.address,
            size: parent.size,
            stack: parent.stack,
        }),
        holds: Count { blocks: group.holds.blocks, bytes: group.holds.bytes },
        lost_because: None,
    }
}
