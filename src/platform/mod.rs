//! Platform: everything that touches an operating system.
//!
//! Invariant: this is the only floor that makes system calls. A call that can
//! run out of something says so by its value; nothing here sets `errno`,
//! allocates, locks, or is a cancellation point of POSIX threads.
//!
//! `linux/` speaks to the kernel by raw system calls; `sim` wraps it and
//! fails chosen calls on purpose, so that a test can walk every error path.

#[cfg(feature = "hosted")]
pub mod linux;
#[cfg(all(feature = "hosted", any(test, feature = "sim", feature = "interleave")))]
pub mod sim;

use core::ptr::NonNull;

/// The platform this build runs on.
#[cfg(all(feature = "hosted", not(any(test, feature = "sim", feature = "interleave"))))]
pub type Host = linux::Linux;
/// The platform this build runs on, with failures on demand.
#[cfg(all(feature = "hosted", any(test, feature = "sim"), not(feature = "interleave")))]
pub type Host = sim::Sim<linux::Linux>;
/// The platform this build runs on, with the model checkers in between.
#[cfg(feature = "interleave")]
pub type Host = crate::sync::interleave::Modelled<sim::Sim<linux::Linux>>;

/// Why the operating system refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OsError(pub i32);

/// How memory may be used after [`Platform::protect`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Any access faults.
    None,
    /// Reading is allowed.
    Read,
    /// Reading and writing are allowed.
    ReadWrite,
}

/// What the heap needs from an operating system.
///
/// Addresses and lengths of memory calls are multiples of the OS page; 0 is
/// never a valid address. Each failure leaves things as they were.
pub trait Platform {
    /// Maps `bytes` of zeroed memory anywhere, readable and writable, not
    /// reserved in advance (mmap(2), `MAP_NORESERVE`).
    fn map(bytes: usize) -> Result<NonNull<u8>, OsError>;
    /// Maps `bytes` of zeroed memory at exactly `address`; fails rather than
    /// replace what is mapped there (`MAP_FIXED_NOREPLACE`).
    fn map_at(address: usize, bytes: usize, access: Access) -> Result<(), OsError>;
    /// Changes the access to mapped memory (mprotect(2)).
    ///
    /// # Safety
    /// The range belongs to the caller, and nobody relies on the old access.
    unsafe fn protect(address: usize, bytes: usize, access: Access) -> Result<(), OsError>;
    /// Gives the memory behind the range back; it reads as zero afterwards
    /// (madvise(2), `MADV_DONTNEED`).
    ///
    /// # Safety
    /// The range belongs to the caller and its contents are not needed.
    unsafe fn decommit(address: usize, bytes: usize) -> Result<(), OsError>;
    /// Unmaps the range (munmap(2)).
    ///
    /// # Safety
    /// The range belongs to the caller and nothing points into it any more.
    unsafe fn unmap(address: usize, bytes: usize) -> Result<(), OsError>;
    /// Moves the pages of `old` to `new` without copying (mremap(2),
    /// `MREMAP_FIXED | MREMAP_DONTUNMAP`, Linux 5.7); what was mapped at `new`
    /// is replaced, `old` stays mapped and reads as zero.
    ///
    /// # Safety
    /// Both ranges belong to the caller and do not overlap.
    unsafe fn move_pages(old: usize, new: usize, bytes: usize) -> Result<(), OsError>;
    /// Asks for huge pages in the range, or asks for none; only a hint.
    fn advise_huge(address: usize, bytes: usize, wanted: bool);
    /// Puts memory behind a range that will be written soon, by one call
    /// instead of a fault a page (madvise(2), `MADV_POPULATE_WRITE`, Linux
    /// 5.14); only a hint.
    fn populate(address: usize, bytes: usize);
    /// Writes bytes to a file descriptor, once.
    fn write(descriptor: i32, bytes: &[u8]) -> Result<usize, OsError>;
    /// The id that the kernel gave the calling thread.
    fn thread_id() -> u32;
    /// Nanoseconds of the clock that never jumps (CLOCK_MONOTONIC).
    fn monotonic_ns() -> u64;
    /// Sleeps while `*word == expected`, at most `timeout_ns` (0: no limit).
    fn wait(word: &crate::sync::atomics::AtomicU32, expected: u32, timeout_ns: u64);
    /// Wakes up to `count` threads that sleep on `word`.
    fn wake(word: &crate::sync::atomics::AtomicU32, count: u32);
    /// Ends the process with the abort signal, whatever handlers say.
    fn abort() -> !;
}

/// A cheap time stamp whose unit differs from machine to machine: only for comparing with another.
///
/// On x86_64 the time stamp counter, elsewhere the monotonic clock.
#[cfg(feature = "hosted")]
#[inline]
pub fn ticks() -> u64 {
    #[cfg(feature = "interleave")]
    if let Some(ticks) = crate::sync::interleave::ticks() {
        return ticks;
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: rdtsc exists on every x86_64 processor and only reads a counter.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    Host::monotonic_ns()
}
