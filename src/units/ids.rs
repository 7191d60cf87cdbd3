//! Identities that the records carry: call stack, thread, family.

/// Identity of an interned call stack; 0 is unknown. Always below
/// 2^[`StackId::BITS`], because a block record packs it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct StackId(pub u32);

impl StackId {
    /// Nothing is known about the stack.
    pub const UNKNOWN: StackId = StackId(0);
    /// Bits that a stack id may use.
    pub const BITS: u32 = 23;

    /// Whether nothing is known about the stack.
    pub const fn is_unknown(self) -> bool {
        self.0 == 0
    }
}

/// Which thread, in order of birth: 1 is the first; 0 is unknown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct ThreadNumber(pub u32);

/// Which group of functions made a block, and so which may free it
/// (C++ \[new.delete.single\], \[new.delete.array\]; C23 7.24.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Family {
    /// malloc, calloc, realloc: goes to free.
    Malloc = 0,
    /// aligned_alloc, posix_memalign, memalign, valloc, pvalloc: goes to free.
    Aligned = 1,
    /// operator new: goes to operator delete.
    New = 2,
    /// operator new[]: goes to operator delete[].
    NewArray = 3,
    /// operator new with an alignment: goes to the delete that takes one.
    NewAligned = 4,
    /// operator new[] with an alignment: goes to the delete[] that takes one.
    NewArrayAligned = 5,
}

impl Family {
    /// The family whose number is `value`; numbers above the last are `Malloc`.
    pub const fn from_bits(value: u8) -> Family {
        match value {
            1 => Family::Aligned,
            2 => Family::New,
            3 => Family::NewArray,
            4 => Family::NewAligned,
            5 => Family::NewArrayAligned,
            _ => Family::Malloc,
        }
    }

    /// What a programmer calls the function that made the block.
    pub const fn allocator(self) -> &'static str {
        match self {
            Family::Malloc => "malloc",
            Family::Aligned => "aligned_alloc",
            Family::New | Family::NewAligned => "operator new",
            Family::NewArray | Family::NewArrayAligned => "operator new[]",
        }
    }

    /// What a programmer calls the function that must free the block.
    pub const fn deallocator(self) -> &'static str {
        match self {
            Family::Malloc | Family::Aligned => "free",
            Family::New | Family::NewAligned => "operator delete",
            Family::NewArray | Family::NewArrayAligned => "operator delete[]",
        }
    }
}
