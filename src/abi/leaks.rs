//! Leak checks: what the scan found, as reports.

use super::findings::{TREE_LINES, leak_of, ordinals_of, stacks, tell_hidden, tree_of};
use super::holders::describe;
use super::runtime::{OPTIONS_BUFFER, REPORTER};
use super::shim::Saved;
use crate::config::Format;
use crate::exhaustion;
use crate::heap;
use crate::leak::{
    self, Caller, HeapAccess, KnownBlocks, LeakOptions, Leaks, Obstacle, Outcome, RootKind,
    RootKinds, annotations,
};
use crate::ledger::Orphan;
use crate::memory;
use crate::platform::OsError;
use crate::report::{self, Cost, Count, Dropped, Held, Leak};
use crate::trace::{self, Entry};
use crate::units::{LeakKind, LeakKinds, Text};

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

/// How long a check waits for a lock of the heap. Who holds one has all signals
/// blocked and works for microseconds, so only a thread that will never go on
/// keeps one that long: killed inside, or not there any more after a raw fork.
const LOCK_PATIENCE_NS: u64 = 3_000_000_000;
/// How long the check at exit waits for one that is under way.
const BUSY_PATIENCE_NS: u64 = 60_000_000_000;
/// How long the check at exit waits for threads that run, on a busy machine
/// perhaps not at once: nobody is kept from work.
const EXIT_DEADLINE_NS: u64 = 3_000_000_000;

/// Whether the locks of the heap can be had.
pub(super) fn is_heap_open() -> bool {
    if !Access.lock() {
        return false;
    }
    Access.unlock();
    true
}

/// Says why there is no check.
pub(super) fn tell_obstacle(obstacle: Obstacle) {
    let why = match obstacle {
        Obstacle::Busy => "another check is going on",
        Obstacle::HeapLocked => "a thread keeps a lock of the heap",
        Obstacle::System(_) => "the system refused memory, signals or /proc",
        Obstacle::CopyDied(_) => {
            "the copy that scans died: too little time or memory, or a damaged heap"
        }
    };
    REPORTER.notice(format_args!("the leak check could not be done: {why} ({obstacle:?})"));
}

struct Access;

impl HeapAccess for Access {
    fn lock(&self) -> bool {
        heap::before_fork_within(LOCK_PATIENCE_NS)
    }
    fn unlock(&self) {
        // SAFETY: the scan pairs this with `lock`, in one thread.
        unsafe { heap::after_fork_in_parent() };
    }
    fn orphans(&self, visit: &mut dyn FnMut(&Orphan)) {
        heap::for_each_orphan(visit);
    }
    fn threads(&self, visit: &mut dyn FnMut(u32)) {
        heap::for_each_thread(|thread| {
            if thread.alive && thread.kernel_id != 0 {
                visit(thread.kernel_id);
            }
        });
    }
}

/// Before anything at exit reads the heap: which pages of it were in use.
pub(super) fn survey_idleness() {
    leak::survey_idleness(&Access);
}

/// The check at exit, from the exit hook that libc called.
pub(super) fn check_at_exit(saved: *const Saved, since_sequence: u64) -> Verdict {
    let caller = Caller::on_stack_from(after_main(Saved::entry(saved)).unwrap_or(saved as usize));
    let options = with_options(LeakOptions {
        since_sequence,
        busy_patience_ns: BUSY_PATIENCE_NS,
        deadline_ns: EXIT_DEADLINE_NS,
        ..LeakOptions::DEFAULT
    });
    check_confirmed(&caller, &options)
}

/// A check, and where other threads run, a second one of what it found.
/// Another thread may be held between malloc and its caller, with the block's
/// address nowhere yet: what is lost must be so twice.
fn check_confirmed(caller: &Caller, options: &LeakOptions<'_>) -> Verdict {
    if !has_other_threads() {
        return check(caller, options);
    }
    let Ok(seen) = KnownBlocks::new(CONFIRMED) else { return check(caller, options) };
    // Who holds what, and for how long, is only looked for in the second.
    let shows_more = options.show_reachable || options.hidden;
    let (show_reachable, hidden, holders) = (false, false, false);
    let remember = Some(&seen);
    let first = LeakOptions { remember, show_reachable, hidden, holders, ..*options };
    let verdict = check_and(caller, &first, |leaks, summary| match leaks.count() {
        0 if !shows_more => tell(leaks, summary),
        _ => Verdict::Leaks,
    });
    match verdict {
        Verdict::Leaks => check(caller, &LeakOptions { only_if_in: Some(&seen), ..*options }),
        other => other,
    }
}

/// Blocks that a check can confirm; more are reported unconfirmed.
const CONFIRMED: usize = 1 << 20;

fn has_other_threads() -> bool {
    let mut alive = 0;
    heap::for_each_thread(|thread| alive += u32::from(thread.alive));
    alive > 1
}

/// A check of the running process, for the functions of the program's own.
pub(super) fn check_live(caller: &Caller, leak_options: LeakOptions<'_>) -> Verdict {
    check_confirmed(caller, &with_options(leak_options))
}

/// The same, but without a word when nothing is to be told.
pub(super) fn check_silently_if_clean(caller: &Caller, leak_options: LeakOptions<'_>) -> Verdict {
    check_and(caller, &with_options(leak_options), |leaks, summary| match leaks.count() {
        0 => Verdict::Clean,
        _ => tell(leaks, summary),
    })
}

/// The same, as the options say.
fn with_options(leak_options: LeakOptions<'_>) -> LeakOptions<'_> {
    let options = OPTIONS_BUFFER.get();
    let mask = match annotations::pointer_mask() {
        0 => options.pointer_mask as usize,
        mask => mask,
    };
    LeakOptions {
        show_reachable: options.show_leak_kinds.contains(LeakKind::Reachable),
        hidden: options.hidden_leaks,
        holders: options.hidden_leaks || options.show_leak_kinds.contains(LeakKind::Reachable),
        quiet: options.quiet,
        step: if options.use_unaligned { 1 } else { 8 },
        pointer_mask: if mask == 0 { usize::MAX } else { mask },
        roots: RootKinds::ALL
            .only_if(options.use_globals, RootKind::Global)
            .only_if(options.use_stacks, RootKind::Stack)
            .only_if(options.use_registers, RootKind::Registers)
            .only_if(options.use_tls, RootKind::ThreadLocal)
            .only_if(options.use_root_regions, RootKind::Region),
        ..leak_options
    }
}

fn check(caller: &Caller, options: &LeakOptions<'_>) -> Verdict {
    check_and(caller, options, tell)
}

fn check_and(
    caller: &Caller,
    options: &LeakOptions<'_>,
    tell: impl Fn(Leaks<'_>, &leak::Summary) -> Verdict,
) -> Verdict {
    let mut verdict = Verdict::Clean;
    let mut check = || {
        leak::check(&Access, caller, options, &mut |leaks, summary| {
            verdict = tell(leaks, summary);
        })
    };
    let mut summary = check();
    if summary.outcome == Outcome::Impossible(Obstacle::System(OsError(libc::ENOMEM))) {
        exhaustion::reserve::CHECK.release();
        summary = check();
        exhaustion::reserve::CHECK.hold();
    }
    if let Outcome::Impossible(obstacle) = summary.outcome {
        tell_obstacle(obstacle);
        return Verdict::Impossible;
    }
    verdict
}

/// Bytes that are lost now, definitely or held by what is, and bytes that are
/// reachable at sites suspected of hidden leaks; `None` if that cannot be
/// found out.
pub(super) fn lost_and_hidden_bytes() -> Option<(u64, u64)> {
    let options = LeakOptions { hidden: true, ..with_options(LeakOptions::DEFAULT) };

    let mut hidden = 0;
    let summary = leak::check(&Access, &Caller::here(), &options, &mut |leaks, _| {
        let suspects = leaks.iter().filter(|group| group.hidden.is_some());
        hidden = suspects.map(|group| group.count.bytes).sum();
    });
    let is_known = !matches!(summary.outcome, Outcome::Impossible(_));
    is_known.then_some((summary.definite.bytes + summary.indirect.bytes, hidden))
}

fn tell(leaks: Leaks<'_>, summary: &leak::Summary) -> Verdict {
    let counted = OPTIONS_BUFFER.get().errors_for_leak_kinds;
    leaks.iter().filter_map(|group| group.held_by.as_ref()).for_each(super::holders::want);
    REPORTER.prepare(&mut leaks.iter().flat_map(stacks));
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
            records: summary.dropped,
            threads: u64::from(summary.silent_threads),
            names: 0,
        },
        ..report::Summary::default()
    };
    let mut found = false;
    let shows_reachable = OPTIONS_BUFFER.get().show_leak_kinds.contains(LeakKind::Reachable);
    for group in leaks.iter() {
        if let Some(evidence) = &group.hidden
            && tell_hidden(group, evidence) != report::Outcome::Suppressed
        {
            totals.hidden.add(group.count.blocks, group.count.bytes);
            found |= counts(counted, LeakKind::Hidden);
        }
        if group.kind == LeakKind::Reachable && !shows_reachable {
            continue;
        }
        let mut lines = [Held::default(); TREE_LINES];
        let (tree, tree_left_out) = tree_of(&leaks, group, &mut lines);
        let mut buffer = [0; 512];
        let mut text = Text::new(&mut buffer);
        let holder = group.held_by.as_ref().inspect(|holder| describe(&mut text, holder));
        let held_by = holder.map(|_| text.as_str());
        let ordinals = ordinals_of(group);
        let leak = leak_of(group, summary.now_ms);
        let leak = Leak { tree, tree_left_out, held_by, ordinals, ..leak };
        let outcome = REPORTER.leak(&leak);
        if outcome == report::Outcome::Suppressed {
            totals.suppressed.add(group.count.blocks, group.count.bytes);
            continue;
        }
        if group.kind != LeakKind::Reachable {
            totals.count_mut(group.kind).add(group.count.blocks, group.count.bytes);
        }
        found |= counts(counted, group.kind);
    }
    if let Some(error) = summary.no_copy {
        let why = match error.0 {
            libc::EAGAIN => "the limit of processes is reached",
            libc::ENOMEM => "there is no memory for it",
            _ => "the system refused it",
        };
        REPORTER.notice(format_args!(
            "no copy of the process could be made for the leak check (error {}: {why}), so the \
             program waited for it",
            error.0
        ));
    }
    // Programs that read JSON find it in the summary's `dropped`.
    if summary.outcome == Outcome::Degraded && OPTIONS_BUFFER.get().format == Format::Text {
        REPORTER.notice(format_args!(
            "the leak check is degraded: {} thread(s) did not answer, {} record(s) found no room, \
             {} damaged part(s) of the heap were left out{}",
            summary.silent_threads,
            summary.dropped,
            summary.damaged,
            if summary.has_map { "" } else { ", the memory map could not be read" }
        ));
    }
    REPORTER.summary(&totals);
    if found { Verdict::Leaks } else { Verdict::Clean }
}

fn counts(kinds: LeakKinds, kind: LeakKind) -> bool {
    kinds.contains(kind)
}

/// Where the stack of a program begins that has returned from main: exit and
/// its handlers overlay main's dead frame, and its words are still there where
/// they did not write. `None` when exit was called from within the program:
/// its frames live, and some of their registers are saved in exit's frames.
///
/// The frames' return addresses lie on the stack in the order of the walk, so
/// each is searched for behind the one before.
fn after_main(entry: Entry) -> Option<usize> {
    const FRAMES: usize = 64;
    let mut frames = [0; FRAMES];
    let (depth, _) = trace::frames(heap::capture(entry), &mut frames);
    let mut slot = entry.sp;
    for (index, &frame) in frames[..depth].iter().enumerate() {
        // SAFETY: the walk read every return address on this stack from
        // `entry.sp` up; a search that misses ends within the limit below.
        while unsafe { (slot as *const usize).read_volatile() } != frame {
            slot += 8;
            if slot - entry.sp > 64 * 1024 {
                return None;
            }
        }
        slot += 8;
        if !is_exits_frame(frame) {
            // Only _start is left: main has returned.
            return (index > 0 && index + 1 == depth).then_some(slot);
        }
    }
    None
}

/// Whether code at this address runs exit handlers rather than the program.
fn is_exits_frame(address: usize) -> bool {
    let Some((_, module)) = trace::module_of(address - 1) else { return false };
    let path = module.path();
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    name.starts_with(b"libc.so")
        || name.starts_with(b"libc-")
        || name.starts_with(b"ld-linux")
        || name.starts_with(b"ld-2")
        || name.starts_with(b"libheapwarden.so")
}
