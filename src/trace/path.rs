//! The last path: the frames of a thread's previous capture, kept with what
//! must still be in memory for them to be on the stack again.
//!
//! ```text
//!   frames:  outermost | … | … | innermost          slots fall
//!                 │first_check   │
//!   checks:  (address, word) (address, word) …      in the same order
//! ```
//!
//! Where a frame's caller lies is a function of the frame's return address
//! (through its CFI row), of rsp in it, and for some rows of rbp or of a word
//! in the frame. So a frame's checks are: its return address; the word its CFA
//! is loaded from, if it is; the saved rbp, if a frame further out needs that.
//! If all checks of the frames up to the window's end hold, unwinding would
//! find these very frames: nothing is guessed.
//!
//! Invariant: slots fall from frame to frame; the checks of frame `i` are
//! those from its `first_check` up to the next frame's; each check lies above
//! the slot of its frame.

use super::cursor::Cursor;
use super::depot;
use super::rule::{Cfa, Rule, SavedFp, Step};
use super::rule_table::CodeAddress;
use crate::units::StackId;

/// Frames a path keeps; a deeper stack loses its outermost ones.
pub const FRAMES: usize = 512;
const CHECKS: usize = 1280;
/// Checks a frame has at most.
const CHECKS_PER_FRAME: usize = 3;

/// A frame found by a walk and not interned yet.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct FoundFrame {
    /// The frame.
    pub cursor: Cursor,
    /// Its return address with its module.
    pub code: CodeAddress,
    /// The rule by which it is left.
    pub rule: Rule,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Frame {
    slot: usize,
    fp: usize,
    code: CodeAddress,
    node: StackId,
    first_check: u16,
    /// Frames from `node` to its root: how many frames the stack id names.
    window: u16,
    /// Whether finding the frames further out needs rbp as it is in this frame.
    needs_fp: bool,
    /// A signal interrupted it: where rsp was, only the signal frame knows.
    is_interrupted: bool,
}

/// A word that must be in memory.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Check {
    /// Where, in the thread's own stack.
    pub address: usize,
    /// What.
    pub word: usize,
}

/// See the module's text. All-zero is the empty path.
#[repr(C)]
pub struct LastPath {
    used: usize,
    checks_used: usize,
    /// Some frame found no room in the depot, but another time it may.
    spoiled: bool,
    frames: [Frame; FRAMES],
    checks: [Check; CHECKS],
}

impl LastPath {
    /// Forgets everything.
    #[inline]
    pub fn clear(&mut self) {
        (self.used, self.checks_used, self.spoiled) = (0, 0, false);
    }

    /// The innermost frame's stack id.
    #[inline]
    pub fn stack_id(&self) -> StackId {
        match self.used.checked_sub(1) {
            Some(last) => self.frames[last].node,
            None => StackId::UNKNOWN,
        }
    }

    /// Whether what it keeps must not be built on.
    pub fn is_spoiled(&self) -> bool {
        self.spoiled
    }

    /// Whether the innermost frame counts only with its rbp, and all checks of
    /// the frames that its stack id names, outermost first; `None` if there is
    /// no frame, or not all of those are kept.
    pub fn proof(&self) -> Option<(bool, &[Check])> {
        let frame = &self.frames[self.used.checked_sub(1)?];
        let outermost = self.used.checked_sub(usize::from(frame.window))?;
        let from = usize::from(self.frames[outermost].first_check);
        Some((frame.needs_fp, &self.checks[from..self.checks_used]))
    }

    fn pop_to(&mut self, used: usize) {
        if used < self.used {
            self.checks_used = usize::from(self.frames[used].first_check);
            self.used = used;
        }
    }

    /// Drops the frames below `slot` (they have returned) and says whether
    /// `cursor` is the innermost one left and all frames of its stack id are
    /// still in place. If they are not, those inward of the outermost change
    /// are dropped too.
    ///
    /// All checks left lie at or above `cursor.slot`, which the caller knows
    /// to be on this thread's own stack.
    #[inline(always)]
    pub fn meets(&mut self, cursor: &Cursor) -> bool {
        let mut used = self.used;
        while let Some(frame) = self.frames.get(used.wrapping_sub(1))
            && frame.slot < cursor.slot
        {
            used -= 1;
        }
        self.pop_to(used);
        let Some(frame) = self.frames.get(used.wrapping_sub(1)) else { return false };
        if frame.slot != cursor.slot
            || frame.code.address() != cursor.address
            || frame.is_interrupted
            || !cursor.is_after_call()
            || (frame.needs_fp && frame.fp != cursor.fp)
        {
            return false;
        }
        // Frames that its stack id names and that were dropped cannot be looked at.
        let Some(outermost) = used.checked_sub(usize::from(frame.window)) else { return false };
        self.stands_from(usize::from(self.frames[outermost].first_check))
    }

    /// Whether all checks from this one on hold; if not, drops what is inward
    /// of the first that does not.
    #[inline]
    fn stands_from(&mut self, from: usize) -> bool {
        let Some(checks) = self.checks.get(from..self.checks_used) else { return false };
        let any = |checks: &[Check]| checks.iter().fold(0, |all, check| all | check.differs());
        let changed = match checks.last_chunk::<4>() {
            // In groups of four, the last of which may overlap the one before.
            Some(last) => {
                let groups = checks.as_chunks::<4>().0;
                groups.iter().fold(any(last), |all, group| all | any(group))
            }
            None => any(checks),
        };
        if changed != 0 {
            self.drop_changed(from);
        }
        changed == 0
    }

    #[cold]
    #[inline(never)]
    fn drop_changed(&mut self, from: usize) {
        let checks = &self.checks[from..self.checks_used];
        let Some(at) = checks.iter().position(|check| check.differs() != 0) else { return };
        let mut used = self.used;
        while used > 0 && usize::from(self.frames[used - 1].first_check) > from + at {
            used -= 1;
        }
        self.pop_to(used.saturating_sub(1));
    }

    /// Adds frames, innermost first in `found`, inward of the innermost one.
    /// `root` is how the stack ends, used when the path is empty; `kept` the
    /// number of frames a stack id names at least, if the stack has them;
    /// `high` the end of the stack.
    #[inline]
    pub fn push(&mut self, found: &[FoundFrame], root: StackId, kept: u16, high: usize) {
        let most = kept + (kept / 4).max(1);
        for frame in found.iter().rev() {
            self.push_one(frame, root, (kept, most), high);
        }
    }

    #[inline(always)]
    fn push_one(
        &mut self,
        found: &FoundFrame,
        root: StackId,
        (kept, most): (u16, u16),
        high: usize,
    ) {
        if self.used >= FRAMES || self.checks_used + CHECKS_PER_FRAME > CHECKS {
            self.drop_outer();
        }
        let (mut parent, mut window, mut outer_fp) = (root, 0, None);
        if let Some(outer) = self.frames.get(self.used.wrapping_sub(1)) {
            outer_fp = outer.needs_fp.then_some(outer.fp);
            (parent, window) = (outer.node, outer.window);
            if window >= most {
                (parent, window) = self.rooted_anew(kept - 1);
            }
        }
        let first_check = self.checks_used as u16;
        let cursor = &found.cursor;
        self.check(cursor.slot, cursor.word);
        let mut needs_fp = false;
        // A plain frame needs nothing more, unless rbp counts further out.
        if !found.rule.is_plain() || outer_fp.is_some() {
            needs_fp = self.check_more(found, outer_fp, high);
        }
        let node = depot::intern(parent, found.code);
        self.spoiled |= (node == parent || node == StackId::UNKNOWN) && !depot::is_full();
        self.frames[self.used] = Frame {
            slot: cursor.slot,
            fp: cursor.fp,
            code: found.code,
            node,
            first_check,
            window: window + 1,
            needs_fp,
            is_interrupted: !cursor.is_after_call(),
        };
        self.used += 1;
    }

    /// The checks of a frame beside its return address, when it is not plain
    /// or a frame further out needs `outer_fp`; whether it counts only with its
    /// own rbp.
    #[inline(never)]
    fn check_more(&mut self, found: &FoundFrame, outer_fp: Option<usize>, high: usize) -> bool {
        let Step::Leave(layout) = found.rule.unpack() else { return false };
        let Some(places) = found.cursor.places(&layout, high) else { return false };
        if places.cfa_from != 0 {
            self.check(places.cfa_from, places.cfa);
        }
        if let Some(fp) = outer_fp
            && places.saved_fp != 0
        {
            self.check(places.saved_fp, fp);
        }
        matches!(layout.cfa, Cfa::FramePointer(_) | Cfa::LoadedFromFrame(_))
            || matches!(layout.fp, SavedFp::AtFramePointer(_))
            || (layout.fp == SavedFp::Same && outer_fp.is_some())
    }

    /// The innermost `count` frames as a stack of its own, cut off outward;
    /// so a stack id never names many more frames than asked for, and deep
    /// recursion does not grow the depot without bound.
    #[inline(never)]
    fn rooted_anew(&self, count: u16) -> (StackId, u16) {
        let from = self.used.saturating_sub(usize::from(count));
        let frames = &self.frames[from..self.used];
        let root = depot::ROOT_TRUNCATED;
        let node = frames.iter().fold(root, |node, frame| depot::intern(node, frame.code));
        (node, frames.len() as u16)
    }

    fn check(&mut self, address: usize, word: usize) {
        self.checks[self.checks_used] = Check { address, word };
        self.checks_used += 1;
    }

    #[cold]
    #[inline(never)]
    fn drop_outer(&mut self) {
        // So few that the innermost frame's window stays: it is met again.
        let first = self.used / 4;
        let first_check = usize::from(self.frames[first].first_check);
        self.checks.copy_within(first_check..self.checks_used, 0);
        self.checks_used -= first_check;
        self.frames.copy_within(first..self.used, 0);
        self.used -= first;
        let gone = first_check as u16;
        self.frames[..self.used].iter_mut().for_each(|frame| frame.first_check -= gone);
    }
}

impl Check {
    /// Zero iff the word is there.
    #[inline]
    fn differs(&self) -> usize {
        // SAFETY: checks are made from words read on this thread's own stack
        // and looked at only while the stack reaches at least that deep
        // (`meets`); that stack stays mapped as long as the thread lives.
        unsafe { (self.address as *const usize).read_volatile() ^ self.word }
    }
}
