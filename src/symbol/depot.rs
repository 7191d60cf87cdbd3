//! The stack depot and the module table of `trace`, as the report asks for
//! them.

use super::{LoadedModule, Modules, Namer};
use crate::report::{Code, End, FRAMES_MAX, Stacks};
use crate::trace::{self, Completeness, ModuleId};
use crate::units::StackId;

/// Call stacks and modules as this process captured them.
pub struct Depot;

/// The names of this process.
pub static NAMES: Namer = Namer::new(&Depot);

impl Stacks for Depot {
    fn frames(&self, stack: StackId, frames: &mut [Code]) -> (usize, End) {
        let mut found = [trace::Frame::default(); FRAMES_MAX];
        let room = frames.len().min(FRAMES_MAX);
        let (count, completeness) = trace::frames_with_modules(stack, &mut found[..room]);
        for (code, frame) in frames.iter_mut().zip(&found[..count]) {
            *code = Code { address: frame.address, module: frame.module.0 };
        }
        let end = match completeness {
            Completeness::Complete => End::Complete,
            Completeness::Truncated => End::Truncated,
            Completeness::Incomplete | Completeness::Guessed => End::Broken,
        };
        (count, end)
    }
}

impl Modules for Depot {
    fn module_of(&self, code: Code, visit: &mut dyn FnMut(&LoadedModule<'_>)) {
        let record = match code.module {
            0 => trace::module_of(code.address).map(|(_, record)| record),
            number => trace::module(ModuleId(number)),
        };
        if let Some(record) = record {
            visit(&LoadedModule {
                path: record.path(),
                build_id: record.build_id(),
                load_bias: record.bias(),
                start: record.range().start,
                end: record.range().end,
            });
        }
    }
}
