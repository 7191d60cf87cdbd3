//! The heap: its slabs and spans, and the record of each block.
//!
//! Invariant: what is in `slabs` and `spans` makes sense: it lies inside the
//! window, and its numbers are those of a size class or of a run. What does
//! not, is counted in `damaged`.

use super::memory::{Memory, ReadError, Reading, half_at, word_at, words_of};
use super::root::LedgerRoot;
use heapwarden::ledger::{Record, State};
use heapwarden::memory::{Granule, Kind};
use heapwarden::slab::{CLASSES, SizeClass};
use heapwarden::units::{GRANULE, WINDOW};
use std::mem::offset_of;

const BYTES: usize = size_of::<Granule>();
/// Bytes of the granule table that are read at a time.
const PIECE: usize = 8 << 20;
/// No slab or span.
const NOTHING: u32 = u32::MAX;

/// A run of slots of one size class.
pub struct Slab {
    /// Address of slot 0.
    pub first: u64,
    /// Bytes from one slot to the next.
    pub slot: u64,
    /// Index of its first granule.
    pub head: u32,
    /// Records of the slots that were ever used.
    pub records: Vec<u64>,
    address_of_records: u64,
}

/// One large block.
pub struct Span {
    /// Its address.
    pub first: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Index of its first granule.
    pub head: u32,
    /// Granules.
    pub run: u32,
    /// Its record.
    pub record: Record,
    /// Whether it has guard pages.
    pub guarded: bool,
    /// Stack of its free, while it is held back.
    pub freed_by: u32,
}

/// Where a block's record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Slab by number, and slot.
    Slot(u32, u32),
    /// Span by number.
    Span(u32),
}

/// A block, live or not.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Address of its first byte.
    pub start: u64,
    /// Bytes asked for; 0 when the slot is free.
    pub size: u64,
    /// Bytes from its start to the end of its slot or span.
    pub slot: u64,
    /// Its record.
    pub record: Record,
    /// Where it is.
    pub place: Place,
}

impl Block {
    /// Bytes asked for, as far as it is known of a block that is gone: exact in
    /// slots of up to 256 bytes, else the most it can have been.
    pub fn known_size(&self) -> u64 {
        match (self.record.state(), self.place) {
            (State::Free | State::Fresh, Place::Slot(..)) if self.slot <= 256 => {
                self.slot.saturating_sub(self.record.last_slack() as u64)
            }
            (State::Free | State::Fresh, Place::Slot(..)) => self.slot.saturating_sub(8),
            _ => self.size,
        }
    }
}

/// The heap of a process at a moment.
pub struct Heap {
    /// First address of the window.
    pub base: u64,
    /// Bytes of it that may belong to the heap.
    pub extent: u64,
    /// By address.
    pub slabs: Vec<Slab>,
    /// By address.
    pub spans: Vec<Span>,
    /// Granules whose description made no sense, records that were not there.
    pub damaged: u64,
    /// For each granule: slab × 2, span × 2 + 1, or [`NOTHING`].
    owners: Vec<u32>,
}

impl Heap {
    /// Reads the heap as it is now.
    pub fn read(memory: &dyn Memory, root: &LedgerRoot) -> Result<Heap, ReadError> {
        let extent = memory.word(root.tables.window.extent)?;
        let mut heap = Heap {
            base: root.base,
            extent: if extent <= WINDOW as u64 { extent } else { 0 },
            slabs: Vec::new(),
            spans: Vec::new(),
            damaged: u64::from(extent > WINDOW as u64),
            owners: Vec::new(),
        };
        let own = root.base - root.tables.window.table_bytes - root.tables.window.metadata_bytes
            ..root.base;
        let count = (heap.extent / GRANULE as u64) as usize;
        heap.read_granules(memory, root, count, &|address| own.contains(&address))?;
        heap.read_records(memory)?;
        Ok(heap)
    }

    fn read_granules(
        &mut self,
        memory: &dyn Memory,
        root: &LedgerRoot,
        count: usize,
        is_own: &dyn Fn(u64) -> bool,
    ) -> Result<(), ReadError> {
        let table = root.base - root.tables.window.table_bytes;
        let mut piece = Vec::new();
        for from in (0..count).step_by(PIECE / BYTES) {
            piece.resize((count - from).min(PIECE / BYTES) * BYTES, 0);
            match memory.read(table + (from * BYTES) as u64, &mut piece) {
                Err(ReadError::Unreadable(_)) => {
                    self.damaged += (piece.len() / BYTES) as u64;
                    self.owners.resize(from + piece.len() / BYTES, NOTHING);
                    continue;
                }
                other => other?,
            }
            for (place, bytes) in piece.chunks_exact(BYTES).enumerate() {
                let owner = self.take_granule((from + place) as u32, bytes, is_own);
                self.owners.push(owner);
            }
        }
        Ok(())
    }

    /// Takes one granule in; its owner.
    fn take_granule(&mut self, index: u32, bytes: &[u8], is_own: &dyn Fn(u64) -> bool) -> u32 {
        let kind = bytes[offset_of!(Granule, kind)];
        let head = half_at(bytes, offset_of!(Granule, head));
        if kind == Kind::Free as u8 {
            return NOTHING;
        }
        if head != index {
            // A later granule: what its head is, if that reaches here.
            let owner = self.owners.get(head as usize).copied().unwrap_or(NOTHING);
            let reaches = match owner {
                NOTHING => false,
                slab if slab & 1 == 0 => {
                    (index - head) < slab_granules(&self.slabs[slab as usize / 2])
                }
                span => index - head < self.spans[span as usize / 2].run,
            };
            return if reaches { owner } else { NOTHING };
        }
        if kind == Kind::Slab as u8
            && let Some(slab) = self.slab_of(index, bytes, is_own)
        {
            self.slabs.push(slab);
            return (self.slabs.len() as u32 - 1) * 2;
        }
        if kind == Kind::Span as u8 {
            return match self.span_of(index, bytes) {
                Some(span) => {
                    self.spans.push(span);
                    (self.spans.len() as u32 - 1) * 2 + 1
                }
                None => NOTHING,
            };
        }
        self.damaged += 1;
        NOTHING
    }

    fn slab_of(&self, index: u32, bytes: &[u8], is_own: &dyn Fn(u64) -> bool) -> Option<Slab> {
        let start = self.address_of(index);
        let first = word_at(bytes, offset_of!(Granule, first));
        let slot = half_at(bytes, offset_of!(Granule, slot));
        let slots = half_at(bytes, offset_of!(Granule, slots));
        let fresh = half_at(bytes, offset_of!(Granule, fresh));
        let records = word_at(bytes, offset_of!(Granule, records));
        let class = (0..CLASSES as u8).map(SizeClass).find(|it| it.slot() == slot as usize)?;
        let makes_sense = first == start + class.alignment() as u64
            && slots <= class.slots()
            && records.is_multiple_of(8)
            && is_own(records)
            && first + u64::from(slots) * u64::from(slot) <= self.base + self.extent;
        makes_sense.then(|| Slab {
            first,
            slot: slot.into(),
            head: index,
            records: vec![0; fresh.min(slots) as usize],
            address_of_records: records,
        })
    }

    fn span_of(&self, index: u32, bytes: &[u8]) -> Option<Span> {
        let start = self.address_of(index);
        let run = half_at(bytes, offset_of!(Granule, run));
        let end = start + u64::from(run) * GRANULE as u64;
        let first = word_at(bytes, offset_of!(Granule, first));
        let size = word_at(bytes, offset_of!(Granule, size));
        let record = Record(word_at(bytes, offset_of!(Granule, record)));
        let makes_sense = run > 0
            && end <= self.base + self.extent
            && (start..end).contains(&first)
            && first.is_multiple_of(16)
            && size <= end - first
            && (record.is_live() || record.state() == State::Held);
        makes_sense.then(|| Span {
            first,
            size,
            head: index,
            run,
            record,
            guarded: bytes[offset_of!(Granule, guarded)] != 0,
            freed_by: half_at(bytes, offset_of!(Granule, freed_by)),
        })
    }

    fn read_records(&mut self, memory: &dyn Memory) -> Result<(), ReadError> {
        let mut buffers: Vec<Vec<u8>> =
            self.slabs.iter().map(|slab| vec![0; slab.records.len() * 8]).collect();
        let mut readings: Vec<_> = self
            .slabs
            .iter()
            .zip(&mut buffers)
            .filter(|(slab, _)| !slab.records.is_empty())
            .map(|(slab, buffer)| Reading { address: slab.address_of_records, buffer })
            .collect();
        memory.read_many(&mut readings)?;
        for (slab, buffer) in self.slabs.iter_mut().zip(&buffers) {
            self.damaged += u64::from(slab.records.len() * 8 != buffer.len());
            slab.records.clear();
            slab.records.extend(words_of(buffer));
        }
        Ok(())
    }

    fn address_of(&self, granule: u32) -> u64 {
        self.base + u64::from(granule) * GRANULE as u64
    }

    /// Bytes of granules that are in slabs and spans.
    pub fn in_use(&self) -> u64 {
        self.owners.iter().filter(|&&owner| owner != NOTHING).count() as u64 * GRANULE as u64
    }

    /// What is known of a place's block.
    pub fn block(&self, place: Place) -> Block {
        match place {
            Place::Slot(number, index) => {
                let slab = &self.slabs[number as usize];
                let record = Record(slab.records[index as usize]);
                let known = !matches!(record.state(), State::Free | State::Fresh);
                let size = slab.slot.saturating_sub(record.slack() as u64);
                Block {
                    start: slab.first + u64::from(index) * slab.slot,
                    size: if known { size } else { 0 },
                    slot: slab.slot,
                    record,
                    place,
                }
            }
            Place::Span(number) => {
                let span = &self.spans[number as usize];
                let end = self.address_of(span.head) + u64::from(span.run) * GRANULE as u64;
                Block {
                    start: span.first,
                    size: span.size,
                    slot: end - span.first,
                    record: span.record,
                    place,
                }
            }
        }
    }

    /// The block whose slot or span holds `address`, live or not.
    pub fn locate(&self, address: u64) -> Option<Block> {
        let offset = address.wrapping_sub(self.base);
        let owner = *self.owners.get(usize::try_from(offset >> 16).ok()?)?;
        if owner == NOTHING {
            return None;
        }
        let number = owner / 2;
        if owner & 1 != 0 {
            let block = self.block(Place::Span(number));
            return (address >= block.start).then_some(block);
        }
        let slab = &self.slabs[number as usize];
        let slot = address.checked_sub(slab.first)? / slab.slot;
        ((slot as usize) < slab.records.len()).then(|| self.block(Place::Slot(number, slot as u32)))
    }

    /// Every slot that was ever used, and every span.
    pub fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        let slots = self.slabs.iter().enumerate().flat_map(|(number, slab)| {
            (0..slab.records.len()).map(move |slot| Place::Slot(number as u32, slot as u32))
        });
        let spans = (0..self.spans.len()).map(|number| Place::Span(number as u32));
        slots.chain(spans).map(|place| self.block(place))
    }
}

fn slab_granules(slab: &Slab) -> u32 {
    let class = (0..CLASSES as u8).map(SizeClass).find(|it| it.slot() as u64 == slab.slot);
    class.map_or(0, SizeClass::granules)
}
