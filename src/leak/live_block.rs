//! A live block of this process, as the heuristics see it.
//!
//! Invariant: of the block only its size is read, or its first word, which
//! every slot has room for; elsewhere only what the memory map vouches for.

use super::heuristics::Sight;
use super::mappings::Mappings;
use super::tiles::Block;
use crate::memory::Window;
use crate::units::Family;

/// A live block, and the memory around it.
pub struct LiveBlock<'a, 's> {
    pub block: &'a Block,
    pub mappings: &'a Mappings<'s>,
}

impl LiveBlock<'_, '_> {
    #[inline(always)]
    fn read<T: Copy>(&self, offset: u64) -> T {
        let offset = offset as usize;
        debug_assert!(offset + size_of::<T>() <= self.block.size.max(8));
        // SAFETY: a live block's slot is at least 24 bytes long and readable;
        // `Sight` asks only below its size or for its first word; integers
        // are valid whatever the bytes.
        unsafe { ((self.block.address + offset) as *const T).read_unaligned() }
    }
}

impl Sight for LiveBlock<'_, '_> {
    #[inline(always)]
    fn start(&self) -> u64 {
        self.block.address as u64
    }

    #[inline(always)]
    fn size(&self) -> u64 {
        self.block.size as u64
    }

    #[inline(always)]
    fn family(&self) -> Family {
        self.block.record.family()
    }

    #[inline(always)]
    fn word(&self, offset: u64) -> u64 {
        self.read(offset)
    }

    #[inline(always)]
    fn half(&self, offset: u64) -> u64 {
        u64::from(self.read::<u32>(offset))
    }

    #[inline(always)]
    fn byte(&self, offset: u64) -> u8 {
        self.read(offset)
    }

    fn word_at(&self, address: u64) -> Option<u64> {
        self.mappings.word(address as usize).map(|word| word as u64)
    }

    fn is_constant(&self, address: u64) -> bool {
        self.mappings.find(address as usize).is_some_and(|mapping| mapping.is_constant)
    }

    fn is_heap(&self, address: u64) -> bool {
        Window::contains(address as usize)
    }
}
