use super::super::{Completeness, frames, statistics};
use super::*;
use std::boxed::Box;
use std::vec::Vec;

/// What malloc's shim would do: captures the stack of its caller.
#[unsafe(naked)]
extern "C" fn capture_here(trace: &mut ThreadTrace, depth: u32) -> u32 {
    core::arch::naked_asm!("mov rdx, rsp", "mov rcx, rbp", "jmp {}", sym capture);
}

extern "C" fn capture(trace: &mut ThreadTrace, depth: u32, sp: usize, fp: usize) -> u32 {
    trace.capture(Entry { sp, fp }, depth).0
}

fn new_trace() -> Box<ThreadTrace> {
    // SAFETY: all-zero is a valid state, by contract.
    unsafe { Box::<ThreadTrace>::new_zeroed().assume_init() }
}

fn frames_of(id: u32) -> (Vec<usize>, Completeness) {
    let mut out = [0; 1024];
    let (count, end) = frames(StackId(id), &mut out);
    (out[..count].to_vec(), end)
}

#[inline(never)]
fn at_depth(depth: usize, then: &mut dyn FnMut()) {
    if depth == 0 {
        then();
    } else {
        at_depth(core::hint::black_box(depth - 1), then);
    }
    core::hint::black_box(depth);
}

#[test]
fn the_same_stack_has_the_same_number() {
    let mut trace = new_trace();
    let mut ids = Vec::new();
    for _ in 0..3 {
        at_depth(5, &mut || ids.push(capture_here(&mut trace, 32)));
    }
    at_depth(6, &mut || ids.push(capture_here(&mut trace, 32)));
    assert_ne!(ids[0], 0);
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
    let (shallow, deep) = (frames_of(ids[2]), frames_of(ids[3]));
    assert_eq!((shallow.1, deep.1), (Completeness::Complete, Completeness::Complete));
    // The two calls stand in one function: the outer frames are the same.
    let same = shallow.0.iter().rev().zip(deep.0.iter().rev()).take_while(|(a, b)| a == b);
    assert!(same.count() >= 3);
    assert_eq!(deep.0.len(), shallow.0.len() + 1);
}

#[test]
fn no_more_frames_are_named_than_a_quarter_above_those_asked_for() {
    let mut trace = new_trace();
    for depth in [1, 2, 8, 32, DEEPEST, u32::MAX] {
        for levels in [0, 3, 60, 300, 700, 40, 5, 2000] {
            let mut id = 0;
            at_depth(levels, &mut || id = capture_here(&mut trace, depth));
            let (list, end) = frames_of(id);
            let kept = depth.min(DEEPEST) as usize;
            assert!(list.len() <= kept + (kept / 4).max(1), "{depth} {levels} {}", list.len());
            match end {
                Completeness::Truncated => assert!(list.len() >= kept, "{depth} {levels}"),
                end => assert_eq!(end, Completeness::Complete),
            }
        }
    }
}

/// Calls at every level of a recursion, on its way in and out (`true`).
#[inline(never)]
fn at_each_depth(depth: usize, then: &mut dyn FnMut(usize, bool)) {
    then(depth, false);
    if depth > 0 {
        at_each_depth(core::hint::black_box(depth - 1), then);
        then(depth, true);
    }
    core::hint::black_box(depth);
}

#[inline(never)]
fn left(depth: usize, then: &mut dyn FnMut(usize, bool)) {
    at_each_depth(core::hint::black_box(depth), then);
    core::hint::black_box(1);
}

#[inline(never)]
fn right(depth: usize, then: &mut dyn FnMut(usize, bool)) {
    at_each_depth(core::hint::black_box(depth), then);
    core::hint::black_box(2);
}

/// Captures, and compares with a walk that remembers nothing.
#[unsafe(naked)]
extern "C" fn compare_here(trace: &mut ThreadTrace, depth: u32) -> u32 {
    core::arch::naked_asm!("mov rdx, rsp", "mov rcx, rbp", "jmp {}", sym compare_captures);
}

extern "C" fn compare_captures(trace: &mut ThreadTrace, depth: u32, sp: usize, fp: usize) -> u32 {
    let entry = Entry { sp, fp };
    let id = trace.capture(entry, depth);
    let again = trace.walk_alone(entry, depth);
    assert_eq!(super::super::check::compare(id, again), super::super::Comparison::Equal);
    id.0
}

/// Two stacks whose frames lie at the same addresses and differ in one function
/// far out are two stacks, also when the path had no room for that function, and
/// nothing was captured nearer to it since.
#[test]
fn a_caller_between_equal_frames_is_seen_at_any_depth() {
    for depth in [1, 8, 32, DEEPEST] {
        for (levels, captured, on_the_way_out) in
            [(40, 40, true), (500, 300, false), (700, 700, true)]
        {
            let mut trace = new_trace();
            for side in [left, right, left] {
                at_depth(100, &mut || {
                    side(levels, &mut |level, out| {
                        if level <= captured && (!out || on_the_way_out) {
                            compare_here(&mut trace, depth);
                        }
                    });
                });
            }
        }
    }
}

#[test]
fn depth_zero_is_the_caller_alone() {
    let mut trace = new_trace();
    let (list, end) = frames_of(capture_here(&mut trace, 0));
    assert_eq!((list.len(), end), (1, Completeness::Truncated));
}

#[test]
fn a_capture_inside_a_capture_knows_its_caller_only() {
    let mut trace = new_trace();
    assert_eq!(frames_of(capture_here(&mut trace, 32)).1, Completeness::Complete);
    // As a signal handler finds it: the capture under way is further out.
    let outer = &raw const trace as usize + 4096;
    trace.busy.store(outer, Relaxed);
    let (list, end) = frames_of(capture_here(&mut trace, 32));
    assert_eq!((list.len(), end), (1, Completeness::Truncated));
    assert_eq!(trace.busy.load(Relaxed), outer, "the outer capture is still under way");
}

#[test]
fn a_capture_left_by_a_jump_is_forgotten() {
    let mut trace = new_trace();
    let whole = capture_here(&mut trace, 32);
    // As siglongjmp leaves it: the stack has been cut back to above the capture.
    let inner = &raw const whole as usize - 65536;
    trace.busy.store(inner, Relaxed);
    let (list, end) = frames_of(capture_here(&mut trace, 32));
    assert!(list.len() > 1);
    assert_eq!(end, Completeness::Complete);
    assert_eq!(trace.busy.load(Relaxed), 0);
}

#[test]
fn another_thread_takes_the_memory_over() {
    let mut trace = new_trace();
    let first = frames_of(capture_here(&mut trace, 32));
    let (mut trace, second) = std::thread::spawn(move || {
        trace.attach();
        let second = frames_of(capture_here(&mut trace, 32));
        (trace, second)
    })
    .join()
    .unwrap();
    trace.attach();
    assert_eq!((first.1, second.1), (Completeness::Complete, Completeness::Complete));
    assert_ne!(first.0, second.0);
    assert_eq!(frames_of(capture_here(&mut trace, 32)).1, Completeness::Complete);
}

#[test]
fn rules_are_found_again_after_they_were_forgotten() {
    let mut trace = new_trace();
    let mut ids = [0; 2];
    for id in &mut ids {
        *id = capture_here(&mut trace, 32);
        forget_rules();
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(frames_of(ids[0]).1, Completeness::Complete);
}

/// Runs alone in a process of its own, because it takes all memory away.
#[test]
#[ignore = "run by without_memory_stacks_are_unknown"]
fn without_memory_alone() {
    let mut trace = new_trace();
    crate::platform::sim::fail_from(1);
    for levels in 0..200 {
        let mut id = 0;
        at_depth(levels, &mut || id = capture_here(&mut trace, 32));
        assert_eq!(id, 0);
    }
    assert!(statistics().dropped > 200);
    crate::platform::sim::fail_at(0);
    let (list, end) = frames_of(capture_here(&mut trace, 32));
    assert!(list.len() > 1);
    assert_eq!(end, Completeness::Complete);
}

#[test]
fn without_memory_stacks_are_unknown() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "trace::thread::tests::without_memory_alone"])
        .output()
        .unwrap();
    let text = std::string::String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
