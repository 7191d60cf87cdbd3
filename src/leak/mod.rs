//! Leak: which blocks can the program still reach?
//!
//! ```text
//!   handshake   every thread shows its registers and waits
//!   mappings, modules, control_block
//!        \__ roots   where pointers may be outside the heap
//!   tiles       the heap's blocks, one bit each
//!   mark        two floods: reachable, possible
//!   lost        definite or indirect: who holds whom
//!   tree        what the lost blocks hold, summed by site
//!   sites       one record for each kind and call stack
//!   hidden, idle, snapshots  reachable blocks that nobody seems to need
//!   room        how much of all that there may be
//!   copy        a forked copy does all that while the program goes on
//!   known       what an earlier check has found
//!   pools       blocks that the program cuts from its own memory and marks
//!   request     another process asks for a check
//! ```
//!
//! Kinds are Valgrind's. A block counts as held by a pointer to its start or,
//! weaker, into it, up to one byte behind its end. Memory that was freed, that
//! lies behind a block's asked size, below a stack pointer, or in the warden
//! itself is never read for pointers.
//!
//! Invariant: no wait without a deadline; no address is read that the memory
//! map or a checked tile does not vouch for; nothing is taken from the heap
//! or from the metadata, whose locks are held meanwhile.

pub mod annotations;
mod check;
mod control_block;
mod copy;
mod handshake;
pub mod heuristics;
mod hidden;
mod holders;
mod idle;
mod kernel;
mod known;
mod live_block;
mod lost;
mod mappings;
mod mark;
mod modules;
mod options;
#[cfg(all(test, feature = "interleave"))]
mod orders;
mod ordinals;
mod parents;
mod pipeline;
pub mod pools;
mod registers;
mod request;
mod room;
mod roots;
mod scratch;
mod signal;
mod sites;
mod snapshots;
mod stack_in_heap;
mod tasks;
mod tiles;
mod tree;

pub use check::{after_fork_in_child, check};
pub use handshake::leave_out as leave_out_thread;
pub use hidden::HiddenEvidence;
pub use idle::{Idle, begin_window, end_window, survey_idleness};
pub use known::KnownBlocks;
pub use options::{Caller, HeapAccess, LeakOptions, Obstacle, Outcome, Place, Summary};
pub use ordinals::Ordinals;
pub use request::{Progress, REQUEST, accept, announce};
pub use roots::{RootKind, RootKinds};
pub use signal::{is_ours as is_own_signal, move_away as move_signal};
pub use sites::{BlockSummary, Count, HeldBy, LeakGroup, Leaks, LostBecause};
pub use tree::Node;
