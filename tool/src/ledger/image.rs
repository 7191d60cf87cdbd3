//! An image: the memory and the threads of a process at one moment, in full.
//!
//! From a core file, or copied from a process that was stopped for that long.
//! Its bytes are borrowed, never copied, while they are searched.
//!
//! Invariant: segments are sorted and do not overlap; `bytes` may be shorter
//! than a segment, what is missing was not saved.

use super::memory::{Mapping, Memory, ReadError, word_at};
use std::borrow::Cow;
use std::cell::Cell;
use std::time::SystemTime;

/// A stretch of memory.
pub struct Segment {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// What was saved of it, from the start on.
    pub bytes: Cow<'static, [u8]>,
    /// Whether the bytes are the process's own, and not those of the file that
    /// it mapped.
    pub is_saved: bool,
}

/// A thread at the moment of the image.
#[derive(Clone, Debug, Default)]
pub struct Thread {
    /// The kernel's id.
    pub task: u32,
    /// Registers that may hold a pointer.
    pub registers: Vec<u64>,
    /// Stack pointer.
    pub stack_pointer: u64,
    /// Thread pointer.
    pub thread_pointer: u64,
}

/// The image of a process.
pub struct Image {
    /// The process.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// When.
    pub time: SystemTime,
    /// Milliseconds of the monotonic clock at that time; `None` = not known.
    pub now_ms: Option<u64>,
    /// All of its threads.
    pub threads: Vec<Thread>,
    /// Address of the program's headers (AT_PHDR); 0 = unknown.
    pub program_headers: u64,
    /// Where the image is known to be incomplete, in words.
    pub gaps: Vec<String>,
    /// Memory of which only the pages were saved that were ever touched; the
    /// others are zeros. By address.
    pub sparse: Vec<std::ops::Range<u64>>,
    /// Words that the kernel holds for the program, as far as they are known.
    pub kernel_values: Vec<u64>,
    mappings: Vec<Mapping>,
    segments: Vec<Segment>,
    /// The segment that was used last.
    last: Cell<usize>,
}

impl Image {
    /// An image of these mappings and segments, in any order.
    pub fn new(mut mappings: Vec<Mapping>, mut segments: Vec<Segment>) -> Image {
        mappings.sort_by_key(|mapping| mapping.start);
        segments.retain(|segment| segment.start < segment.end);
        segments.sort_by_key(|segment| segment.start);
        let mut end = 0;
        // What overlaps comes from a hostile file.
        segments.retain(|segment| {
            let keeps = segment.start >= end;
            end = end.max(segment.end);
            keeps
        });
        Image {
            pid: 0,
            name: String::new(),
            time: SystemTime::UNIX_EPOCH,
            now_ms: None,
            threads: Vec::new(),
            program_headers: 0,
            gaps: Vec::new(),
            sparse: Vec::new(),
            kernel_values: Vec::new(),
            mappings,
            segments,
            last: Cell::new(0),
        }
    }

    fn segment(&self, address: u64) -> Option<&Segment> {
        let holds = |segment: &&Segment| (segment.start..segment.end).contains(&address);
        if let Some(segment) = self.segments.get(self.last.get()).filter(holds) {
            return Some(segment);
        }
        let after = self.segments.partition_point(|segment| segment.start <= address);
        let index = after.checked_sub(1)?;
        self.last.set(index);
        self.segments.get(index).filter(holds)
    }

    /// Bytes from `address` to `end`, or to where the segment or what was
    /// saved of it ends.
    pub fn bytes(&self, address: u64, end: u64) -> &[u8] {
        let Some(segment) = self.segment(address) else { return &[] };
        let from = (address - segment.start) as usize;
        let to = (end.clamp(address, segment.end) - segment.start) as usize;
        segment.bytes.get(from..to.min(segment.bytes.len())).unwrap_or_default()
    }

    /// How many zeros there are from `address` on that were never touched.
    fn zeros(&self, address: u64) -> u64 {
        let after = self.sparse.partition_point(|range| range.start <= address);
        let Some(range) = after.checked_sub(1).map(|index| &self.sparse[index]) else { return 0 };
        let next = self.segments.partition_point(|segment| segment.start <= address);
        let next = self.segments.get(next).map_or(u64::MAX, |segment| segment.start);
        range.end.min(next).saturating_sub(address)
    }

    /// Calls `visit` with each saved part of `start..end`.
    pub fn parts<'i>(&'i self, start: u64, end: u64, mut visit: impl FnMut(u64, &'i [u8])) {
        let from = self.segments.partition_point(|segment| segment.end <= start);
        for segment in self.segments[from..].iter().take_while(|segment| segment.start < end) {
            let first = start.max(segment.start);
            let at = (first - segment.start) as usize;
            let to = ((end.min(segment.end) - segment.start) as usize).min(segment.bytes.len());
            if segment.is_saved && at < to {
                visit(first, &segment.bytes[at..to]);
            }
        }
    }

    /// The word at `address`, if it was saved.
    pub fn word(&self, address: u64) -> Option<u64> {
        let bytes = self.bytes(address, address.checked_add(8)?);
        (bytes.len() == 8).then(|| word_at(bytes, 0))
    }

    /// The mapping that holds `address`.
    pub fn mapping(&self, address: u64) -> Option<&Mapping> {
        let after = self.mappings.partition_point(|mapping| mapping.start <= address);
        self.mappings.get(after.checked_sub(1)?).filter(|mapping| address < mapping.end)
    }
}

impl Memory for Image {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let mut done = 0;
        while done < buffer.len() {
            let at = address.wrapping_add(done as u64);
            let bytes = self.bytes(at, at.saturating_add((buffer.len() - done) as u64));
            if bytes.is_empty() {
                let zeros = (self.zeros(at) as usize).min(buffer.len() - done);
                if zeros == 0 {
                    return Err(ReadError::Unreadable(at));
                }
                buffer[done..done + zeros].fill(0);
                done += zeros;
                continue;
            }
            buffer[done..done + bytes.len()].copy_from_slice(bytes);
            done += bytes.len();
        }
        Ok(())
    }

    fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_were_never_touched_read_as_zeros_and_gaps_do_not() {
        let segment = |start: u64, byte: u8| Segment {
            start,
            end: start + 0x1000,
            bytes: Cow::Owned(vec![byte; 0x1000]),
            is_saved: true,
        };
        let mut image = Image::new(Vec::new(), vec![segment(0x5000, 5), segment(0x2000, 2)]);
        image.sparse.push(0x2000..0x7000);
        let mut bytes = vec![9; 0x5000];
        assert_eq!(image.read(0x2000, &mut bytes), Ok(()));
        let pages: Vec<u8> = bytes.chunks(0x1000).map(|page| page[7]).collect();
        assert_eq!(pages, [2, 0, 0, 5, 0]);
        assert_eq!(image.read(0x6ff8, &mut [0; 16]), Err(ReadError::Unreadable(0x7000)));
        assert_eq!(image.read(0x1ff8, &mut [0; 16]), Err(ReadError::Unreadable(0x1ff8)));
    }
}
