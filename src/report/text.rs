//! Text: a report that a person can read and that tools know how to parse.
//!
//! Lines with a fixed shape (LeakSanitizer's and AddressSanitizer's):
//!
//! ```text
//! ==PID==ERROR: heapwarden: KIND on address 0x…
//! Direct leak of N byte(s) in M object(s) allocated from:
//!     #0 0x… in FUNCTION FILE:LINE:COLUMN
//!     #1 0x… in FUNCTION (MODULE+0xOFFSET) (BuildId: …)
//! 0x… is located N bytes after M-byte region [0x…,0x…)
//! SUMMARY: heapwarden: N byte(s) leaked in M allocation(s).
//! ```
//!
//! Everything else is for the person: what happened, to which block, who made
//! it, who released it, and what to do next. Control characters from outside
//! are shown escaped, so that a file name cannot drive a terminal.

use super::advice::advice;
use super::event::*;
use super::json::permille;
use super::render::Pen;
use super::text_leak::{write_hidden_leak, write_leak};
use super::text_stack::{WHOLE, line, write_by, write_site, write_stack};
use super::totals::*;
use super::words::{Age, Amount, Printable, Share};
use crate::units::{Family, StackId};
use core::fmt::Write;

/// Functions shown of each holder in an exhaustion report.
const HOLDER_FRAMES: usize = 4;

/// Writes one record.
pub fn write(pen: &mut Pen<'_, '_>, record: Record<'_>) {
    match record {
        Record::Leak(leak) => write_leak(pen, leak),
        Record::HiddenLeak(leak) => write_hidden_leak(pen, leak),
        Record::Error(error) => write_error(pen, error),
        Record::Warning(warning) => write_warning(pen, warning),
        Record::Exhaustion(exhaustion) => write_exhaustion(pen, exhaustion),
        Record::Summary(summary) => write_summary(pen, summary),
        Record::Matched(matched) => {
            let Count { blocks, bytes } = matched.count;
            let pattern = Printable(matched.pattern);
            line!(pen, "Suppressed {bytes} byte(s) in {blocks} object(s) by: {pattern}");
        }
        Record::Notice(message) => {
            line!(pen, "=={}==heapwarden: {}", pen.context.pid, Printable(message.as_bytes()));
        }
    }
}

fn write_error(pen: &mut Pen<'_, '_>, error: &ErrorReport<'_>) {
    let kind = error.kind.name();
    line!(pen, "=================================================================");
    line!(pen, "=={}==ERROR: heapwarden: {kind} on address {:#x}", pen.context.pid, error.address);
    let _ = write!(pen.out, "{}", Printable(error.message.as_bytes()));
    if error.stack == StackId::UNKNOWN {
        // A check found the damage; who did it is gone.
        line!(pen, "; found by a check of the heap.");
    } else {
        write_by(pen, ", found in", error.thread);
        line!(pen, " here:");
        write_stack(pen, error.stack, WHOLE);
    }
    line!(pen, "");
    if let Some(block) = error.block {
        write_block(pen, error, &block);
    }
    for neighbour in error.neighbours {
        let side = match neighbour.side {
            Side::Before => "before",
            Side::After => "after",
        };
        let state = match (neighbour.is_freed, neighbour.is_damaged) {
            (false, false) => "intact",
            (false, true) => "damaged too",
            (true, false) => "freed, intact",
            (true, true) => "freed, damaged too",
        };
        line!(
            pen,
            "The block {side} it: {} at {:#x}, {state}, allocated from:",
            Amount(neighbour.block.size as u64),
            neighbour.block.address
        );
        write_stack(pen, neighbour.block.stack, HOLDER_FRAMES);
    }
    if !error.neighbours.is_empty() {
        line!(pen, "");
    }
    line!(pen, "What to do: {}.", advice(error.kind));
    let _ = write!(pen.out, "SUMMARY: heapwarden: {kind}");
    write_site(pen, best_site(error));
    line!(pen, "");
    if pen.context.is_fatal && !error.kind.is_harmless_alone() {
        line!(pen, "=={}==ABORTING", pen.context.pid);
    }
}

/// The stack that tells most about the error, for its one-line summary.
fn best_site(error: &ErrorReport<'_>) -> StackId {
    let of_block = |block: BlockInfo| block.freed.unwrap_or(block.allocated).stack;
    match error.stack {
        StackId::UNKNOWN => error.block.map_or(StackId::UNKNOWN, of_block),
        stack => stack,
    }
}

fn write_block(pen: &mut Pen<'_, '_>, error: &ErrorReport<'_>, block: &BlockInfo) {
    let size = block.size as i64;
    let (distance, relation) = match block.offset {
        offset if offset < 0 => (offset.unsigned_abs(), "before"),
        offset if offset >= size => ((offset - size).unsigned_abs(), "after"),
        offset => (offset.unsigned_abs(), "inside of"),
    };
    let _ = write!(
        pen.out,
        "{:#x} is located {distance} bytes {relation} {size}-byte region [{:#x},{:#x})",
        error.address,
        block.address,
        block.address.wrapping_add(block.size)
    );
    if let Some(age_ms) = block.age_ms {
        let _ = write!(pen.out, ", allocated {} ago", Age(age_ms));
    }
    line!(pen, "");
    if let Some(freed) = block.freed {
        write_event(pen, "freed", freed, block.family, false);
    }
    let made = if block.freed.is_some() { "previously allocated" } else { "allocated" };
    write_event(pen, made, block.allocated, block.family, true);
    if let Some(again) = block.allocated_again {
        write_event(pen, "its memory was then allocated again", again, block.family, true);
    }
    line!(pen, "");
}

fn write_event(
    pen: &mut Pen<'_, '_>,
    what: &str,
    event: Event,
    family: Family,
    is_allocation: bool,
) {
    let _ = write!(pen.out, "{what}");
    write_by(pen, " by", event.thread);
    if is_allocation {
        let _ = write!(pen.out, " with {}", family.allocator());
        if event.sequence > 0 {
            let _ = write!(pen.out, " (allocation {})", event.sequence);
        }
    }
    line!(pen, " here:");
    write_stack(pen, event.stack, WHOLE);
}

fn write_warning(pen: &mut Pen<'_, '_>, warning: &Warning<'_>) {
    let why = match warning.kind {
        WarningKind::CallocOverflow => "the product does not fit, so it failed with ENOMEM",
        WarningKind::AllocationSizeTooBig => {
            "no object may be that large, so it failed with ENOMEM"
        }
        WarningKind::InvalidAlignment => "the alignment is not allowed, so it failed with EINVAL",
        WarningKind::StackMismatch => {
            "this stack is wrong: a bug of heapwarden's, please report it"
        }
    };
    let _ = write!(
        pen.out,
        "=={}==WARNING: heapwarden: {}: {}: {why}",
        pen.context.pid,
        warning.kind.name(),
        Printable(warning.message.as_bytes())
    );
    if warning.count > 1 {
        let _ = write!(pen.out, " ({} times)", warning.count);
    }
    line!(pen, "");
    write_stack(pen, warning.stack, WHOLE);
    line!(pen, "");
}

fn write_exhaustion(pen: &mut Pen<'_, '_>, exhaustion: &Exhaustion<'_>) {
    let pid = pen.context.pid;
    let limit = exhaustion.limit;
    match exhaustion.level {
        Level::Refused => {
            let requested = exhaustion.requested;
            line!(
                pen,
                "=={pid}==WARNING: heapwarden: out of memory: a request for {requested} byte(s) \
                 was refused here:"
            );
        }
        Level::Early => {
            let share = Share(permille(exhaustion.heap, limit));
            line!(
                pen,
                "=={pid}==WARNING: heapwarden: memory runs out: {share} of the limit is in use:"
            );
        }
        Level::OnPurpose => {
            let (requested, by) = (exhaustion.requested, exhaustion.limit_from);
            line!(
                pen,
                "=={pid}==NOTE: heapwarden: a request for {requested} byte(s) was made to fail \
                 ({by}) here:"
            );
            write_stack(pen, exhaustion.stack, WHOLE);
            line!(pen, "");
            return;
        }
        Level::Peak => {
            line!(pen, "=={pid}==NOTE: heapwarden: more memory is in use than ever before:");
        }
    }
    write_stack(pen, exhaustion.stack, WHOLE);
    line!(
        pen,
        "  In use: {} of {} (limit by {}); at most so far: {}; largest free run: {}.",
        Amount(exhaustion.in_use),
        Amount(limit),
        Printable(exhaustion.limit_from.as_bytes()),
        Amount(exhaustion.peak),
        Amount(exhaustion.largest_free)
    );
    let gaps = exhaustion.heap.saturating_sub(exhaustion.in_use + exhaustion.held);
    line!(
        pen,
        "  The heap takes {}: {} held back after free, {} ({}) gaps, guards and metadata.",
        Amount(exhaustion.heap),
        Amount(exhaustion.held),
        Amount(gaps),
        Share(permille(gaps, exhaustion.heap))
    );
    if let Some(lost) = exhaustion.lost_bytes {
        line!(pen, "  Lost, so never to be freed: {}.", Amount(lost));
    }
    if let Some(hidden) = exhaustion.hidden_bytes.filter(|&hidden| hidden > 0) {
        line!(pen, "  Reachable, but at sites that only grow (hidden leaks?): {}.", Amount(hidden));
    }
    if !exhaustion.top.is_empty() {
        line!(pen, "  Who holds it:");
    }
    for (rank, holder) in exhaustion.top.iter().enumerate() {
        line!(
            pen,
            "  {}. {} of it: {} in {} block(s) allocated from:",
            rank + 1,
            Share(permille(holder.bytes, exhaustion.in_use)),
            Amount(holder.bytes),
            holder.blocks
        );
        write_stack(pen, holder.stack, HOLDER_FRAMES);
    }
    if exhaustion.left_out > 0 {
        line!(pen, "  {} block(s) of too many small sites are in none.", exhaustion.left_out);
    }
    line!(pen, "");
}

fn write_summary(pen: &mut Pen<'_, '_>, summary: &Summary) {
    let kinds = [
        ("definitely lost", summary.definite),
        ("indirectly lost", summary.indirect),
        ("possibly lost", summary.possible),
        ("suspected hidden", summary.hidden),
        ("still reachable", summary.reachable),
        ("suppressed", summary.suppressed),
    ];
    let mut leaked = Count::default();
    for (_, count) in &kinds[..3] {
        leaked.add(count.blocks, count.bytes);
    }
    let is_clean = leaked.blocks == 0 && summary.hidden.blocks == 0 && summary.errors == 0;
    if is_clean && summary.dropped.threads == 0 && summary.dropped.records == 0 {
        return;
    }
    for (name, count) in kinds {
        if count.blocks > 0 {
            line!(pen, "{name:>17}: {} in {} block(s)", Amount(count.bytes), count.blocks);
        }
    }
    let dropped = summary.dropped;
    for (count, what) in [
        (dropped.stacks, "block(s) have no call stack"),
        (dropped.records, "record(s) were not written"),
        (dropped.threads, "thread(s) did not answer: what only they hold may be called lost"),
        (dropped.names, "address(es) could not be named; 'heapwarden symbolize' may know them"),
    ] {
        if count > 0 {
            line!(pen, "  Note: {count} {what}.");
        }
    }
    if summary.definite.blocks + summary.indirect.blocks > 0 {
        line!(
            pen,
            "What to do: begin with the direct leaks; freeing such a block properly usually ends \
             its indirect leaks too."
        );
    }
    let _ = write!(
        pen.out,
        "SUMMARY: heapwarden: {} byte(s) leaked in {} allocation(s).",
        leaked.bytes, leaked.blocks
    );
    if summary.errors > 0 {
        let _ = write!(pen.out, " {} error(s) reported.", summary.errors);
    }
    line!(pen, "");
}
