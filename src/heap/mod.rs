//! Heap: where slots, records, guards and stacks come together.
//!
//! ```text
//!            malloc                                   free
//!   current slab's free list                 judge: ours? start of a block?
//!   verify the slot's pattern                live? right family? guards whole?
//!   write the record: Live                   fill with the pattern
//!                                            record: Held, into the quarantine
//!                     evict: record Free, back to the slab's list
//! ```
//!
//! Each thread has a [`ThreadHeap`]; its slabs are its own, and any thread may
//! free any block: a freed block waits in the quarantine of the thread that
//! freed it and goes home from there.
//!
//! Invariant: a slot is in exactly one place: the program's hands (Live), one
//! quarantine (Held), one list of its slab (Free), or never used (Fresh).

mod address_words;
mod allocate;
mod census;
mod central;
mod check;
mod crime;
mod epoch;
#[cfg(test)]
mod failure_tests;
mod fork;
mod free;
mod guard_page;
mod in_place;
mod judge;
#[cfg(all(test, feature = "interleave"))]
pub(crate) mod orders;
mod orphan_table;
mod orphans;
mod outside;
mod pool;
mod pressure;
mod quarantine;
mod refill;
mod resize;
mod retire;
mod settings;
mod span;
mod take;
mod thread_heap;

pub use address_words::watch_holders;
pub use allocate::ignore_scope;
pub use allocate::{Request, general as allocate_general};
pub use census::for_each_live;
pub use central::{Memory, limit as memory_limit, memory, set_limit, trim, used};
pub use check::{check_block, check_heap, check_slice, is_whole, set_check_every};
pub use crime::{on_violation, set_violation_handler};
pub use epoch::mark;
pub use fork::{after_fork_in_child, after_fork_in_parent, before_fork, before_fork_within};
pub use free::{general as free_general, try_size_of};
pub use guard_page::{guarded_at, set_guard_sample};
pub use in_place::try_resize;
pub use judge::{Block, Found, for_each_block, ignore, judge, locate};
pub use orphans::for_each_orphan;
pub use outside::OUTSIDE;
pub use pool::{ThreadInfo, capture, capture_interrupted, for_each_thread};
pub use pressure::{Hooks, Shortage, set_hooks, set_marks, set_watching, was_calm};
pub use quarantine::Held;
pub use resize::{resize, usable_size};
pub use retire::free;
pub use settings::{
    FILL_BYTE, Poisoning, Settings, configure, settings, watch_operators, watch_ordinals,
};
pub use span::{Tombstone, tombstone};
pub use take::allocate;
pub use thread_heap::{Statistics, ThreadHeap, current_thread, statistics};
