use super::*;
use crate::platform::linux::maps;
use crate::report::Code;
use std::string::String;
use std::time::Instant;
use std::vec::Vec;
use std::{boxed::Box, env, fs, string::ToString};

/// Modules as the memory map has them now.
struct MapModules;

impl Modules for MapModules {
    fn module_of(&self, code: Code, visit: &mut dyn FnMut(&LoadedModule<'_>)) {
        let mut first = (0, [0u8; 4096], 0);
        let _ = maps::for_each(|mapping| {
            if mapping.path.starts_with(b"/") && mapping.path != &first.1[..first.2] {
                first.0 = mapping.start;
                first.2 = mapping.path.len();
                first.1[..first.2].copy_from_slice(mapping.path);
            }
            if !(mapping.start..mapping.end).contains(&code.address) {
                return true;
            }
            visit(&LoadedModule {
                path: &first.1[..first.2],
                build_id: b"",
                load_bias: first.0,
                start: first.0,
                end: mapping.end,
            });
            false
        });
    }
}

fn namer() -> &'static Namer {
    Box::leak(Box::new(Namer::new(&MapModules)))
}

#[inline(never)]
fn a_function_with_a_name() -> usize {
    core::hint::black_box(a_function_with_a_name as *const () as usize)
}

fn names_of(namer: &Namer, code: Code) -> Vec<(String, String, u32)> {
    let text =
        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let mut names = Vec::new();
    namer.at(code, &mut |frame| {
        names.push((text(frame.function), text(frame.file), frame.line.unwrap_or(0)));
    });
    names
}

fn here() -> Code {
    Code { address: a_function_with_a_name() + 1, module: 0 }
}

#[test]
fn a_function_of_this_test_gets_its_name_file_and_line() {
    let namer = namer();
    namer.want(here());
    namer.resolve().unwrap();
    let names = names_of(namer, here());
    let (function, file, line) = names.last().expect("a frame");
    assert!(function.ends_with("a_function_with_a_name"), "{function}");
    assert!(file.ends_with("src/symbol/tests.rs"), "{file}");
    let source = include_str!("tests.rs").lines();
    let written = source.take(*line as usize).filter(|line| line.contains("fn a_function_with"));
    assert!(written.count() == 1, "line {line}");
    assert_eq!(names_of(namer, Code { address: 1, module: 0 }), [], "the twin: unknown code");
}

#[test]
fn nothing_is_looked_up_when_options_say_so() {
    let namer = namer();
    namer.configure(false, 10);
    namer.want(here());
    namer.resolve().unwrap();
    assert_eq!(names_of(namer, here()), []);
    let mut offset = 0;
    namer.place(here(), &mut |place| offset = place.offset);
    assert!(offset > 0, "module and offset need no child");
}

#[test]
fn two_hundred_places_are_named_before_anybody_gives_up() {
    let namer = namer();
    let start = a_function_with_a_name();
    let codes = (0..200).map(|index| Code { address: start + index * 997, module: 0 });
    let started = Instant::now();
    codes.clone().for_each(|code| namer.want(code));
    namer.resolve().unwrap();
    let taken = started.elapsed();
    let named = codes.filter(|code| !names_of(namer, *code).is_empty()).count();
    assert!(named > 150, "{named} named");
    // 2 s is the target of an optimised build on a machine that has nothing else
    // to do (docs/symbols.md); here only that it ends.
    assert!(taken.as_secs() < 60, "{taken:?}");
}

#[test]
fn a_child_that_crashes_or_hangs_is_named_and_gone() {
    let crash = child::run(5000, &|| {
        // SAFETY: it is not: the child dies of it, which is the test.
        unsafe { core::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
    });
    assert!(crash.unwrap_err().contains("crashed"));
    let overflow = child::run(5000, &|| {
        fn deeper(depth: usize) -> usize {
            let frame = [depth as u8; 4096];
            if depth == usize::MAX {
                0
            } else {
                deeper(depth + 1) + usize::from(core::hint::black_box(frame)[7])
            }
        }
        core::hint::black_box(deeper(0));
    });
    assert!(overflow.unwrap_err().contains("crashed"));
    let started = Instant::now();
    let hang = child::run(300, &|| loop {
        core::hint::spin_loop();
    });
    assert!(hang.unwrap_err().contains("longer than"));
    assert!(started.elapsed().as_secs() < 60);
    assert_eq!(child::run(5000, &|| ()), Ok(()), "the innocent twin");
    let mut status = 0;
    // SAFETY: waits for any child of ours of any kind; stores one int.
    let left = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WCLONE) };
    assert!(left <= 0, "a helper was left behind: {left}");
}

#[test]
fn a_hungry_child_ends_at_the_arena_limit() {
    let eaten = child::run(10_000, &|| {
        let mut blocks = Vec::new();
        loop {
            blocks.push(Vec::<u8>::with_capacity(256 << 20));
        }
    });
    assert!(eaten.is_err());
}

#[test]
fn a_damaged_file_costs_its_names_only() {
    struct Damaged(&'static [u8]);
    impl Modules for Damaged {
        fn module_of(&self, code: Code, visit: &mut dyn FnMut(&LoadedModule<'_>)) {
            let module = LoadedModule {
                path: self.0,
                load_bias: 0,
                start: 0,
                end: 1 << 40,
                ..LoadedModule::default()
            };
            if code.module == 1 { visit(&module) } else { MapModules.module_of(code, visit) }
        }
    }
    let path = env::temp_dir().join(std::format!("heapwarden-damaged-{}", std::process::id()));
    let mut bytes = fs::read("/proc/self/exe").unwrap();
    let middle = bytes.len() / 3;
    bytes[middle..].iter_mut().step_by(7).for_each(|byte| *byte ^= 0x5a);
    fs::write(&path, &bytes).unwrap();
    let damaged = Damaged(path.display().to_string().leak().as_bytes());
    let namer: &Namer = Box::leak(Box::new(Namer::new(Box::leak(Box::new(damaged)))));
    namer.want(here());
    (0..50).for_each(|index| namer.want(Code { address: 0x1000 * index, module: 1 }));
    let _ = namer.resolve();
    assert!(!names_of(namer, here()).is_empty());
    fs::remove_file(path).unwrap();
}

#[cfg(target_arch = "x86_64")]
mod captured {
    use super::{Namer, names_of};
    use crate::report::{Code, End, Names, Stacks};
    use crate::symbol::Depot;
    use crate::trace::{Entry, ThreadTrace};
    use crate::units::StackId;
    use std::boxed::Box;

    /// What malloc would do: captures the stack of its caller.
    #[unsafe(naked)]
    extern "C" fn capture_here(trace: *mut ThreadTrace) -> u32 {
        core::arch::naked_asm!("mov rsi, rsp", "mov rdx, rbp", "jmp {}", sym capture);
    }

    extern "C" fn capture(trace: *mut ThreadTrace, sp: usize, fp: usize) -> u32 {
        // SAFETY: the test's own, zeroed as `ThreadTrace` allows.
        unsafe { &mut *trace }.capture(Entry { sp, fp }, 32).0
    }

    #[test]
    fn a_captured_stack_is_named_from_its_caller_to_its_end() {
        let mut trace = Box::<ThreadTrace>::new_zeroed();
        let stack = StackId(capture_here(trace.as_mut_ptr()));
        let mut codes = [Code::default(); 64];
        let (count, end) = Depot.frames(stack, &mut codes);
        assert_eq!(end, End::Complete);
        let namer: &Namer = Box::leak(Box::new(Namer::new(&Depot)));
        codes[..count].iter().for_each(|code| namer.want(code.call()));
        namer.resolve().unwrap();
        let first = &names_of(namer, codes[0].call())[0].0;
        assert!(first.ends_with("a_captured_stack_is_named_from_its_caller_to_its_end"), "{first}");
        let mut build_id = 0;
        namer.place(codes[0].call(), &mut |place| build_id = place.build_id.len());
        assert!(build_id > 0);
        let mut none = [Code::default(); 4];
        assert_eq!(Depot.frames(StackId::UNKNOWN, &mut none), (0, End::Broken), "the twin");
    }
}
