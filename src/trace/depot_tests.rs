use super::super::module::ModuleId;
use super::*;
use std::vec::Vec;

fn code(address: usize) -> CodeAddress {
    CodeAddress::new(address, ModuleId::UNKNOWN)
}

#[test]
fn same_path_same_number_other_path_other_number() {
    let mut seen = std::collections::HashMap::new();
    for round in 0..2 {
        for outer in 0..100 {
            let parent = intern(ROOT_COMPLETE, code(0x10_0000 + outer));
            for inner in 0..300 {
                let id = intern(parent, code(0x20_0000 + inner));
                let before = seen.insert((outer, inner), id);
                assert_eq!(before.is_some(), round == 1);
                assert!(before.is_none_or(|before| before == id));
            }
        }
    }
    let distinct: std::collections::HashSet<_> = seen.values().map(|id| id.0).collect();
    assert_eq!(distinct.len(), 30_000);
    for ((outer, inner), id) in seen {
        let mut frames = Vec::new();
        let end = walk(id, |code| {
            frames.push(code.address());
            true
        });
        assert_eq!(frames, [0x20_0000 + inner, 0x10_0000 + outer]);
        assert_eq!(end, Completeness::Complete);
    }
}

#[test]
fn the_root_says_how_the_stack_ended() {
    for (root, end) in [
        (ROOT_COMPLETE, Completeness::Complete),
        (ROOT_TRUNCATED, Completeness::Truncated),
        (ROOT_INCOMPLETE, Completeness::Incomplete),
        (ROOT_GUESSED, Completeness::Guessed),
    ] {
        let id = intern(root, code(0x77_0000));
        assert_eq!(walk(id, |_| true), end);
        assert_eq!(walk(id, |_| false), Completeness::Truncated);
    }
    assert_eq!(walk(StackId::UNKNOWN, |_| true), Completeness::Incomplete);
}

#[test]
fn many_threads_intern_the_same_paths() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                for leaf in 0..20_000 {
                    let parent = intern(ROOT_COMPLETE, code(0x30_0000 + leaf % 97));
                    let id = intern(parent, code(0x40_0000 + leaf));
                    let mut frames = Vec::new();
                    walk(id, |code| {
                        frames.push(code.address());
                        true
                    });
                    assert_eq!(frames, [0x40_0000 + leaf, 0x30_0000 + leaf % 97]);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
