//! proptest strategies for programs. They shrink by leaving steps out, by
//! smaller numbers, and towards the plainest function of each kind.

use super::operation::*;
use super::rules::Rules;
use crate::units::Family;
use proptest::collection::vec;
use proptest::prelude::*;
use std::vec::Vec;

/// Programs of up to `steps` steps that an allocator with these rules can be
/// tried with.
pub fn programs(rules: &Rules, steps: usize) -> BoxedStrategy<Program> {
    let (thread, site) = (prop_oneof![6 => Just(0), 1 => 0..THREADS], 0..SITES);
    let step = (thread, site, operations(*rules)).prop_map(|(thread, site, operations)| {
        let step = move |operation| Step { thread, site, operation };
        operations.into_iter().map(step).collect::<Vec<_>>()
    });
    vec(step, 1..=steps)
        .prop_map(move |parts| Program { steps: parts.into_iter().flatten().take(steps).collect() })
        .boxed()
}

/// One operation; now and then some that seldom come together by chance.
fn operations(rules: Rules) -> BoxedStrategy<Vec<Operation>> {
    let one = operation(rules).prop_map(|operation| std::vec![operation]);
    match (rules.crimes, rules.leaks) {
        (true, true) => {
            prop_oneof![24 => one, 1 => with_a_freed_block(rules), 1 => lost(rules)].boxed()
        }
        (true, false) => prop_oneof![24 => one, 1 => with_a_freed_block(rules)].boxed(),
        (false, true) => prop_oneof![24 => one, 1 => lost(rules)].boxed(),
        _ => one.boxed(),
    }
}

fn place() -> std::ops::Range<u8> {
    0..PLACES
}

/// Sizes: mostly small, some at the edges of size classes and pages.
fn size(rules: Rules) -> BoxedStrategy<usize> {
    let largest = rules.largest;
    let edge = (3..largest.ilog2(), 0..33usize, any::<bool>()).prop_map(|(power, near, below)| {
        let power = 1usize << power;
        if below { power.saturating_sub(near) } else { power + near }
    });
    prop_oneof![
        12 => 0..200usize,
        6 => 0..1300usize,
        3 => edge,
        2 => 0..40_000usize,
        1 => 0..=largest,
    ]
    .boxed()
}

/// Sizes that no machine can meet.
fn impossible() -> BoxedStrategy<usize> {
    prop_oneof![
        (0..64usize).prop_map(|less| usize::MAX - less),
        (0..128usize).prop_map(|near| (isize::MAX as usize - 64).wrapping_add(near)),
        Just(1usize << (usize::BITS - 16)),
        Just(1usize << (usize::BITS - 2)),
    ]
    .boxed()
}

fn alignment(rules: Rules) -> BoxedStrategy<usize> {
    (0..=rules.largest_alignment.ilog2()).prop_map(|power| 1usize << power).boxed()
}

fn functions(rules: Rules) -> BoxedStrategy<Function> {
    let mut functions: Vec<(u32, BoxedStrategy<Function>)> = std::vec![
        (12, Just(Function::Malloc).boxed()),
        (4, (1..9usize).prop_map(|count| Function::Calloc { count }).boxed()),
        (1, Just(Function::Realloc).boxed()),
        (2, alignment(rules).prop_map(|alignment| Function::AlignedAlloc { alignment }).boxed()),
    ];
    if rules.aligned_functions {
        let posix = alignment(rules)
            .prop_map(|alignment| Function::PosixMemalign { alignment: alignment.max(8) });
        let old = alignment(rules).prop_map(|alignment| Function::Memalign { alignment });
        functions.push((2, posix.boxed()));
        functions.push((1, old.boxed()));
        functions.push((1, prop_oneof![Just(Function::Valloc), Just(Function::Pvalloc)].boxed()));
    }
    if rules.cxx {
        let new =
            any::<(bool, bool)>().prop_map(|(array, nothrow)| Function::New { array, nothrow });
        let aligned = (any::<bool>(), alignment(rules))
            .prop_map(|(array, alignment)| Function::NewAligned { array, alignment });
        functions.push((5, new.boxed()));
        functions.push((2, aligned.boxed()));
    }
    proptest::strategy::Union::new_weighted(functions).boxed()
}

/// Functions with arguments that they must refuse.
fn refused(rules: Rules) -> BoxedStrategy<(Function, usize)> {
    let huge = (functions(rules), impossible());
    let product = (2..usize::MAX)
        .prop_map(|count| (Function::Calloc { count }, (usize::MAX / count).saturating_add(1)));
    let bad = (0..100usize, 0..500usize, any::<bool>()).prop_map(|(alignment, size, posix)| {
        let alignment = if alignment.is_power_of_two() { 0 } else { alignment };
        match posix {
            true => (Function::PosixMemalign { alignment }, size),
            false => (Function::AlignedAlloc { alignment }, size),
        }
    });
    match rules.aligned_functions {
        true => prop_oneof![3 => huge, 1 => product, 1 => bad].boxed(),
        false => prop_oneof![3 => huge, 1 => product].boxed(),
    }
}

fn family() -> impl Strategy<Value = Family> {
    (0..6u8).prop_map(Family::from_bits)
}

fn release() -> impl Strategy<Value = Release> {
    prop_oneof![
        12 => Just(Release::Fitting),
        2 => family().prop_map(Release::Plain),
        1 => (family(), Just(0i8)).prop_map(|(family, more)| Release::Sized(family, more)),
        1 => (family(), any::<i8>()).prop_map(|(family, more)| Release::Sized(family, more)),
    ]
}

fn damage(rules: Rules) -> BoxedStrategy<Operation> {
    let bytes = prop_oneof![
        3 => prop_oneof![Just(0u8), 0..8u8].prop_map(|distance| Damage::Behind { distance }),
        2 => prop_oneof![Just(0u8), 0..8u8].prop_map(|distance| Damage::Before { distance }),
        3 => any::<u16>().prop_map(|offset| Damage::Freed { offset: usize::from(offset) }),
    ];
    let found = prop_oneof![
        Just(Found::AtFree),
        size(rules).prop_map(Found::AtResize),
        Just(Found::AtUsable),
        Just(Found::AtCheck),
        Just(Found::Later),
    ];
    (place(), bytes, 1..=8u8, found)
        .prop_map(|(place, bytes, length, found)| Operation::Damage { place, bytes, length, found })
        .boxed()
}

fn operation(rules: Rules) -> BoxedStrategy<Operation> {
    let allocate = (place(), functions(rules), size(rules))
        .prop_map(|(place, function, size)| Operation::Allocate { place, function, size });
    let resize = (place(), prop_oneof![9 => size(rules), 1 => Just(0)])
        .prop_map(|(place, size)| Operation::Resize { place, size });
    let free = (place(), release()).prop_map(|(place, by)| Operation::Free { place, by });
    let mut all: Vec<(u32, BoxedStrategy<Operation>)> = std::vec![
        (24, allocate.boxed()),
        (6, resize.boxed()),
        (14, free.boxed()),
        (2, place().prop_map(|place| Operation::Usable { place }).boxed()),
        (1, Just(Operation::Check).boxed()),
    ];
    if rules.statistics {
        all.push((1, Just(Operation::Statistics).boxed()));
    }
    if rules.refusals {
        let refused = (place(), refused(rules))
            .prop_map(|(place, (function, size))| Operation::Allocate { place, function, size });
        let resize =
            (place(), impossible()).prop_map(|(place, size)| Operation::Resize { place, size });
        all.push((2, refused.boxed()));
        all.push((1, resize.boxed()));
    }
    if rules.threads {
        all.push((2, (1..THREADS).prop_map(|thread| Operation::Begin { thread }).boxed()));
        all.push((1, (1..THREADS).prop_map(|thread| Operation::End { thread }).boxed()));
    }
    if rules.forks {
        all.push((1, Just(Operation::Fork).boxed()));
    }
    if rules.crimes {
        all.push((6, crime(rules)));
    }
    if rules.leaks {
        all.push((8, holding()));
    }
    proptest::strategy::Union::new_weighted(all).boxed()
}

fn crime(rules: Rules) -> BoxedStrategy<Operation> {
    let foreign = prop_oneof![
        Just(Foreign::Stack),
        Just(Foreign::Global),
        Just(Foreign::Wild),
        Just(Foreign::Mapped),
    ];
    let again =
        (place(), size(rules)).prop_map(|(place, size)| Operation::ResizeFreed { place, size });
    let inside = (place(), any::<u16>())
        .prop_map(|(place, offset)| Operation::FreeInside { place, offset: usize::from(offset) });
    prop_oneof![
        6 => damage(rules),
        3 => place().prop_map(|place| Operation::FreeAgain { place }),
        1 => again,
        2 => inside,
        1 => foreign.prop_map(Operation::FreeForeign),
    ]
    .boxed()
}

/// A block is freed, and used again at once.
fn with_a_freed_block(rules: Rules) -> BoxedStrategy<Vec<Operation>> {
    let crime = prop_oneof![
        Just(None),
        size(rules).prop_map(Some), // by realloc
    ];
    (place(), functions(rules), size(rules), crime, any::<u16>(), 1..=8u8, any::<bool>())
        .prop_map(|(place, function, size, resized, offset, length, is_damage)| {
            let bytes = Damage::Freed { offset: usize::from(offset) };
            let found = if length % 2 == 0 { Found::Later } else { Found::AtCheck };
            let crime = match resized {
                _ if is_damage => Operation::Damage { place, bytes, length, found },
                Some(size) => Operation::ResizeFreed { place, size },
                None => Operation::FreeAgain { place },
            };
            let free = Operation::Free { place, by: Release::Fitting };
            std::vec![Operation::Allocate { place, function, size }, free, crime]
        })
        .boxed()
}

/// A block that holds another, which may hold it too; both are forgotten.
fn lost(rules: Rules) -> BoxedStrategy<Vec<Operation>> {
    let offsets = prop_oneof![2 => Just(0u16), 1 => any::<u16>()];
    let links = (0..LINKS, 0..LINKS, offsets, any::<bool>(), any::<bool>());
    let size = move || size(rules).prop_map(|size| size.max(LINKS as usize * WORD));
    (place(), 1..PLACES, functions(rules), size(), size(), links)
        .prop_map(|(from, more, function, first, second, (slot, back, words, cycle, cut))| {
            let to = (from + more) % PLACES;
            let allocate = |place, size| Operation::Allocate { place, function, size };
            let mut all = std::vec![allocate(from, first), allocate(to, second)];
            all.push(Operation::Link { from, slot, to, words });
            if cycle {
                all.push(Operation::Link { from: to, slot: back, to: from, words: 0 });
            }
            if cut {
                all.push(Operation::Unlink { from, slot });
            }
            all.extend([Operation::Drop { place: to }, Operation::Drop { place: from }]);
            all
        })
        .boxed()
}

/// Who holds whom.
fn holding() -> BoxedStrategy<Operation> {
    let words = || prop_oneof![3 => Just(0u16), 1 => any::<u16>()];
    let link = (place(), 0..LINKS, place(), words())
        .prop_map(|(from, slot, to, words)| Operation::Link { from, slot, to, words });
    let unlink = (place(), 0..LINKS).prop_map(|(from, slot)| Operation::Unlink { from, slot });
    let hide = (place(), any::<u16>()).prop_map(|(place, words)| Operation::Hide { place, words });
    prop_oneof![
        4 => link,
        1 => unlink,
        3 => place().prop_map(|place| Operation::Drop { place }),
        2 => hide,
    ]
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::super::{Command, Model, Outcome};
    use super::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    use std::collections::BTreeMap;
    use std::string::{String, ToString};

    /// The name of a variant.
    fn name(of: &dyn core::fmt::Debug) -> String {
        std::format!("{of:?}").split([' ', '(']).next().unwrap_or_default().to_string()
    }

    /// What comes of programs like those that the preloaded library is tried
    /// with (`tests/model/outside.rs`): each operation, crime and kind of leak,
    /// and how often.
    #[test]
    fn every_operation_crime_and_leak_comes_of_generated_programs() {
        let mut counts = BTreeMap::<String, usize>::new();
        let mut count = |what: String, number: usize| *counts.entry(what).or_default() += number;
        let mut runner = TestRunner::deterministic();
        let programs = programs(&Rules::HEAPWARDEN, 120);
        for _ in 0..150 {
            let program = programs.new_tree(&mut runner).expect("can be made").current();
            let (actions, model) = Model::plan(&program, &Rules::HEAPWARDEN);
            let mut makers = BTreeMap::new();
            for action in &actions {
                let is_remote = |place| makers.get(place).is_some_and(|&by| by != action.thread);
                match action.command {
                    Command::Allocate { .. } if matches!(action.outcome, Outcome::Refused(_)) => {
                        count("refused".into(), 1);
                    }
                    Command::Allocate { function, place, .. } => {
                        count(name(&function), 1);
                        makers.insert(place, action.thread);
                    }
                    Command::Free { place, .. } if is_remote(&place) => {
                        count("Free in another thread".into(), 1);
                    }
                    Command::Free { size: Some(_), .. } => count("Free with a size".into(), 1),
                    Command::Damage { offset: ..0, .. } => count("Damage before".into(), 1),
                    Command::Damage { freed: true, .. } => count("Damage of freed".into(), 1),
                    command => count(name(&command), 1),
                }
                action.certain.iter().for_each(|told| count(name(&told.crime), 1));
            }
            let (_, leaks) = model.end();
            let kinds = [
                ("reachable", leaks.reachable),
                ("possible", leaks.possible),
                ("definite", leaks.definite),
                ("indirect", leaks.indirect),
            ];
            for (kind, sums) in kinds {
                count(kind.into(), sums.iter().map(|sum| sum.blocks).sum());
            }
            count("in cycles".into(), leaks.cycles.iter().map(std::vec::Vec::len).sum());
        }
        let told: Vec<_> =
            counts.iter().map(|(what, times)| std::format!("{what} {times}")).collect();
        super::super::told("programs for the preloaded library", &told.join(", "));
        assert!(counts.values().all(|&times| times >= 5), "{counts:?}");
        assert_eq!(counts.len(), 49, "{counts:?}");
    }
}
