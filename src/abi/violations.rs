//! What the heap found, as reports.

use super::runtime::{OPTIONS_BUFFER, REPORTER};
use super::{operators, violation_text};
use crate::guard::{GUARD_BYTES, Violation, ViolationKind};
use crate::heap::{self, Block, Found, Tombstone};
use crate::ledger;
use crate::platform::linux::process;
use crate::platform::{Host, Platform};
use crate::report::{
    BlockInfo, BlockRef, ErrorKind, ErrorReport, Event, Neighbour, Outcome, Side, ThreadRef,
};
use crate::sync::atomics::{AtomicU64, Ordering::Relaxed};
use crate::trace::Entry;
use crate::units::{Family, StackId, Text, ThreadNumber};
use core::fmt::Write;

static FOUND: AtomicU64 = AtomicU64::new(0);

/// Neighbours that a report names at most.
const NEIGHBOURS: usize = 8;

/// The heap's handler: one error record, then abort if it is to be.
pub(super) fn on_violation(violation: &Violation) {
    if violation.kind == ViolationKind::Mismatch {
        return on_mismatch(violation);
    }
    let block = match heap::locate(violation.block) {
        Found::Inside(block, _) if violation.block != 0 => Some(block),
        _ => None,
    };
    let mut buffer = [0; 512];
    let mut message = Text::new(&mut buffer);
    let grave = match violation.kind {
        ViolationKind::WildFree | ViolationKind::InteriorFree => heap::tombstone(violation.address),
        _ => None,
    };
    if let Some(grave) = grave {
        let _ = message.write_str("the block was freed before, and its memory was given back");
        let error = Error {
            kind: ErrorKind::DoubleFree,
            message: message.as_str(),
            info: Some(buried_info(&grave, block.as_ref())),
            neighbours: &[],
        };
        return tell(violation, &error);
    }
    violation_text::describe(&mut message, violation, block.as_ref());
    let mut neighbours = [NOBODY; NEIGHBOURS];
    let count = match (violation.kind, &block) {
        (ViolationKind::Overflow | ViolationKind::Underflow, Some(block)) => {
            find_neighbours(block, &mut neighbours)
        }
        (ViolationKind::UseAfterFree, Some(block)) if violation.changed > 0 => {
            find_neighbours(block, &mut neighbours)
        }
        _ => 0,
    };
    let error = Error {
        kind: error_kind(violation),
        message: message.as_str(),
        info: block.map(|block| block_info(&block, violation.address)),
        neighbours: &neighbours[..count],
    };
    tell(violation, &error);
}

/// A function of the wrong family, as far as the heap sees. A program may
/// bring an operator new or delete of its own (a static libstdc++) that calls
/// our malloc or free: the name of the caller tells, and what fits after all
/// is no crime.
fn on_mismatch(violation: &Violation) {
    let Found::Inside(block, _) = heap::locate(violation.block) else { return };
    let made = match block.record.family() {
        plain @ (Family::Malloc | Family::Aligned) => {
            operators::family_of_caller(block.record.stack()).unwrap_or(plain)
        }
        told => told,
    };
    let used = match violation.family {
        Family::Malloc => operators::family_of_caller(violation.stack)
            .or_else(|| operators::family_of_callee(violation.stack))
            .unwrap_or(Family::Malloc),
        told => told,
    };
    if operators::fit(made, used) {
        return;
    }
    let mut buffer = [0; 256];
    let mut message = Text::new(&mut buffer);
    violation_text::describe_mismatch(&mut message, made, used);
    let info = BlockInfo { family: made, ..block_info(&block, violation.address) };
    let error = Error {
        kind: ErrorKind::AllocDeallocMismatch,
        message: message.as_str(),
        info: Some(info),
        neighbours: &[],
    };
    tell(violation, &error);
}

/// What a record says beside the violation's own facts.
struct Error<'a> {
    kind: ErrorKind,
    message: &'a str,
    info: Option<BlockInfo>,
    neighbours: &'a [Neighbour],
}

/// Writes the record; aborts if it is to be.
fn tell(violation: &Violation, error: &Error<'_>) {
    let outcome = REPORTER.error(&ErrorReport {
        kind: error.kind,
        address: violation.address,
        message: error.message,
        stack: violation.stack,
        thread: thread(heap::current_thread()),
        block: error.info,
        neighbours: error.neighbours,
    });
    if outcome == Outcome::Suppressed {
        return;
    }
    FOUND.fetch_add(1, Relaxed);
    if OPTIONS_BUFFER.get().halt_on_error && !error.kind.is_harmless_alone() {
        super::warnings::flush();
        process::abort();
    }
}

/// Reports a fault that one of the heap's blocks explains. The caller dies of
/// the signal afterwards; `false` when a suppression says to keep still.
pub(super) fn report_fault(fault: &Fault<'_>) {
    let mut neighbours = [NOBODY; NEIGHBOURS];
    let count = match (fault.kind, &fault.block) {
        (ErrorKind::HeapBufferOverflow | ErrorKind::HeapBufferUnderflow, Some(block)) => {
            find_neighbours(block, &mut neighbours)
        }
        _ => 0,
    };
    let outcome = REPORTER.error(&ErrorReport {
        kind: fault.kind,
        address: fault.address,
        message: fault.message,
        stack: fault.stack,
        thread: thread(heap::current_thread()),
        block: fault.block.map(|block| block_info(&block, fault.address)),
        neighbours: &neighbours[..count],
    });
    if outcome != Outcome::Suppressed {
        FOUND.fetch_add(1, Relaxed);
    }
}

/// A fault and its explanation.
pub(super) struct Fault<'a> {
    pub(super) kind: ErrorKind,
    pub(super) address: usize,
    pub(super) message: &'a str,
    pub(super) stack: StackId,
    pub(super) block: Option<Block>,
}

const NOBODY: Neighbour = Neighbour {
    side: Side::Before,
    block: BlockRef { address: 0, size: 0, stack: StackId::UNKNOWN },
    is_freed: false,
    is_damaged: false,
};

/// The nearest block on each side, and those above as far as the damage goes.
fn find_neighbours(block: &Block, found: &mut [Neighbour; NEIGHBOURS]) -> usize {
    let mut count = 0;
    let mut add = |block: &Block, side| {
        let is_damaged = !heap::is_whole(block);
        if count < NEIGHBOURS && !block.record.stack().is_unknown() {
            found[count] = Neighbour {
                side,
                block: BlockRef {
                    address: block.start,
                    size: size_of_block(block),
                    stack: block.record.stack(),
                },
                is_freed: !block.is_live(),
                is_damaged,
            };
            count += 1;
        }
        is_damaged && count < NEIGHBOURS
    };
    if let Some(before) = block.neighbour(false) {
        add(&before, Side::Before);
    }
    let mut next = block.neighbour(true);
    while let Some(after) = next {
        if !add(&after, Side::After) {
            break;
        }
        next = after.neighbour(true);
    }
    count
}

/// How many misuses were reported so far.
pub(super) fn count() -> u64 {
    FOUND.load(Relaxed)
}

fn error_kind(violation: &Violation) -> ErrorKind {
    match violation.kind {
        ViolationKind::Overflow => ErrorKind::HeapBufferOverflow,
        ViolationKind::Underflow => ErrorKind::HeapBufferUnderflow,
        ViolationKind::UseAfterFree => ErrorKind::HeapUseAfterFree,
        ViolationKind::UseOfUninitialised => ErrorKind::UseOfUninitializedValue,
        ViolationKind::DoubleFree => ErrorKind::DoubleFree,
        ViolationKind::InteriorFree | ViolationKind::WildFree => ErrorKind::BadFree,
        ViolationKind::Mismatch => ErrorKind::AllocDeallocMismatch,
        ViolationKind::NewDeleteType => ErrorKind::NewDeleteTypeMismatch,
        ViolationKind::SizeMismatch => ErrorKind::SizeMismatch,
    }
}

/// The thread with this number, as reports name it.
pub(super) fn thread(number: ThreadNumber) -> ThreadRef {
    let mut os_id = 0;
    if number.0 == 0 {
        return ThreadRef::default();
    }
    heap::for_each_thread(|thread| {
        if thread.number == number && thread.alive {
            os_id = thread.kernel_id;
        }
    });
    ThreadRef { number, os_id }
}

fn block_info(block: &Block, address: usize) -> BlockInfo {
    let epoch = match block.record.state() {
        ledger::State::Free | ledger::State::Fresh => None,
        _ => ledger::epoch(block.record.stamp()),
    };
    let now = Host::monotonic_ns() / 1_000_000;
    BlockInfo {
        address: block.start,
        size: size_of_block(block),
        offset: address.wrapping_sub(block.start) as i64,
        family: block.record.family(),
        age_ms: epoch.map(|epoch| now.saturating_sub(epoch.begun_ms)),
        allocated: made_by(block),
        freed: (!block.is_live()).then(|| {
            let (stack, number) = block.freed();
            Event { stack, thread: thread(number), sequence: 0 }
        }),
        allocated_again: None,
    }
}

/// The size that was asked for. Of a block whose slot went home after its free
/// it is known up to 248 bytes; of larger ones the largest it can have been.
fn size_of_block(block: &Block) -> usize {
    match block.record.state() {
        ledger::State::Free | ledger::State::Fresh if !block.is_span() => match block.slot {
            0..=256 => block.slot.saturating_sub(block.record.last_slack()),
            slot => slot - GUARD_BYTES,
        },
        _ => block.size,
    }
}

/// A span that was given back, and who has its memory now.
fn buried_info(grave: &Tombstone, owner: Option<&Block>) -> BlockInfo {
    BlockInfo {
        address: grave.start,
        size: grave.size,
        offset: 0,
        family: Family::Malloc,
        age_ms: None,
        allocated: Event { stack: grave.stack, ..Event::default() },
        freed: Some(Event { stack: grave.freed_by, ..Event::default() }),
        allocated_again: owner.filter(|block| block.is_live()).map(made_by),
    }
}

fn made_by(block: &Block) -> Event {
    let epoch = match block.record.state() {
        ledger::State::Free | ledger::State::Fresh => None,
        _ => ledger::epoch(block.record.stamp()),
    };
    Event {
        stack: block.record.stack(),
        thread: epoch.map_or(ThreadRef::default(), |epoch| thread(epoch.thread)),
        sequence: epoch.map_or(0, |epoch| epoch.sequence),
    }
}

/// free_sized and free_aligned_sized: do the values fit the block?
pub(super) fn check_sized_free(
    pointer: usize,
    size: usize,
    alignment: Option<usize>,
    entry: Entry,
) {
    let Ok(block) = heap::judge(pointer) else { return };
    if block.size == size
        && alignment.is_none_or(|alignment| pointer.is_multiple_of(alignment.max(1)))
    {
        return;
    }
    tell_size(ViolationKind::SizeMismatch, pointer, size, entry);
}

/// Sized operator delete: does the size fit the block?
pub(super) fn check_sized_delete(pointer: usize, size: usize, entry: Entry) {
    if let Ok(block) = heap::judge(pointer)
        && block.size != size
    {
        tell_size(ViolationKind::NewDeleteType, pointer, size, entry);
    }
}

/// Aligned operator delete: do the alignment and the size, if one is given,
/// fit the block?
pub(super) fn check_aligned_delete(
    pointer: usize,
    size: Option<usize>,
    alignment: usize,
    entry: Entry,
) {
    let Ok(block) = heap::judge(pointer) else { return };
    let size = size.unwrap_or(block.size);
    if block.size != size || !pointer.is_multiple_of(alignment.max(1)) {
        tell_size(ViolationKind::NewDeleteType, pointer, size, entry);
    }
}

fn tell_size(kind: ViolationKind, pointer: usize, size: usize, entry: Entry) {
    let stack = heap::capture(entry);
    on_violation(&Violation {
        kind,
        address: pointer,
        block: pointer,
        changed: 0,
        family: Family::Malloc,
        given: size,
        stack,
    });
}
