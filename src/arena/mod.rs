//! The warden without an operating system: a heap in memory that the user
//! gives, for firmware.
//!
//! The hosted heap keeps owners beside the blocks, in tables that grow; a
//! device has nowhere to grow, so here every block carries its owner in front
//! of it (see [`layout`]). Everything is constant time except what is marked as
//! a walk. No `alloc`, no libc, no statics: the control structure lies at the
//! start of the user's memory, and several heaps may live side by side.
//!
//! | file | role |
//! |------|------|
//! | [`layout`] | bytes of a header in each mode |
//! | `block` | reading, writing and sealing a header |
//! | `pattern` | poison and canaries |
//! | `classes`, `lists` | which free list, and the lists |
//! | `heap`, `region` | the control structure; stretches of memory |
//! | `judge` | is this pointer a live block, and if not, why |
//! | `allocate`, `free`, `resize` | the verbs |
//! | `check` | walks that find and mend damage |
//! | `lost`, `owners` | lost blocks; marks, ages, totals |
//! | `door` | lock, one verb, unlock, tell |
//! | `pen` | a record's text, its values, a putc |
//! | `report` | JSON records |
//! | `global` | a `GlobalAlloc` over the user's lock |
//! | `event` | the structs shared with C |
//! | `c` | the C doors |
//!
//! Invariant: a file uses only those above it in this table, `event`, and of the
//! rest of the house only `units`.

mod allocate;
mod block;
#[cfg(feature = "arena-c")]
pub mod c;
mod check;
mod classes;
mod door;
mod event;
mod free;
#[cfg(feature = "arena-global")]
mod global;
mod heap;
mod judge;
pub mod layout;
mod lists;
mod lost;
mod owners;
mod pattern;
mod pen;
mod region;
mod report;
mod resize;

#[cfg(test)]
mod tests;

pub use door::{Arena, halt};
pub use event::{ArenaAnswer, ArenaBlock, ArenaConfig, ArenaEvent, ArenaSite, ArenaViolation};
#[cfg(feature = "arena-global")]
pub use global::ArenaAllocator;
pub use heap::Heap;
pub use layout::{Bare, Guard, Mode, Owner, OwnerGuard};
pub use lost::{ArenaLeak, ArenaLeakCount, ArenaLeakKind, ArenaLeakTotals, ArenaRoot};
pub use owners::{ArenaSiteTotal, ArenaStatistics};
pub use pen::{ArenaPutc, Pen};
pub use region::ArenaCursor;
