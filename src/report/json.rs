//! JSON: one record a line, as `docs/report.schema.json` has it.
//!
//! ```text
//! {"v":1,"type":"leak","pid":42,"time":"…","kind":"definite","blocks":1,…}
//! ```
//!
//! Addresses and offsets are strings of hexadecimal digits, because they may
//! need all 64 bits and JSON's readers keep only 53. What is unknown is left
//! out. Bytes that are not UTF-8 become U+FFFD.

use super::event::*;
use super::json_object::Object;
use super::render::Pen;
use super::totals::*;

/// Writes one record and its line end.
pub fn write(pen: &mut Pen<'_, '_>, record: Record<'_>) {
    let mut object = Object::open(pen);
    object.number("v", 1);
    let kind = match record {
        Record::Leak(_) => "leak",
        Record::HiddenLeak(_) => "hidden-leak",
        Record::Error(_) => "error",
        Record::Warning(_) => "warning",
        Record::Exhaustion(_) => "exhaustion",
        Record::Summary(_) => "summary",
        Record::Matched(_) => "suppression",
        Record::Notice(_) => "notice",
    };
    object.text("type", kind.as_bytes());
    let (pid, time) = (object.pen.context.pid, object.pen.context.time);
    object.number("pid", u64::from(pid));
    object.display("time", time);
    match record {
        Record::Leak(leak) => write_leak(&mut object, leak),
        Record::HiddenLeak(leak) => write_hidden_leak(&mut object, leak),
        Record::Error(error) => write_error(&mut object, error),
        Record::Warning(warning) => {
            object.text("kind", warning.kind.name().as_bytes());
            object.text("message", warning.message.as_bytes());
            object.stack(warning.stack);
            object.number("count", warning.count);
        }
        Record::Exhaustion(exhaustion) => write_exhaustion(&mut object, exhaustion),
        Record::Summary(summary) => write_summary(&mut object, summary),
        Record::Matched(matched) => {
            object.text("pattern", matched.pattern);
            object.number("blocks", matched.count.blocks);
            object.number("bytes", matched.count.bytes);
        }
        Record::Notice(message) => object.text("message", message.as_bytes()),
    }
    object.close();
    pen.out.push_bytes(b"\n");
}

fn write_leak(object: &mut Object<'_, '_, '_>, leak: &Leak<'_>) {
    object.text("kind", leak.kind.name().as_bytes());
    object.number("blocks", leak.blocks);
    object.number("bytes", leak.bytes);
    object.text("family", leak.family.allocator().as_bytes());
    object.stack(leak.stack);
    object.thread(leak.thread);
    object.nested("first", |first| {
        first.address("address", leak.first.address);
        first.number("size", leak.first.size as u64);
        first.number("age_ms", leak.first.age_ms);
        first.number("sequence", leak.first.sequence);
    });
    write_ordinals(object, leak.ordinals);
    if let Some(parent) = leak.parent {
        object.nested("parent", |object| object.block_ref(parent));
    }
    if leak.holds != Count::default() {
        object.count("holds", leak.holds);
    }
    if !leak.tree.is_empty() {
        object.array("tree", leak.tree, |object, held| {
            object.number("depth", u64::from(held.depth));
            object.number("blocks", held.count.blocks);
            object.number("bytes", held.count.bytes);
            if held.holds != Count::default() {
                object.count("holds", held.holds);
            }
            object.stack(held.stack);
        });
        if leak.tree_left_out > 0 {
            object.number("tree_left_out", leak.tree_left_out);
        }
    }
    if let Some(holder) = leak.held_by {
        object.text("held_by", holder.as_bytes());
    }
    if let Some(LostBecause::HolderFreed { holder, freed, blocks }) = leak.lost_because {
        object.nested("lost_because", |object| {
            object.text("reason", b"holder-freed");
            object.number("blocks", blocks);
            object.nested("holder", |object| object.block_ref(holder));
            object.nested("freed", |object| object.event(freed));
        });
    }
}

fn write_ordinals(object: &mut Object<'_, '_, '_>, ordinals: Ordinals<'_>) {
    if ordinals.allocations > 0 {
        object.nested("site", |object| {
            object.number("allocations", ordinals.allocations);
            object.numbers("ordinals", ordinals.smallest);
        });
    }
}

fn write_hidden_leak(object: &mut Object<'_, '_, '_>, leak: &HiddenLeak<'_>) {
    object.number("blocks", leak.blocks);
    object.number("bytes", leak.bytes);
    object.stack(leak.stack);
    write_ordinals(object, leak.ordinals);
    let evidence = leak.evidence;
    object.nested("evidence", |object| {
        object.display_bare("growth_bytes_per_s", evidence.growth_bytes_per_s);
        if evidence.snapshots > 0 {
            object.number("snapshots", u64::from(evidence.snapshots));
        }
        object.number("oldest_ms", evidence.oldest_ms);
        object.permille("freed_share", evidence.freed_permille);
        if let Some((idle, ms)) = evidence.idle {
            object.permille("idle_share", idle);
            object.number("idle_ms", ms);
        }
        if let Some(holder) = evidence.held_by {
            object.text("held_by", holder.as_bytes());
        }
    });
}

fn write_error(object: &mut Object<'_, '_, '_>, error: &ErrorReport<'_>) {
    object.text("kind", error.kind.name().as_bytes());
    object.address("address", error.address);
    object.text("message", error.message.as_bytes());
    object.stack(error.stack);
    object.thread(error.thread);
    if let Some(block) = error.block {
        object.nested("block", |object| {
            object.address("address", block.address);
            object.number("size", block.size as u64);
            object.display_bare("offset", block.offset);
            object.text("family", block.family.allocator().as_bytes());
            if let Some(age_ms) = block.age_ms {
                object.number("age_ms", age_ms);
            }
            object.nested("allocated", |object| object.event(block.allocated));
            if let Some(freed) = block.freed {
                object.nested("freed", |object| object.event(freed));
            }
            if let Some(again) = block.allocated_again {
                object.nested("allocated_again", |object| object.event(again));
            }
        });
    }
    if !error.neighbours.is_empty() {
        object.array("neighbours", error.neighbours, |object, neighbour| {
            let side = match neighbour.side {
                Side::Before => "before",
                Side::After => "after",
            };
            object.text("side", side.as_bytes());
            object.block_ref(neighbour.block);
            object.flag("freed", neighbour.is_freed);
            object.flag("damaged", neighbour.is_damaged);
        });
    }
}

fn write_exhaustion(object: &mut Object<'_, '_, '_>, exhaustion: &Exhaustion<'_>) {
    let level = match exhaustion.level {
        Level::Early => "early",
        Level::Refused => "refused",
        Level::OnPurpose => "on-purpose",
        Level::Peak => "peak",
    };
    object.text("level", level.as_bytes());
    object.number("requested", exhaustion.requested);
    object.number("limit", exhaustion.limit);
    object.text("limit_from", exhaustion.limit_from.as_bytes());
    object.number("in_use", exhaustion.in_use);
    object.number("peak", exhaustion.peak);
    object.number("heap", exhaustion.heap);
    object.number("held", exhaustion.held);
    object.number("largest_free", exhaustion.largest_free);
    object.stack(exhaustion.stack);
    object.array("top", exhaustion.top, |object, holder| {
        object.number("blocks", holder.blocks);
        object.number("bytes", holder.bytes);
        object.permille("share", permille(holder.bytes, exhaustion.in_use));
        object.stack(holder.stack);
    });
    if exhaustion.left_out > 0 {
        object.number("left_out", exhaustion.left_out);
    }
    if let Some(lost) = exhaustion.lost_bytes {
        object.number("lost_bytes", lost);
    }
    if let Some(hidden) = exhaustion.hidden_bytes {
        object.number("hidden_bytes", hidden);
    }
}

fn write_summary(object: &mut Object<'_, '_, '_>, summary: &Summary) {
    object.count("definite", summary.definite);
    object.count("indirect", summary.indirect);
    object.count("possible", summary.possible);
    object.count("reachable", summary.reachable);
    object.count("hidden", summary.hidden);
    object.number("errors", summary.errors);
    object.count("suppressed", summary.suppressed);
    object.nested("cost", |object| {
        object.number("metadata_bytes", summary.cost.metadata_bytes);
        object.number("scan_ms", summary.cost.scan_ms);
        object.number("longest_pause_ms", summary.cost.longest_pause_ms);
    });
    object.nested("dropped", |object| {
        object.number("stacks", summary.dropped.stacks);
        object.number("records", summary.dropped.records);
        object.number("threads", summary.dropped.threads);
        object.number("names", summary.dropped.names);
    });
}

/// `part` of `whole` in thousandths, at most 1000.
pub fn permille(part: u64, whole: u64) -> u16 {
    match whole {
        0 => 0,
        _ => (u128::from(part) * 1000 / u128::from(whole)).min(1000) as u16,
    }
}
