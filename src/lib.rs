//! Heapwarden.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(test)]
extern crate std;

pub mod units;

pub mod platform;
#[cfg(feature = "hosted")]
pub mod sync;

#[cfg(feature = "hosted")]
pub mod config;
pub mod report;
