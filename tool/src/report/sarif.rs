//! SARIF 2.1.0 (OASIS), for code hosts and editors.
//!
//! A result's first location is the first frame whose source is the user's;
//! the whole stack is in `stacks`, other places (the free, the parent) in
//! `relatedLocations`. `partialFingerprints` stay when lines move, so a code
//! host knows a finding again.

use super::Settings;
use crate::record::{Frame, Record};
use crate::sites::{Site, Sites};
use anyhow::Result;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// A kind of finding: SARIF's rule.
struct Rule {
    id: &'static str,
    kind: &'static str,
    level: &'static str,
    text: &'static str,
}

const fn rule(
    id: &'static str,
    kind: &'static str,
    level: &'static str,
    text: &'static str,
) -> Rule {
    Rule { id, kind, level, text }
}

/// Ids never change their meaning.
const RULES: &[Rule] = &[
    rule("HW001", "definite", "error", "Memory is lost: no pointer to it is left"),
    rule("HW002", "indirect", "warning", "Memory is held only by lost blocks"),
    rule("HW003", "possible", "warning", "Only pointers into the middle of a block are left"),
    rule("HW004", "reachable", "note", "Memory is still reachable at the end"),
    rule("HW005", "hidden", "warning", "Memory is reachable, but nobody seems to need it"),
    rule("HW101", "heap-buffer-overflow", "error", "Bytes behind a block were touched"),
    rule("HW102", "heap-buffer-underflow", "error", "Bytes before a block were touched"),
    rule("HW103", "heap-use-after-free", "error", "A freed block was used"),
    rule("HW104", "double-free", "error", "A block was freed twice"),
    rule("HW105", "bad-free", "error", "Something was freed that was never allocated"),
    rule("HW106", "alloc-dealloc-mismatch", "error", "Freed by another family of functions"),
    rule("HW107", "new-delete-type-mismatch", "warning", "Deleted with another size than new's"),
    rule("HW108", "size-mismatch", "warning", "Freed with another size than asked for"),
    rule("HW109", "use-of-uninitialized-value", "error", "Memory was read before it was set"),
    rule("HW110", "heap-corruption", "error", "A block's header was overwritten"),
    rule("HW201", "calloc-overflow", "warning", "The product of calloc's arguments overflows"),
    rule("HW202", "allocation-size-too-big", "warning", "More memory than any object may have"),
    rule("HW203", "invalid-alignment", "warning", "The alignment is not allowed"),
    rule("HW204", "stack-mismatch", "warning", "A call stack is not the one libgcc finds"),
    rule("HW301", "exhaustion", "error", "Memory has run out"),
];

/// Writes one run with a result for each site.
pub fn write(sites: &Sites, settings: &Settings<'_>, out: &mut dyn Write) -> Result<()> {
    let root = std::path::absolute(settings.source_root)?;
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "name": rule.kind,
                "shortDescription": { "text": rule.text },
                "defaultConfiguration": { "level": rule.level },
            })
        })
        .collect();
    let results: Vec<Value> = sites.list.iter().filter_map(|site| result(site, &root)).collect();
    let root_uri = format!("{}/", file_uri(&root));
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "heapwarden",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "invocations": [{ "executionSuccessful": true }],
            "originalUriBaseIds": { "SRCROOT": { "uri": root_uri } },
            "columnKind": "utf16CodeUnits",
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)?;
    Ok(())
}

fn result(site: &Site, root: &Path) -> Option<Value> {
    let index = RULES.iter().position(|rule| rule.kind == site.kind)?;
    let rule = &RULES[index];
    let mut result = json!({
        "ruleId": rule.id,
        "ruleIndex": index,
        "level": rule.level,
        "message": { "text": site.title() },
        "occurrenceCount": site.findings.max(1),
        "partialFingerprints": { "heapwardenSite/v1": site.fingerprint() },
        "properties": { "blocks": site.count.blocks, "bytes": site.count.bytes },
    });
    if let Some(frame) = site.place() {
        result["locations"] = json!([location(frame, root, None)]);
    }
    let mut stacks = Vec::new();
    let mut related = Vec::new();
    for (name, stack) in stacks_of(&site.sample.record) {
        if stack.is_empty() {
            continue;
        }
        let frames: Vec<Value> = stack.iter().map(|frame| stack_frame(frame, root)).collect();
        stacks.push(json!({ "message": { "text": name }, "frames": frames }));
        if stacks.len() > 1 {
            let place = stack.iter().find(|frame| frame.file.is_some()).unwrap_or(&stack[0]);
            related.push(location(place, root, Some(name)));
        }
    }
    if !stacks.is_empty() {
        result["stacks"] = stacks.into();
    }
    if !related.is_empty() {
        result["relatedLocations"] = related.into();
    }
    Some(result)
}

/// All call stacks of a record, the finding's own first.
fn stacks_of(record: &Record) -> Vec<(&'static str, &[Frame])> {
    match record {
        Record::Leak(leak) => {
            let mut stacks = vec![("allocated here", &leak.stack[..])];
            if let Some(parent) = &leak.parent {
                stacks.push(("the block that holds it was allocated here", &parent.stack));
            }
            if let Some(because) = &leak.lost_because {
                stacks.push(("lost when its holder was freed here", &because.freed.stack));
            }
            stacks
        }
        Record::HiddenLeak(leak) => vec![("allocated here", &leak.stack)],
        Record::Error(error) => {
            let mut stacks = vec![("found here", &error.stack[..])];
            if let Some(block) = &error.block {
                stacks.push(("allocated here", &block.allocated.stack));
                if let Some(freed) = &block.freed {
                    stacks.push(("freed here", &freed.stack));
                }
            }
            stacks
        }
        Record::Warning(warning) => vec![("asked for here", &warning.stack)],
        Record::Exhaustion(out) => {
            let mut stacks = vec![("asked for here", &out.stack[..])];
            stacks.extend(out.top.iter().take(5).map(|holder| ("holds memory", &holder.stack[..])));
            stacks
        }
        Record::Summary(_) | Record::Suppression(_) | Record::Notice(_) => Vec::new(),
    }
}

fn stack_frame(frame: &Frame, root: &Path) -> Value {
    let mut value = json!({ "location": location(frame, root, None) });
    if let Some(module) = &frame.module {
        value["module"] = module.as_str().into();
    }
    value
}

fn location(frame: &Frame, root: &Path, message: Option<&str>) -> Value {
    let mut value = json!({
        "logicalLocations": [{ "fullyQualifiedName": frame.name(), "kind": "function" }],
    });
    if let Some(file) = &frame.file {
        let artifact = match Path::new(file).strip_prefix(root) {
            Ok(below) => {
                json!({ "uri": encoded(&below.to_string_lossy()), "uriBaseId": "SRCROOT" })
            }
            Err(_) if file.starts_with('/') => json!({ "uri": file_uri(Path::new(file)) }),
            Err(_) => json!({ "uri": encoded(file), "uriBaseId": "SRCROOT" }),
        };
        let mut physical = json!({ "artifactLocation": artifact });
        if let Some(line) = frame.line {
            physical["region"] = json!({ "startLine": line });
            if let Some(column) = frame.column {
                physical["region"]["startColumn"] = column.into();
            }
        }
        value["physicalLocation"] = physical;
    }
    if let Some(message) = message {
        value["message"] = json!({ "text": message });
    }
    value
}

fn file_uri(path: &Path) -> String {
    format!("file://{}", encoded(&path.to_string_lossy()))
}

/// A path as part of a URI (RFC 3986 3.3).
fn encoded(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'+' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
