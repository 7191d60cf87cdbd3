//! What the heap found, as reports.

use super::runtime::{OPTIONS_BUFFER, REPORTER};
use crate::guard::{Violation, ViolationKind};
use crate::heap::{self, Block, Found};
use crate::ledger;
use crate::platform::linux::process;
use crate::platform::{Host, Platform};
use crate::report::{BlockInfo, ErrorKind, ErrorReport, Event, Outcome, ThreadRef};
use crate::trace::Entry;
use crate::units::{Family, Text, ThreadNumber};
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

static FOUND: AtomicU64 = AtomicU64::new(0);

/// The heap's handler: one error record, then abort if it is to be.
pub(super) fn on_violation(violation: &Violation) {
    let options = OPTIONS_BUFFER.get();
    let kind = error_kind(violation);
    let block = match heap::locate(violation.block) {
        Found::Inside(block, _) if violation.block != 0 => Some(block),
        _ => None,
    };
    let mut buffer = [0; 512];
    let mut message = Text::new(&mut buffer);
    describe(&mut message, violation, block.as_ref());
    let info = match block {
        Some(block) => Some(block_info(&block, violation.address)),
        None => heap::tombstone(violation.address).map(|tombstone| BlockInfo {
            address: tombstone.start,
            size: tombstone.size,
            offset: 0,
            family: Family::Malloc,
            age_ms: None,
            allocated: Event { stack: tombstone.stack, ..Event::default() },
            freed: Some(Event { stack: tombstone.freed_by, ..Event::default() }),
            allocated_again: None,
        }),
    };
    let kind = match (&info, kind) {
        (Some(BlockInfo { freed: Some(_), .. }), ErrorKind::BadFree) if block.is_none() => {
            ErrorKind::DoubleFree
        }
        (_, kind) => kind,
    };
    let outcome = REPORTER.error(&ErrorReport {
        kind,
        address: violation.address,
        message: message.as_str(),
        stack: violation.stack,
        thread: thread(heap::current_thread()),
        block: info,
        neighbours: &[],
    });
    if outcome == Outcome::Suppressed {
        return;
    }
    FOUND.fetch_add(1, Relaxed);
    if options.halt_on_error && !kind.is_harmless_alone() {
        process::abort();
    }
}

/// How many misuses were reported so far.
pub(super) fn count() -> u64 {
    FOUND.load(Relaxed)
}

fn error_kind(violation: &Violation) -> ErrorKind {
    match violation.kind {
        ViolationKind::Overflow => ErrorKind::HeapBufferOverflow,
        ViolationKind::Underflow => ErrorKind::HeapBufferUnderflow,
        ViolationKind::UseAfterFree | ViolationKind::UseOfUninitialised => {
            ErrorKind::HeapUseAfterFree
        }
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
        size: if block.size != 0 || block.is_live() { block.size } else { block.slot - 8 },
        offset: address.wrapping_sub(block.start) as i64,
        family: block.record.family(),
        age_ms: epoch.map(|epoch| now.saturating_sub(epoch.begun_ms)),
        allocated: Event {
            stack: block.record.stack(),
            thread: epoch.map_or(ThreadRef::default(), |epoch| thread(epoch.thread)),
            sequence: epoch.map_or(0, |epoch| epoch.sequence),
        },
        freed: (!block.is_live()).then_some(Event { stack: block.freed_by(), ..Event::default() }),
        allocated_again: None,
    }
}

fn describe(text: &mut Text<'_>, violation: &Violation, block: Option<&Block>) {
    let size = block.map_or(0, |block| block.size);
    let _ = match violation.kind {
        ViolationKind::Overflow => {
            let past = violation.address - violation.block - size;
            write!(
                text,
                "{} byte(s) changed, the first {past} past the end of the block",
                violation.changed
            )
        }
        ViolationKind::Underflow => {
            let before = violation.block - violation.address;
            write!(
                text,
                "{} byte(s) changed, the first {before} before the block",
                violation.changed
            )
        }
        ViolationKind::UseAfterFree if violation.changed > 0 => {
            let into = violation.address - violation.block;
            write!(
                text,
                "{} byte(s) of a freed block were written, the first at offset {into}",
                violation.changed
            )
        }
        ViolationKind::UseAfterFree => write!(text, "a freed block was given to realloc"),
        ViolationKind::UseOfUninitialised => {
            write!(text, "a fresh block was used before it was written")
        }
        ViolationKind::DoubleFree => write!(text, "the block was freed before"),
        ViolationKind::InteriorFree => {
            let into = violation.address - violation.block;
            write!(text, "the pointer is {into} bytes into a block, not its start")
        }
        ViolationKind::WildFree => write!(text, "the pointer was not allocated by malloc or new"),
        ViolationKind::Mismatch => {
            let made = block.map_or(Family::Malloc, |block| block.record.family());
            write!(
                text,
                "allocated by {}, freed by {}: it must be {}",
                made.allocator(),
                violation.family.deallocator(),
                made.deallocator()
            )
        }
        ViolationKind::NewDeleteType => {
            write!(text, "deleted as an object of {} bytes, but it has {size}", violation.given)
        }
        ViolationKind::SizeMismatch => {
            write!(text, "freed as {} bytes, but it has {size}", violation.given)
        }
    };
}

/// free_sized and free_aligned_sized: do the values fit the block?
pub(super) fn check_sized_free(
    pointer: usize,
    size: usize,
    alignment: Option<usize>,
    entry: Entry,
) {
    let Ok(block) = heap::judge(pointer) else { return };
    if block.size == size && alignment.is_none_or(|alignment| pointer % alignment.max(1) == 0) {
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
