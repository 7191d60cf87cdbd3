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
use super::render::{LeftOut, Pen, Shown};
use super::source::End;
use super::totals::*;
use crate::units::{StackId, Text};
use core::fmt::{self, Write};

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

fn write_leak(object: &mut Object<'_, '_, '_>, leak: &Leak) {
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
    if let Some(parent) = leak.parent {
        object.nested("parent", |object| object.block_ref(parent));
    }
    if leak.holds != Count::default() {
        object.count("holds", leak.holds);
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

fn write_hidden_leak(object: &mut Object<'_, '_, '_>, leak: &HiddenLeak<'_>) {
    object.number("blocks", leak.blocks);
    object.number("bytes", leak.bytes);
    object.stack(leak.stack);
    let evidence = leak.evidence;
    object.nested("evidence", |object| {
        object.display_bare("growth_bytes_per_s", evidence.growth_bytes_per_s);
        object.number("oldest_ms", evidence.oldest_ms);
        object.permille("freed_share", evidence.freed_permille);
        if let Some(idle) = evidence.idle_permille {
            object.permille("idle_share", idle);
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

/// An object that is being written: knows where commas go.
struct Object<'o, 'a, 'b> {
    pen: &'o mut Pen<'a, 'b>,
    is_first: bool,
}

impl<'o, 'a, 'b> Object<'o, 'a, 'b> {
    fn open(pen: &'o mut Pen<'a, 'b>) -> Self {
        pen.out.push_bytes(b"{");
        Object { pen, is_first: true }
    }

    fn close(self) {
        self.pen.out.push_bytes(b"}");
    }

    fn key(&mut self, name: &str) {
        write_key(&mut self.pen.out, &mut self.is_first, name);
    }

    fn number(&mut self, name: &str, value: u64) {
        self.display_bare(name, value);
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.display_bare(name, value);
    }

    fn permille(&mut self, name: &str, value: u16) {
        self.display_bare(name, format_args!("{}.{:03}", value / 1000, value % 1000));
    }

    /// A value that is a JSON value as it displays.
    fn display_bare(&mut self, name: &str, value: impl fmt::Display) {
        self.key(name);
        let _ = write!(self.pen.out, "{value}");
    }

    /// A value that displays without anything to escape.
    fn display(&mut self, name: &str, value: impl fmt::Display) {
        self.display_bare(name, format_args!("\"{value}\""));
    }

    fn address(&mut self, name: &str, value: usize) {
        self.display(name, format_args!("{value:#x}"));
    }

    fn text(&mut self, name: &str, value: &[u8]) {
        self.key(name);
        write_string(&mut self.pen.out, value);
    }

    fn nested(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_, 'a, 'b>)) {
        self.key(name);
        let mut object = Object::open(self.pen);
        fill(&mut object);
        object.close();
    }

    fn array<T>(
        &mut self,
        name: &str,
        items: &[T],
        mut fill: impl FnMut(&mut Object<'_, 'a, 'b>, &T),
    ) {
        self.key(name);
        self.pen.out.push_bytes(b"[");
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.pen.out.push_bytes(b",");
            }
            let mut object = Object::open(self.pen);
            fill(&mut object, item);
            object.close();
        }
        self.pen.out.push_bytes(b"]");
    }

    fn count(&mut self, name: &str, count: Count) {
        self.nested(name, |object| {
            object.number("blocks", count.blocks);
            object.number("bytes", count.bytes);
        });
    }

    fn thread(&mut self, thread: ThreadRef) {
        let mut buffer = [0; 16];
        let length = self.pen.thread_name(thread, &mut buffer).len();
        self.nested("thread", |object| {
            object.number("number", u64::from(thread.number.0));
            if thread.os_id != 0 {
                object.number("id", u64::from(thread.os_id));
            }
            if length > 0 {
                object.text("name", &buffer[..length]);
            }
        });
    }

    fn event(&mut self, event: Event) {
        self.stack(event.stack);
        self.thread(event.thread);
        self.number("sequence", event.sequence);
    }

    fn block_ref(&mut self, block: BlockRef) {
        self.address("address", block.address);
        self.number("size", block.size as u64);
        self.stack(block.stack);
    }

    fn stack(&mut self, stack: StackId) {
        self.key("stack");
        self.pen.out.push_bytes(b"[");
        let mut comma = false;
        let LeftOut { frames, end } = self.pen.for_each_frame(stack, usize::MAX, |out, shown| {
            if comma {
                out.push_bytes(b",");
            }
            comma = true;
            write_frame(out, shown);
        });
        self.pen.out.push_bytes(b"]");
        if frames > 0 {
            self.number("stack_left_out", frames as u64);
        }
        match end {
            End::Complete => {}
            End::Truncated => self.text("stack_end", b"truncated"),
            End::Broken => self.text("stack_end", b"broken"),
        }
    }
}

fn write_frame(out: &mut Text<'_>, shown: &Shown<'_>) {
    let mut first = true;
    out.push_bytes(b"{");
    let frame = &shown.frame;
    if let Some(function) = frame.function {
        write_key(out, &mut first, "function");
        write_string(out, function);
    }
    if let Some(file) = frame.file {
        write_key(out, &mut first, "file");
        write_string(out, file);
    }
    for (name, value) in [("line", frame.line), ("column", frame.column)] {
        if let Some(value) = value {
            write_key(out, &mut first, name);
            let _ = write!(out, "{value}");
        }
    }
    if let Some(place) = &shown.place {
        write_key(out, &mut first, "module");
        write_string(out, place.module);
        write_key(out, &mut first, "offset");
        let _ = write!(out, "\"{:#x}\"", place.offset);
        if !place.build_id.is_empty() {
            write_key(out, &mut first, "build_id");
            out.push_bytes(b"\"");
            for byte in place.build_id {
                let _ = write!(out, "{byte:02x}");
            }
            out.push_bytes(b"\"");
        }
    }
    write_key(out, &mut first, "address");
    let _ = write!(out, "\"{:#x}\"", shown.address);
    if frame.inlined {
        write_key(out, &mut first, "inlined");
        out.push_bytes(b"true");
    }
    out.push_bytes(b"}");
}

fn write_key(out: &mut Text<'_>, is_first: &mut bool, name: &str) {
    if !core::mem::take(is_first) {
        out.push_bytes(b",");
    }
    let _ = write!(out, "\"{name}\":");
}

/// Writes bytes as a JSON string (RFC 8259 7).
pub fn write_string(out: &mut Text<'_>, bytes: &[u8]) {
    out.push_bytes(b"\"");
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let _ = match character {
                '"' => out.write_str("\\\""),
                '\\' => out.write_str("\\\\"),
                '\n' => out.write_str("\\n"),
                '\t' => out.write_str("\\t"),
                '\0'..='\x1f' | '\x7f'..='\u{9f}' => {
                    write!(out, "\\u{:04x}", u32::from(character))
                }
                _ => out.write_char(character),
            };
        }
        if !chunk.invalid().is_empty() {
            out.push_bytes("\u{fffd}".as_bytes());
        }
    }
    out.push_bytes(b"\"");
}
