//! The heap's tables, as readers outside the process find them.

use super::settings::{self, mode};
use super::thread_heap::ThreadHeap;
use super::{central, epoch, pool, span};
use crate::outside::{Address, HeapPart, ThreadHeapFields};
use core::mem::offset_of;

/// See [`HeapPart`].
pub const OUTSIDE: HeapPart<Address> = {
    let [limit, peak] = central::OUTSIDE;
    let (graveyard, graves, buried) = span::OUTSIDE;
    HeapPart {
        heaps: pool::OUTSIDE,
        modes: settings::OUTSIDE,
        limit,
        peak,
        peak_live: epoch::OUTSIDE,
        graveyard,
        graves,
        buried,
        thread_heap: THREAD_HEAP,
        poison_full: mode::POISON_FULL as u32,
        poison_none: mode::POISON_NONE as u32,
    }
};

const THREAD_HEAP: ThreadHeapFields = ThreadHeapFields {
    bytes: offset_of!(ThreadHeap, trace) as u32,
    is_fallback: offset_of!(ThreadHeap, is_fallback) as u32,
    live_bytes: offset_of!(ThreadHeap, live_bytes) as u32,
    allocations: offset_of!(ThreadHeap, allocations) as u32,
    ring: offset_of!(ThreadHeap, quarantine.ring) as u32,
    ring_mask: offset_of!(ThreadHeap, quarantine.mask) as u32,
    ring_next: offset_of!(ThreadHeap, quarantine.next) as u32,
    ring_lap: offset_of!(ThreadHeap, quarantine.lap) as u32,
    ring_tail: offset_of!(ThreadHeap, quarantine.tail) as u32,
    ring_inherited: offset_of!(ThreadHeap, quarantine.inherited) as u32,
    held: offset_of!(ThreadHeap, quarantine.bytes) as u32,
    held_room: offset_of!(ThreadHeap, quarantine.room) as u32,
    number: offset_of!(ThreadHeap, number) as u32,
    kernel_id: offset_of!(ThreadHeap, kernel_id) as u32,
    state: offset_of!(ThreadHeap, state) as u32,
    next: offset_of!(ThreadHeap, next) as u32,
};
