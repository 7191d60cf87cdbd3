//! Outside: what a tool needs to read the ledger of another process, or of one
//! that is dead.
//!
//! The library holds one [`Root`]: addresses of its tables and, for those whose
//! layout is the compiler's choice, the offsets of their fields. It is found
//! without symbols, by an ELF note in the library's (or a static program's)
//! first page, which cores hold too:
//!
//! ```text
//!   PT_NOTE   name "heapwarden" | type 1 | root − here (8 bytes)
//!                                              └──> Root { magic, version, … }
//! ```
//!
//! The tool is compiled against this very file, and against
//! [`Granule`](crate::memory::Granule) and [`Record`](crate::ledger::Record),
//! whose layout is fixed by them and told by [`Root::shape`].
//!
//! Invariant: `Root` has the same bytes for every `A` of eight bytes; a change
//! of any table here or of what it leads to is a change of [`VERSION`].

/// Name of the note, without its end.
pub const NOTE_NAME: &[u8] = b"heapwarden";
/// Type of the note.
pub const NOTE_TYPE: u32 = 1;
/// First word of a root: "hwledger" as bytes.
pub const MAGIC: u64 = u64::from_le_bytes(*b"hwledger");
/// Version of the tables.
pub const VERSION: u32 = 3;

/// An address inside the process that holds the root.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Address(pub *const ());

// SAFETY: only a number to whoever reads it; nothing here follows it.
unsafe impl Sync for Address {}

impl Address {
    /// The address of a table.
    pub const fn of<T>(table: *const T) -> Address {
        Address(table.cast())
    }
}

/// Where all tables are. `A` is [`Address`] in the library, `u64` in a reader.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Root<A> {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// Bytes of this structure.
    pub bytes: u32,
    /// A digest of the layouts that reader and library are compiled with.
    pub shape: u64,
    /// Version of the library, as text.
    pub library: [u8; 16],
    /// The window of addresses.
    pub window: WindowPart<A>,
    /// The epoch log.
    pub epochs: EpochPart<A>,
    /// Threads, settings and what is remembered of the dead.
    pub heap: HeapPart<A>,
    /// Call stacks and modules.
    pub trace: TracePart<A>,
    /// Root regions that the program registered: pairs of words, start 0 = none.
    pub regions: Pairs<A>,
    /// The warden's own mappings outside the window: pairs of words.
    pub own: Pairs<A>,
}

/// A table of pairs of words.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Pairs<A> {
    /// The first pair.
    pub table: A,
    /// How many there may be.
    pub count: u64,
}

/// The window of addresses that the heap lives in.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct WindowPart<A> {
    /// A word: first address of the window.
    pub base: A,
    /// A word: bytes from the base that may belong to the heap.
    pub extent: A,
    /// A word: bytes of metadata that are mapped, without the granule table.
    pub metadata: A,
    /// Bytes of the granule table, which ends where the window begins.
    pub table_bytes: u64,
    /// Bytes of metadata, which end where the table begins.
    pub metadata_bytes: u64,
}

/// The epoch log.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct EpochPart<A> {
    /// A table of pointers to chunks.
    pub chunks: A,
    /// How many pointers.
    pub chunk_count: u64,
    /// Entries in a chunk; each is thread << 40 | milliseconds, sequence.
    pub chunk_entries: u64,
}

/// Threads, settings and the graveyard.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct HeapPart<A> {
    /// A word: the first thread heap of a list.
    pub heaps: A,
    /// A 32-bit word: the modes in force.
    pub modes: A,
    /// A word: bytes of heap memory allowed; 0 = no limit.
    pub limit: A,
    /// A word: the most bytes that slabs and spans ever took.
    pub peak: A,
    /// A word: the most bytes that the program ever had at once.
    pub peak_live: A,
    /// Three words a grave: start, size, stack << 32 | freed by.
    pub graveyard: A,
    /// Graves.
    pub graves: u64,
    /// A word: how many were buried so far.
    pub buried: A,
    /// Fields of a thread heap.
    pub thread_heap: ThreadHeapFields,
    /// Bit of `modes`: freed memory is filled whole.
    pub poison_full: u32,
    /// Bit of `modes`: freed memory is not filled.
    pub poison_none: u32,
}

/// Offsets of fields of a thread heap.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ThreadHeapFields {
    /// Bytes of the structure that a reader needs.
    pub bytes: u32,
    /// One byte.
    pub is_fallback: u32,
    /// A word.
    pub live_bytes: u32,
    /// A word.
    pub allocations: u32,
    /// A word: the quarantine's ring, words that `heap::Held` explains.
    pub ring: u32,
    /// A word: places in the ring less one.
    pub ring_mask: u32,
    /// A word: address in the ring where the next free is put.
    pub ring_next: u32,
    /// A word: the number of the free at the ring's beginning.
    pub ring_lap: u32,
    /// A word: frees ever taken out.
    pub ring_tail: u32,
    /// A word: what lies before it was freed by an earlier owner.
    pub ring_inherited: u32,
    /// A word: bytes held back, and the room below.
    pub held: u32,
    /// A word: bytes that may be held back before the quarantine is looked at
    /// again; below zero if it is late.
    pub held_room: u32,
    /// 32 bits.
    pub number: u32,
    /// 32 bits.
    pub kernel_id: u32,
    /// One byte: 1 = in use by a living thread.
    pub state: u32,
    /// A word: the next heap.
    pub next: u32,
}

/// Call stacks and modules.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TracePart<A> {
    /// A table of pointers to segments of nodes.
    pub nodes: A,
    /// How many pointers.
    pub segment_count: u64,
    /// Nodes in a segment: code 8 (module << 48 | return address), parent 4, …
    pub segment_nodes: u64,
    /// Bytes of a node.
    pub node_bytes: u64,
    /// A 32-bit word: the number of the next node.
    pub next_node: A,
    /// Nodes below this number are ends of stacks, the one of whole stacks first.
    pub first_node: u64,
    /// Captures that found no room: a word.
    pub dropped: A,
    /// A table of pointers to segments of module records.
    pub modules: A,
    /// Module records in a segment.
    pub segment_modules: u64,
    /// A 32-bit word: the number of the last module; numbers begin at 1.
    pub last_module: A,
    /// Fields of a module record.
    pub module: ModuleFields,
}

/// Offsets of fields of a module record.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ModuleFields {
    /// Bytes of a record.
    pub bytes: u32,
    /// A word: first address.
    pub start: u32,
    /// A word: first address after it.
    pub end: u32,
    /// A word: address in memory less address in the file.
    pub bias: u32,
    /// Two words: address and length of the path.
    pub path: u32,
    /// Its bytes.
    pub build_id: u32,
    /// A word.
    pub build_id_length: u32,
    /// One byte: it was unmapped since.
    pub closed: u32,
}

/// Mixes a layout's numbers into a digest (FNV-1a by words).
pub const fn digest(numbers: &[u64]) -> u64 {
    let (mut hash, mut index) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while index < numbers.len() {
        hash = (hash ^ numbers[index]).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    hash
}

const _: () = assert!(size_of::<Root<Address>>() == size_of::<Root<u64>>());
