//! pprof: a gzipped protobuf `Profile`, for go tool pprof, Pyroscope, Parca.
//!
//! Six values a sample: objects and bytes that are in use, lost, and hidden.
//! Lost and reachable blocks are in use; hidden ones are some of the
//! reachable, so they count as in use only if the report has no reachable
//! ones. Addresses are those that the file states, so a mapping begins at 0;
//! build-ids let a server find the symbols by itself.

use super::folded::holds_memory;
use crate::record::{Frame, hexadecimal};
use crate::sites::Sites;
use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use std::collections::HashMap;
use std::io::Write;

/// The messages of `profile.proto` (github.com/google/pprof), as far as they
/// are used here; field numbers are the format.
mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Profile {
        #[prost(message, repeated, tag = "1")]
        pub sample_type: Vec<ValueType>,
        #[prost(message, repeated, tag = "2")]
        pub sample: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub mapping: Vec<Mapping>,
        #[prost(message, repeated, tag = "4")]
        pub location: Vec<Location>,
        #[prost(message, repeated, tag = "5")]
        pub function: Vec<Function>,
        #[prost(string, repeated, tag = "6")]
        pub string_table: Vec<String>,
        #[prost(int64, tag = "14")]
        pub default_sample_type: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ValueType {
        #[prost(int64, tag = "1")]
        pub kind: i64,
        #[prost(int64, tag = "2")]
        pub unit: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Sample {
        #[prost(uint64, repeated, tag = "1")]
        pub location_id: Vec<u64>,
        #[prost(int64, repeated, tag = "2")]
        pub value: Vec<i64>,
        #[prost(message, repeated, tag = "3")]
        pub label: Vec<Label>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Label {
        #[prost(int64, tag = "1")]
        pub key: i64,
        #[prost(int64, tag = "2")]
        pub str: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Mapping {
        #[prost(uint64, tag = "1")]
        pub id: u64,
        #[prost(uint64, tag = "2")]
        pub memory_start: u64,
        #[prost(uint64, tag = "3")]
        pub memory_limit: u64,
        #[prost(int64, tag = "5")]
        pub filename: i64,
        #[prost(int64, tag = "6")]
        pub build_id: i64,
        #[prost(bool, tag = "7")]
        pub has_functions: bool,
        #[prost(bool, tag = "8")]
        pub has_filenames: bool,
        #[prost(bool, tag = "9")]
        pub has_line_numbers: bool,
        #[prost(bool, tag = "10")]
        pub has_inline_frames: bool,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Location {
        #[prost(uint64, tag = "1")]
        pub id: u64,
        #[prost(uint64, tag = "2")]
        pub mapping_id: u64,
        #[prost(uint64, tag = "3")]
        pub address: u64,
        #[prost(message, repeated, tag = "4")]
        pub line: Vec<Line>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Line {
        #[prost(uint64, tag = "1")]
        pub function_id: u64,
        #[prost(int64, tag = "2")]
        pub line: i64,
        #[prost(int64, tag = "3")]
        pub column: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Function {
        #[prost(uint64, tag = "1")]
        pub id: u64,
        #[prost(int64, tag = "2")]
        pub name: i64,
        #[prost(int64, tag = "3")]
        pub system_name: i64,
        #[prost(int64, tag = "4")]
        pub filename: i64,
    }
}

const VALUES: [(&str, &str); 6] = [
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
    ("lost_objects", "count"),
    ("lost_space", "bytes"),
    ("hidden_objects", "count"),
    ("hidden_space", "bytes"),
];

/// Writes a profile with a sample for each site that holds memory.
pub fn write(sites: &Sites, out: &mut dyn Write) -> Result<()> {
    let mut tables = Tables::default();
    tables.text("");
    for (kind, unit) in VALUES {
        let value = proto::ValueType { kind: tables.text(kind), unit: tables.text(unit) };
        tables.profile.sample_type.push(value);
    }
    tables.profile.default_sample_type = tables.text("inuse_space");
    let has_reachable = sites.list.iter().any(|site| site.kind == "reachable");
    let key = tables.text("kind");
    for site in sites.list.iter().filter(|site| holds_memory(site)) {
        let count = [site.count.blocks, site.count.bytes]
            .map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        let in_use = site.kind != "hidden" || !has_reachable;
        let lost = ["definite", "indirect", "possible"].contains(&site.kind.as_str());
        let hidden = site.kind == "hidden";
        let value = [in_use, lost, hidden]
            .into_iter()
            .flat_map(|counts| count.map(|number| if counts { number } else { 0 }))
            .collect();
        let location_id = tables.locations(&site.stack);
        let label = vec![proto::Label { key, str: tables.text(&site.kind) }];
        tables.profile.sample.push(proto::Sample { location_id, value, label });
    }
    let Tables { mut profile, texts, .. } = tables;
    let mut table: Vec<(String, i64)> = texts.into_iter().collect();
    table.sort_by_key(|(_, number)| *number);
    profile.string_table = table.into_iter().map(|(text, _)| text).collect();
    let mut gzip = GzEncoder::new(out, Compression::default());
    gzip.write_all(&profile.encode_to_vec())?;
    gzip.finish()?.flush()?;
    Ok(())
}

/// The profile and what it numbers.
#[derive(Default)]
struct Tables {
    profile: proto::Profile,
    texts: HashMap<String, i64>,
    mappings: HashMap<(String, String), u64>,
    functions: HashMap<(String, String), u64>,
    locations: HashMap<Vec<Frame>, u64>,
}

impl Tables {
    fn text(&mut self, text: &str) -> i64 {
        if let Some(number) = self.texts.get(text) {
            return *number;
        }
        let number = i64::try_from(self.texts.len()).unwrap_or(i64::MAX);
        self.texts.insert(text.to_owned(), number);
        number
    }

    /// The locations of a stack, innermost first. Functions that are inlined
    /// share the location of the one that they are inlined into.
    fn locations(&mut self, stack: &[Frame]) -> Vec<u64> {
        stack
            .split_inclusive(|frame| !frame.inlined)
            .map(|frames| {
                let mut frames = frames.to_vec();
                for frame in &mut frames {
                    frame.address = None; // differs from run to run
                }
                self.location(frames)
            })
            .collect()
    }

    fn location(&mut self, frames: Vec<Frame>) -> u64 {
        if let Some(id) = self.locations.get(&frames) {
            return *id;
        }
        let id = self.locations.len() as u64 + 1;
        let line = frames
            .iter()
            .map(|frame| proto::Line {
                function_id: self.function(frame),
                line: frame.line.map_or(0, i64::from),
                column: frame.column.map_or(0, i64::from),
            })
            .collect();
        let (mapping_id, address) = match frames.first() {
            Some(frame) => {
                let address = frame.offset.as_deref().and_then(hexadecimal).unwrap_or(0);
                (self.mapping(frame, address), address)
            }
            None => (0, 0),
        };
        self.profile.location.push(proto::Location { id, mapping_id, address, line });
        self.locations.insert(frames, id);
        id
    }

    fn mapping(&mut self, frame: &Frame, address: u64) -> u64 {
        let Some(module) = &frame.module else { return 0 };
        let key = (module.clone(), frame.build_id.clone().unwrap_or_default());
        let (filename, build_id) = (self.text(&key.0), self.text(&key.1));
        let id = *self.mappings.entry(key).or_insert_with(|| {
            let id = self.profile.mapping.len() as u64 + 1;
            let mapping = proto::Mapping { id, filename, build_id, ..Default::default() };
            self.profile.mapping.push(mapping);
            id
        });
        let mapping = &mut self.profile.mapping[id as usize - 1];
        mapping.memory_limit = mapping.memory_limit.max(address.saturating_add(1));
        mapping.has_functions |= frame.function.is_some();
        mapping.has_filenames |= frame.file.is_some();
        mapping.has_line_numbers |= frame.line.is_some();
        mapping.has_inline_frames |= frame.inlined;
        id
    }

    fn function(&mut self, frame: &Frame) -> u64 {
        let key = (frame.name(), frame.file.clone().unwrap_or_default());
        if let Some(id) = self.functions.get(&key) {
            return *id;
        }
        let id = self.functions.len() as u64 + 1;
        let (name, filename) = (self.text(&key.0), self.text(&key.1));
        let function = proto::Function { id, name, system_name: name, filename };
        self.profile.function.push(function);
        self.functions.insert(key, id);
        id
    }
}
