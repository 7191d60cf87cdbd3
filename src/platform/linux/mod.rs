//! Linux: the platform by raw system calls.
//!
//! Raw, because libc's wrappers set `errno` (free must keep it) and some are
//! cancellation points, at which a cancelled thread would die inside malloc.

pub mod auxv;
pub mod cgroup;
pub mod files;
pub mod limits;
pub mod maps;
mod memory;
pub mod output;
pub mod own;
pub mod process;
pub mod references;
pub mod shared;
pub mod syscall;
mod thread;
pub mod thread_exit;
pub mod tls;

use super::{Access, OsError, Platform};
use crate::sync::atomics::AtomicU32;
use core::ptr::NonNull;

/// Linux on the running kernel.
pub struct Linux;

impl Platform for Linux {
    fn map(bytes: usize) -> Result<NonNull<u8>, OsError> {
        memory::map(bytes)
    }
    fn map_at(address: usize, bytes: usize, access: Access) -> Result<(), OsError> {
        memory::map_at(address, bytes, access)
    }
    unsafe fn protect(address: usize, bytes: usize, access: Access) -> Result<(), OsError> {
        // SAFETY: the caller promises what `protect` asks for.
        unsafe { memory::protect(address, bytes, access) }
    }
    unsafe fn decommit(address: usize, bytes: usize) -> Result<(), OsError> {
        // SAFETY: the caller promises what `decommit` asks for.
        unsafe { memory::decommit(address, bytes) }
    }
    unsafe fn unmap(address: usize, bytes: usize) -> Result<(), OsError> {
        // SAFETY: the caller promises what `unmap` asks for.
        unsafe { memory::unmap(address, bytes) }
    }
    unsafe fn move_pages(old: usize, new: usize, bytes: usize) -> Result<(), OsError> {
        // SAFETY: the caller promises what `move_pages` asks for.
        unsafe { memory::move_pages(old, new, bytes) }
    }
    fn advise_huge(address: usize, bytes: usize, wanted: bool) {
        memory::advise_huge(address, bytes, wanted);
    }
    fn populate(address: usize, bytes: usize) {
        memory::populate(address, bytes);
    }
    fn write(descriptor: i32, bytes: &[u8]) -> Result<usize, OsError> {
        files::write(descriptor, bytes)
    }
    fn thread_id() -> u32 {
        thread::thread_id()
    }
    fn monotonic_ns() -> u64 {
        thread::monotonic_ns()
    }
    fn wait(word: &AtomicU32, expected: u32, timeout_ns: u64) {
        thread::wait(word, expected, timeout_ns);
    }
    fn wake(word: &AtomicU32, count: u32) {
        thread::wake(word, count);
    }
    fn abort() -> ! {
        process::abort()
    }
}
