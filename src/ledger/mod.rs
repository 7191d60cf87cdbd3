//! Ledger: who owns each block.
//!
//! Every slot has one word, its *block record*: state, family, slack (so the
//! size asked for), the call stack that made it, and a *stamp*. The stamp
//! names an entry in the epoch log, which knows the thread and the time: so
//! eight bytes a block tell size, family, stack, thread and age.
//!
//! Invariant: a record changes state only along
//! `Free → Live → Held → Free`, and only the thread that owns the transition
//! (malloc's caller, free's caller, the slab's owner) writes it.

mod epochs;
mod ordinals;
mod orphan;
mod record;

pub use epochs::{
    Epoch, OUTSIDE, after_fork, before_fork, before_fork_within, epoch, epoch_bytes, new_epoch,
    sweep_needed, sweep_with,
};
pub use ordinals::{allocations_of, has_ordinals, note_ordinal, ordinal, want_ordinals};
pub use orphan::{Holder, Orphan};
pub use record::{Record, State};

/// A digest of granule and record, which a reader outside the process knows
/// from this crate.
pub const SHAPE: u64 = crate::outside::digest(&[crate::memory::Granule::SHAPE, Record::SHAPE]);
