//! A platform that fails on purpose: the calls that may run out of memory are
//! counted, and the chosen one (or all from it on) is refused with ENOMEM.
//!
//! A test walks every error path with
//! `for n in 1.. { fail_at(n); run(); if !hit() { break } }`
//! (the FailingAllocator of Zig's test library).

use super::{Access, OsError, Platform};
use crate::sync::atomics::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use core::marker::PhantomData;
use core::ptr::NonNull;

/// `P` with failures on demand.
pub struct Sim<P>(PhantomData<P>);

static CALLS: AtomicU64 = AtomicU64::new(0);
static FAIL_AT: AtomicU64 = AtomicU64::new(0);
static FAIL_FROM: AtomicBool = AtomicBool::new(false);
static HIT: AtomicBool = AtomicBool::new(false);

/// Makes the `nth` call from now (from 1) fail once; 0 = none.
pub fn fail_at(nth: u64) {
    arm(nth, false);
}

/// Makes the `nth` call from now (from 1) and all after it fail; 0 = none.
pub fn fail_from(nth: u64) {
    arm(nth, true);
}

/// Whether a call has failed since it was armed.
pub fn hit() -> bool {
    HIT.load(Relaxed)
}

fn arm(nth: u64, from: bool) {
    FAIL_AT.store(0, Relaxed);
    CALLS.store(0, Relaxed);
    HIT.store(false, Relaxed);
    FAIL_FROM.store(from, Relaxed);
    FAIL_AT.store(nth, Relaxed);
}

fn pass() -> Result<(), OsError> {
    let target = FAIL_AT.load(Relaxed);
    if target == 0 {
        return Ok(());
    }
    let call = CALLS.fetch_add(1, Relaxed) + 1;
    if call == target || (FAIL_FROM.load(Relaxed) && call > target) {
        HIT.store(true, Relaxed);
        return Err(OsError(12));
    }
    Ok(())
}

impl<P: Platform> Platform for Sim<P> {
    fn map(bytes: usize) -> Result<NonNull<u8>, OsError> {
        pass()?;
        P::map(bytes)
    }
    fn map_at(address: usize, bytes: usize, access: Access) -> Result<(), OsError> {
        pass()?;
        P::map_at(address, bytes, access)
    }
    unsafe fn protect(address: usize, bytes: usize, access: Access) -> Result<(), OsError> {
        pass()?;
        // SAFETY: the caller's promise is passed on.
        unsafe { P::protect(address, bytes, access) }
    }
    unsafe fn decommit(address: usize, bytes: usize) -> Result<(), OsError> {
        pass()?;
        // SAFETY: the caller's promise is passed on.
        unsafe { P::decommit(address, bytes) }
    }
    unsafe fn unmap(address: usize, bytes: usize) -> Result<(), OsError> {
        pass()?;
        // SAFETY: the caller's promise is passed on.
        unsafe { P::unmap(address, bytes) }
    }
    unsafe fn move_pages(old: usize, new: usize, bytes: usize) -> Result<(), OsError> {
        pass()?;
        // SAFETY: the caller's promise is passed on.
        unsafe { P::move_pages(old, new, bytes) }
    }
    fn advise_huge(address: usize, bytes: usize, wanted: bool) {
        P::advise_huge(address, bytes, wanted);
    }
    fn populate(address: usize, bytes: usize) {
        P::populate(address, bytes);
    }
    fn write(descriptor: i32, bytes: &[u8]) -> Result<usize, OsError> {
        P::write(descriptor, bytes)
    }
    fn thread_id() -> u32 {
        P::thread_id()
    }
    fn monotonic_ns() -> u64 {
        P::monotonic_ns()
    }
    fn wait(word: &AtomicU32, expected: u32, timeout_ns: u64) {
        P::wait(word, expected, timeout_ns);
    }
    fn wake(word: &AtomicU32, count: u32) {
        P::wake(word, count);
    }
    fn abort() -> ! {
        P::abort()
    }
}
