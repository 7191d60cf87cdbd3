//! JSON objects: keys, commas, strings, and the parts that many records share.

use super::event::*;
use super::render::{LeftOut, Pen, Shown};
use super::source::End;
use super::totals::Count;
use crate::units::{StackId, Text};
use core::fmt::{self, Write};

/// An object that is being written: knows where commas go.
pub struct Object<'o, 'a, 'b> {
    pub pen: &'o mut Pen<'a, 'b>,
    is_first: bool,
}

impl<'o, 'a, 'b> Object<'o, 'a, 'b> {
    pub fn open(pen: &'o mut Pen<'a, 'b>) -> Self {
        pen.out.push_bytes(b"{");
        Object { pen, is_first: true }
    }

    pub fn close(self) {
        self.pen.out.push_bytes(b"}");
    }

    fn key(&mut self, name: &str) {
        write_key(&mut self.pen.out, &mut self.is_first, name);
    }

    pub fn number(&mut self, name: &str, value: u64) {
        self.display_bare(name, value);
    }

    pub fn flag(&mut self, name: &str, value: bool) {
        self.display_bare(name, value);
    }

    pub fn permille(&mut self, name: &str, value: u16) {
        self.display_bare(name, format_args!("{}.{:03}", value / 1000, value % 1000));
    }

    /// A value that is a JSON value as it displays.
    pub fn display_bare(&mut self, name: &str, value: impl fmt::Display) {
        self.key(name);
        let _ = write!(self.pen.out, "{value}");
    }

    /// A value that displays without anything to escape.
    pub fn display(&mut self, name: &str, value: impl fmt::Display) {
        self.display_bare(name, format_args!("\"{value}\""));
    }

    pub fn address(&mut self, name: &str, value: usize) {
        self.display(name, format_args!("{value:#x}"));
    }

    pub fn text(&mut self, name: &str, value: &[u8]) {
        self.key(name);
        write_string(&mut self.pen.out, value);
    }

    pub fn nested(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_, 'a, 'b>)) {
        self.key(name);
        let mut object = Object::open(self.pen);
        fill(&mut object);
        object.close();
    }

    pub fn array<T>(
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

    pub fn numbers(&mut self, name: &str, numbers: &[u32]) {
        self.key(name);
        self.pen.out.push_bytes(b"[");
        for (index, number) in numbers.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(self.pen.out, "{comma}{number}");
        }
        self.pen.out.push_bytes(b"]");
    }

    pub fn count(&mut self, name: &str, count: Count) {
        self.nested(name, |object| {
            object.number("blocks", count.blocks);
            object.number("bytes", count.bytes);
        });
    }

    pub fn thread(&mut self, thread: ThreadRef) {
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

    pub fn event(&mut self, event: Event) {
        self.stack(event.stack);
        self.thread(event.thread);
        self.number("sequence", event.sequence);
    }

    pub fn block_ref(&mut self, block: BlockRef) {
        self.address("address", block.address);
        self.number("size", block.size as u64);
        self.stack(block.stack);
    }

    pub fn stack(&mut self, stack: StackId) {
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
