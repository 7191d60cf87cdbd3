//! A thread's capture: from malloc's entry to a stack id.
//!
//! Three roads, in this order: the thread's own stack (only frames that are new
//! since the last capture are walked), another stack (walked in full each time),
//! and where neither can be read or a signal interrupted a capture, the caller.
//!
//! Invariant: never allocates, never waits, reads only the stack it was called
//! on (and the one a signal interrupted).

use super::callers::Callers;
use super::cursor::{Cursor, Outward};
use super::depot::{self, ROOT_COMPLETE, ROOT_INCOMPLETE, ROOT_TRUNCATED};
use super::front::{FrontCache, Key};
use super::path::{FRAMES, FoundFrame, LastPath};
use super::rule::{Rule, Step};
use super::rule_table;
use super::sampling;
use super::stack_range::{self, Stack, StackRange};
use crate::sync::atomics::{
    AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
    compiler_fence,
};
use crate::units::StackId;

/// The most frames that can be asked for; more is taken as this.
pub const DEEPEST: u32 = 256;
const FOREIGN: usize = 8;

/// What malloc's first instruction saw, before anything was pushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Entry {
    /// rsp: the return address lies there.
    pub sp: usize,
    /// rbp.
    pub fp: usize,
}

/// Upper half: counts the closings of modules; threads drop what they kept when
/// it moved. Lower half: the depth that [`ThreadTrace::known`] is for.
static CURRENT: AtomicU64 = AtomicU64::new(32);

/// Makes every thread forget its last path, and all the rules.
pub fn forget_rules() {
    rule_table::clear();
    CURRENT.fetch_add(1 << 32, Release);
}

/// How often modules were closed.
#[inline(always)]
pub(super) fn generation() -> u32 {
    (CURRENT.load(Acquire) >> 32) as u32
}

/// The depth that [`ThreadTrace::known`] is asked for.
pub fn expected_depth() -> u32 {
    CURRENT.load(Relaxed) as u32
}

/// From now on [`ThreadTrace::known`] is asked for stacks of `depth` frames.
pub fn expect_depth(depth: u32) {
    let mut current = CURRENT.load(Acquire);
    let with_depth = |current| current & !u64::from(u32::MAX) | u64::from(depth);
    while let Err(now) = CURRENT.compare_exchange(current, with_depth(current), AcqRel, Acquire) {
        current = now;
    }
}

/// What a thread keeps between captures. All-zero is a valid first state; the
/// memory must not move. One thread at a time uses it; when it goes to another
/// thread, [`ThreadTrace::attach`] must be called.
#[repr(C)]
pub struct ThreadTrace {
    /// 0, or the stack pointer of the capture that is under way.
    pub(super) busy: AtomicUsize,
    pub(super) depth: u32,
    pub(super) generation: u32,
    /// The depth, while `sampling` has put another in its place.
    pub(super) depth_aside: u32,
    pub(super) home: StackRange,
    foreign: [StackRange; FOREIGN],
    next_foreign: usize,
    path: LastPath,
    pub(super) found: [FoundFrame; FRAMES],
    pub(super) front: FrontCache,
    callers: Callers,
}

/// Where a walk came to its end.
enum Walked {
    /// At a frame of the last path.
    Met,
    /// At the stack's end: the root to intern from.
    Ended(StackId),
    /// At a frame on another stack.
    OtherStack,
}

impl ThreadTrace {
    /// Bytes of this structure.
    pub const SIZE: usize = size_of::<ThreadTrace>();

    /// Forgets what an earlier thread left and learns where this thread's
    /// stack is. Async-signal-safe; a few system calls. Without it the first
    /// capture does the same.
    pub fn attach(&mut self) {
        self.forget();
        self.home = StackRange::default();
        self.foreign = [StackRange::default(); FOREIGN];
        self.busy.store(0, Relaxed);
        let here = (&raw const *self as usize, 0u8);
        self.learn(&raw const here.1 as usize);
    }

    fn forget(&mut self) {
        self.path.clear();
        self.front.clear();
        self.callers.clear();
    }

    /// The stack that called malloc, if one look tells, for the depth told by
    /// [`expect_depth`], not 0. No signal handler captures with this trace meanwhile.
    ///
    /// # Safety
    /// As for `FrontCache::find`.
    #[inline(always)]
    pub unsafe fn known(&self, entry: Entry) -> Option<StackId> {
        self.is_current()?;
        // SAFETY: the caller's promise.
        unsafe { self.front.find_at_once(entry.sp, entry.fp) }
    }

    /// The same where it takes more looks, still without a walk.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    pub unsafe fn known_further(&self, entry: Entry) -> Option<StackId> {
        self.is_current()?;
        // SAFETY: the caller's promise.
        unsafe { self.front.find(entry.sp, entry.fp, &self.home) }
    }

    /// The same for depth 0.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    pub unsafe fn known_caller(&self, entry: Entry) -> Option<StackId> {
        self.is_current()?;
        // SAFETY: the caller's promise.
        unsafe { self.callers.find((entry.sp as *const usize).read_volatile()) }
    }

    /// `None` unless depth and generation are as in [`CURRENT`].
    #[inline(always)]
    fn is_current(&self) -> Option<()> {
        let own = u64::from(self.generation) << 32 | u64::from(self.depth);
        (CURRENT.load(Acquire) == own).then_some(())
    }

    /// The stack that called malloc, interned. `depth` is the number of frames
    /// to keep (0: only the caller); it should not vary within a thread.
    pub fn capture(&mut self, entry: Entry, depth: u32) -> StackId {
        let found = self.look(entry, depth);
        found.unwrap_or_else(|| self.capture_unknown(entry, depth))
    }

    /// The stack id, if one look tells; a signal handler may capture meanwhile.
    pub(super) fn look(&mut self, entry: Entry, depth: u32) -> Option<StackId> {
        if depth != self.depth || generation() != self.generation {
            return None;
        }
        let busy = self.busy.load(Relaxed);
        if busy == 0 {
            self.busy.store(entry.sp, Relaxed);
            compiler_fence(Acquire);
        }
        // SAFETY: malloc's caller pushed its return address at `entry.sp`.
        let found = unsafe {
            match depth {
                0 => self.callers.find((entry.sp as *const usize).read_volatile()),
                _ => self.front.find(entry.sp, entry.fp, &self.home),
            }
        };
        compiler_fence(Release);
        self.busy.store(busy, Relaxed);
        found
    }

    /// [`capture`](Self::capture) where [`known`](Self::known) has just said
    /// that it takes a walk; and every capture of which some are to be checked.
    #[inline(never)]
    pub fn capture_unknown(&mut self, entry: Entry, depth: u32) -> StackId {
        if sampling::is_on() && depth != 0 {
            return self.capture_checked(entry, depth);
        }
        self.capture_by_walk(entry, depth)
    }

    #[inline]
    pub(super) fn capture_by_walk(&mut self, entry: Entry, depth: u32) -> StackId {
        let busy = self.busy.load(Relaxed);
        if busy != 0 && !self.abandoned(busy, entry.sp) {
            return caller_only(entry);
        }
        self.busy.store(entry.sp, Relaxed);
        compiler_fence(Acquire);
        let id = self.capture_alone(entry, depth);
        compiler_fence(Release);
        self.busy.store(0, Relaxed);
        id
    }

    /// Whether the capture under way at `busy` was left by a jump out of a
    /// signal handler: the stack has been cut back to above it.
    #[cold]
    fn abandoned(&mut self, busy: usize, sp: usize) -> bool {
        let gone = self.home.contains(busy) && self.home.contains(sp) && sp >= busy;
        if gone {
            self.forget();
        }
        gone
    }

    #[inline]
    fn capture_alone(&mut self, entry: Entry, depth: u32) -> StackId {
        let is_current = generation() == self.generation && depth == self.depth;
        if is_current && depth != 0 && self.home.contains(entry.sp) {
            return self.capture_new(entry, depth);
        }
        self.capture_elsewhere(entry, depth)
    }

    /// At home, and not in the front cache.
    #[inline]
    fn capture_new(&mut self, entry: Entry, depth: u32) -> StackId {
        let kept = depth.min(DEEPEST) as u16;
        let Some(id) = self.capture_at_home(entry, kept) else {
            return self.walk_in_full(entry, kept, self.home);
        };
        if self.path.is_spoiled() {
            self.forget();
            return id;
        }
        let Entry { sp, fp } = entry;
        // SAFETY: malloc's return address, on the thread's own stack.
        let key = Key { caller: unsafe { (sp as *const usize).read_volatile() }, sp, fp };
        if self.front.is_worth_a_leaf(&key, id)
            && let Some((needs_fp, checks)) = self.path.proof()
        {
            self.front.insert(&key, &self.home, id, needs_fp, checks);
        }
        id
    }

    /// Everything but the usual: another stack, the first call, another depth.
    #[cold]
    #[inline(never)]
    fn capture_elsewhere(&mut self, entry: Entry, depth: u32) -> StackId {
        let generation = generation();
        if generation != self.generation || depth != self.depth {
            self.forget();
            (self.generation, self.depth) = (generation, depth);
        }
        if depth == 0 {
            return self.caller_kept(entry);
        }
        let kept = depth.min(DEEPEST) as u16;
        match self.learn(entry.sp) {
            Some(range) if range == self.home => {
                let id = self.capture_at_home(entry, kept);
                if self.path.is_spoiled() {
                    self.forget();
                }
                id.unwrap_or_else(|| self.walk_in_full(entry, kept, self.home))
            }
            Some(range) => self.walk_in_full(entry, kept, range),
            None => caller_only(entry),
        }
    }

    fn caller_kept(&mut self, entry: Entry) -> StackId {
        let id = caller_only(entry);
        if id != StackId::UNKNOWN {
            // SAFETY: malloc's caller pushed its return address there.
            self.callers.keep(unsafe { (entry.sp as *const usize).read_volatile() }, id);
        }
        id
    }

    /// The stack that holds `sp`, asked of the kernel when it is a new one.
    #[cold]
    pub(super) fn learn(&mut self, sp: usize) -> Option<StackRange> {
        if self.home.contains(sp) {
            return Some(self.home);
        }
        if let Some(range) = self.foreign.iter().find(|range| range.contains(sp)) {
            return Some(*range);
        }
        match stack_range::find(sp)? {
            Stack::Home(range) => {
                self.forget();
                self.home = range;
                Some(range)
            }
            Stack::Foreign(range) => {
                self.foreign[self.next_foreign % FOREIGN] = range;
                self.next_foreign = self.next_foreign.wrapping_add(1);
                Some(range)
            }
        }
    }

    /// On the thread's own stack; `None` when the walk leaves it.
    #[inline]
    fn capture_at_home(&mut self, entry: Entry, kept: u16) -> Option<StackId> {
        let high = self.home.high;
        let cursor = Cursor::caller(entry.sp, entry.fp, self.home)?;
        if self.path.meets(&cursor) {
            return Some(self.path.stack_id());
        }
        let mut count = 0;
        let root = match self.walk_to_path(cursor, &mut count, high) {
            Walked::Met => ROOT_TRUNCATED,
            Walked::Ended(root) => {
                self.path.clear();
                root
            }
            Walked::OtherStack => return None,
        };
        self.path.push(&self.found[..count.min(FRAMES)], root, kept, high);
        Some(self.path.stack_id())
    }

    fn walk_to_path(&mut self, mut cursor: Cursor, count: &mut usize, high: usize) -> Walked {
        loop {
            if *count == FRAMES {
                return Walked::Ended(ROOT_TRUNCATED);
            }
            let (code, rule) = rule_table::rule_for(cursor.address);
            self.found[*count] = FoundFrame { cursor, code, rule };
            *count += 1;
            cursor = match cursor.leave_plainly(rule, high) {
                Some(next) => next,
                // Word by word, so that they stay in registers otherwise.
                None => {
                    match leave(cursor.slot, cursor.address, cursor.sp, cursor.fp, rule, high) {
                        Ok(next) => next,
                        Err(walked) => return walked,
                    }
                }
            };
            if self.path.meets(&cursor) {
                return Walked::Met;
            }
        }
    }
}

/// A step of a walk by any rule, or where the walk ends.
#[cold]
#[inline(never)]
fn leave(
    slot: usize,
    address: usize,
    sp: usize,
    fp: usize,
    rule: Rule,
    high: usize,
) -> Result<Cursor, Walked> {
    let cursor = Cursor { slot, word: address, address, sp, fp };
    let layout = match rule.unpack() {
        Step::Leave(layout) => layout,
        Step::End => return Err(Walked::Ended(ROOT_COMPLETE)),
        Step::Unknown => return Err(Walked::Ended(ROOT_INCOMPLETE)),
    };
    match cursor.leave(&layout, high) {
        Outward::Caller(next) => Ok(next),
        Outward::Nothing => Err(Walked::Ended(ROOT_COMPLETE)),
        Outward::OtherStack(_) => Err(Walked::OtherStack),
        Outward::Unknown => Err(Walked::Ended(ROOT_INCOMPLETE)),
    }
}

/// The return address alone, as a stack cut off after one frame.
#[cold]
#[inline(never)]
pub(super) fn caller_only(entry: Entry) -> StackId {
    // SAFETY: malloc's caller pushed its return address at `entry.sp`
    // (System V psABI x86-64, 3.2.2), so the word is there.
    let address = unsafe { (entry.sp as *const usize).read_volatile() };
    let (code, _) = rule_table::rule_for(address);
    depot::intern(ROOT_TRUNCATED, code)
}

#[cfg(test)]
#[path = "thread_tests.rs"]
mod tests;
