//! What an allocator promises: where standards and traditions leave a choice.

/// The promises of an allocator, and which operations it is tried with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// The smallest request: 1 for Rust's `GlobalAlloc`, which knows no 0.
    pub least_size: usize,
    /// Bytes that live at a time, at most.
    pub most_live: usize,
    /// Bytes of one block, at most (refused requests aside).
    pub largest: usize,
    /// The largest alignment asked for.
    pub largest_alignment: usize,
    /// What every block's address is a multiple of.
    pub alignment: usize,
    /// Blocks smaller than `alignment` need less (C23 7.24.4 asks for what
    /// fits an object of that size; jemalloc and mimalloc take it at its word).
    pub small_blocks_aligned: bool,
    /// A resized block keeps its alignment (`GlobalAlloc`; C does not).
    pub resize_keeps_alignment: bool,
    /// realloc(p, 0) frees and returns null (glibc); otherwise it is not tried.
    pub zero_resize_frees: bool,
    /// malloc_usable_size is the size asked for; otherwise at least that.
    pub exact_size: bool,
    /// The posix_memalign, memalign, valloc family is there.
    pub aligned_functions: bool,
    /// pvalloc is there too (jemalloc has none: glibc's would be called).
    pub pvalloc: bool,
    /// operator new and delete are there.
    pub cxx: bool,
    /// free_sized and the sized deletes are there.
    pub sized: bool,
    /// Bad alignments and impossible sizes are asked for, and must fail.
    pub refusals: bool,
    /// A refused request sets errno, as POSIX asks (mimalloc 2.0.9's calloc does
    /// not when the product overflows, nor does jemalloc 5.3.0's realloc).
    pub refusals_set_errno: bool,
    /// aligned_alloc refuses what is no power of two.
    pub strict_aligned_alloc: bool,
    /// A request within the bounds may fail for want of memory.
    pub may_refuse: bool,
    /// Other threads take part.
    pub threads: bool,
    /// The program forks.
    pub forks: bool,
    /// It tells its figures: live bytes and allocations, exactly.
    pub statistics: bool,
    /// It judges crimes, so that they may be committed.
    pub crimes: bool,
    /// Blocks of different families are told apart.
    pub families: bool,
    /// Damage before a block is judged.
    pub underflows: bool,
    /// What lies right before a block says what it is: damage there is found
    /// before any other crime with the block is committed.
    pub judges_by_header: bool,
    /// Bytes of a freed block that are watched at each end; more for blocks of
    /// up to 1000 bytes, which are watched whole. 0: none.
    pub poisoned_edge: usize,
    /// Bytes at a freed block's start that the allocator uses itself.
    pub unwatched_start: usize,
    /// Freed memory may be handed out at once: a crime with a freed block is
    /// committed only while nothing else was allocated.
    pub reuses_at_once: bool,
    /// The figures tell how many allocations there were.
    pub counts_allocations: bool,
    /// A block that holds a pointer to its own start is held by pointers into
    /// it, like a pool that its owner lies in.
    pub pools_hold_themselves: bool,
    /// Of a cycle that other lost blocks lead to no block is called definite.
    pub led_cycles: bool,
    /// A pointer right behind a block holds it (C23 6.5.7 allows to keep only
    /// that one); otherwise such pointers are not made.
    pub holds_from_behind: bool,
    /// Leaks are looked for at the end.
    pub leaks: bool,
}

impl Rules {
    /// Any `GlobalAlloc`.
    pub const RUST: Rules = Rules {
        least_size: 1,
        most_live: 32 << 20,
        largest: 1 << 20,
        largest_alignment: 1 << 14,
        alignment: 1,
        small_blocks_aligned: true,
        resize_keeps_alignment: true,
        zero_resize_frees: false,
        exact_size: false,
        aligned_functions: false,
        pvalloc: false,
        cxx: false,
        sized: false,
        refusals: false,
        refusals_set_errno: true,
        strict_aligned_alloc: true,
        may_refuse: false,
        threads: true,
        forks: false,
        statistics: false,
        crimes: false,
        families: false,
        underflows: false,
        judges_by_header: false,
        poisoned_edge: 0,
        unwatched_start: 0,
        reuses_at_once: false,
        counts_allocations: true,
        pools_hold_themselves: true,
        led_cycles: true,
        holds_from_behind: true,
        leaks: false,
    };

    /// Any C malloc: what C23 and POSIX ask of it.
    pub const C: Rules = Rules {
        least_size: 0,
        alignment: 16,
        small_blocks_aligned: false,
        resize_keeps_alignment: false,
        aligned_functions: true,
        refusals: true,
        strict_aligned_alloc: false,
        ..Rules::RUST
    };

    /// A C malloc with operator new and delete, from outside: what a preloaded
    /// library without checks of its own must keep to.
    pub const PRELOADED: Rules = Rules { pvalloc: true, cxx: true, forks: true, ..Rules::C };

    /// heapwarden, preloaded: all of it.
    pub const HEAPWARDEN: Rules = Rules {
        small_blocks_aligned: true,
        zero_resize_frees: true,
        exact_size: true,
        strict_aligned_alloc: true,
        sized: true,
        statistics: true,
        crimes: true,
        families: true,
        underflows: true,
        poisoned_edge: 120,
        leaks: true,
        ..Rules::PRELOADED
    };

    /// What a block of `size` bytes must be aligned to if its function asks for
    /// `alignment`.
    pub fn alignment_of(&self, size: usize, alignment: usize) -> usize {
        let natural = match self.small_blocks_aligned {
            true => self.alignment,
            false => match size {
                0 => 1,
                _ => self.alignment.min(1 << size.ilog2()),
            },
        };
        natural.max(alignment)
    }
}
