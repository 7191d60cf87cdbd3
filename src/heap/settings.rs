//! What the options say, in the form that the heap's paths read.

use crate::ledger;
use crate::outside::Address;
use crate::sync::atomics::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use crate::trace;

/// How much of freed memory is filled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Poisoning {
    /// By slot size (see [`crate::guard::Tier`]).
    Tiered,
    /// Every byte.
    Full,
    /// Nothing; guards stay.
    None,
}

/// The heap's settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Frames kept of each call stack; 0 = only the caller.
    pub stack_depth: u32,
    /// How freed memory is filled.
    pub poisoning: Poisoning,
    /// Bytes held back from reuse; `None` = a sixteenth of the live bytes.
    pub quarantine: Option<usize>,
    /// Fill fresh memory with [`FILL_BYTE`].
    pub fill_on_alloc: bool,
    /// Bytes of heap memory allowed; 0 = no limit of ours.
    pub limit: usize,
}

/// The byte that `fill_on_alloc=1` puts into fresh memory.
pub const FILL_BYTE: u8 = 0xe7;

/// Modes that lead off the fast path; bits of [`super::ThreadHeap`]'s gate.
pub mod mode {
    /// Freed memory is filled whole, whatever its size.
    pub const POISON_FULL: u8 = 1;
    /// Freed memory is not filled.
    pub const POISON_NONE: u8 = 2;
    /// Fresh memory is filled.
    pub const FILL: u8 = 4;
    /// Allocations fail on purpose, or are watched one by one.
    pub const WATCH: u8 = 8;
    /// Blocks of this thread are ignored by leak checks (a thread's own bit).
    pub const IGNORE: u8 = 16;
    /// Of call stacks only the caller is kept.
    pub const CALLER_ONLY: u8 = 32;
}

/// Who wants to see every operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watcher {
    /// Allocations are counted for guard pages.
    GuardPages = 2,
    /// Operations are counted for checks of the heap.
    Checks = 4,
    /// Allocations fail on purpose.
    Failures = 8,
    /// The program's own operators new and delete are told apart.
    Operators = 16,
    /// Blocks are numbered within their call stack.
    Ordinals = 32,
}

static WATCHERS: AtomicU32 = AtomicU32::new(0);

/// Has every operation leave the fast path while somebody watches.
pub(super) fn watch_for(watcher: Watcher, wanted: bool) {
    let bit = watcher as u32;
    match wanted {
        true => WATCHERS.fetch_or(bit, Relaxed),
        false => WATCHERS.fetch_and(!bit, Relaxed),
    };
    super::pool::spread_modes();
}

/// From now on every allocation and every free takes the general path, where
/// the abi may change its family.
pub fn watch_operators() {
    watch_for(Watcher::Operators, true);
}

/// From now on, or no longer, every allocation takes the general path, which
/// notes which of its call stack's allocations it is.
pub fn watch_ordinals(wanted: bool) {
    ledger::want_ordinals(wanted);
    watch_for(Watcher::Ordinals, wanted);
}

static MODES: AtomicU32 = AtomicU32::new(0);
/// Where the modes are, for readers outside the process.
pub(super) const OUTSIDE: Address = Address::of(&raw const MODES);
static QUARANTINE: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Sets what new and existing threads do from now on. Meant to be called once,
/// before the first allocation: memory freed before keeps its old filling.
pub fn configure(settings: &Settings) {
    trace::expect_depth(settings.stack_depth);
    QUARANTINE.store(settings.quarantine.unwrap_or(usize::MAX), Relaxed);
    let mut modes = match settings.poisoning {
        Poisoning::Tiered => 0,
        Poisoning::Full => mode::POISON_FULL,
        Poisoning::None => mode::POISON_NONE,
    };
    if settings.fill_on_alloc {
        modes |= mode::FILL;
    }
    if settings.stack_depth == 0 {
        modes |= mode::CALLER_ONLY;
    }
    MODES.store(u32::from(modes), Relaxed);
    super::set_limit(settings.limit);
    super::pool::spread_modes();
}

/// The settings in force (the limit is the central heap's).
pub fn settings() -> Settings {
    let modes = modes();
    Settings {
        stack_depth: depth(),
        poisoning: match modes & (mode::POISON_FULL | mode::POISON_NONE) {
            mode::POISON_FULL => Poisoning::Full,
            0 => Poisoning::Tiered,
            _ => Poisoning::None,
        },
        quarantine: quarantine(),
        fill_on_alloc: modes & mode::FILL != 0,
        limit: super::central::limit(),
    }
}

/// The gates by which the fast paths may be taken: nobody is inside, and of the
/// modes only these. The first has none of them.
pub(super) const GATE_PLAIN: u16 = 0;
/// See [`GATE_PLAIN`]: freed memory is not filled.
pub(super) const GATE_UNPOISONED: u16 = (mode::POISON_NONE as u16) << 8;
/// See [`GATE_PLAIN`]: only callers are kept.
pub(super) const GATE_CALLER: u16 = (mode::CALLER_ONLY as u16) << 8;
/// See [`GATE_PLAIN`]: both.
pub(super) const GATE_BARE: u16 = GATE_UNPOISONED | GATE_CALLER;

pub(super) fn depth() -> u32 {
    trace::expected_depth()
}

#[inline(always)]
pub(super) fn modes() -> u8 {
    let watched = if WATCHERS.load(Relaxed) != 0 { mode::WATCH } else { 0 };
    MODES.load(Relaxed) as u8 | watched
}

pub(super) fn quarantine() -> Option<usize> {
    let bytes = QUARANTINE.load(Relaxed);
    (bytes != usize::MAX).then_some(bytes)
}
