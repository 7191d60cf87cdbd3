//! Actions: what the model has machines do, and what must come of each.

use super::super::operation::{Foreign, Function};
use super::super::verdict::Verdict;
use crate::units::Family;
use std::vec::Vec;

/// What a machine shall do, without having to know why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // places, sizes and offsets as in `Operation`
pub enum Command {
    Allocate {
        place: u8,
        function: Function,
        size: usize,
    },
    Resize {
        place: u8,
        size: usize,
    },
    /// By the function of a family; with the size and alignment where told.
    Free {
        place: u8,
        by: Family,
        size: Option<usize>,
        alignment: usize,
    },
    /// Fills a block with the bytes that `tag` makes.
    Fill {
        place: u8,
        size: usize,
        tag: u32,
    },
    /// Looks for the first byte that is not `tag`'s, leaving out linked words.
    Verify {
        place: u8,
        size: usize,
        tag: u32,
        links: u8,
    },
    /// Looks for the first byte that is not zero.
    Zero {
        place: u8,
        size: usize,
    },
    Usable {
        place: u8,
    },
    Check,
    Statistics,
    Begin {
        thread: u8,
    },
    End {
        thread: u8,
    },
    /// What follows until `ChildEnd` is done by a forked child.
    Fork,
    ChildEnd,
    FreeGhost {
        place: u8,
    },
    ResizeGhost {
        place: u8,
        size: usize,
    },
    FreeInside {
        place: u8,
        offset: usize,
    },
    FreeForeign(Foreign),
    /// Changes each of `length` bytes from `offset`, of the freed block if so.
    Damage {
        place: u8,
        freed: bool,
        offset: i64,
        length: u8,
    },
    Forget {
        place: u8,
    },
    Shift {
        place: u8,
        offset: i64,
    },
    Store {
        from: u8,
        slot: u8,
        to: u8,
        offset: usize,
    },
    Clear {
        from: u8,
        slot: u8,
    },
}

/// What must come of an action, besides verdicts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// No value; errno as it was.
    Nothing,
    /// A block of so many bytes at a multiple of `alignment`.
    Block {
        /// The model's number of it.
        id: usize,
        /// Bytes asked for.
        size: usize,
        /// A power of two.
        alignment: usize,
    },
    /// Null, and nothing wrong.
    Null,
    /// Null and this errno, if it is said (posix_memalign: its result).
    Refused(Option<i32>),
    /// This value.
    Value(usize),
    /// This value or more.
    AtLeast(usize),
    /// Figures of the heap.
    Figures {
        /// Bytes asked for and not freed.
        live_bytes: usize,
        /// Allocations that were met, where they are told.
        allocations: Option<usize>,
    },
}

/// One thing to do, and all that must come of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action {
    /// Which step of the program it belongs to.
    pub step: usize,
    /// Who does it.
    pub thread: u8,
    /// From where.
    pub site: u8,
    /// What.
    pub command: Command,
    /// What comes back.
    pub outcome: Outcome,
    /// Verdicts that must be given now, in this order.
    pub certain: Vec<Verdict>,
    /// One that may be given now, because somebody may come upon the damage.
    pub possible: Option<Verdict>,
}
