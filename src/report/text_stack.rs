//! Call stacks and threads in a text report, in the sanitizers' line shape.

use super::event::ThreadRef;
use super::render::{LeftOut, Pen, Shown};
use super::source::End;
use super::words::Printable;
use crate::units::{StackId, Text};
use core::fmt::Write;

/// Writes a line to a pen.
macro_rules! line {
    ($pen:expr, $($argument:tt)*) => { let _ = writeln!($pen.out, $($argument)*); };
}
pub(super) use line;

/// No limit to the functions shown.
pub const WHOLE: usize = usize::MAX;

/// ` file:line:column in function` of the innermost known frame.
pub fn write_site(pen: &mut Pen<'_, '_>, stack: StackId) {
    let mut is_first = true;
    pen.for_each_frame(stack, 1, |out, shown| {
        if core::mem::take(&mut is_first) {
            let _ = write!(out, " ");
            write_place(out, shown);
            if let Some(function) = shown.frame.function {
                let _ = write!(out, " in {}", Printable(function));
            }
        }
    });
}

/// ` copy < make_person < main (people.c:14:19)`: the innermost functions and
/// where the first of them called.
pub fn write_route(pen: &mut Pen<'_, '_>, stack: StackId) {
    const FUNCTIONS: usize = 4;
    let mut number = 0;
    let mut is_below_main = false;
    pen.for_each_frame(stack, FUNCTIONS, |out, shown| {
        if is_below_main || number == FUNCTIONS {
            return;
        }
        let function = shown.frame.function.unwrap_or(b"?");
        is_below_main = function == b"main";
        let _ = write!(out, "{} {}", if number == 0 { "" } else { " <" }, Printable(function));
        number += 1;
    });
    let mut is_first = true;
    pen.for_each_frame(stack, 1, |out, shown| {
        if core::mem::take(&mut is_first) {
            let _ = write!(out, " (");
            write_place(out, shown);
            let _ = write!(out, ")");
        }
    });
    if is_first {
        let _ = write!(pen.out, " (the call stack is not known)");
    }
}

pub fn write_stack(pen: &mut Pen<'_, '_>, stack: StackId, limit: usize) {
    if stack == StackId::default() {
        let _ = writeln!(pen.out, "    (the call stack is not known)");
        return;
    }
    let mut number = 0;
    // What called main is the same in every program (JSON has it).
    let mut is_below_main = false;
    let LeftOut { frames, end } = pen.for_each_frame(stack, limit, |out, shown| {
        if is_below_main {
            return;
        }
        is_below_main = shown.frame.function == Some(b"main");
        let _ = write!(out, "    #{number} {:#x}", shown.address);
        number += 1;
        if let Some(function) = shown.frame.function {
            let _ = write!(out, " in {}", Printable(function));
        }
        let _ = write!(out, " ");
        write_place(out, shown);
        let _ = writeln!(out);
    });
    if frames > 0 && limit == WHOLE && !is_below_main {
        let _ = writeln!(pen.out, "    ({frames} outer frames left out)");
    }
    if end == End::Broken && !is_below_main {
        let _ = writeln!(pen.out, "    (the callers beyond are not known)");
    }
}

/// `file:line:column`, or what is known instead.
fn write_place(out: &mut Text<'_>, shown: &Shown<'_>) {
    let frame = &shown.frame;
    if let Some(file) = frame.file {
        let _ = write!(out, "{}", Printable(file));
        for number in [frame.line, frame.column].into_iter().flatten() {
            let _ = write!(out, ":{number}");
        }
        return;
    }
    match &shown.place {
        Some(place) => {
            let _ = write!(out, "({}+{:#x})", Printable(place.module), place.offset);
            if !place.build_id.is_empty() {
                let _ = write!(out, " (BuildId: ");
                for byte in place.build_id {
                    let _ = write!(out, "{byte:02x}");
                }
                let _ = write!(out, ")");
            }
        }
        None => {
            let _ = write!(out, "(<unknown module>)");
        }
    }
}

/// ` by thread 2 (worker)`; nothing for an unknown thread.
pub fn write_by(pen: &mut Pen<'_, '_>, preposition: &str, thread: ThreadRef) {
    if thread.number.0 == 0 {
        return;
    }
    let mut buffer = [0; 16];
    let name = pen.thread_name(thread, &mut buffer);
    let _ = write!(pen.out, "{preposition} thread {}", thread.number.0);
    if !name.is_empty() {
        let _ = write!(pen.out, " ({})", Printable(name));
    }
}
