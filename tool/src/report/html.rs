//! HTML: one file with everything in it, that works offline.
//!
//! The page (`html/page.html`, `page.css`, `page.js`) is the same for every
//! report; the findings are put in as JSON. Texts, frames and stacks are
//! numbered and stored once, because a report may have 100,000 sites:
//!
//! ```text
//! texts   ["copy_name", "app.c", …]
//! frames  [function, file, line, module]      numbers of texts; -1 = unknown
//! stacks  [frame, …]                          innermost first
//! sites   [kind, blocks, bytes, records, stack, title, details]
//! ```
//!
//! Nothing from a report is ever read as markup: the page sets text only, `<`
//! is escaped in the JSON, and a content security policy forbids the rest.

use super::Settings;
use super::describe::describe;
use super::source::Sources;
use crate::record::{Frame, Record};
use crate::sites::{Site, Sites};
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Write;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// Source lines shown before and after a place.
const CONTEXT: u32 = 3;
/// Places with source lines; more would make the page slow to load.
const EXCERPTS: usize = 5000;
/// Frames of each stack that get source lines.
const EXCERPT_FRAMES: usize = 3;

/// Writes the page.
pub fn write(sites: &Sites, settings: &Settings<'_>, out: &mut dyn Write) -> Result<()> {
    let data = data(sites, settings).to_string().replace('<', "\\u003c");
    let mut rest = PAGE;
    for (mark, text) in [("/*STYLE*/", STYLE), ("/*DATA*/", &data), ("/*SCRIPT*/", SCRIPT)] {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        out.write_all(before.as_bytes())?;
        out.write_all(text.as_bytes())?;
        rest = after;
    }
    out.write_all(rest.as_bytes())?;
    Ok(())
}

fn data(sites: &Sites, settings: &Settings<'_>) -> Value {
    let mut tables = Tables::default();
    let mut sources = Sources::new(settings.source_dirs);
    let mut excerpts = Excerpts::default();
    let list: Vec<Value> = sites
        .list
        .iter()
        .map(|site| {
            excerpts.add(site, &mut sources);
            let stack = tables.stack(&site.stack);
            json!([
                tables.text(&site.kind),
                site.count.blocks,
                site.count.bytes,
                site.findings,
                stack,
                tables.text(&site.title()),
                details(site, &mut tables),
            ])
        })
        .collect();
    let history: Vec<Value> = sites
        .summaries
        .iter()
        .map(|(time, pid, summary)| {
            json!({
                "time": time, "pid": pid,
                "bytes": {
                    "definite": summary.definite.bytes, "indirect": summary.indirect.bytes,
                    "possible": summary.possible.bytes, "reachable": summary.reachable.bytes,
                    "hidden": summary.hidden.bytes,
                },
            })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "sum": sites.sum(),
        "notices": sites.notices,
        "suppressed": sites.suppressed,
        "sites": list,
        "history": history,
        "excerpts": excerpts.found,
        "stacks": tables.stacks,
        "frames": tables.frames,
        "texts": tables.texts,
    })
}

/// What a site's panel shows besides its own stack.
fn details(site: &Site, tables: &mut Tables) -> Value {
    let (_, _, places, notes) = describe(site);
    let stacks: Vec<Value> = places
        .iter()
        .map(|place| json!([tables.text(&place.what), tables.stack(place.stack)]))
        .collect();
    let mut details = json!({ "stacks": stacks, "notes": notes });
    match &site.sample.record {
        Record::HiddenLeak(leak) => {
            details["evidence"] = serde_json::to_value(&leak.evidence).unwrap_or_default();
        }
        Record::Exhaustion(exhaustion) => {
            let holders: Vec<Value> = exhaustion
                .top
                .iter()
                .map(|holder| json!([holder.bytes, holder.blocks, tables.stack(&holder.stack)]))
                .collect();
            details["holders"] = holders.into();
            details["in_use"] = exhaustion.in_use.into();
        }
        _ => {}
    }
    details
}

/// Texts, frames and stacks, each stored once.
#[derive(Default)]
struct Tables {
    texts: Vec<String>,
    text_numbers: HashMap<String, usize>,
    frames: Vec<Value>,
    frame_numbers: HashMap<[i64; 4], usize>,
    stacks: Vec<Vec<usize>>,
    stack_numbers: HashMap<Vec<usize>, usize>,
}

impl Tables {
    fn text(&mut self, text: &str) -> usize {
        if let Some(number) = self.text_numbers.get(text) {
            return *number;
        }
        self.texts.push(text.to_owned());
        self.text_numbers.insert(text.to_owned(), self.texts.len() - 1);
        self.texts.len() - 1
    }

    fn optional(&mut self, text: Option<&str>) -> i64 {
        text.map_or(-1, |text| self.text(text) as i64)
    }

    fn frame(&mut self, frame: &Frame) -> usize {
        let name = frame.name();
        let key = [
            self.text(&name) as i64,
            self.optional(frame.file.as_deref()),
            frame.line.map_or(-1, i64::from),
            self.optional(frame.module.as_deref()),
        ];
        match self.frame_numbers.entry(key) {
            Entry::Occupied(number) => *number.get(),
            Entry::Vacant(place) => {
                self.frames.push(json!(key));
                *place.insert(self.frames.len() - 1)
            }
        }
    }

    fn stack(&mut self, stack: &[Frame]) -> usize {
        let frames: Vec<usize> = stack.iter().map(|frame| self.frame(frame)).collect();
        match self.stack_numbers.entry(frames) {
            Entry::Occupied(number) => *number.get(),
            Entry::Vacant(place) => {
                self.stacks.push(place.key().clone());
                *place.insert(self.stacks.len() - 1)
            }
        }
    }
}

/// Source lines around places: `{"app.c:12": [9, "line 9", "line 10", …]}`.
#[derive(Default)]
struct Excerpts {
    found: serde_json::Map<String, Value>,
}

impl Excerpts {
    fn add(&mut self, site: &Site, sources: &mut Sources<'_>) {
        let (_, _, places, _) = describe(site);
        for stack in places.iter().map(|place| place.stack) {
            let known = stack.iter().filter_map(|frame| Some((frame.file.as_ref()?, frame.line?)));
            for (file, line) in known.take(EXCERPT_FRAMES) {
                self.add_place(file, line, sources);
            }
        }
    }

    fn add_place(&mut self, file: &str, line: u32, sources: &mut Sources<'_>) {
        let key = format!("{file}:{line}");
        if self.found.len() >= EXCERPTS || self.found.contains_key(&key) {
            return;
        }
        let first = line.saturating_sub(CONTEXT).max(1);
        let lines: Vec<Value> = (first..=line.saturating_add(CONTEXT))
            .map_while(|number| sources.line(file, number).map(Value::from))
            .collect();
        if lines.len() > (line - first) as usize {
            let mut excerpt = vec![first.into()];
            excerpt.extend(lines);
            self.found.insert(key, excerpt.into());
        }
    }
}
