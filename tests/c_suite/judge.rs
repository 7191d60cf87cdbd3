//! Compares what a run left behind with what its header expects.
//!
//! The verdict is exact in both directions: each expected record is matched with
//! one record of the report, and any record left over is a failure.

use crate::expectation::{
    self, Ending, Expectation, FrameWanted, RecordWanted, StackOf, ValueWanted,
};
use crate::header::{Case, Program, ReportFrom};
use crate::run::Outcome;
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;

/// All that is wrong with `outcome`, one line each; empty means it passed.
pub fn judge(program: &Program, case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    let wanted = &case.expectation;
    let ends_well = judge_ending(wanted, outcome, &mut faults);
    judge_output(wanted, outcome, &mut faults);
    if case.report == ReportFrom::Off {
        return faults;
    }
    for line in &outcome.broken_lines {
        faults.push(format!("a report line is no JSON record: {}", shorten(line)));
    }
    for record in &outcome.records {
        if let Err(fault) = well_formed(record) {
            faults.push(format!("{fault} in {}", describe(record)));
        }
    }
    judge_summary(case, outcome, ends_well, &mut faults);
    judge_records(program, wanted, outcome, &mut faults);
    faults
}

fn judge_ending(wanted: &Expectation, outcome: &Outcome, faults: &mut Vec<String>) -> bool {
    let ending = wanted.ending();
    let matches = outcome.status.is_some_and(|status| match &ending {
        Ending::Exit(codes) => status.code().is_some_and(|code| codes.contains(&code)),
        Ending::Signal(signal) => status.signal() == Some(*signal),
    });
    if !matches {
        let said = outcome
            .stderr
            .lines()
            .last()
            .map_or(String::new(), |l| format!("; last words: {}", shorten(l)));
        let expected = match ending {
            Ending::Exit(codes) => format!(
                "exit {}",
                codes.iter().map(i32::to_string).collect::<Vec<_>>().join(" or ")
            ),
            Ending::Signal(signal) => format!("signal {signal}"),
        };
        faults.push(format!("expected {expected}, came {}{said}", outcome.ending()));
    }
    matches
}

fn judge_output(wanted: &Expectation, outcome: &Outcome, faults: &mut Vec<String>) {
    for text in &wanted.stdout {
        if !outcome.stdout.contains(text.as_str()) {
            faults.push(format!("stdout lacks \"{text}\": {}", shorten(&outcome.stdout)));
        }
    }
    for text in &wanted.stderr {
        if !outcome.stderr.contains(text.as_str()) {
            faults.push(format!("stderr lacks \"{text}\": {}", shorten(&outcome.stderr)));
        }
    }
    for text in &wanted.absent_from_stderr {
        if outcome.stderr.contains(text.as_str()) {
            faults.push(format!("stderr has \"{text}\": {}", shorten(&outcome.stderr)));
        }
    }
    if wanted.is_silent() && wanted.stderr.is_empty() && outcome.stderr.contains("heapwarden") {
        faults.push(format!("should be silent, but stderr says: {}", shorten(&outcome.stderr)));
    }
}

/// A normal end leaves exactly one summary, and its counts are those of the records.
fn judge_summary(case: &Case, outcome: &Outcome, ends_well: bool, faults: &mut Vec<String>) {
    let own = |r: &&Value| r["pid"].as_u64() == Some(outcome.pid.into());
    let summaries: Vec<&Value> =
        outcome.records.iter().filter(own).filter(|r| r["type"] == "summary").collect();
    if case.expectation.tolerated.iter().any(|(type_of_record, _)| type_of_record == "summary") {
        return;
    }
    if case.expectation.no_report {
        if let Some(record) = outcome.records.first() {
            faults.push(format!("expected no report at all, came {}", describe(record)));
        }
        return;
    }
    let unchecked = case.options.iter().any(|o| o.contains("detect_leaks=0"));
    let exits = matches!(case.expectation.ending(), Ending::Exit(_));
    if exits && ends_well && !unchecked && summaries.len() != 1 {
        faults.push(format!("expected one summary of the process, came {}", summaries.len()));
    }
    let Some(summary) = summaries.first() else { return };
    for kind in ["definite", "indirect", "possible"] {
        for unit in ["blocks", "bytes"] {
            let leaks = outcome
                .records
                .iter()
                .filter(own)
                .filter(|r| r["type"] == "leak" && r["kind"] == kind);
            let sum: u64 = leaks.filter_map(|r| r[unit].as_u64()).sum();
            let told = summary[kind][unit].as_u64();
            let hidden = case
                .options
                .iter()
                .any(|o| o.contains("suppressions") || o.contains("show_leak_kinds"));
            if told != Some(sum) && !hidden {
                faults.push(format!(
                    "summary says {kind} {unit} {told:?}, its leak records say {sum}"
                ));
            }
        }
    }
}

fn judge_records(
    program: &Program,
    wanted: &Expectation,
    outcome: &Outcome,
    faults: &mut Vec<String>,
) {
    let findings: Vec<&Value> = outcome.records.iter().filter(|r| r["type"] != "summary").collect();
    let file = program.path.file_name().unwrap_or_default().to_string_lossy();
    let fits = |w: &RecordWanted, r: &Value| mismatch(w, r, outcome.pid, &file).is_none();
    let mut owner: Vec<Option<usize>> = vec![None; findings.len()];
    for index in 0..wanted.records.len() {
        let mut tried = vec![false; findings.len()];
        if !assign(index, &wanted.records, &findings, &fits, &mut owner, &mut tried) {
            faults.push(format!(
                "expected `{}`{}",
                wanted.records[index].text,
                nearest(index, wanted, &findings, outcome.pid, &file)
            ));
        }
    }
    for (record, _) in findings.iter().zip(&owner).filter(|(_, owner)| owner.is_none()) {
        let tolerated = wanted.tolerated.iter().any(|(kind_of_record, kind)| {
            record["type"] == kind_of_record.as_str()
                && kind.as_ref().is_none_or(|k| record["kind"] == k.as_str())
        });
        if !tolerated {
            faults.push(format!("unexpected: {}", describe(record)));
        }
    }
}

/// Gives expectation `index` a record, moving earlier ones where needed
/// (augmenting paths: the order of clauses and records does not matter).
fn assign(
    index: usize,
    wanted: &[RecordWanted],
    findings: &[&Value],
    fits: &dyn Fn(&RecordWanted, &Value) -> bool,
    owner: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for at in 0..findings.len() {
        if tried[at] || !fits(&wanted[index], findings[at]) {
            continue;
        }
        tried[at] = true;
        let free = match owner[at] {
            None => true,
            Some(other) => assign(other, wanted, findings, fits, owner, tried),
        };
        if free {
            owner[at] = Some(index);
            return true;
        }
    }
    false
}

/// Why the likeliest record does not fit, for the failure line.
fn nearest(
    index: usize,
    wanted: &Expectation,
    findings: &[&Value],
    pid: u32,
    file: &str,
) -> String {
    let wanted = &wanted.records[index];
    let alike = findings.iter().find(|r| r["type"] == wanted.kind_of_record.as_str());
    match alike.and_then(|r| mismatch(wanted, r, pid, file).map(|why| (r, why))) {
        Some((record, why)) => format!(": {why} in {}", describe(record)),
        None => ": no such record".into(),
    }
}

/// `None` iff the record is what was wanted.
fn mismatch(wanted: &RecordWanted, record: &Value, pid: u32, file: &str) -> Option<String> {
    if record["type"] != wanted.kind_of_record.as_str() {
        return Some("another type".into());
    }
    let own = record["pid"].as_u64() == Some(pid.into());
    if own == wanted.child {
        return Some("another process".into());
    }
    if !wanted.kinds.is_empty() && !wanted.kinds.iter().any(|k| record["kind"] == k.as_str()) {
        return Some(format!("kind is {}", record["kind"]));
    }
    for (field, number) in &wanted.numbers {
        let value = match *field {
            "offset" | "size" => &record["block"][*field],
            other => &record[other],
        };
        if value.as_i64() != Some(*number) {
            return Some(format!("{field} is {value}, not {number}"));
        }
    }
    for text in &wanted.message {
        if !record["message"].as_str().is_some_and(|m| m.contains(text.as_str())) {
            return Some(format!("message is {}", record["message"]));
        }
    }
    let values = wanted.values.iter().find_map(|value| value_mismatch(value, record));
    values.or_else(|| wanted.frames.iter().find_map(|frame| frame_mismatch(frame, record, file)))
}

fn value_mismatch(wanted: &ValueWanted, record: &Value) -> Option<String> {
    let path = &wanted.path;
    let pointer = format!("/{}", path.replace('.', "/"));
    let found = record.pointer(&pointer).unwrap_or(&Value::Null);
    let as_text = found.as_str().map_or_else(|| found.to_string(), str::to_string);
    let names = |frame: &Value| frame["function"].as_str().unwrap_or("?").to_string();
    let fits = match &wanted.value {
        expectation::Value::Is(text) => as_text == *text,
        expectation::Value::Contains(text) => as_text.contains(text.as_str()),
        expectation::Value::Between(from, to) => {
            found.as_f64().is_some_and(|number| (*from..=*to).contains(&number))
        }
        expectation::Value::Absent => found.is_null(),
        expectation::Value::StackHas(function) => {
            let frames = found["stack"].as_array().map(Vec::as_slice).unwrap_or_default();
            let has = frames.iter().any(|frame| same_function(&names(frame), function));
            let all: Vec<String> = frames.iter().map(names).collect();
            return (!has).then(|| format!("{path}'s stack is [{}]", all.join(" < ")));
        }
    };
    (!fits).then(|| format!("{path} is {}", shorten(&as_text)))
}

fn frame_mismatch(wanted: &FrameWanted, record: &Value, file: &str) -> Option<String> {
    let (name, stack) = match wanted.stack {
        StackOf::Record => ("stack", &record["stack"]),
        StackOf::Allocation => ("allocated stack", &record["block"]["allocated"]["stack"]),
        StackOf::Release => ("freed stack", &record["block"]["freed"]["stack"]),
    };
    let frames = stack.as_array().map(Vec::as_slice).unwrap_or_default();
    let named = |frame: &Value| {
        frame["function"].as_str().is_some_and(|f| same_function(f, &wanted.function))
    };
    let Some(index) = wanted.index else {
        return (!frames.iter().any(named)).then(|| format!("{name} lacks {}", wanted.function));
    };
    let Some(frame) = frames.get(index) else {
        return Some(format!("{name} has only {} frames", frames.len()));
    };
    if !named(frame) {
        return Some(format!("{name}[{index}] is {}, not {}", frame["function"], wanted.function));
    }
    let place = wanted.place.as_ref()?;
    if frame["line"].as_u64() != Some(place.line) {
        return Some(format!("{name}[{index}] is at line {}, not {}", frame["line"], place.line));
    }
    let file = place.header.as_deref().unwrap_or(file);
    let right_file = frame["file"].as_str().is_some_and(|f| f.ends_with(file));
    (!right_file).then(|| format!("{name}[{index}] is in file {}", frame["file"]))
}

/// A demangled name may carry its parameters or not.
fn same_function(actual: &str, wanted: &str) -> bool {
    actual == wanted || (!wanted.contains('(') && actual.split('(').next() == Some(wanted))
}

/// The promises every record keeps (interface.md, 4).
fn well_formed(record: &Value) -> Result<(), String> {
    if record["v"] != 1 {
        return Err("no \"v\":1".into());
    }
    let pid = record["pid"].as_u64();
    if pid.is_none_or(|p| p == 0) {
        return Err("no pid".into());
    }
    let time = record["time"].as_str().unwrap_or_default();
    let rfc3339 = time.len() >= 20 && time.as_bytes()[10] == b'T' && time.as_bytes()[4] == b'-';
    if !rfc3339 {
        return Err(format!("time \"{time}\" is not RFC 3339"));
    }
    let needed: &[&str] = match record["type"].as_str().unwrap_or_default() {
        "leak" => &["kind", "blocks", "bytes", "stack", "thread", "first"],
        "hidden-leak" => &["blocks", "bytes", "stack", "evidence"],
        "error" => &["kind", "message", "stack", "thread"],
        "warning" => &["kind", "message", "stack", "count"],
        "notice" => &["message"],
        "suppression" => &["pattern"],
        "exhaustion" => &["requested", "limit", "limit_from", "in_use", "stack", "top"],
        "summary" => &["definite", "indirect", "possible", "reachable", "errors", "suppressed"],
        other => return Err(format!("unknown record type \"{other}\"")),
    };
    match needed.iter().find(|field| record[**field].is_null()) {
        Some(field) => Err(format!("no \"{field}\"")),
        None => Ok(()),
    }
}

/// One line for a record: what matters of it.
pub fn describe(record: &Value) -> String {
    let mut parts = vec![record["type"].as_str().unwrap_or("?").to_string()];
    for field in ["kind", "blocks", "bytes", "count", "requested"] {
        if !record[field].is_null() {
            parts.push(format!("{field} {}", record[field]));
        }
    }
    for field in ["size", "offset"] {
        if !record["block"][field].is_null() {
            parts.push(format!("{field} {}", record["block"][field]));
        }
    }
    if let Some(message) = record["message"].as_str() {
        parts.push(shorten(message));
    }
    let frames = record["stack"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> =
        frames.iter().take(4).map(|f| f["function"].as_str().unwrap_or("?")).collect();
    format!("{} [{}] pid {}", parts.join(" "), names.join(" < "), record["pid"])
}

fn shorten(text: &str) -> String {
    let line = text.trim_end().replace('\n', " ⏎ ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
