//! Slabs come and go: what happens when a class's current slab has no slot.

use super::allocate::tier_of;
use super::central::{self, CENTRAL};
use super::quarantine::Held;
use super::settings::mode;
use super::thread_heap::{ThreadHeap, no_slab};
use super::{crime, epoch};
use crate::guard::{self, Pattern};
use crate::ledger::Record;
use crate::memory::{
    GRANULE, Granule, Kind, NO_SLOT, Run, Window, allocate_metadata, free_metadata,
};
use crate::platform::{Host, Platform};
use crate::slab::{CLASSES, SizeClass};
use crate::sync::atomics::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
    reads,
};
use crate::units::StackId;
use core::ptr::NonNull;

/// On no list.
pub(super) const UNLISTED: u8 = 0;
/// On its heap's list of slabs with room.
pub(super) const LISTED: u8 = 1;
/// The slab that its class takes from.
pub(super) const CURRENT: u8 = 2;

/// Bytes of a slab that get their memory at once: a fault a page costs more
/// than its fill. From so many live bytes of a thread on, so that the last
/// slabs of a small program do not count.
const AHEAD: usize = 32 * 1024;
const AHEAD_FROM: isize = 4 << 20;

/// Gives the class a current slab that has a free slot; `false` without memory.
pub(super) fn refill(heap: &mut ThreadHeap, class: SizeClass) -> bool {
    if refill_from_own(heap, class) {
        return true;
    }
    let Some(slab) = new_slab(heap, class) else { return false };
    make_current(heap, class, slab);
    // SAFETY: the slab is this heap's, and nothing is carved yet.
    unsafe { carve(heap, slab) };
    true
}

/// The same with the slabs that the heap has; `false` when none has room.
#[inline(never)]
pub(super) fn refill_from_own(heap: &mut ThreadHeap, class: SizeClass) -> bool {
    epoch::tick(heap);
    let bin = class.0 as usize;
    loop {
        let slab = heap.bin(class);
        // SAFETY: the bin's slab is this heap's (or the empty one, which has
        // no slots and no lists), and its owner's fields are this thread's.
        unsafe {
            if (*slab).returned != NO_SLOT {
                (*slab).free = (*slab).returned;
                (*slab).returned = NO_SLOT;
                (*slab).until_noticed = (*slab).fresh as u16;
                return true;
            }
            if (*slab).fresh < (*slab).slots {
                carve(heap, slab);
                return true;
            }
        }
        if collect_remote(heap) {
            continue;
        }
        let (first, _) = heap.partial[bin];
        if first != 0 {
            let next = Window::granule(first - 1);
            // SAFETY: a listed slab of this heap.
            unsafe { unlist(heap, next) };
            make_current(heap, class, next);
            continue;
        }
        return false;
    }
}

fn make_current(heap: &mut ThreadHeap, class: SizeClass, slab: *mut Granule) {
    let old = heap.bin(class);
    // SAFETY: slabs of this heap; the empty one is not written.
    unsafe {
        if old != no_slab() {
            if (*old).returned == NO_SLOT {
                (*old).listed = UNLISTED;
                (*old).until_noticed = 1;
            } else {
                list(heap, old);
            }
        }
        (*slab).listed = CURRENT;
    }
    heap.set_bin(class, slab);
}

/// Makes the next few slots of a slab ready: pattern and records.
///
/// # Safety
/// The slab is `heap`'s, its free list is empty, and it has fresh slots.
unsafe fn carve(heap: &ThreadHeap, slab: *mut Granule) {
    let modes = heap.modes.load(Relaxed);
    // SAFETY: fresh slots' memory and records are nobody's but the owner's.
    unsafe {
        let slot = (*slab).slot as usize;
        let first = (*slab).fresh;
        let count = (4096 / slot).clamp(1, ((*slab).slots - first) as usize) as u32;
        if (*slab).untouched && heap.live_bytes.load(Relaxed) as isize > AHEAD_FROM {
            populate(slab, first, count);
        }
        for index in first..first + count {
            let start = (*slab).first + index as usize * slot;
            let pattern = Pattern::at(start - Window::base());
            if modes & mode::POISON_NONE != 0 {
                let tail = (start + slot - 16) as *mut u64;
                tail.write(pattern.0);
                tail.add(1).write(pattern.0);
            } else {
                guard::fill(start, slot, pattern, tier_of(modes, slot));
            }
            let next = if index + 1 < first + count { index as u16 + 1 } else { NO_SLOT };
            let record = Record::free(StackId::UNKNOWN, StackId::UNKNOWN, 0, next);
            (*(*slab).records.add(index as usize)).store(record.0, Release);
        }
        (*slab).free = first as u16;
        (*slab).fresh += count;
        (*slab).until_noticed += count as u16;
    }
}

/// Asks for the memory of the next [`AHEAD`] bytes of an untouched slab, where
/// `count` slots from `first` on begin to need it.
///
/// # Safety
/// The slab is the caller's, and those slots are fresh.
unsafe fn populate(slab: *mut Granule, first: u32, count: u32) {
    // SAFETY: the owner's fields of its own slab.
    let (start, slot, granules) = unsafe { ((*slab).first, (*slab).slot as usize, (*slab).run) };
    let run = Window::address_of(Window::index_of(slab));
    let from = if first == 0 { run } else { start + first as usize * slot };
    let to = start + (first + count) as usize * slot;
    if first == 0 || from / AHEAD != to / AHEAD {
        let begin = if first == 0 { run } else { to & !(AHEAD - 1) };
        let end = run + granules as usize * GRANULE;
        if begin < end {
            Host::populate(begin, AHEAD.min(end - begin));
        }
    }
}

/// Takes in what other threads returned; whether there was anything.
pub(super) fn collect_remote(heap: &mut ThreadHeap) -> bool {
    let mut next = heap.remote_slabs.swap(0, Acquire);
    let any = next != 0;
    while next != 0 {
        let slab = Window::granule(next - 1);
        // SAFETY: the stack names slabs of this heap; `remote_next` was
        // written before the slab was pushed, and is read before the slab's
        // list is taken, which lets it be pushed again.
        unsafe {
            reads(&raw const (*slab).remote_next);
            next = (*slab).remote_next;
            let mut index = (*slab).remote.swap(0, AcqRel);
            while index != 0 {
                let record = (*slab).records.add(index as usize - 1);
                let word = Record((*record).load(Relaxed));
                let following = word.next();
                if home(slab, index as u16 - 1, word.with_next(0)) {
                    notice(heap, slab);
                }
                index = if following == NO_SLOT { 0 } else { u32::from(following) + 1 };
            }
        }
    }
    any
}

/// Puts a free slot on its own slab's list; whether the owner is to
/// [look at](notice) the slab.
///
/// # Safety
/// `slab` is the first granule of a slab of the calling thread's heap; the slot
/// left a quarantine, and `record` is its record, in state Free, with next = 0.
#[inline(always)]
pub(super) unsafe fn home(slab: *mut Granule, index: u16, record: Record) -> bool {
    // SAFETY: the owner's fields of its own slab.
    unsafe {
        let next = Record(record.0 | u64::from((*slab).returned) << Record::NEXT_SHIFT);
        (*(*slab).records.add(index as usize)).store(next.0, Release);
        (*slab).returned = index;
        let left = (*slab).until_noticed.wrapping_sub(1);
        (*slab).until_noticed = left;
        left == 0
    }
}

/// Lists a slab that has room again; gives an empty one back if it is not its
/// class's last.
///
/// # Safety
/// The slab is `heap`'s, and a slot came home to it just now.
#[cold]
#[inline(never)]
pub(super) unsafe fn notice(heap: &mut ThreadHeap, slab: *mut Granule) {
    // SAFETY: the owner's fields of its own slab.
    unsafe {
        if (*slab).listed == UNLISTED {
            list(heap, slab);
            (*slab).until_noticed = (*slab).fresh as u16 - 1;
        }
        let class = (*slab).class as usize;
        let is_last = heap.partial[class].0 == heap.partial[class].1;
        if (*slab).listed == LISTED && (*slab).until_noticed == 0 && !is_last {
            unlist(heap, slab);
            release_slab(slab);
        }
    }
}

/// Appends a slab to its class's list.
///
/// # Safety
/// The slab is `heap`'s and on no list.
unsafe fn list(heap: &mut ThreadHeap, slab: *mut Granule) {
    // SAFETY: lists link slabs of this heap only.
    unsafe {
        let index = Window::index_of(slab) + 1;
        let (first, last) = &mut heap.partial[(*slab).class as usize];
        (*slab).previous = *last;
        (*slab).next = 0;
        match *last {
            0 => *first = index,
            last => (*Window::granule(last - 1)).next = index,
        }
        *last = index;
        (*slab).listed = LISTED;
    }
}

/// Takes a slab off its class's list.
///
/// # Safety
/// The slab is `heap`'s and listed.
unsafe fn unlist(heap: &mut ThreadHeap, slab: *mut Granule) {
    // SAFETY: lists link slabs of this heap only.
    unsafe {
        let (first, last) = &mut heap.partial[(*slab).class as usize];
        match (*slab).previous {
            0 => *first = (*slab).next,
            previous => (*Window::granule(previous - 1)).next = (*slab).next,
        }
        match (*slab).next {
            0 => *last = (*slab).previous,
            next => (*Window::granule(next - 1)).previous = (*slab).previous,
        }
        (*slab).next = 0;
        (*slab).previous = 0;
        (*slab).listed = UNLISTED;
    }
}

/// A new slab of `class` for `heap`, with nothing carved.
fn new_slab(heap: &mut ThreadHeap, class: SizeClass) -> Option<*mut Granule> {
    let records = allocate_metadata(class.slots() as usize * 8)?;
    let run = central::take_run(class.granules(), GRANULE, |run| {
        // SAFETY: the run was just given out; its granules are ours, and the
        // lock of the runs is held so that no walker sees them half done.
        unsafe { describe(run, class, records, heap) };
    });
    match run {
        Some(run) => {
            let slab = Window::granule(run.start);
            // SAFETY: the slab's first pad is memory of the run.
            unsafe { guard_pad(slab) };
            Some(slab)
        }
        None => {
            // SAFETY: allocated above with the same size, used by nobody.
            unsafe { free_metadata(records, class.slots() as usize * 8) };
            None
        }
    }
}

/// # Safety
/// The run's granules belong to the caller.
unsafe fn describe(run: &Run, class: SizeClass, records: NonNull<u8>, heap: *const ThreadHeap) {
    for index in run.start..run.start + run.length {
        let granule = Granule {
            first: run.address() + class.alignment(),
            records: records.as_ptr().cast::<AtomicU64>(),
            pattern: Pattern::of_granule(index, Window::base()),
            inverse: class.inverse(),
            rotation: class.slot().trailing_zeros(),
            slot: class.slot() as u32,
            slots: class.slots(),
            owner: (heap as usize).into(),
            head: run.start,
            held: Held::of_slab(run.start, class.slot()),
            kind: Kind::Slab,
            class: class.0,
            run: run.length,
            untouched: run.zeroed,
            ..Granule::EMPTY
        };
        // SAFETY: the caller's promise.
        unsafe { Window::granule(index).write(granule) };
    }
}

/// Writes the pattern before slot 0: what would be the end of slot -1.
///
/// # Safety
/// The slab is new and the caller's.
unsafe fn guard_pad(slab: *mut Granule) {
    // SAFETY: the pad before slot 0 is at least 16 bytes of the slab's run.
    unsafe {
        let pattern = before_slot_zero(&*slab);
        let end = (*slab).first as *mut u64;
        end.sub(1).write(pattern.0);
        end.sub(2).write(pattern.0);
    }
}

/// The pattern of the bytes right before slot 0: as if a slot lay there.
#[inline(always)]
pub(super) fn before_slot_zero(slab: &Granule) -> Pattern {
    Pattern::of_slot(slab.pattern, slab.first).before(slab.slot as usize)
}

/// Verifies and gives back a slab of which no slot is in use.
///
/// # Safety
/// None of the slab's slots is in use, and it is on no list and in no bin.
pub(super) unsafe fn release_slab(slab: *mut Granule) {
    // SAFETY: all slots are free, and the caller owns the slab.
    unsafe {
        let heap = (*slab).owner.load(Relaxed) as *const ThreadHeap;
        let modes = (*heap).modes.load(Relaxed);
        let slot = (*slab).slot as usize;
        if modes & mode::POISON_NONE == 0 {
            let tier = tier_of(modes, slot);
            for index in 0..(*slab).fresh {
                let start = (*slab).first + index as usize * slot;
                let pattern = Pattern::at(start - Window::base());
                if !guard::verify(start, slot, pattern, tier) {
                    crime::write_after_free(start, slot, pattern, tier, (*heap).finder);
                }
            }
        }
        let records = NonNull::new((*slab).records.cast_mut().cast::<u8>());
        let bytes = (*slab).slots as usize * 8;
        let run = Run { start: Window::index_of(slab), length: (*slab).run, zeroed: false };
        CENTRAL.lock().runs.give_back(run);
        if let Some(records) = records {
            free_metadata(records, bytes);
        }
    }
}

/// Gives back every slab of `heap` that is empty.
pub(super) fn release_empty(heap: &mut ThreadHeap) {
    collect_remote(heap);
    for class in 0..CLASSES {
        let bin = SizeClass(class as u8);
        let current = heap.bin(bin);
        // SAFETY: this heap's slabs; an empty current slab has only slots on
        // its own lists, so these are all it ever handed out.
        unsafe {
            if current != no_slab() {
                let mut free = 0;
                let mut index = (*current).free;
                while index != NO_SLOT {
                    free += 1;
                    index = Record((*(*current).records.add(index as usize)).load(Relaxed)).next();
                }
                if u32::from((*current).until_noticed) == free {
                    heap.set_bin(bin, no_slab());
                    release_slab(current);
                }
            }
            let mut next = heap.partial[class].0;
            while next != 0 {
                let slab = Window::granule(next - 1);
                next = (*slab).next;
                if (*slab).until_noticed == 0 {
                    unlist(heap, slab);
                    release_slab(slab);
                }
            }
        }
    }
}
