//! What the heap tells its owner, and what it is told in return: the plain
//! structs that C and Rust share.
//!
//! Invariant: nothing here owns memory; every pointer is the caller's or points
//! into the arena.

use core::ffi::{c_char, c_void};

use crate::units::ErrorKind;

/// What happened. The names in reports are AddressSanitizer's.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaViolation {
    /// Nothing wrong.
    None = 0,
    /// No free block is large enough for the request.
    Exhausted = 1,
    /// The pointer's block is already free.
    DoubleFree = 2,
    /// The pointer is not one that this heap gave out: outside of all regions,
    /// not aligned, or inside a live block.
    InvalidFree = 3,
    /// Bytes after a payload were overwritten.
    Overflow = 4,
    /// Bytes just before a payload were overwritten.
    Underflow = 5,
    /// A free block's bytes were overwritten.
    UseAfterFree = 6,
    /// A header makes no sense, and neither neighbour explains it.
    Corrupt = 7,
}

impl ArenaViolation {
    /// The `kind` in JSON records: the hosted heap's words, and two of the
    /// arena's own.
    pub fn name(self) -> &'static str {
        let kind = match self {
            ArenaViolation::None => return "none",
            ArenaViolation::Exhausted => return "exhaustion",
            ArenaViolation::Corrupt => return "heap-corruption",
            ArenaViolation::DoubleFree => ErrorKind::DoubleFree,
            ArenaViolation::InvalidFree => ErrorKind::BadFree,
            ArenaViolation::Overflow => ErrorKind::HeapBufferOverflow,
            ArenaViolation::Underflow => ErrorKind::HeapBufferUnderflow,
            ArenaViolation::UseAfterFree => ErrorKind::HeapUseAfterFree,
        };
        kind.name()
    }
}

impl ArenaViolation {
    /// The `message` in JSON records.
    pub fn message(self) -> &'static str {
        match self {
            ArenaViolation::None => "nothing",
            ArenaViolation::Exhausted => "no free block is large enough",
            ArenaViolation::DoubleFree => "the block is free already",
            ArenaViolation::InvalidFree => "not the start of a block",
            ArenaViolation::Overflow => "bytes after the block were written",
            ArenaViolation::Underflow => "bytes before the block were written",
            ArenaViolation::UseAfterFree => "free memory was written",
            ArenaViolation::Corrupt => "a block header was overwritten",
        }
    }
}

/// What the event handler wants done.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaAnswer {
    /// Go on: the call returns null (exhaustion) or does what can still be done.
    Continue = 0,
    /// Stop the machine with a trap instruction.
    Abort = 1,
    /// Exhaustion only: try once more, memory has been given back.
    Retry = 2,
}

/// Where a block was asked for: one static record a call site, made by the
/// header's macros (C) or by [`site!`](crate::site) (Rust).
#[repr(C)]
pub struct ArenaSite {
    /// File name, zero-terminated.
    pub file: *const c_char,
    /// Function name, zero-terminated.
    pub function: *const c_char,
    /// Line number, from 1.
    pub line: u32,
}

// SAFETY: a record and its strings are constant for the program's whole life.
unsafe impl Sync for ArenaSite {}

/// What is known of one block.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ArenaBlock {
    /// What malloc returned; 0 when no block is concerned.
    pub address: usize,
    /// Bytes asked for (bare mode: bytes available).
    pub size: usize,
    /// Address of an [`ArenaSite`], or a return address with bit 0 set, or 0.
    pub site: usize,
    /// Milliseconds since its allocation, in steps of 256; without a clock,
    /// allocations since its own.
    pub age: u32,
    /// The task that asked for it, as the configuration's `task` said.
    pub task: u32,
}

/// One event, valid during the handler's call only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ArenaEvent {
    /// What happened.
    pub kind: ArenaViolation,
    /// The pointer given to the call, or the first damaged byte or word.
    pub address: usize,
    /// Payload of the live block concerned, for `heapwarden_arena_block_of`;
    /// 0 = none. A block that is being freed is freed after the handler's return.
    pub block: usize,
    /// Call site of the call that noticed, as in [`ArenaBlock::site`].
    pub site: usize,
    /// Bytes asked for by the call that noticed; 0 = it asks for none.
    pub requested: usize,
}

/// How a heap meets its firmware. All zeros is valid: no handler, no lock, one
/// task, no clock, poison window 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ArenaConfig {
    /// Called with the lock released, so it may use the heap. Null: events are
    /// dropped and the call goes on as after [`ArenaAnswer::Continue`].
    pub on_event:
        Option<unsafe extern "C" fn(context: *mut c_void, event: *const ArenaEvent) -> ArenaAnswer>,
    /// Enters the critical section around every operation; null: none needed.
    pub lock: Option<unsafe extern "C" fn(context: *mut c_void)>,
    /// Leaves it.
    pub unlock: Option<unsafe extern "C" fn(context: *mut c_void)>,
    /// Number of the running task, 0 to 255.
    pub task: Option<unsafe extern "C" fn(context: *mut c_void) -> u32>,
    /// Milliseconds since power-on, wrapping; null: ages count allocations.
    pub clock: Option<unsafe extern "C" fn(context: *mut c_void) -> u32>,
    /// Handed to every function above.
    pub context: *mut c_void,
    /// Bytes at the start of a freed block that are poisoned and verified: 0,
    /// 32 (constant time), or `SIZE_MAX` for all of it.
    pub poison_window: usize,
    /// Anything the program's bugs cannot guess, best a new random number at
    /// every start; 0 is replaced by a constant.
    pub secret: usize,
    /// Size of the largest region that will ever be added, in bytes; 0 = the
    /// first one. What a region has more than that stays unused.
    pub largest_region: usize,
}

impl ArenaConfig {
    /// All zeros.
    pub const fn new() -> Self {
        ArenaConfig {
            on_event: None,
            lock: None,
            unlock: None,
            task: None,
            clock: None,
            context: core::ptr::null_mut(),
            poison_window: 0,
            secret: 0,
            largest_region: 0,
        }
    }
}

impl Default for ArenaConfig {
    fn default() -> Self {
        Self::new()
    }
}
