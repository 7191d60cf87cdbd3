//! heapwarden: a malloc for C and C++ in which every block has an owner.
//!
//! A program that is linked with it, or has it preloaded, learns which memory
//! it lost and who allocated it, who holds the memory when it runs out, and
//! who misused it, at about the speed of the malloc it replaces.
//!
//! # The floor plan
//!
//! A folder is a floor. A floor uses the floors below it, through their
//! `mod.rs`, never one above.
//!
//! | floor | what it is for |
//! |---|---|
//! | [`units`] | numbers, identities and text; no memory, no system |
//! | [`outside`] | the layout that a tool outside the process reads the ledger by |
//! | [`platform`] | everything that touches an operating system; `linux/`, and `sim`, which fails on demand |
//! | [`sync`] | the lock of the cold paths |
//! | [`config`] | the options, one table |
//! | [`memory`] | the window of addresses: granules, free runs, metadata |
//! | [`trace`] | call stacks by unwind tables, interned |
//! | [`ledger`] | the block record, and the epochs that tell thread and age |
//! | [`guard`] | the pattern around and inside blocks |
//! | [`slab`] | size classes |
//! | [`heap`] | thread heaps, malloc's and free's paths, quarantine, the judge |
//! | [`leak`] | handshake, roots, marking, who holds whom |
//! | [`symbol`] | names for addresses, found by a child process |
//! | [`report`] | records, as text and as JSON |
//! | `abi` | malloc and its family as C symbols; start, exit, fork |
//! | [`arena`] | the heap for devices: a fixed region, no OS |
//! | `harness` | drives any allocator by generated programs and judges it |
//!
//! Beside `src/`: `symbols/` reads DWARF, `tool/` is the `heapwarden` command,
//! `c_tests/` holds one program a scenario, `benches/` times us beside others.
//!
//! # Glossary
//!
//! - *block*: what the program gets. *slot*: its place in a slab. *slab*: a run
//!   of slots of one *size class*. *span*: a run of granules for one large block.
//! - *granule*: 64 KiB of the *window*, the stretch of addresses the heap lives
//!   in. *page* is only ever the operating system's.
//! - *arena*: a fixed region that the user of a device gives.
//! - *guard*: bytes behind and before a block that nobody may write. *poison*:
//!   what freed bytes are filled with. Both hold the slot's *pattern*.
//!   *quarantine*: freed, and not reusable yet. *tombstone*: what is remembered
//!   of a block whose memory is gone.
//! - *block record*: one word a slot: state, family, size, stack, stamp.
//!   *family*: the functions that made a block, and so may free it. *stamp*:
//!   names an *epoch*, which knows thread and time.
//! - *call stack*: the frames; *stack id*: its number; *depot*: where it is kept.
//! - *root set*, *mark*: where a leak check starts, and what it does. *lost*: no
//!   pointer left. *orphan*: a live block whose *holder* was freed.
//!   *hidden leak*: reachable, and not needed any more.
//! - *violation*: a crime, as the heap sees it. *report*: what is shown of it.
//!
//! # Features
//!
//! `hosted` (default): Linux with libc. `abi`: export the C symbols (set by the
//! Makefile). `arena`: the heap for devices. `sim`: failures on demand.
//! `harness`: proofs for any allocator, with std. `interleave`: model checkers.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(any(test, feature = "harness", feature = "interleave"))]
extern crate std;

pub mod units;

#[cfg(feature = "hosted")]
pub mod outside;

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
pub mod exhaustion;

#[cfg(feature = "hosted")]
pub mod leak;

#[cfg(feature = "hosted")]
pub mod report;

#[cfg(feature = "hosted")]
pub mod symbol;

#[cfg(feature = "abi")]
pub mod abi;

#[cfg(feature = "global")]
pub use abi::Heapwarden;

#[cfg(feature = "arena")]
pub mod arena;

#[cfg(feature = "harness")]
pub mod harness;
