//! Free runs of granules: given out first-fit by size, merged when they meet.
//!
//! A free run keeps its length in its first granule (`run`) and its first
//! granule's index in its last one (`head`): boundary tags (Knuth 2.5), but
//! out of line. Lists are by the length's power of two.
//!
//! Invariant: no two free runs of the same state touch; `filled` has bit `k` set iff list `k`
//! is not empty; `dirty` is the bytes of all free runs that may hold
//! something else than zeros.

use super::granule::{Granule, Kind};
use super::window::Window;
use crate::platform::{Host, OsError, Platform};
use crate::units::{GRANULE, MIB};

/// A run of granules that was given out.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Index of its first granule.
    pub start: u32,
    /// How many granules.
    pub length: u32,
    /// Whether every byte is known to be zero.
    pub zeroed: bool,
}

impl Run {
    /// The run's first address.
    pub fn address(&self) -> usize {
        Window::address_of(self.start)
    }

    /// The run's length in bytes.
    pub fn bytes(&self) -> usize {
        self.length as usize * GRANULE
    }
}

const LISTS: usize = 25;
/// Runs from this size on go back to the operating system when they are freed.
const HUGE: usize = 32 * MIB;
const CLEAN: u8 = 0;
const DIRTY: u8 = 1;

/// All free runs. One value, behind the window's lock.
pub struct Runs {
    lists: [u32; LISTS],
    filled: u32,
    dirty: usize,
    /// The least that `dirty` was since the last [`Runs::decay`]: what nobody
    /// wanted meanwhile.
    idle: usize,
    /// Bytes in runs that are given out.
    in_use: usize,
    mapped: usize,
}

impl Default for Runs {
    fn default() -> Self {
        Self::new()
    }
}

impl Runs {
    /// No runs yet.
    pub const fn new() -> Self {
        Runs { lists: [0; LISTS], filled: 0, dirty: 0, idle: 0, in_use: 0, mapped: 0 }
    }

    /// Bytes in runs that are given out.
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// Bytes of the window that are mapped.
    pub fn mapped(&self) -> usize {
        self.mapped
    }

    /// Bytes in the longest free run.
    pub fn largest_free(&self) -> usize {
        let mut best = 0;
        if let Some(list) = self.filled.checked_ilog2() {
            let mut index = self.lists[list as usize];
            while index != 0 {
                let granule = Window::granule(index - 1);
                // SAFETY: links name granules below the extent, and the
                // window's lock, which guards `self`, guards their lines.
                unsafe {
                    best = best.max((*granule).run as usize * GRANULE);
                    index = (*granule).next;
                }
            }
        }
        best
    }

    /// Takes a run of `length` granules whose address is a multiple of
    /// `alignment` (a power of two). The caller sets the granules' kinds.
    pub fn take(&mut self, length: u32, alignment: usize) -> Result<Run, OsError> {
        let slack = (alignment / GRANULE).saturating_sub(1) as u32;
        let wanted = length.checked_add(slack).ok_or(OsError(12))?;
        let found = match self.find(wanted) {
            Some(index) => index,
            None => {
                let (start, count) = Window::grow(wanted)?;
                self.mapped += count as usize * GRANULE;
                self.insert(start, count, CLEAN);
                self.find(wanted).ok_or(OsError(12))?
            }
        };
        let granule = Window::granule(found);
        // SAFETY: `found` heads a free run of ours (window's lock held).
        let (run, dirty) = unsafe { ((*granule).run, (*granule).listed) };
        self.unlink(found, run, dirty);
        let address = Window::address_of(found);
        let skipped = (address.wrapping_neg() & (alignment - 1)) / GRANULE;
        let start = found + skipped as u32;
        if skipped > 0 {
            self.link(found, skipped as u32, dirty);
        }
        let rest = run - skipped as u32 - length;
        if rest > 0 {
            self.link(start + length, rest, dirty);
        }
        self.in_use += length as usize * GRANULE;
        Ok(Run { start, length, zeroed: dirty == CLEAN })
    }

    /// Takes `length` granules that begin exactly at `start`, if they are the
    /// beginning of a free run: a span grows in place.
    pub fn take_at(&mut self, start: u32, length: u32) -> Option<Run> {
        if start as usize * GRANULE >= Window::extent() {
            return None;
        }
        let granule = Window::granule(start);
        // SAFETY: below the extent; free runs' lines are guarded by the lock.
        let (kind, run, dirty) = unsafe { ((*granule).kind, (*granule).run, (*granule).listed) };
        if kind != Kind::Free || run < length {
            return None;
        }
        self.unlink(start, run, dirty);
        if run > length {
            self.link(start + length, run - length, dirty);
        }
        self.in_use += length as usize * GRANULE;
        Some(Run { start, length, zeroed: dirty == CLEAN })
    }

    /// Takes a run back. `zeroed` says that every byte is zero.
    ///
    /// # Safety
    /// The run was given out and nobody uses its memory or granules any more.
    pub unsafe fn give_back(&mut self, run: Run) {
        let (mut start, mut length) = (run.start, run.length);
        let mut state = if run.zeroed { CLEAN } else { DIRTY };
        self.in_use -= run.bytes();
        for index in start..start + length {
            // SAFETY: the caller gives these granules up.
            unsafe { clear(Window::granule(index)) };
        }
        // Huge memory goes back at once, the rest when much has gathered.
        if state == DIRTY && (run.bytes() >= HUGE || self.dirty + run.bytes() > self.dirty_limit())
        {
            // SAFETY: the memory is unused, as the caller promises.
            if unsafe { Host::decommit(run.address(), run.bytes()) }.is_ok() {
                state = CLEAN;
            }
        }
        if start > 0 {
            let before = Window::granule(start - 1);
            // SAFETY: below the extent; free runs' tags are guarded by the lock.
            unsafe {
                if (*before).kind == Kind::Free && (*before).head != 0 {
                    let first = (*before).head - 1;
                    let granule = Window::granule(first);
                    let (count, dirty) = ((*granule).run, (*granule).listed);
                    if dirty == state {
                        self.unlink(first, count, dirty);
                        start = first;
                        length += count;
                    }
                }
            }
        }
        let after = start + length;
        if (after as usize * GRANULE) < Window::extent() {
            let granule = Window::granule(after);
            // SAFETY: as above.
            let (kind, count, dirty) =
                unsafe { ((*granule).kind, (*granule).run, (*granule).listed) };
            if kind == Kind::Free && count > 0 && dirty == state {
                self.unlink(after, count, dirty);
                length += count;
            }
        }
        self.link(start, length, state);
    }

    /// Gives memory back that has been free since the last call: half of it,
    /// so that a program that pauses does not fault all of it in again.
    pub fn decay(&mut self) {
        let wanted = self.idle / 2;
        if wanted >= MIB / 4 {
            self.give_away(wanted);
        }
        self.idle = self.dirty;
    }

    /// Gives all free memory back to the operating system (malloc_trim(3)).
    /// Whether anything was given back.
    pub fn trim(&mut self) -> bool {
        self.give_away(usize::MAX)
    }

    /// Gives at least `wanted` bytes of free memory back, long runs first, as
    /// far as there are; whether any were.
    fn give_away(&mut self, wanted: usize) -> bool {
        let before = self.dirty;
        for list in (0..LISTS).rev() {
            let mut index = self.lists[list];
            while index != 0 && before - self.dirty < wanted {
                let granule = Window::granule(index - 1);
                // SAFETY: links name free runs (window's lock held), whose
                // memory nobody uses.
                unsafe {
                    let bytes = (*granule).run as usize * GRANULE;
                    if (*granule).listed == DIRTY
                        && Host::decommit(Window::address_of(index - 1), bytes).is_ok()
                    {
                        (*granule).listed = CLEAN;
                        self.dirty -= bytes;
                    }
                    index = (*granule).next;
                }
            }
        }
        self.dirty < before
    }

    /// Bytes that may stay free and mapped: blocks that come and go are then
    /// not faulted in again each time. What stays unused decays.
    fn dirty_limit(&self) -> usize {
        (self.in_use / 4).clamp(32 * MIB, 256 * MIB)
    }

    fn insert(&mut self, start: u32, length: u32, state: u8) {
        self.link(start, length, state);
    }

    /// First run of at least `wanted` granules, from the fitting list up.
    fn find(&self, wanted: u32) -> Option<u32> {
        let own = wanted.ilog2() as usize;
        let mut index = *self.lists.get(own)?;
        for _ in 0..16 {
            if index == 0 {
                break;
            }
            let granule = Window::granule(index - 1);
            // SAFETY: links name free runs below the extent (lock held).
            unsafe {
                if (*granule).run >= wanted {
                    return Some(index - 1);
                }
                index = (*granule).next;
            }
        }
        let larger = self.filled & !((2u32 << own) - 1);
        let list = if larger != 0 { larger.trailing_zeros() as usize } else { return None };
        Some(self.lists[list] - 1)
    }

    fn link(&mut self, start: u32, length: u32, state: u8) {
        let list = length.ilog2() as usize;
        let next = self.lists[list];
        // SAFETY: the granules are free and below the extent; the lock that
        // guards `self` guards their lines.
        unsafe {
            let first = Window::granule(start);
            (*first).kind = Kind::Free;
            (*first).run = length;
            (*first).listed = state;
            (*first).next = next;
            (*first).previous = 0;
            (*Window::granule(start + length - 1)).head = start + 1;
            if next != 0 {
                (*Window::granule(next - 1)).previous = start + 1;
            }
        }
        self.lists[list] = start + 1;
        self.filled |= 1 << list;
        if state == DIRTY {
            self.dirty += length as usize * GRANULE;
        }
    }

    fn unlink(&mut self, start: u32, length: u32, state: u8) {
        let list = length.ilog2() as usize;
        // SAFETY: as in `link`.
        unsafe {
            let first = Window::granule(start);
            let (next, previous) = ((*first).next, (*first).previous);
            match previous {
                0 => self.lists[list] = next,
                index => (*Window::granule(index - 1)).next = next,
            }
            if next != 0 {
                (*Window::granule(next - 1)).previous = previous;
            }
            clear(Window::granule(start + length - 1));
            clear(first);
        }
        if self.lists[list] == 0 {
            self.filled &= !(1 << list);
        }
        if state == DIRTY {
            self.dirty -= length as usize * GRANULE;
            self.idle = self.idle.min(self.dirty);
        }
    }
}

/// Makes a granule one that belongs to nothing.
///
/// # Safety
/// Nobody else reads or writes the granule's plain fields now.
unsafe fn clear(granule: *mut Granule) {
    // SAFETY: the caller owns the granule; it lies in the mapped table.
    unsafe { granule.write(Granule::EMPTY) };
}
