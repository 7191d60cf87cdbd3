//! Walks of a whole stack that remember nothing: on stacks that are not the
//! thread's own, from where a signal interrupted it, and for comparison.
//!
//! Invariant: neither the last path nor the front cache is looked at or
//! changed; only `found`, where frames lie until they are interned.

use super::cursor::{Cursor, Outward};
use super::depot::{self, ROOT_COMPLETE, ROOT_INCOMPLETE, ROOT_TRUNCATED};
use super::path::{FRAMES, FoundFrame};
use super::rule::Step;
use super::rule_table;
use super::stack_range::StackRange;
use super::thread::{DEEPEST, Entry, ThreadTrace, caller_only};
use crate::sync::atomics::{
    Ordering::{Acquire, Relaxed, Release},
    compiler_fence,
};
use crate::units::StackId;

impl ThreadTrace {
    /// The stack of a thread that a signal interrupted at the instruction `pc`
    /// with these registers; its frame comes first. Remembers nothing.
    #[cold]
    pub fn capture_interrupted(&mut self, pc: usize, sp: usize, fp: usize, depth: u32) -> StackId {
        let kept = depth.clamp(1, DEEPEST.min(FRAMES as u32)) as u16;
        // An address in a stack is looked up at one less: the instruction.
        let address = pc.wrapping_add(1);
        let busy = self.busy.swap(sp, Relaxed);
        compiler_fence(Acquire);
        let id = match self.learn(sp) {
            Some(range) if busy == 0 => {
                let cursor = Cursor { slot: sp.wrapping_sub(8), word: pc, address, sp, fp };
                self.walk_on(cursor, kept, range)
            }
            _ => depot::intern(ROOT_TRUNCATED, rule_table::rule_for(address).0),
        };
        compiler_fence(Release);
        self.busy.store(busy, Relaxed);
        id
    }

    /// The stack by a walk of its own, beside all that is remembered.
    #[cold]
    pub(super) fn walk_alone(&mut self, entry: Entry, depth: u32) -> StackId {
        let busy = self.busy.swap(entry.sp, Relaxed);
        compiler_fence(Acquire);
        let id = match busy {
            0 => self.walk_in_full(entry, depth.min(DEEPEST) as u16, self.home),
            _ => caller_only(entry),
        };
        compiler_fence(Release);
        self.busy.store(busy, Relaxed);
        id
    }

    /// Walks all frames, from one stack to another where a signal changed it,
    /// and remembers nothing: such a stack may be gone at the next call.
    #[cold]
    #[inline(never)]
    pub(super) fn walk_in_full(&mut self, entry: Entry, kept: u16, range: StackRange) -> StackId {
        match Cursor::caller(entry.sp, entry.fp, range) {
            Some(cursor) => self.walk_on(cursor, kept, range),
            None => caller_only(entry),
        }
    }

    fn walk_on(&mut self, mut cursor: Cursor, kept: u16, mut range: StackRange) -> StackId {
        let kept = usize::from(kept);
        let mut count = 0;
        let root = loop {
            if count == kept {
                break ROOT_TRUNCATED;
            }
            let (code, rule) = rule_table::rule_for(cursor.address);
            self.found[count] = FoundFrame { cursor, code, rule };
            count += 1;
            let layout = match rule.unpack() {
                Step::Leave(layout) => layout,
                Step::End => break ROOT_COMPLETE,
                Step::Unknown => break ROOT_INCOMPLETE,
            };
            cursor = match cursor.leave(&layout, range.high) {
                Outward::Caller(next) => next,
                Outward::Nothing => break ROOT_COMPLETE,
                Outward::OtherStack(next) => match self.learn(next.sp) {
                    Some(other) => {
                        range = other;
                        next
                    }
                    None => break ROOT_INCOMPLETE,
                },
                Outward::Unknown => break ROOT_INCOMPLETE,
            };
        };
        let frames = self.found[..count].iter().rev();
        frames.fold(root, |node, frame| depot::intern(node, frame.code))
    }
}
