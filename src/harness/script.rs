//! A program as numbers for the driver, and as C that does the same.
//!
//! Both are calls of `do_()` in `c/operations.h`; the C program brings that
//! file along, so that it stands alone in a bug report.

use super::model::{Action, Command, Model};
use super::operation::{Foreign, Function, Program};
use super::rules::Rules;
use crate::units::Family;
use core::fmt::Write;
use std::string::String;

/// The functions that both share.
pub(super) const OPERATIONS: &str = include_str!("c/operations.h");
/// The program that replays scripts.
pub(super) const DRIVER: &str = include_str!("c/driver.c");

/// One action as the arguments of `do_()`: names and numbers.
struct Call {
    verb: &'static str,
    place: u8,
    x: usize,
    /// The name that stands for `x`, where it is one of an enum's.
    name: Option<&'static str>,
    y: usize,
    z: usize,
}

const VERBS: [&str; 22] = [
    "ALLOCATE",
    "RESIZE",
    "FREE",
    "FILL",
    "VERIFY",
    "ZERO",
    "USABLE",
    "CHECK",
    "STATISTICS",
    "BEGIN",
    "END",
    "FORK",
    "CHILD_END",
    "FREE_GHOST",
    "RESIZE_GHOST",
    "FREE_INSIDE",
    "FREE_FOREIGN",
    "DAMAGE",
    "FORGET",
    "SHIFT",
    "STORE",
    "CLEAR",
];
const FUNCTIONS: [&str; 14] = [
    "MALLOC",
    "CALLOC",
    "REALLOC",
    "ALIGNED_ALLOC",
    "POSIX_MEMALIGN",
    "MEMALIGN",
    "VALLOC",
    "PVALLOC",
    "NEW",
    "NEW_NOTHROW",
    "NEW_ARRAY",
    "NEW_ARRAY_NOTHROW",
    "NEW_ALIGNED",
    "NEW_ARRAY_ALIGNED",
];
const RELEASES: [&str; 11] = [
    "FREE_PLAIN",
    "FREE_SIZED",
    "FREE_ALIGNED_SIZED",
    "DELETE",
    "DELETE_SIZED",
    "DELETE_ARRAY",
    "DELETE_ARRAY_SIZED",
    "DELETE_ALIGNED",
    "DELETE_SIZED_ALIGNED",
    "DELETE_ARRAY_ALIGNED",
    "DELETE_ARRAY_SIZED_ALIGNED",
];
const FOREIGN: [&str; 4] = ["STACK", "GLOBAL", "WILD", "MAPPED"];

fn function_number(function: Function) -> usize {
    match function {
        Function::Malloc => 0,
        Function::Calloc { .. } => 1,
        Function::Realloc => 2,
        Function::AlignedAlloc { .. } => 3,
        Function::PosixMemalign { .. } => 4,
        Function::Memalign { .. } => 5,
        Function::Valloc => 6,
        Function::Pvalloc => 7,
        Function::New { array, nothrow } => 8 + usize::from(nothrow) + 2 * usize::from(array),
        Function::NewAligned { array, .. } => 12 + usize::from(array),
    }
}

fn release_number(by: Family, is_sized: bool) -> usize {
    let sized = usize::from(is_sized);
    match by {
        Family::Malloc => sized,
        Family::Aligned => 2 * sized,
        Family::New => 3 + sized,
        Family::NewArray => 5 + sized,
        Family::NewAligned => 7 + sized,
        Family::NewArrayAligned => 9 + sized,
    }
}

impl Call {
    fn new(command: &Command) -> Call {
        let call = |verb, place, x, y, z| Call { verb, place, x, name: None, y, z };
        match *command {
            Command::Allocate { place, function, size } => {
                let number = function_number(function);
                let name = Some(FUNCTIONS[number]);
                Call { name, ..call("ALLOCATE", place, number, function.argument(), size) }
            }
            Command::Resize { place, size } => call("RESIZE", place, size, 0, 0),
            Command::Free { place, by, size, alignment } => {
                let number = release_number(by, size.is_some());
                let size = size.unwrap_or_default();
                Call {
                    name: Some(RELEASES[number]),
                    ..call("FREE", place, number, size, alignment)
                }
            }
            Command::Fill { place, size, tag } => call("FILL", place, size, tag as usize, 0),
            Command::Verify { place, size, tag, links } => {
                call("VERIFY", place, size, tag as usize, links.into())
            }
            Command::Zero { place, size } => call("ZERO", place, size, 0, 0),
            Command::Usable { place } => call("USABLE", place, 0, 0, 0),
            Command::Check => call("CHECK", 0, 0, 0, 0),
            Command::Statistics => call("STATISTICS", 0, 0, 0, 0),
            Command::Begin { thread } => call("BEGIN", 0, thread.into(), 0, 0),
            Command::End { thread } => call("END", 0, thread.into(), 0, 0),
            Command::Fork => call("FORK", 0, 0, 0, 0),
            Command::ChildEnd => call("CHILD_END", 0, 0, 0, 0),
            Command::FreeGhost { place } => call("FREE_GHOST", place, 0, 0, 0),
            Command::ResizeGhost { place, size } => call("RESIZE_GHOST", place, size, 0, 0),
            Command::FreeInside { place, offset } => call("FREE_INSIDE", place, offset, 0, 0),
            Command::FreeForeign(what) => {
                let number = match what {
                    Foreign::Stack => 0,
                    Foreign::Global => 1,
                    Foreign::Wild => 2,
                    Foreign::Mapped => 3,
                };
                Call { name: Some(FOREIGN[number]), ..call("FREE_FOREIGN", 0, number, 0, 0) }
            }
            Command::Damage { place, freed, offset, length } => {
                call("DAMAGE", place, freed.into(), offset as usize, length.into())
            }
            Command::Forget { place } => call("FORGET", place, 0, 0, 0),
            Command::Shift { place, offset } => call("SHIFT", place, offset as usize, 0, 0),
            Command::Store { from, slot, to, offset } => {
                call("STORE", from, slot.into(), to.into(), offset)
            }
            Command::Clear { from, slot } => call("CLEAR", from, slot.into(), 0, 0),
        }
    }
}

/// The lines that the driver replays.
pub(super) fn script(actions: &[Action]) -> String {
    let mut text = String::new();
    for action in actions {
        let Call { verb, place, x, y, z, .. } = Call::new(&action.command);
        let verb = VERBS.iter().position(|&other| other == verb).unwrap_or_default();
        let (thread, site) = (action.thread, action.site);
        let _ = writeln!(text, "{thread} {site} {verb} {place} {x} {y} {z}");
    }
    text
}

/// Signed where that is what was meant.
fn number(value: usize) -> String {
    match value as isize {
        negative @ -0xffff..0 => std::format!("(size_t){negative}"),
        _ if value > 0xffff_ffff => std::format!("{value:#x}ul"),
        _ => std::format!("{value}"),
    }
}

/// The program as C that stands alone: `cc -g -O1 -pthread program.c`, with
/// `-lstdc++` where it calls operators. What the model expects stands beside
/// each call.
pub fn c_program(program: &Program, rules: &Rules) -> String {
    let (actions, model) = Model::plan(program, rules);
    let mut text = String::from(
        "/* A program of heapwarden's harness.\n   Build: cc -g -O1 -fno-builtin -pthread program.c -lstdc++ */\n",
    );
    text += OPERATIONS;
    text += "\nint main(void) {\n    start();\n";
    for action in &actions {
        let Call { verb, place, x, name, y, z } = Call::new(&action.command);
        let x = name.map_or_else(|| number(x), String::from);
        let (thread, site, y, z) = (action.thread, action.site, number(y), number(z));
        let _ = write!(text, "    do_({thread}, {site}, {verb}, {place}, {x}, {y}, {z});");
        if let Command::Allocate { place, function, size } = action.command {
            let _ = write!(text, " /* place[{place}] = {} */", function.call(size));
        }
        for verdict in &action.certain {
            let _ = write!(text, " /* {verdict} */");
        }
        text += "\n";
    }
    if let (Some(verdict), _) = model.end() {
        let _ = writeln!(text, "    /* at the latest here: {verdict} */");
    }
    text += "    scrub();\n    return 0;\n}\n";
    text
}
