//! Heapwarden.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(test)]
extern crate std;

pub mod units;

#[cfg(feature = "hosted")]
pub mod sync;

#[cfg(feature = "hosted")]
pub mod platform;

#[cfg(feature = "hosted")]
pub mod config;

#[cfg(feature = "hosted")]
pub mod memory;

#[cfg(feature = "hosted")]
pub mod ledger;

#[cfg(feature = "hosted")]
pub mod guard;

#[cfg(feature = "hosted")]
pub mod slab;

#[cfg(all(feature = "hosted", target_arch = "x86_64"))]
pub mod trace;

#[cfg(feature = "hosted")]
pub mod heap;

#[cfg(feature = "hosted")]
pub mod leak;

#[cfg(feature = "hosted")]
pub mod report;

#[cfg(feature = "hosted")]
pub mod symbol;

#[cfg(feature = "abi")]
pub mod abi;

#[cfg(feature = "arena")]
pub mod arena;

// harness
