//! The ledger's root: the one value from which a tool outside the process finds
//! every table, and the note by which it finds the root.

use crate::leak::annotations;
use crate::outside::{Address, MAGIC, Root, VERSION};
use crate::platform::linux::own;
use crate::{heap, ledger, memory, trace};

/// See [`crate::outside`].
#[used]
static ROOT: Root<Address> = Root {
    magic: MAGIC,
    version: VERSION,
    bytes: size_of::<Root<Address>>() as u32,
    shape: ledger::SHAPE,
    library: library(),
    window: memory::OUTSIDE,
    epochs: ledger::OUTSIDE,
    heap: heap::OUTSIDE,
    trace: trace::OUTSIDE,
    regions: annotations::OUTSIDE,
    own: own::OUTSIDE,
};

const fn library() -> [u8; 16] {
    let (text, mut bytes) = (env!("CARGO_PKG_VERSION").as_bytes(), [0; 16]);
    let mut index = 0;
    while index < text.len() && index < bytes.len() {
        bytes[index] = text[index];
        index += 1;
    }
    bytes
}

// A note outlives strip(1), and the kernel writes the page it lies in into
// every core (core(5), bit 4 of coredump_filter).
core::arch::global_asm!(
    ".pushsection .note.heapwarden, \"a\", @note",
    ".balign 4",
    ".long 11, 8, 1",
    ".asciz \"heapwarden\"",
    ".balign 4",
    "2:",
    ".quad {root} - 2b",
    ".popsection",
    root = sym ROOT,
);
