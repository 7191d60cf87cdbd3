//! The records of a JSON report, as `docs/report.schema.json` has them.
//!
//! Reading is lenient: fields that this version does not know are ignored and
//! most may be missing, so that reports of other versions and of devices can
//! be read. Writing gives what the schema asks for.

use crate::ordinals::Ordinals;
use serde::{Deserialize, Serialize};

/// One line of a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// Version of the format; 1.
    #[serde(default = "version")]
    pub v: u32,
    /// The process; 0 if it is not known (devices).
    #[serde(default)]
    pub pid: u32,
    /// When, in RFC 3339; empty if it is not known.
    #[serde(default)]
    pub time: String,
    /// What.
    #[serde(flatten)]
    pub record: Record,
}

fn version() -> u32 {
    1
}

/// What a line says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// Blocks of one call site that nobody released.
    Leak(Leak),
    /// Reachable memory that nobody seems to need.
    HiddenLeak(HiddenLeak),
    /// A misuse of the heap.
    Error(Error),
    /// A request that was refused.
    Warning(Warning),
    /// Memory has run out, or nearly.
    Exhaustion(Exhaustion),
    /// The end of a check.
    Summary(Box<Summary>),
    /// A suppression that matched.
    Suppression(Suppression),
    /// One line about heapwarden itself.
    Notice(Notice),
}

/// One function of a call stack; innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Frame {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
}

/// A call stack.
pub type Stack = Vec<Frame>;

/// Reads a number written in hexadecimal (`0x1f`).
pub fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

impl Frame {
    /// The function, or what names the place instead.
    pub fn name(&self) -> String {
        if let Some(function) = &self.function {
            return function.clone();
        }
        match (&self.module, &self.offset, &self.address) {
            (Some(module), Some(offset), _) => format!("{}+{offset}", base_name(module)),
            (Some(module), None, _) => base_name(module).to_owned(),
            (None, _, Some(address)) => address.clone(),
            (None, _, None) => "??".to_owned(),
        }
    }

    /// Whether it is code of the user's own: with a source file, and neither
    /// in a system header nor in a system library.
    pub fn is_users(&self) -> bool {
        const SYSTEM: [&str; 4] = ["/lib/", "/lib64/", "/usr/lib", "/usr/include"];
        let is_system = |path: &String| SYSTEM.iter().any(|start| path.starts_with(start));
        self.file.as_ref().is_some_and(|file| !is_system(file))
            && !self.module.as_ref().is_some_and(is_system)
    }

    /// `file:line`, as far as it is known.
    pub fn location(&self) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(match self.line {
            Some(line) => format!("{file}:{line}"),
            None => file.clone(),
        })
    }
}

/// The last part of a path.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A thread.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Thread {
    pub number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Blocks and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Count {
    pub blocks: u64,
    pub bytes: u64,
}

impl Count {
    /// Adds `other`.
    pub fn add(&mut self, other: Count) {
        self.blocks = self.blocks.saturating_add(other.blocks);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// The oldest block of a site.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FirstBlock {
    pub address: String,
    pub size: u64,
    pub age_ms: u64,
    pub sequence: u64,
}

/// A block that another record mentions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockRef {
    pub address: String,
    pub size: u64,
    pub stack: Stack,
}

/// An allocation or a release.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    pub stack: Stack,
    pub thread: Thread,
    pub sequence: u64,
}

/// Why a block is lost.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LostBecause {
    pub reason: String,
    pub blocks: u64,
    pub holder: BlockRef,
    pub freed: Event,
}

/// A line of the tree of what a leak's blocks hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Held {
    pub depth: u64,
    pub blocks: u64,
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<Count>,
    pub stack: Stack,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Leak {
    pub kind: String,
    pub blocks: u64,
    pub bytes: u64,
    pub stack: Stack,
    pub thread: Thread,
    pub first: FirstBlock,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Ordinals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<BlockRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<Count>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tree: Vec<Held>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_because: Option<LostBecause>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    pub growth_bytes_per_s: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<u64>,
    pub oldest_ms: u64,
    pub freed_share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HiddenLeak {
    pub blocks: u64,
    pub bytes: u64,
    pub stack: Stack,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Ordinals>,
    pub evidence: Evidence,
}

/// The block that an error is about.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Block {
    pub address: String,
    pub size: u64,
    pub offset: i64,
    pub allocated: Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freed: Option<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocated_again: Option<Event>,
}

/// A block beside the one that an error is about.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Neighbour {
    pub side: String,
    pub address: String,
    pub size: u64,
    pub stack: Stack,
    pub freed: bool,
    pub damaged: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Error {
    pub kind: String,
    pub address: String,
    pub message: String,
    pub stack: Stack,
    pub thread: Thread,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub neighbours: Vec<Neighbour>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Warning {
    pub kind: String,
    pub message: String,
    pub stack: Stack,
    pub count: u64,
}

/// A site that holds memory when it runs out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Holder {
    pub blocks: u64,
    pub bytes: u64,
    pub share: f64,
    pub stack: Stack,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Exhaustion {
    pub level: String,
    pub requested: u64,
    pub limit: u64,
    pub limit_from: String,
    pub in_use: u64,
    pub peak: u64,
    /// Bytes that the live ones take, with gaps, guards and freed blocks held back.
    pub heap: u64,
    /// Bytes of freed blocks held back from reuse.
    pub held: u64,
    pub largest_free: u64,
    pub stack: Stack,
    pub top: Vec<Holder>,
    /// Live blocks that no site of `top` or below counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_bytes: Option<u64>,
}

impl Exhaustion {
    /// What kind of finding it is: only a request that was refused, and not on
    /// purpose, is plain exhaustion.
    pub fn kind(&self) -> String {
        match &*self.level {
            "" | "refused" => "exhaustion".to_owned(),
            level => format!("exhaustion-{level}"),
        }
    }

    /// Why the record was made, in words.
    pub fn occasion(&self) -> &'static str {
        match &*self.level {
            "early" => "memory is nearly used up",
            "on-purpose" => "an allocation failed on purpose",
            "peak" => "the most memory that was in use",
            _ => "out of memory",
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cost {
    pub metadata_bytes: u64,
    pub scan_ms: u64,
    pub longest_pause_ms: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Dropped {
    pub stacks: u64,
    pub records: u64,
    pub threads: u64,
    pub names: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    pub definite: Count,
    pub indirect: Count,
    pub possible: Count,
    pub reachable: Count,
    pub hidden: Count,
    pub errors: u64,
    pub suppressed: Count,
    pub cost: Cost,
    pub dropped: Dropped,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Suppression {
    pub pattern: String,
    pub blocks: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Notice {
    pub message: String,
}
