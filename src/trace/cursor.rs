//! One step of a walk: from a frame to its caller by a [`Layout`].
//!
//! ```text
//!   high ┌──────────────┐
//!        │ caller       │
//!   cfa →├──────────────┤← the caller's sp after the return
//!        │ return addr. │  slot of the next cursor
//!        │ saved rbp    │
//!        │ locals       │
//!    sp →├──────────────┤
//!        │ return addr. │← slot: into the function whose frame is above
//!        └──────────────┘
//! ```
//!
//! Invariant: reads only aligned words between the frame's `sp` and `high`,
//! and every step goes up, so a walk ends whatever the stack holds.

use super::rule::{Cfa, Layout, Rule, SavedFp, SavedRa, WORD};
use super::stack_range::StackRange;

/// A frame about to be left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Cursor {
    /// Where the return address into this frame's function was read.
    pub slot: usize,
    /// What was read there.
    pub word: usize,
    /// The return address to look the function up by: `word`, or one more
    /// when the kernel interrupted the function there (no call precedes it).
    pub address: usize,
    /// rsp in this frame.
    pub sp: usize,
    /// rbp in this frame; [`Cursor::LOST`] when nobody kept it.
    pub fp: usize,
}

/// What lies outward of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outward {
    /// Its caller.
    Caller(Cursor),
    /// Nothing: its return address is zero.
    Nothing,
    /// The frame of an interrupted function on another stack.
    OtherStack(Cursor),
    /// It cannot be told.
    Unknown,
}

/// Where the parts of a frame lie that a [`Layout`] points at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Places {
    /// The canonical frame address.
    pub cfa: usize,
    /// The word the CFA was loaded from; 0 if it was not loaded.
    pub cfa_from: usize,
    /// The word that holds the caller's rbp; 0 if none does.
    pub saved_fp: usize,
    /// The word that holds the caller's return address.
    pub saved_ra: usize,
}

/// Reads the stack word at `address` if it lies in `from..high`; `high` is a
/// multiple of [`WORD`], as every stack's end is (`stack_range`).
#[inline(always)]
fn read(address: usize, from: usize, high: usize) -> Option<usize> {
    if address < from || address >= high || !address.is_multiple_of(WORD) {
        return None;
    }
    // SAFETY: an aligned word between the live stack pointer of this thread
    // and the end of that stack, which `stack_range` vouches for.
    Some(unsafe { (address as *const usize).read_volatile() })
}

impl Cursor {
    /// Stands for an rbp that nobody kept; never a frame address, being odd.
    pub const LOST: usize = 1;

    /// The frame that called malloc: `sp` and `fp` as malloc's first
    /// instruction saw them.
    #[inline]
    pub fn caller(sp: usize, fp: usize, range: StackRange) -> Option<Cursor> {
        let word = read(sp, range.low, range.high)?;
        Some(Cursor { slot: sp, word, address: word, sp: sp + WORD, fp })
    }

    /// Whether its return address was left by a call, so that rsp is above it;
    /// in a function that a signal interrupted it is anywhere.
    #[inline(always)]
    pub fn is_after_call(&self) -> bool {
        self.sp == self.slot.wrapping_add(WORD)
    }

    /// Works out where the parts of this frame are.
    #[inline]
    pub fn places(&self, layout: &Layout, high: usize) -> Option<Places> {
        let from = |base: usize, offset: i32| base.wrapping_add_signed(offset as isize);
        let (cfa, cfa_from) = match layout.cfa {
            Cfa::StackPointer(offset) => (from(self.sp, offset), 0),
            Cfa::FramePointer(offset) => (from(self.fp, offset), 0),
            Cfa::LoadedFromStack(offset) => {
                let at = from(self.sp, offset);
                (read(at, self.slot, high)?, at)
            }
            Cfa::LoadedFromFrame(offset) => {
                let at = from(self.fp, offset);
                (read(at, self.slot, high)?, at)
            }
        };
        let saved_fp = match layout.fp {
            SavedFp::Same | SavedFp::Lost => 0,
            SavedFp::AtCfa(offset) => from(cfa, offset),
            SavedFp::AtStackPointer(offset) => from(self.sp, offset),
            SavedFp::AtFramePointer(offset) => from(self.fp, offset),
        };
        let saved_ra = match layout.ra {
            SavedRa::AtCfa(offset) => from(cfa, offset),
            SavedRa::AtStackPointer(offset) => from(self.sp, offset),
        };
        Some(Places { cfa, cfa_from, saved_fp, saved_ra })
    }

    /// Leaves the frame by a plain rule; `None` when it takes
    /// [`leave`](Self::leave) to do it, or to say why it cannot be.
    #[inline(always)]
    pub fn leave_plainly(&self, rule: Rule, high: usize) -> Option<Cursor> {
        if !rule.is_plain() {
            return None;
        }
        let (cfa, saved_fp) = rule.plain();
        let cfa = self.sp.wrapping_add_signed(cfa);
        let slot = cfa.wrapping_sub(WORD);
        let floor = self.slot + WORD;
        let word = read(slot, floor, high).filter(|&word| word != 0)?;
        let fp = match saved_fp {
            None => self.fp,
            Some(offset) => {
                read(cfa.wrapping_add_signed(offset), floor, high).unwrap_or(Self::LOST)
            }
        };
        Some(Cursor { slot, word, address: word, sp: cfa, fp })
    }

    /// Leaves the frame.
    #[inline]
    pub fn leave(&self, layout: &Layout, high: usize) -> Outward {
        self.try_leave(layout, high).unwrap_or(Outward::Unknown)
    }

    #[inline]
    fn try_leave(&self, layout: &Layout, high: usize) -> Option<Outward> {
        let places = self.places(layout, high)?;
        let floor = self.slot + WORD;
        let word = read(places.saved_ra, floor, high)?;
        let fp = match layout.fp {
            SavedFp::Same => self.fp,
            SavedFp::Lost => Self::LOST,
            // Not readable is no harm unless a frame further out needs it.
            _ => read(places.saved_fp, floor, high).unwrap_or(Self::LOST),
        };
        if word == 0 {
            return Some(Outward::Nothing);
        }
        let address = if layout.signal { word.wrapping_add(1) } else { word };
        let next = Cursor { slot: places.saved_ra, word, address, sp: places.cfa, fp };
        let upward = places.cfa >= places.saved_ra + WORD && places.cfa <= high;
        match (upward, layout.signal) {
            (true, _) => Some(Outward::Caller(next)),
            (false, true) => Some(Outward::OtherStack(next)),
            (false, false) => None,
        }
    }
}
