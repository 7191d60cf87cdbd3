//! Records of every kind, rendered with stacks and names of the test's own.

mod reporter;
mod samples;
mod sink;

use super::render::render;
use super::*;
use crate::units::{LeakKind, StackId};
use samples::{for_each_sample, leak, overflow};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

/// Stack N has the return addresses N001, N002, … up to N00N.
pub struct TestStacks;

impl Stacks for TestStacks {
    fn frames(&self, stack: StackId, frames: &mut [Code]) -> (usize, End) {
        let count = (stack.0 as usize).min(frames.len());
        for (index, code) in frames[..count].iter_mut().enumerate() {
            *code = Code { address: stack.0 as usize * 0x1000 + index + 1, module: 1 };
        }
        (count, if stack.0 == 3 { End::Broken } else { End::Complete })
    }
}

/// The last digits name the function; 1 has an inlined one, 3 no function.
pub struct TestNames;

impl Names for TestNames {
    fn at(&self, code: Code, visit: &mut dyn FnMut(&Frame<'_>)) {
        let frame = |function, line, inlined| Frame {
            function: Some(function),
            file: Some(b"/src/a \"b\"\xff.c"),
            line: Some(line),
            column: Some(7),
            inlined,
        };
        match code.address & 0xfff {
            0 => {
                visit(&frame(b"copy_name", 12, true));
                visit(&frame(b"std::vector<int>::grow(int)", 30, false));
            }
            2 => {}
            other => visit(&Frame {
                function: Some(match other {
                    1 => b"caller",
                    _ if code.address == 0x9006 => b"main",
                    _ => b"outer",
                }),
                ..Frame::default()
            }),
        }
    }
    fn place(&self, code: Code, visit: &mut dyn FnMut(&Place<'_>)) {
        if code.address & 0xfff < 8 {
            visit(&Place {
                module: b"/usr/bin/app\x1b[31m",
                offset: code.address as u64 - 0x100,
                build_id: b"\xab\x01",
            });
        }
    }
}

fn context() -> Context<'static> {
    Context {
        pid: 42,
        time: Timestamp { seconds: 1_700_000_000, nanoseconds: 5_000_000 },
        stacks: &TestStacks,
        names: &TestNames,
        thread_name: |os_id, buffer| {
            buffer[..4].copy_from_slice(b"work");
            if os_id == 99 { 4 } else { 0 }
        },
        own_code: (0, 0),
        is_fatal: true,
    }
}

fn rendered_in(record: Record<'_>, form: Form, room: usize) -> Option<String> {
    let (mut codes, mut buffer) = ([Code::default(); FRAMES_MAX], vec![0; room]);
    render(record, form, &context(), &mut codes, &mut buffer)
        .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn rendered(record: Record<'_>, form: Form) -> String {
    rendered_in(record, form, 1 << 16).unwrap()
}

#[test]
fn every_record_is_one_line_that_the_schema_accepts() {
    let schema = include_str!("../../../docs/report.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut types = Vec::new();
    for_each_sample(&mut |record| {
        let line = rendered(record, Form::Json);
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{line}");
        types.push(value["type"].as_str().unwrap().to_string());

        // The twin: the schema is no sieve without a mesh.
        let mut broken = value.clone();
        broken["unheard_of"] = 1.into();
        assert!(!validator.is_valid(&broken));
        broken = value;
        broken.as_object_mut().unwrap().remove("time");
        assert!(!validator.is_valid(&broken));
    });
    types.sort_unstable();
    types.dedup();
    let named = schema["oneOf"].as_array().unwrap().len();
    assert_eq!(types.len(), named, "a kind of record without a sample: {types:?}");
}

#[test]
fn bytes_that_are_no_text_do_not_break_the_line() {
    let line = rendered(Record::Leak(&leak()), Form::Json);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["stack"][0]["file"], "/src/a \"b\"\u{fffd}.c");
    assert_eq!(value["stack"][0]["module"], "/usr/bin/app\u{1b}[31m");
    assert!(!rendered(Record::Leak(&leak()), Form::Text).contains('\u{1b}'));
}

#[test]
fn a_frame_shows_inlined_functions_and_only_what_is_known() {
    let line = rendered(Record::Leak(&leak()), Form::Json);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    let stack = value["stack"].as_array().unwrap();
    assert_eq!(stack.len(), 5, "{stack:#?}");
    assert_eq!(stack[0]["inlined"], true);
    assert_eq!(stack[1].get("inlined"), None);
    assert_eq!(stack[1]["address"], "0x4000", "the call, not the return address");
    assert_eq!(stack[1]["offset"], "0x3f00");
    assert_eq!(stack[1]["build_id"], "ab01");
    assert_eq!(stack[3].get("function"), None);
}

#[test]
fn a_record_that_does_not_fit_loses_outer_frames_and_says_so() {
    let long = Leak { stack: StackId(200), ..leak() };
    let whole = rendered(Record::Leak(&long), Form::Json);
    assert!(!whole.contains("stack_left_out"));
    let line = rendered_in(Record::Leak(&long), Form::Json, 4096).unwrap();
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    let left_out = value["stack_left_out"].as_u64().unwrap() as usize;
    assert!(left_out > 100 && value["stack"].as_array().unwrap().len() + left_out > 200);
    let text = rendered_in(Record::Leak(&long), Form::Text, 4096).unwrap();
    assert!(text.contains("outer frames left out)"), "{text}");
    assert_eq!(rendered_in(Record::Leak(&long), Form::Json, 64), None);
}

#[test]
fn own_frames_are_left_out_at_the_top_only() {
    let (mut codes, mut buffer) = ([Code::default(); FRAMES_MAX], vec![0; 1 << 14]);
    let context = Context { own_code: (0x4001, 0x4003), ..context() };
    let record = leak();
    let bytes = render(Record::Leak(&record), Form::Json, &context, &mut codes, &mut buffer);
    let value: serde_json::Value = serde_json::from_slice(bytes.unwrap()).unwrap();
    assert_eq!(value["stack"][0]["address"], "0x4002");
}

#[test]
fn leaks_have_the_line_shapes_that_tools_parse() {
    let text = rendered(Record::Leak(&leak()), Form::Text);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("Direct leak of 42 byte(s) in 3 object(s) allocated from:"));
    assert_eq!(lines.next(), Some("    #0 0x4000 in copy_name /src/a \"b\"\u{fffd}.c:12:7"));
    assert_eq!(lines.nth(1).unwrap().split(" (").next(), Some("    #2 0x4001 in caller"));
    assert_eq!(
        lines.next(),
        Some("    #3 0x4002 (/usr/bin/app\\u{1b}[31m+0x3f02) (BuildId: ab01)")
    );
    let indirect = Leak { kind: LeakKind::Indirect, ..leak() };
    let text = rendered(Record::Leak(&indirect), Form::Text);
    assert!(text.starts_with("Indirect leak of 42 byte(s) in 3 object(s) allocated from:\n"));
}

#[test]
fn text_stops_at_main_and_json_goes_on() {
    let deep = Leak { stack: StackId(9), ..leak() };
    let text = rendered(Record::Leak(&deep), Form::Text);
    assert!(text.contains("#7 0x9006 in main (") && !text.contains("#8 "), "{text}");
    assert!(rendered(Record::Leak(&deep), Form::Json).contains("0x9008"));
}

#[test]
fn damage_found_by_a_check_points_to_the_block_not_to_the_check() {
    let found = ErrorReport { stack: StackId::UNKNOWN, ..overflow(&[]) };
    let text = rendered(Record::Error(&found), Form::Text);
    assert!(text.contains("past the end of the block; found by a check of the heap.\n"), "{text}");
    assert!(!text.contains("is not known"));
    assert!(text.contains("SUMMARY: heapwarden: heap-buffer-overflow /src/a"), "the free's place");
}

#[test]
fn an_error_tells_kind_block_both_events_and_what_to_do() {
    let text = rendered(Record::Error(&overflow(&[])), Form::Text);
    for line in [
        "==42==ERROR: heapwarden: heap-buffer-overflow on address 0x50000c",
        "2 bytes were written past the end of the block, found in thread 2 (work) here:",
        "0x50000c is located 2 bytes after 10-byte region [0x500000,0x50000a), allocated 1.5 s ago",
        "freed by thread 1 here:",
        "previously allocated by thread 2 (work) with operator new[] (allocation 17) here:",
        "SUMMARY: heapwarden: heap-buffer-overflow /src/a \"b\"\u{fffd}.c:12:7 in copy_name",
        "==42==ABORTING",
    ] {
        assert!(text.lines().any(|shown| shown == line), "no line {line:?} in\n{text}");
    }
    assert!(text.contains("What to do: "));
}

#[test]
fn a_clean_summary_is_silent_and_a_found_leak_is_summed_up() {
    assert_eq!(rendered(Record::Summary(&Summary::default()), Form::Text), "");
    let one = Count { blocks: 1, bytes: 10 };
    let summary = Summary { definite: one, indirect: one, reachable: one, ..Summary::default() };
    let text = rendered(Record::Summary(&summary), Form::Text);
    assert!(
        text.ends_with("SUMMARY: heapwarden: 20 byte(s) leaked in 2 allocation(s).\n"),
        "{text}"
    );
    let only_reachable = Summary { reachable: one, ..Summary::default() };
    assert_eq!(rendered(Record::Summary(&only_reachable), Form::Text), "");
}

#[test]
fn every_kind_of_error_has_advice_and_a_name_of_its_own() {
    let mut names: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
    for kind in ErrorKind::ALL {
        let text = rendered(Record::Error(&ErrorReport { kind, ..overflow(&[]) }), Form::Text);
        assert!(text.contains(&format!("SUMMARY: heapwarden: {} ", kind.name())));
        assert_eq!(text.contains("ABORTING"), !kind.is_harmless_alone());
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ErrorKind::ALL.len());
}
