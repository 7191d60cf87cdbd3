//! Records about the heap as a whole: exhaustion, and the end of a check.

use crate::units::{LeakKind, StackId};

/// How far memory has run out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// `warn_at_percent` of the limit is live.
    Early,
    /// A request could not be served.
    Refused,
    /// A request was refused on purpose (`fail_nth` and its kin).
    OnPurpose,
    /// More is in use than ever before.
    Peak,
}

/// A call site that holds memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holder {
    /// Live blocks.
    pub blocks: u64,
    /// Live bytes.
    pub bytes: u64,
    /// The site.
    pub stack: StackId,
}

/// Memory has run out, or nearly.
#[derive(Clone, Copy, Debug)]
pub struct Exhaustion<'a> {
    /// How far.
    pub level: Level,
    /// Bytes asked for by the call that found out.
    pub requested: u64,
    /// Bytes that the heap may use.
    pub limit: u64,
    /// Where the limit comes from (`heap_limit_mb`, `RLIMIT_AS`, …), or by which
    /// option the request failed on purpose.
    pub limit_from: &'a str,
    /// Live bytes.
    pub in_use: u64,
    /// Most live bytes ever, as far as it was noticed.
    pub peak: u64,
    /// Bytes of memory that the live ones take: with gaps, guards, freed blocks
    /// that are held back, and metadata.
    pub heap: u64,
    /// Bytes of freed blocks that are held back.
    pub held: u64,
    /// Bytes in the largest free run.
    pub largest_free: u64,
    /// The call that found out.
    pub stack: StackId,
    /// The sites that hold most, largest first.
    pub top: &'a [Holder],
    /// Live blocks in no site of any size: there were too many sites to count.
    pub left_out: u64,
    /// How much of it is lost, if that was looked for.
    pub lost_bytes: Option<u64>,
    /// How much of it is reachable at sites that look like hidden leaks.
    pub hidden_bytes: Option<u64>,
}

/// Blocks and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// How many blocks.
    pub blocks: u64,
    /// Bytes asked for, all together.
    pub bytes: u64,
}

impl Count {
    /// Adds blocks and bytes.
    pub fn add(&mut self, blocks: u64, bytes: u64) {
        self.blocks = self.blocks.saturating_add(blocks);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What watching costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// Bytes of metadata.
    pub metadata_bytes: u64,
    /// Milliseconds that the leak scan took.
    pub scan_ms: u64,
    /// Longest time for which threads were held, milliseconds.
    pub longest_pause_ms: u64,
}

/// What could not be had or kept; all 0 when the report is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// Blocks whose stack is not known.
    pub stacks: u64,
    /// Records not written: the sink refused them, or `max_leaks`.
    pub records: u64,
    /// Threads that did not answer the scan's handshake.
    pub threads: u64,
    /// Addresses in reports that could not be named.
    pub names: u64,
}

/// The end of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Lost.
    pub definite: Count,
    /// Held only by lost blocks.
    pub indirect: Count,
    /// Only interior pointers left.
    pub possible: Count,
    /// Reachable.
    pub reachable: Count,
    /// Suspected hidden leaks (a part of the reachable).
    pub hidden: Count,
    /// Misuses reported.
    pub errors: u64,
    /// Leaks that a suppression matched; in none of the counts above.
    pub suppressed: Count,
    /// What watching costs.
    pub cost: Cost,
    /// What is missing.
    pub dropped: Dropped,
}

impl Summary {
    /// The count of `kind`.
    pub fn count_mut(&mut self, kind: LeakKind) -> &mut Count {
        match kind {
            LeakKind::Definite => &mut self.definite,
            LeakKind::Indirect => &mut self.indirect,
            LeakKind::Possible => &mut self.possible,
            LeakKind::Reachable => &mut self.reachable,
            LeakKind::Hidden => &mut self.hidden,
        }
    }
}

/// A suppression that matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Matched<'a> {
    /// The line as the user wrote it, or the name of Valgrind's block.
    pub pattern: &'a [u8],
    /// What it kept out of the report.
    pub count: Count,
}
