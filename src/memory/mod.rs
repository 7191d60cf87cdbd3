//! Memory: the window of address space that the heap lives in.
//!
//! ```text
//!        metadata              table                    window (1 TiB)
//!  |---------------------|----------------|------------------------------------|
//!  base - 64 GiB     base - 2 GiB         base        base + extent
//!   records, heaps,    one 128-byte      granules of 64 KiB: slabs and spans
//!   depots, logs       Granule each
//! ```
//!
//! Nothing is reserved ahead: the window is a stretch of addresses that
//! nobody else uses, mapped piece by piece with `MAP_FIXED_NOREPLACE`. So
//! `ulimit -v`, VmSize and Valgrind see what is really in use, and a limit
//! set after start still leaves room for the program's own mappings.
//!
//! Invariant: an address is the heap's iff `address - base < extent`, one
//! compare; every granule below the extent has a readable [`Granule`].

mod granule;
mod metadata;
mod runs;
mod window;

pub use crate::units::{GRANULE, WINDOW};
pub use granule::{Granule, Kind, NO_SLOT};
pub use metadata::{
    after_fork, allocate as allocate_metadata, before_fork, before_fork_within,
    free as free_metadata, map as map_metadata, mapped as metadata_mapped,
};
pub use runs::{Run, Runs};
pub use window::{OUTSIDE, TABLE_BYTES, Window};
