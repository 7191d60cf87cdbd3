//! The ledger of another process, or of one that is dead, read from outside.
//!
//! ```text
//!   Memory     bytes at an address: live (a process), image (core_file, stopped)
//!     └ root       where the library's tables are
//!         ├ heap       slabs, spans and block records
//!         ├ epochs     thread and time by stamp
//!         ├ stacks     call stacks and modules; names: in words
//!         └ threads    thread heaps, quarantines, graveyard
//!   census     live blocks by call stack
//! ```
//!
//! The process is neither stopped nor attached to, so tables may change while
//! they are read. Every number is checked before it is used: a torn reading
//! loses or misnames a block, and the next one is right again.
//!
//! Invariant: nothing here trusts what it reads; sizes that are asked of the
//! system are bounded before.

pub mod census;
pub mod core_file;
pub mod epochs;
pub mod heap;
pub mod image;
pub mod live;
pub mod memory;
pub mod names;
pub mod root;
pub mod stacks;
pub mod stopped;
pub mod threads;

pub use census::{Census, Site};
pub use heap::{Block, Heap};
pub use image::Image;
pub use memory::{Mapping, ReadError};
pub use names::Names;
pub use root::LedgerRoot;
pub use stacks::Stacks;
