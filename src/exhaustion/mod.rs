//! Exhaustion: who holds the memory when it runs out, and what breaks when
//! malloc fails.
//!
//! - `limit`: how much the heap may use, and who says so
//! - `watch`: the moments to look: early, at a refusal, at a new peak
//! - `holders`: live blocks by call stack, the largest first
//! - `picture_file`: the last picture, whole at any instant
//! - `reserve`: address space kept back for the report
//! - `failing`: making allocations fail on purpose
//!
//! Invariant: nothing here allocates from the heap or waits for another
//! thread, and while no limit is near and nothing fails on purpose, it costs
//! the fast paths nothing: the heap calls in here from its slow path only.

pub mod failing;
mod holders;
mod limit;
mod picture_file;
pub mod reserve;
mod watch;

pub use holders::{Holders, Site, TOP};
pub use limit::{Limit, LimitSource};
pub use picture_file::PictureFile;
pub use watch::{
    Handler, Level, Picture, Setup, configure, set_handler, set_limit, was_refused_by_system,
};
