//! What the heap knows of one granule (64 KiB of its window).
//!
//! ```text
//!  line 0   first 8 | records 8 | pattern 8 | inverse 4 | rotation 4 | slot 4 |
//!           slots 4 | owner 8 | head 4 | free 2 | kind 1 | class 1 | held 8
//!  line 1   remote_next 4 | remote 4 | returned 2 | until_noticed 2 | fresh 4 | links 8 | run 4 | …
//!           size 8 | record 8 | …
//! ```
//!
//! Line 0 is all that malloc and free read on their fast paths. A slab of
//! several granules repeats it in each of them, with `head` naming the first,
//! so that free needs no detour; line 1 counts in the head only.
//!
//! Invariant: `slots > 0` iff the granule belongs to a slab; a granule that
//! belongs to nothing has `kind == Kind::Free` and all-zero line 0.

use crate::outside::digest;
use crate::sync::atomics::{AtomicU32, AtomicU64, AtomicUsize};
use core::mem::offset_of;

/// No slot: the end of a slab's free list.
pub const NO_SLOT: u16 = 0x7ff;

/// What a granule is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// In no use: part of a free run, or never handed out.
    Free = 0,
    /// Part of a slab.
    Slab = 1,
    /// The first granule of a span: one large block.
    Span = 2,
    /// A later granule of a span.
    Inside = 3,
}

/// What the heap knows of one granule. All-zero is a free granule.
#[repr(C, align(128))]
pub struct Granule {
    /// Address of slot 0 of the slab, or of the span's block.
    pub first: usize,
    /// The slab's block records, one word a slot.
    pub records: *const AtomicU64,
    /// The pattern's bits that all slots of this granule share.
    pub pattern: u64,
    /// Inverse of the slot size's odd part modulo 2^32 (exact division).
    pub inverse: u32,
    /// Trailing zeros of the slot size.
    pub rotation: u32,
    /// Bytes from one slot to the next.
    pub slot: u32,
    /// Slots in the slab; 0 iff this is no slab.
    pub slots: u32,
    /// The thread heap that owns the slab (an address), 0 = nobody.
    pub owner: AtomicUsize,
    /// Index of the granule that holds line 1 for this slab or span.
    pub head: u32,
    /// First slot that malloc takes next, or [`NO_SLOT`].
    pub free: u16,
    /// What this granule is.
    pub kind: Kind,
    /// Size class of the slab.
    pub class: u8,
    /// What an entry of the quarantine has for every slot of the slab.
    pub held: u64,

    // Line 1, apart because other threads write `remote`.
    /// The next slab on the owner's stack of slabs with remote slots: index + 1.
    pub remote_next: u32,
    /// Slots that other threads returned: index + 1 of the first, 0 = none.
    pub remote: AtomicU32,
    /// Slots that the owner returned since it last took the list.
    pub returned: u16,
    /// Returns until the owner is to look at the slab: the next one while it is
    /// on no list, else when all that was handed out will have come home.
    pub until_noticed: u16,
    /// First slot that was never handed out.
    pub fresh: u32,
    /// Neighbours in the list this slab or free run is on: index + 1, 0 = none.
    pub next: u32,
    /// See `next`.
    pub previous: u32,
    /// Granules in this slab, span or free run.
    pub run: u32,
    /// In a slab: which list it is on. In a free run: whether its memory may
    /// hold something else than zeros.
    pub listed: u8,
    /// Whether the span has guard pages.
    pub guarded: bool,
    /// Whether what was never handed out of the slab was never touched either.
    pub untouched: bool,
    /// Bytes that the program asked for (span).
    pub size: usize,
    /// The block record of a span.
    pub record: AtomicU64,
    /// Who freed the span, while it is held back.
    pub freed_by: AtomicU32,
}

const _: () = assert!(core::mem::size_of::<Granule>() == 128);
const _: () = assert!(core::mem::offset_of!(Granule, remote_next) == 64);

impl Granule {
    /// A digest of where the fields are that readers outside the process know.
    pub const SHAPE: u64 = digest(&[
        size_of::<Granule>() as u64,
        offset_of!(Granule, first) as u64,
        offset_of!(Granule, records) as u64,
        offset_of!(Granule, slot) as u64,
        offset_of!(Granule, slots) as u64,
        offset_of!(Granule, head) as u64,
        offset_of!(Granule, kind) as u64,
        offset_of!(Granule, fresh) as u64,
        offset_of!(Granule, run) as u64,
        offset_of!(Granule, guarded) as u64,
        offset_of!(Granule, size) as u64,
        offset_of!(Granule, record) as u64,
        offset_of!(Granule, freed_by) as u64,
        Kind::Free as u64 | (Kind::Slab as u64) << 8,
        Kind::Span as u64 | (Kind::Inside as u64) << 8,
    ]);

    #[allow(clippy::declare_interior_mutable_const)] // a value to copy from, never shared
    /// A granule that holds nothing: the slab of a thread that has none yet.
    pub const EMPTY: Granule = Granule {
        first: 0,
        records: core::ptr::null(),
        pattern: 0,
        inverse: 0,
        rotation: 0,
        slot: 0,
        slots: 0,
        owner: AtomicUsize::new(0),
        head: 0,
        free: NO_SLOT,
        kind: Kind::Free,
        class: 0,
        held: 0,
        remote_next: 0,
        remote: AtomicU32::new(0),
        returned: NO_SLOT,
        until_noticed: 0,
        fresh: 0,
        next: 0,
        previous: 0,
        run: 0,
        listed: 0,
        guarded: false,
        untouched: false,
        size: 0,
        record: AtomicU64::new(0),
        freed_by: AtomicU32::new(0),
    };

    /// The slot that starts exactly `distance` bytes after slot 0, or a number
    /// not below `slots` when none does.
    ///
    /// Exact division by multiplication (Granlund and Montgomery, PLDI 1994,
    /// section 9): for multiples of the slot size the product, rotated, is the
    /// quotient; for all else it is larger than any quotient.
    #[inline(always)]
    pub fn slot_at(&self, distance: usize) -> u32 {
        (distance as u32).wrapping_mul(self.inverse).rotate_right(self.rotation)
    }
}
