//! The judge: every pointer that comes from outside is tried here, without
//! being followed. Also the walk over all blocks.

use crate::guard::ViolationKind;
use crate::ledger::{Record, State};
use crate::memory::{GRANULE, Granule, Kind, Window};
use crate::sync::atomics::Ordering::{Acquire, Relaxed, Release};
use crate::units::{StackId, ThreadNumber};
use core::ops::Range;

/// A block, live or not, and where its facts are.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Address of its first byte.
    pub start: usize,
    /// Bytes that the program asked for (0 when the slot is free: unknown).
    pub size: usize,
    /// Bytes from the block's start to the end of its slot or span.
    pub slot: usize,
    /// Its record as it was read.
    pub record: Record,
    /// First granule of its slab or span.
    pub(super) granule: *mut Granule,
    /// Number of its slot; 0 in a span.
    pub(super) index: u32,
}

impl Block {
    /// Whether the program owns the block.
    pub fn is_live(&self) -> bool {
        self.record.is_live()
    }

    /// The free that ended the block: its stack, and the thread if it is still
    /// known. Searches the quarantines, so it is for reports only.
    pub fn freed(&self) -> (StackId, ThreadNumber) {
        match self.record.state() {
            State::Free => (self.record.freed_by(), ThreadNumber(0)),
            State::Held if self.is_span() => {
                // SAFETY: as in `is_span`; the field is an atomic.
                let stack = unsafe { (*self.granule).freed_by.load(Relaxed) };
                (StackId(stack), self.who_held_back().1)
            }
            State::Held => self.who_held_back(),
            _ => (StackId::UNKNOWN, ThreadNumber(0)),
        }
    }

    fn who_held_back(&self) -> (StackId, ThreadNumber) {
        // SAFETY: as in `is_span`.
        super::quarantine::freed_by(unsafe { (*self.granule).head }, self.index)
    }

    /// The block right below (`true`: right above) in memory, live or not.
    /// None across the edges of a slab.
    pub fn neighbour(&self, above: bool) -> Option<Block> {
        // SAFETY: the block's granule described it when it was found; `head`
        // and `run` stay while it lives, and a stale value is caught by
        // `locate`, which trusts no address.
        let address = unsafe {
            let (head, run) = ((*self.granule).head, (*self.granule).run as usize);
            match (self.is_span(), above) {
                (true, true) => Window::address_of(head) + run * GRANULE,
                (true, false) => Window::address_of(head).wrapping_sub(1),
                (false, true) => self.start + self.slot,
                (false, false) => self.start - 1,
            }
        };
        match locate(address) {
            Found::Inside(block, _) if block.is_span() == self.is_span() => Some(block),
            _ => None,
        }
    }

    /// Whether the block has guard pages (see `super::guard_page`).
    pub fn is_guarded(&self) -> bool {
        // SAFETY: as in `is_span`.
        unsafe { (*self.granule).kind == Kind::Span && (*self.granule).guarded }
    }

    /// Whether the block is a span: larger than every slot.
    pub fn is_span(&self) -> bool {
        // SAFETY: the granule was found below the extent; `kind` changes only
        // when the block is gone.
        unsafe { (*self.granule).kind == Kind::Span }
    }
}

/// Where an address lies.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    /// Not in the heap's window, or in a part that holds nothing.
    Nowhere,
    /// In a slab, outside every slot, or in a slot that was never used.
    Unused,
    /// In a block's slot or span; `true` at its first byte.
    Inside(Block, bool),
}

/// What lies at `address`. Reads only the heap's own tables.
pub fn locate(address: usize) -> Found {
    let offset = address.wrapping_sub(Window::base());
    if offset >= Window::extent() {
        return Found::Nowhere;
    }
    let mut granule = Window::granule_at(offset);
    // SAFETY: every granule below the extent is mapped; plain fields may be
    // stale when another thread changes them, which only a racing misuse sees,
    // and every index below is checked against them.
    unsafe {
        match (*granule).kind {
            Kind::Free => Found::Nowhere,
            Kind::Slab => {
                granule = Window::granule((*granule).head);
                let distance = address.wrapping_sub((*granule).first);
                let slot = (*granule).slot as usize;
                if slot == 0 || address < (*granule).first {
                    return Found::Unused;
                }
                let index = distance / slot;
                if index >= (*granule).fresh as usize {
                    return Found::Unused;
                }
                let block = slot_block(granule, index as u32);
                Found::Inside(block, distance == index * slot)
            }
            Kind::Span | Kind::Inside => {
                granule = Window::granule((*granule).head);
                if (*granule).kind != Kind::Span {
                    return Found::Nowhere;
                }
                let block = span_block(granule);
                if address < block.start {
                    return Found::Unused;
                }
                Found::Inside(block, address == block.start)
            }
        }
    }
}

/// The record of a slot; of a slab that goes away meanwhile, one that says
/// nothing was there.
///
/// # Safety
/// `granule` heads a slab, or did, and `index` is below its `fresh`.
pub(super) unsafe fn record_at(granule: *mut Granule, index: u32) -> Record {
    // SAFETY: the pointer is read once: null, or records that stay mapped.
    unsafe {
        let records = (&raw const (*granule).records).read_volatile();
        if records.is_null() {
            return Record(State::Fresh as u64);
        }
        Record((*records.add(index as usize)).load(Acquire))
    }
}

/// # Safety
/// `granule` heads a slab and `index` is below its `fresh`.
pub(super) unsafe fn slot_block(granule: *mut Granule, index: u32) -> Block {
    // SAFETY: the caller's promise.
    unsafe {
        let slot = (*granule).slot as usize;
        let record = record_at(granule, index);
        let start = (*granule).first + index as usize * slot;
        let known = !matches!(record.state(), State::Free | State::Fresh);
        Block {
            start,
            size: if known { slot - record.slack().min(slot) } else { 0 },
            slot,
            record,
            granule,
            index,
        }
    }
}

/// # Safety
/// `granule` heads a span.
pub(super) unsafe fn span_block(granule: *mut Granule) -> Block {
    // SAFETY: the caller's promise.
    unsafe {
        let end = Window::address_of((*granule).head) + (*granule).run as usize * GRANULE;
        Block {
            start: (*granule).first,
            size: (*granule).size,
            slot: end - (*granule).first,
            record: Record((*granule).record.load(Acquire)),
            granule,
            index: 0,
        }
    }
}

/// The live block that starts at `pointer`, or what is wrong with it.
pub fn judge(pointer: usize) -> Result<Block, (ViolationKind, Option<Block>)> {
    match locate(pointer) {
        Found::Nowhere | Found::Unused => Err((ViolationKind::WildFree, None)),
        Found::Inside(block, true) if block.is_live() => Ok(block),
        Found::Inside(block, true) => Err((ViolationKind::DoubleFree, Some(block))),
        Found::Inside(block, false) => Err((ViolationKind::InteriorFree, Some(block))),
    }
}

/// Lets leak checks take the live block that starts at `pointer` as needed;
/// whether there is one.
pub fn ignore(pointer: usize) -> bool {
    let Ok(block) = judge(pointer) else { return false };
    let word = block.record.with_state(State::Ignored).0;
    // SAFETY: a live block's record; its owner asks for the change.
    unsafe {
        match (*block.granule).kind {
            Kind::Span => (*block.granule).record.store(word, Release),
            _ => (*(*block.granule).records.add(block.index as usize)).store(word, Release),
        }
    }
    true
}

/// Calls `visit` with every slab's and span's first granule.
pub(super) fn for_each_head(visit: impl FnMut(*mut Granule)) {
    for_each_head_in(0..(Window::extent() / GRANULE) as u32, visit);
}

/// The same for slabs and spans that begin in a range of granules, which may
/// begin inside one.
fn for_each_head_in(range: Range<u32>, mut visit: impl FnMut(*mut Granule)) {
    let mut index = range.start;
    while index < range.end {
        let granule = Window::granule(index);
        // SAFETY: below the extent.
        let (kind, head, run) = unsafe { ((*granule).kind, (*granule).head, (*granule).run) };
        match kind {
            Kind::Slab | Kind::Span if head == index => visit(granule),
            // Not at its beginning: on to the next granule.
            Kind::Slab | Kind::Span | Kind::Inside => {
                index += 1;
                continue;
            }
            Kind::Free => {}
        }
        index += run.max(1);
    }
}

/// Calls `visit` with every block that was ever handed out and not given back
/// to the operating system.
pub fn for_each_block(visit: impl FnMut(Block)) {
    for_each_block_in(0..(Window::extent() / GRANULE) as u32, visit);
}

/// The same for slabs and spans that begin in a range of granules.
pub(super) fn for_each_block_in(range: Range<u32>, mut visit: impl FnMut(Block)) {
    for_each_head_in(range, |granule| {
        // SAFETY: heads of slabs and spans; indices below `fresh`.
        unsafe {
            if (*granule).kind == Kind::Span {
                visit(span_block(granule));
                return;
            }
            for index in 0..(*granule).fresh.min((*granule).slots) {
                visit(slot_block(granule, index));
            }
        }
    });
}

/// Calls `visit` with every block record.
pub(super) fn for_each_record(mut visit: impl FnMut(Record)) {
    for_each_head(|granule| {
        // SAFETY: as above.
        unsafe {
            if (*granule).kind == Kind::Span {
                visit(Record((*granule).record.load(Acquire)));
                return;
            }
            for index in 0..(*granule).fresh.min((*granule).slots) {
                visit(record_at(granule, index));
            }
        }
    });
}
