//! Who holds a reachable block, in words: a global variable by its name, a
//! stack by its thread and function, and the blocks between.

use crate::leak::{HeldBy, RootKind};
use crate::report::{Code, Names};
use crate::symbol::NAMES;
use crate::trace;
use crate::units::{StackId, Text};
use core::fmt::Write;

/// Notes the addresses that [`describe`] names.
pub(super) fn want(holder: &HeldBy) {
    if holder.root == RootKind::Global {
        NAMES.want(Code { address: holder.word, module: 0 });
    }
    if holder.frame != 0 {
        NAMES.want(Code { address: holder.frame, module: 0 }.call());
    }
}

/// Where the chain to a block begins, how long it is, and its last block.
pub(super) fn describe(text: &mut Text<'_>, holder: &HeldBy) {
    let _ = match holder.root {
        RootKind::Global => describe_global(text, holder.word),
        RootKind::Stack => write!(text, "the stack of thread {}", holder.task),
        RootKind::Registers => write!(text, "a register of thread {}", holder.task),
        RootKind::ThreadLocal => write!(text, "a thread-local variable of thread {}", holder.task),
        RootKind::Region => write!(text, "a registered root region at {:#x}", holder.word),
        RootKind::Kernel => write!(text, "an event or timer in the kernel"),
        RootKind::Foreign => write!(text, "memory that the program mapped at {:#x}", holder.word),
        RootKind::Pinned => write!(text, "the thread library"),
    };
    if holder.frame != 0 {
        name(text, Code { address: holder.frame, module: 0 }.call(), " in");
    }
    if holder.steps > 0 {
        let _ = write!(text, ", through {} block(s)", holder.steps);
    }
    if let Some(last) = &holder.holder {
        let _ = write!(text, ", the last of {} byte(s)", last.size);
        maker(text, last.stack);
    }
}

fn describe_global(text: &mut Text<'_>, word: usize) -> core::fmt::Result {
    let Some((_, module)) = trace::module_of(word) else {
        return write!(text, "a global variable at {word:#x}");
    };
    let path = core::str::from_utf8(module.path()).unwrap_or("a module");
    if !name(text, Code { address: word, module: 0 }, "the global variable") {
        write!(text, "a global variable")?;
    }
    write!(text, " at {path}+{:#x}", word.wrapping_sub(module.bias()))
}

/// Writes the name of what lies at an address; whether it has one.
fn name(text: &mut Text<'_>, code: Code, before: &str) -> bool {
    let mut is_known = false;
    NAMES.at(code, &mut |frame| {
        if let Some(function) = frame.function.filter(|_| !is_known) {
            is_known = true;
            let function = core::str::from_utf8(function).unwrap_or("?");
            let _ = write!(text, "{before} {function}");
        }
    });
    is_known
}

/// Writes the function that allocated a block.
fn maker(text: &mut Text<'_>, stack: StackId) {
    let mut frames = [trace::Frame::default()];
    if let (1.., _) = trace::frames_with_modules(stack, &mut frames) {
        let [trace::Frame { address, module }] = frames;
        name(text, Code { address, module: module.0 }.call(), " from");
    }
}
