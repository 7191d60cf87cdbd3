//! Programs out of any bytes, for fuzzers that are guided by coverage.
//!
//! Eight bytes are a step, so that a byte that changes changes one step, and
//! what a fuzzer cuts, copies or joins at multiples of eight stays what it was:
//!
//! ```text
//!    0        1              2                3       4       5 .. 8
//!   ┌──────┬──────────────┬────────────────┬────────┬───────┬────────────┐
//!   │ kind │ site, thread │ place, other   │ choice │ shape │ number, LE │
//!   └──────┴──────────────┴────────────────┴────────┴───────┴────────────┘
//!            bits 0-2, 3-4  bits 0-3, 4-7
//! ```
//!
//! Invariant: total and deterministic. Any bytes are a program, the same each
//! time, and of the operations that the [`Rules`] allow; bytes that are left
//! over are ignored. What makes no sense where it stands the model skips.

use super::operation::*;
use super::rules::Rules;
use crate::units::Family;

/// Bytes of one step.
pub const STEP_BYTES: usize = 8;

/// The program that `bytes` are, for allocators with these rules.
pub fn decode(bytes: &[u8], rules: &Rules) -> Program {
    let (steps, _rest) = bytes.as_chunks::<STEP_BYTES>();
    Program { steps: steps.iter().map(|bytes| Step::decode(bytes, rules)).collect() }
}

impl Step {
    /// The step that eight bytes are.
    pub fn decode(bytes: &[u8; STEP_BYTES], rules: &Rules) -> Step {
        let &[kind, who, places, choice, shape, low, middle, high] = bytes;
        let fields = Fields {
            rules,
            place: places % PLACES,
            other: places / 16 % PLACES,
            choice: usize::from(choice),
            shape,
            number: u32::from_le_bytes([low, middle, high, 0]) as usize,
        };
        let thread = who >> 3 & 3;
        Step { thread, site: who % SITES, operation: fields.operation(kind, 1 + thread % 3) }
    }
}

/// What a step's bytes say, before it is known what they mean.
struct Fields<'a> {
    rules: &'a Rules,
    place: u8,
    other: u8,
    choice: usize,
    shape: u8,
    /// 24 bits.
    number: usize,
}

impl Fields<'_> {
    /// Kinds share the values of a byte about as the strategy weighs them. What
    /// the rules forbid becomes an allocation.
    fn operation(&self, kind: u8, other_thread: u8) -> Operation {
        let &Fields { rules, place, other, choice, number, .. } = self;
        let words = number as u16;
        match kind {
            80..112 => Operation::Resize { place, size: self.resized() },
            112..160 => Operation::Free { place, by: self.release() },
            160..168 => Operation::Usable { place },
            168..172 => Operation::Check,
            172..176 if rules.statistics => Operation::Statistics,
            176..182 if rules.refusals => self.refused(),
            182..186 if rules.refusals => Operation::Resize { place, size: self.impossible() },
            186..192 if rules.threads => Operation::Begin { thread: other_thread },
            192..196 if rules.threads => Operation::End { thread: other_thread },
            196..198 if rules.forks => Operation::Fork,
            198..210 if rules.crimes => self.damage(),
            210..216 if rules.crimes => Operation::FreeAgain { place },
            216..219 if rules.crimes => Operation::ResizeFreed { place, size: self.size() },
            219..223 if rules.crimes => Operation::FreeInside { place, offset: number },
            223..225 if rules.crimes => Operation::FreeForeign(self.foreign()),
            225..238 if rules.leaks => {
                Operation::Link { from: place, slot: choice as u8 % LINKS, to: other, words }
            }
            238..242 if rules.leaks => {
                Operation::Unlink { from: place, slot: choice as u8 % LINKS }
            }
            242..250 if rules.leaks => Operation::Drop { place },
            250.. if rules.leaks => Operation::Hide { place, words },
            _ => Operation::Allocate { place, function: self.function(), size: self.size() },
        }
    }

    /// Mostly small, some at the edges of size classes and pages.
    fn size(&self) -> usize {
        let (largest, number) = (self.rules.largest, self.number);
        match self.shape % 16 {
            0..8 => number % 200,
            8..12 => number % 1300,
            12..14 => {
                let power = 1usize << (3 + number % (largest.ilog2() as usize - 3));
                let near = (number >> 8) % 33;
                if number >> 16 & 1 == 1 { power.saturating_sub(near) } else { power + near }
            }
            14 => number % 40_000.min(largest),
            _ => number % (largest + 1),
        }
    }

    fn resized(&self) -> usize {
        if self.shape >= 240 { 0 } else { self.size() }
    }

    /// Sizes that no machine can meet.
    fn impossible(&self) -> usize {
        match self.shape % 4 {
            0 => usize::MAX - self.number % 64,
            1 => (isize::MAX as usize - 64).wrapping_add(self.number % 128),
            2 => 1 << (usize::BITS - 16),
            _ => 1 << (usize::BITS - 2),
        }
    }

    fn function(&self) -> Function {
        let (rules, which, rest) = (self.rules, self.choice % 16, self.choice / 16);
        let (array, alignment) = (rest & 1 == 1, 1usize << self.power());
        match which {
            0..2 => Function::Calloc { count: 1 + rest % 8 },
            2 => Function::Realloc,
            3 => Function::AlignedAlloc { alignment },
            4..6 if rules.aligned_functions => {
                Function::PosixMemalign { alignment: alignment.max(size_of::<usize>()) }
            }
            6 if rules.aligned_functions => Function::Memalign { alignment },
            7 if rules.aligned_functions => match array {
                true => Function::Pvalloc,
                false => Function::Valloc,
            },
            8..10 if rules.cxx => Function::New { array, nothrow: rest & 2 == 2 },
            10 if rules.cxx => Function::NewAligned { array, alignment },
            _ => Function::Malloc,
        }
    }

    /// Of an alignment that the rules allow.
    fn power(&self) -> u32 {
        u32::from(self.shape / 16) % (self.rules.largest_alignment.ilog2() + 1)
    }

    /// An allocation with arguments that must be refused.
    fn refused(&self) -> Operation {
        let &Fields { place, number, .. } = self;
        // 0 is no power of two, nor is what is left of the others.
        let alignment = Some(number % 100).filter(|odd| !odd.is_power_of_two()).unwrap_or(0);
        let (function, size) = match self.choice % 8 {
            0 => {
                let count = 2 + number;
                (Function::Calloc { count }, usize::MAX / count + 1)
            }
            1 if self.rules.aligned_functions => {
                (Function::PosixMemalign { alignment }, number >> 12)
            }
            2 if self.rules.aligned_functions => {
                (Function::AlignedAlloc { alignment }, number >> 12)
            }
            _ => (self.function(), self.impossible()),
        };
        Operation::Allocate { place, function, size }
    }

    fn release(&self) -> Release {
        let family = Family::from_bits((self.choice / 16) as u8 % 6);
        match self.choice % 16 {
            0..2 => Release::Plain(family),
            2 => Release::Sized(family, 0),
            3 => Release::Sized(family, self.number as i8),
            _ => Release::Fitting,
        }
    }

    fn damage(&self) -> Operation {
        let (choice, number) = (self.choice, self.number);
        let bytes = match choice % 3 {
            0 => Damage::Behind { distance: number as u8 % 8 },
            1 => Damage::Before { distance: number as u8 % 8 },
            _ => Damage::Freed { offset: number & 0xffff },
        };
        let found = match choice / 24 {
            0..2 => Found::AtFree,
            2..4 => Found::AtResize(self.size()),
            4..6 => Found::AtUsable,
            6..8 => Found::AtCheck,
            _ => Found::Later,
        };
        let length = 1 + (choice / 3 % 8) as u8;
        Operation::Damage { place: self.place, bytes, length, found }
    }

    fn foreign(&self) -> Foreign {
        match self.choice % 4 {
            0 => Foreign::Stack,
            1 => Foreign::Global,
            2 => Foreign::Wild,
            _ => Foreign::Mapped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, HashSet};
    use std::vec::Vec;

    /// Every kind with every choice, beside shapes and numbers of all sorts.
    fn every_kind(rules: &Rules) -> Vec<Operation> {
        let mut operations = Vec::new();
        for kind in 0..=255u8 {
            for choice in 0..=255u8 {
                let mixed = kind.wrapping_mul(167) ^ choice.wrapping_mul(91);
                let bytes = [kind, mixed, choice, choice, mixed, kind, mixed, choice];
                let step = Step::decode(&bytes, rules);
                assert!(step.thread < THREADS && step.site < SITES);
                operations.push(step.operation);
            }
        }
        operations
    }

    fn names(operations: &[Operation]) -> BTreeSet<std::string::String> {
        let name = |operation: &Operation| {
            let text = std::format!("{operation:?}");
            text.split([' ', '(']).next().unwrap_or_default().into()
        };
        operations.iter().map(name).collect()
    }

    #[test]
    fn every_operation_and_function_is_decoded_from_some_bytes_and_none_is_forbidden() {
        let all = every_kind(&Rules::HEAPWARDEN);
        assert_eq!(names(&all).len(), 18, "{:?}", names(&all));
        let functions: HashSet<_> = all
            .iter()
            .filter_map(|operation| match operation {
                Operation::Allocate { function, .. } => Some(core::mem::discriminant(function)),
                _ => None,
            })
            .collect();
        assert_eq!(functions.len(), 10, "{functions:?}");
        let rust = every_kind(&Rules::RUST);
        let allowed = ["Allocate", "Begin", "Check", "End", "Free", "Resize", "Usable"];
        assert_eq!(names(&rust), allowed.map(Into::into).into());
        for operation in rust {
            if let Operation::Allocate { function, size, .. } = operation {
                assert!(size <= Rules::RUST.largest + 32, "{size}");
                assert!(function.is_aligned_well(), "{function:?}");
            }
        }
    }

    #[test]
    fn bytes_that_are_left_over_change_nothing() {
        let bytes: Vec<u8> = (0..=255).cycle().take(8 * 40 + 7).collect();
        let whole = decode(&bytes, &Rules::HEAPWARDEN);
        assert_eq!(whole.steps.len(), 40);
        assert_eq!(decode(&bytes[..8 * 40], &Rules::HEAPWARDEN), whole);
        assert_eq!(decode(&[], &Rules::HEAPWARDEN), Program::default());
    }
}
