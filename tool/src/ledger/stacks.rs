//! Call stacks and modules, as the process interned them.
//!
//! Nodes and modules are only ever added, so what was read once stays right:
//! [`Stacks::refresh`] reads what is new.

use super::memory::{Memory, ReadError, half_at, word_at};
use super::root::LedgerRoot;
use heapwarden::trace::CodeAddress;
use std::collections::HashMap;

/// Most modules, bytes of a path, and frames of a stack that are believed.
const MOST_MODULES: u32 = 1 << 16;
const LONGEST_PATH: u64 = 4096;
const DEEPEST: usize = 1 << 12;
/// Bytes of the largest segment of nodes that is believed.
const LARGEST_SEGMENT: u64 = 64 << 20;

/// A loaded file, as it was when a frame in it was first met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// Its path.
    pub path: Vec<u8>,
    /// Its GNU build-id; may be empty.
    pub build_id: Vec<u8>,
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// Address in memory less address in the file.
    pub bias: u64,
}

/// How a stack ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With the thread's first function.
    Complete,
    /// There are more frames than were kept.
    Truncated,
    /// Where the walk could not go on.
    Broken,
}

/// A frame: return address, and number of its module (0 = unknown).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RawFrame {
    /// The return address.
    pub address: u64,
    /// The module.
    pub module: u16,
}

/// All call stacks and modules that were read so far.
pub struct Stacks {
    /// Segments of nodes, whole.
    segments: Vec<Vec<u8>>,
    next: u32,
    modules: HashMap<u16, Module>,
    segment_nodes: u64,
    node_bytes: u64,
    first: u32,
    /// Captures that found no room.
    pub dropped: u64,
}

impl Stacks {
    /// Reads all stacks.
    pub fn read(memory: &dyn Memory, root: &LedgerRoot) -> Result<Stacks, ReadError> {
        let part = &root.tables.trace;
        let mut stacks = Stacks {
            segments: Vec::new(),
            next: 0,
            modules: HashMap::new(),
            segment_nodes: part.segment_nodes.max(1),
            node_bytes: part.node_bytes.max(16),
            first: part.first_node as u32,
            dropped: 0,
        };
        stacks.refresh(memory, root)?;
        Ok(stacks)
    }

    /// Reads what is new.
    pub fn refresh(&mut self, memory: &dyn Memory, root: &LedgerRoot) -> Result<(), ReadError> {
        let part = &root.tables.trace;
        self.dropped = memory.word(part.dropped)?;
        let next = memory.half(part.next_node)?;
        let bytes = self.segment_nodes.saturating_mul(self.node_bytes);
        if next != self.next && bytes <= LARGEST_SEGMENT {
            // The last segment read may have grown.
            self.segments.pop();
            let wanted = u64::from(next).div_ceil(self.segment_nodes).min(part.segment_count);
            for number in self.segments.len() as u64..wanted {
                let address = memory.word(part.nodes + number * 8)?;
                let mut segment = vec![0; if address == 0 { 0 } else { bytes as usize }];
                match memory.read(address, &mut segment) {
                    Err(ReadError::Unreadable(_)) => segment.clear(),
                    other => other?,
                }
                self.segments.push(segment);
            }
            self.next = next;
        }
        self.refresh_modules(memory, root)
    }

    fn refresh_modules(&mut self, memory: &dyn Memory, root: &LedgerRoot) -> Result<(), ReadError> {
        let part = &root.tables.trace;
        let last = memory.half(part.last_module)?.min(MOST_MODULES - 1);
        let fields = &part.module;
        let mut bytes = vec![0; (fields.bytes as usize).min(1 << 16)];
        for number in 1..=last as u16 {
            if self.modules.contains_key(&number) {
                continue;
            }
            let (segment, place) = (
                u64::from(number) / part.segment_modules.max(1),
                u64::from(number) % part.segment_modules.max(1),
            );
            let address = memory.word(part.modules + segment * 8)?;
            let address = address.wrapping_add(place * u64::from(fields.bytes));
            match memory.read(address, &mut bytes) {
                Err(ReadError::Unreadable(_)) => continue,
                other => other?,
            }
            let word = |offset: u32| word_at(&bytes, offset as usize);
            let mut path = vec![0; word(fields.path + 8).min(LONGEST_PATH) as usize];
            if memory.read(word(fields.path), &mut path).is_err() {
                path.clear();
            }
            let id = fields.build_id as usize;
            let length = word(fields.build_id_length) as usize;
            let build_id = bytes.get(id..id.saturating_add(length.min(32))).unwrap_or_default();
            let module = Module {
                path,
                build_id: build_id.to_vec(),
                start: word(fields.start),
                end: word(fields.end),
                bias: word(fields.bias),
            };
            self.modules.insert(number, module);
        }
        Ok(())
    }

    /// Calls `visit` with each frame of a stack, innermost first; its end.
    pub fn walk(&self, stack: u32, mut visit: impl FnMut(RawFrame)) -> End {
        let mut id = stack;
        for _ in 0..DEEPEST {
            if id < self.first {
                break;
            }
            let Some((code, parent)) = self.node(id).filter(|&(_, parent)| parent < id) else {
                return End::Broken;
            };
            visit(RawFrame { address: code.address() as u64, module: code.module().0 });
            id = parent;
        }
        match id {
            1 => End::Complete,
            2 => End::Truncated,
            _ => End::Broken,
        }
    }

    fn node(&self, id: u32) -> Option<(CodeAddress, u32)> {
        let segment = self.segments.get((u64::from(id) / self.segment_nodes) as usize)?;
        let at = (u64::from(id) % self.segment_nodes * self.node_bytes) as usize;
        let node = segment.get(at..at + 16)?;
        Some((CodeAddress(word_at(node, 0)), half_at(node, 8)))
    }

    /// A module by its number.
    pub fn module(&self, number: u16) -> Option<&Module> {
        self.modules.get(&number)
    }

    /// The module that lies at `address`, the one met last.
    pub fn module_at(&self, address: u64) -> Option<(u16, &Module)> {
        let holds = |(_, module): &(&u16, &Module)| (module.start..module.end).contains(&address);
        self.modules.iter().filter(holds).max_by_key(|(number, _)| **number).map(|(n, m)| (*n, m))
    }
}
