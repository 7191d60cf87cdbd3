//! The operations: what a program may do to its heap.
//!
//! A program keeps its pointers in a table of [`PLACES`] places, does each
//! operation at one of [`SITES`] call sites, in one of [`THREADS`] threads, one
//! after the other. An operation that makes no sense where it stands (free of
//! an empty place) is skipped by the model, so that any part of a program is a
//! program: that is what makes shrinking work.

use crate::units::Family;
use core::fmt;
use std::string::String;
use std::vec::Vec;

/// Pointers that a program can hold at a time.
pub const PLACES: u8 = 16;
/// Call sites, functions named `site_0` and so on.
pub const SITES: u8 = 8;
/// Threads; 0 is main.
pub const THREADS: u8 = 4;
/// Words at the start of a block that may hold pointers to blocks.
pub const LINKS: u8 = 4;
/// Bytes of such a word: a pointer's. A guard is no shorter.
pub const WORD: usize = size_of::<usize>();

/// A function that allocates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Function {
    /// malloc(size)
    Malloc,
    /// calloc(count, size)
    Calloc {
        /// Elements of `size` bytes.
        count: usize,
    },
    /// realloc(NULL, size)
    Realloc,
    /// aligned_alloc(alignment, size), C11
    AlignedAlloc {
        /// As given: perhaps no power of two.
        alignment: usize,
    },
    /// posix_memalign(&place, alignment, size), POSIX.1-2001
    PosixMemalign {
        /// As given: perhaps no power of two.
        alignment: usize,
    },
    /// memalign(alignment, size), rounded up to a power of two
    Memalign {
        /// As given.
        alignment: usize,
    },
    /// valloc(size): aligned to a page
    Valloc,
    /// pvalloc(size): whole pages
    Pvalloc,
    /// operator new or new[], which may be nothrow
    New {
        /// new[]
        array: bool,
        /// with std::nothrow
        nothrow: bool,
    },
    /// operator new or new[] with an alignment (C++17)
    NewAligned {
        /// new[]
        array: bool,
        /// A power of two.
        alignment: usize,
    },
}

const PAGE: usize = crate::units::OS_PAGE;

impl Function {
    /// Who may free what it makes.
    pub fn family(self) -> Family {
        match self {
            Function::Malloc | Function::Calloc { .. } | Function::Realloc => Family::Malloc,
            Function::New { array: false, .. } => Family::New,
            Function::New { array: true, .. } => Family::NewArray,
            Function::NewAligned { array: false, .. } => Family::NewAligned,
            Function::NewAligned { array: true, .. } => Family::NewArrayAligned,
            _ => Family::Aligned,
        }
    }

    /// What the block's address must be a multiple of, beside what every block
    /// is aligned to.
    pub fn alignment(self) -> usize {
        match self {
            Function::AlignedAlloc { alignment } | Function::PosixMemalign { alignment } => {
                alignment
            }
            Function::NewAligned { alignment, .. } => alignment,
            Function::Memalign { alignment } => alignment.max(1).next_power_of_two(),
            Function::Valloc | Function::Pvalloc => PAGE,
            _ => 1,
        }
    }

    /// Bytes of the block, `None` if their number overflows.
    pub fn bytes(self, size: usize) -> Option<usize> {
        match self {
            Function::Calloc { count } => count.checked_mul(size),
            Function::Pvalloc => crate::units::checked_align_up(size, PAGE),
            _ => Some(size),
        }
    }

    /// Whether the alignment, if it takes one, is one that it accepts.
    pub fn is_aligned_well(self) -> bool {
        match self {
            Function::AlignedAlloc { alignment } => alignment.is_power_of_two(),
            Function::PosixMemalign { alignment } => {
                alignment.is_power_of_two() && alignment.is_multiple_of(size_of::<usize>())
            }
            Function::Memalign { alignment } => alignment <= 1 << (usize::BITS - 1),
            _ => true,
        }
    }

    /// What an argument besides the size is: count, alignment, or 0.
    pub fn argument(self) -> usize {
        match self {
            Function::Calloc { count } => count,
            Function::AlignedAlloc { alignment }
            | Function::PosixMemalign { alignment }
            | Function::Memalign { alignment }
            | Function::NewAligned { alignment, .. } => alignment,
            _ => 0,
        }
    }

    /// The call in C, `_Znwm` and its kin as C++ writes them.
    pub fn call(self, size: usize) -> String {
        let array = |array| if array { "[]" } else { "" };
        match self {
            Function::Malloc => std::format!("malloc({size})"),
            Function::Calloc { count } => std::format!("calloc({count}, {size})"),
            Function::Realloc => std::format!("realloc(NULL, {size})"),
            Function::AlignedAlloc { alignment } => {
                std::format!("aligned_alloc({alignment}, {size})")
            }
            Function::PosixMemalign { alignment } => {
                std::format!("posix_memalign({alignment}, {size})")
            }
            Function::Memalign { alignment } => std::format!("memalign({alignment}, {size})"),
            Function::Valloc => std::format!("valloc({size})"),
            Function::Pvalloc => std::format!("pvalloc({size})"),
            Function::New { array: is, nothrow } => {
                let nothrow = if nothrow { ", nothrow" } else { "" };
                std::format!("operator new{}({size}{nothrow})", array(is))
            }
            Function::NewAligned { array: is, alignment } => {
                std::format!("operator new{}({size}, align {alignment})", array(is))
            }
        }
    }
}

/// A function that frees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// The plain one that fits the block.
    Fitting,
    /// free, or operator delete of that family, fitting or not.
    Plain(Family),
    /// free_sized (C23), or a sized operator delete, with the block's size and
    /// so many bytes more or less.
    Sized(Family, i8),
}

/// An address that is no block of the heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Foreign {
    /// A local variable.
    Stack,
    /// A global variable.
    Global,
    /// A small number.
    Wild,
    /// Fresh memory from mmap(2).
    Mapped,
}

/// Which bytes are damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// Behind the block, `distance` bytes from its end.
    Behind {
        /// 0: right behind it.
        distance: u8,
    },
    /// Before the block: the last byte lies `distance` bytes before its start.
    Before {
        /// 0: right before it.
        distance: u8,
    },
    /// In the block that was freed last from the place.
    Freed {
        /// From the block's start.
        offset: usize,
    },
}

/// What brings the damage to light.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// free of the block.
    AtFree,
    /// realloc of the block to another size.
    AtResize(usize),
    /// malloc_usable_size of the block.
    AtUsable,
    /// A check of the whole heap.
    AtCheck,
    /// Whatever comes first; at the latest the end of the program.
    Later,
}

/// One operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// `place = function(size)`; skipped if the place holds a block.
    Allocate {
        /// Where the pointer goes.
        place: u8,
        /// By which function.
        function: Function,
        /// Its size argument.
        size: usize,
    },
    /// `place = realloc(place, size)`
    Resize {
        /// Which block.
        place: u8,
        /// Bytes; 0 frees.
        size: usize,
    },
    /// `free(place)`, or a crime if `by` does not fit.
    Free {
        /// Which block.
        place: u8,
        /// By which function.
        by: Release,
    },
    /// `malloc_usable_size(place)`
    Usable {
        /// Which block.
        place: u8,
    },
    /// Checks the whole heap for damage.
    Check,
    /// Asks the heap for its figures.
    Statistics,
    /// A thread starts.
    Begin {
        /// 1 to 3.
        thread: u8,
    },
    /// It ends.
    End {
        /// 1 to 3.
        thread: u8,
    },
    /// fork(2): the child looks at all blocks, frees them, allocates, and exits.
    Fork,
    /// Crime: frees the block again that was freed last from the place.
    FreeAgain {
        /// Which.
        place: u8,
    },
    /// Crime: realloc of the block that was freed last from the place.
    ResizeFreed {
        /// Which.
        place: u8,
        /// Bytes, at least 1.
        size: usize,
    },
    /// Crime: frees an address inside the block.
    FreeInside {
        /// Which block.
        place: u8,
        /// Taken modulo the block's size, never 0.
        offset: usize,
    },
    /// Crime: frees what no allocator gave.
    FreeForeign(Foreign),
    /// Crime: changes bytes that are not the program's.
    Damage {
        /// Which block.
        place: u8,
        /// Where.
        bytes: Damage,
        /// How many, 1 to 8.
        length: u8,
        /// How it comes out.
        found: Found,
    },
    /// The pointer is forgotten; the block is a leak unless others point to it.
    Drop {
        /// Which.
        place: u8,
    },
    /// The pointer steps into the block.
    Hide {
        /// Which.
        place: u8,
        /// In words, modulo the block's size, never 0.
        words: u16,
    },
    /// A block gets a pointer to another, or into it.
    Link {
        /// The block that holds.
        from: u8,
        /// Which of its first words.
        slot: u8,
        /// The block that is held.
        to: u8,
        /// In words, modulo the held block's size; 0: its start.
        words: u16,
    },
    /// The pointer in a block is overwritten with zero.
    Unlink {
        /// The block that holds.
        from: u8,
        /// Which of its first words.
        slot: u8,
    },
}

/// An operation, where in the program it stands, and who does it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// 0 to 3; a thread that is not running leaves the step to main.
    pub thread: u8,
    /// 0 to 7.
    pub site: u8,
    /// What is done.
    pub operation: Operation,
}

/// A whole program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Program {
    /// In order.
    pub steps: Vec<Step>,
}

impl fmt::Display for Program {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(out, "thread {} site {}: {:?}", step.thread, step.site, step.operation)?;
        }
        Ok(())
    }
}
