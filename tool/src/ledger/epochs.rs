//! Epochs: which thread, and when, by a block's stamp.

use super::memory::{Memory, ReadError, word_at};
use super::root::LedgerRoot;
use std::collections::HashMap;

/// What the log knows of one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// The heap's number of the thread.
    pub thread: u32,
    /// When it began: milliseconds of the monotonic clock.
    pub begun_ms: u64,
    /// About how many allocations came before.
    pub sequence: u64,
}

/// Bytes of an entry.
const ENTRY: usize = 16;
/// Most entries of a chunk that are believed.
const LARGEST_CHUNK: u64 = 1 << 20;
/// Most chunks that are believed.
const MOST_CHUNKS: u64 = 1 << 16;

/// The epoch log as it is at a moment.
pub struct Epochs {
    chunks: HashMap<u64, Vec<u8>>,
    entries: u64,
    /// The newest beginning that was seen.
    pub newest_ms: u64,
    /// The first beginning of all: the process's first allocation.
    pub first_ms: u64,
}

impl Epochs {
    /// Reads the whole log.
    pub fn read(memory: &dyn Memory, root: &LedgerRoot) -> Result<Epochs, ReadError> {
        let part = &root.tables.epochs;
        let entries = part.chunk_entries.clamp(1, LARGEST_CHUNK);
        let count = part.chunk_count.min(MOST_CHUNKS) as usize;
        let mut chunks = HashMap::new();
        for (number, address) in memory.words(part.chunks, count)?.into_iter().enumerate() {
            let mut bytes = vec![0; entries as usize * ENTRY];
            if address == 0 {
                // Chunks are made in order.
                break;
            }
            match memory.read(address, &mut bytes) {
                Err(ReadError::Unreadable(_)) => continue,
                other => other?,
            }
            chunks.insert(number as u64, bytes);
        }
        let mut this = Epochs { chunks, entries, newest_ms: 0, first_ms: 0 };
        this.first_ms = this.epoch(1).map_or(0, |epoch| epoch.begun_ms);
        let all = this.chunks.values().flat_map(|chunk| chunk.chunks_exact(ENTRY));
        this.newest_ms = all.map(|entry| begun_ms(word_at(entry, 0))).max().unwrap_or(0);
        Ok(this)
    }

    /// What is known of a stamp.
    pub fn epoch(&self, stamp: u32) -> Option<Epoch> {
        let (chunk, entry) = (u64::from(stamp) / self.entries, u64::from(stamp) % self.entries);
        let bytes = self.chunks.get(&chunk)?;
        let at = entry as usize * ENTRY;
        let word = word_at(bytes, at);
        (stamp != 0 && word != 0).then(|| Epoch {
            thread: (word >> 40) as u32,
            begun_ms: begun_ms(word),
            sequence: word_at(bytes, at + 8),
        })
    }
}

fn begun_ms(word: u64) -> u64 {
    word & ((1 << 40) - 1)
}
