//! Where each word of a block lies: the one place that knows the bytes.
//!
//! Everything is counted in machine words (4 bytes on Cortex-M and RV32, 8 on
//! a 64-bit target), so the same picture holds for both:
//!
//! ```text
//!  live block, owner + guard                    free block, owner + guard
//!  +0 state  size, slack, colour, flags         +0 state  size, FREE
//!  +1 site   call site or return address | 1    +1 next   in its free list
//!  +2 stamp  24 bits of time, 8 bits of task    +2 slot   the word that points here
//!  +3 check  secret ^ address ^ the words above +3 check
//!  +4 payload … requested bytes                 +4 poison … (window)
//!     canary  >= 1 word, fills the slack            footer = size, last word
//! ```
//!
//! | mode        | header words            | tail | smallest block (32-bit) |
//! |-------------|-------------------------|------|-------------------------|
//! | bare        | state                   | 0    | 16                      |
//! | owner       | state site stamp        | 0    | 16                      |
//! | guard       | state check             | 1    | 24                      |
//! | owner+guard | state site stamp check  | 1    | 24                      |
//!
//! The state word, from the top bit down (bare: size, PREVIOUS_FREE, FREE):
//!
//! ```text
//!  | size, a multiple of two words, << 8 | PREVIOUS_FREE | FREE | slack:6 |
//!           its lowest bits, 0 outside of a leak scan:  | PENDING | colour:2 |
//! ```
//!
//! The check word covers the address and all of the state that changes only
//! with the block; of a live block also site and stamp, of a free one, in guard
//! mode, the links: there they lie where the payload was.
//!
//! Invariant: `capacity - slack` is exactly the size the program asked for.

use core::mem::size_of;

use crate::units::align_up;

/// Bytes of a machine word.
pub const WORD: usize = size_of::<usize>();
/// Every payload starts at a multiple of two words: 8 bytes on 32-bit targets,
/// 16 on 64-bit ones (the C ABI's `max_align_t` on both).
pub const ALIGNMENT: usize = 2 * WORD;

/// Six bits, the lowest: bytes between the requested size and the capacity.
pub const SLACK_MASK: usize = 63;
/// Two bits: what the leak scan knows of the block.
pub const COLOUR_SHIFT: u32 = 8;
/// The colour's two bits in place.
pub const COLOUR_MASK: usize = 3 << COLOUR_SHIFT;
/// Only during a leak scan: reached, its words not yet read.
pub const PENDING: usize = 1 << 10;

/// Stamps are kept with 24 bits: 49.7 days in quarter seconds.
pub const STAMP_MASK: u32 = 0x00ff_ffff;

/// Which parts of a block's header exist, fixed when the program is compiled.
///
/// The four implementations are [`Bare`], [`Owner`], [`Guard`] and
/// [`OwnerGuard`]; the derived constants below follow the table in the
/// module's head.
pub trait Mode {
    /// The header names call site, time and task.
    const OWNER: bool;
    /// The header has a check word, the block a canary, free memory poison.
    const GUARD: bool;

    /// Bytes from a block's address to its payload.
    const HEADER: usize = WORD * (1 + 2 * Self::OWNER as usize + Self::GUARD as usize);
    /// Least bytes of canary after the payload.
    const TAIL: usize = WORD * Self::GUARD as usize;
    /// Offset of a free block's `next` link; the word after it is its `slot`.
    const LINKS: usize = WORD * (1 + (Self::GUARD && !Self::OWNER) as usize);
    /// Bytes at the start of a free block that are not poison.
    const FREE_HEADER: usize = {
        let links_end = Self::LINKS + 2 * WORD;
        if links_end > Self::HEADER { links_end } else { Self::HEADER }
    };
    /// The smallest block: a free header and its footer.
    const SMALLEST: usize = (Self::FREE_HEADER + WORD).next_multiple_of(ALIGNMENT);
    /// Block addresses are congruent to this modulo [`ALIGNMENT`].
    const PHASE: usize = (2 * ALIGNMENT - Self::HEADER) % ALIGNMENT;
    /// Where the size lies in the state word.
    const SIZE_SHIFT: u32 = if Self::OWNER || Self::GUARD { 8 } else { 0 };
    /// The block is free.
    const FREE: usize = if Self::SIZE_SHIFT == 0 { 1 } else { 64 };
    /// The block just below in memory is free, and its size stands in its footer.
    const PREVIOUS_FREE: usize = 2 * Self::FREE;
    /// The largest request and region of a heap of this mode, in bytes: 64 KiB less
    /// than 16 MiB with owner or guard on 32-bit targets. (One byte of it is not 0:
    /// Thumb has such constants.)
    const LARGEST: usize = (usize::MAX >> if Self::SIZE_SHIFT == 0 { 2 } else { 8 }) & !0xffff;
    /// The check word of a free block covers its links.
    const SEALS_LINKS: bool = Self::GUARD && !Self::OWNER;
}

/// One word before each block: a constant-time allocator and nothing more.
pub enum Bare {}
/// Every block names its call site, time and task.
pub enum Owner {}
/// Check word, canary and poison, but no owner.
pub enum Guard {}
/// Owner and guard: 16 bytes before and at least 4 after, on 32-bit targets.
pub enum OwnerGuard {}

impl Mode for Bare {
    const OWNER: bool = false;
    const GUARD: bool = false;
}
impl Mode for Owner {
    const OWNER: bool = true;
    const GUARD: bool = false;
}
impl Mode for Guard {
    const OWNER: bool = false;
    const GUARD: bool = true;
}
impl Mode for OwnerGuard {
    const OWNER: bool = true;
    const GUARD: bool = true;
}

/// Bytes a block needs for `requested` bytes of payload, which is at most
/// `M::LARGEST`.
#[inline]
pub fn block_size<M: Mode>(requested: usize) -> usize {
    let size = align_up(requested + M::HEADER + M::TAIL, ALIGNMENT);
    // Of an owner-guard block of no bytes, the header alone is as large as that.
    let least = align_up(M::HEADER + M::TAIL, ALIGNMENT);
    if least < M::SMALLEST && size < M::SMALLEST { M::SMALLEST } else { size }
}
