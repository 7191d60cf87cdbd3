//! Zeroed memory for tables that grow and never move while they are read.
//!
//! Invariant: what was handed out stays mapped for the life of the process.
//! A table that is replaced gives its pages back but keeps its addresses, so
//! that a late reader finds zeros ("not there"), never a fault.

use crate::platform::{Host, Platform};
use crate::sync::atomics::{AtomicUsize, Ordering::Relaxed};
use crate::units::{OS_PAGE, align_up};
use core::ptr::NonNull;

static BYTES: AtomicUsize = AtomicUsize::new(0);

/// Maps `bytes` of zeroed memory; `None` when the system has none.
pub fn map(bytes: usize) -> Option<NonNull<u8>> {
    let bytes = align_up(bytes, OS_PAGE);
    let memory = Host::map(bytes).ok()?;
    BYTES.fetch_add(bytes, Relaxed);
    Some(memory)
}

/// Gives the pages of a replaced table back; they read as zero from now on.
///
/// # Safety
/// `memory` came from [`map`] with the same `bytes`, and zeros are a valid
/// state for whoever still reads it.
pub unsafe fn retire(memory: NonNull<u8>, bytes: usize) {
    let bytes = align_up(bytes, OS_PAGE);
    // SAFETY: ours by the caller's promise; zeros are valid for late readers.
    let _ = unsafe { Host::decommit(memory.as_ptr() as usize, bytes) };
    BYTES.fetch_sub(bytes, Relaxed);
}

/// Makes a table in use read as zero.
///
/// # Safety
/// `memory` came from [`map`] with the same `bytes`, and zeros are a valid
/// state, word by word, for whoever reads or writes it meanwhile.
pub unsafe fn empty(memory: NonNull<u8>, bytes: usize) {
    let bytes = align_up(bytes, OS_PAGE);
    // SAFETY: ours by the caller's promise; zeros are valid for late readers.
    let given_back = unsafe { Host::decommit(memory.as_ptr() as usize, bytes) };
    if given_back.is_err() {
        // Locked memory (mlockall(2)) cannot be given back.
        // SAFETY: whole pages of ours, aligned; others use them by atomics.
        let words: &[AtomicUsize] = unsafe {
            core::slice::from_raw_parts(memory.as_ptr().cast(), bytes / size_of::<usize>())
        };
        words.iter().for_each(|word| word.store(0, Relaxed));
    }
}

/// Unmaps what [`map`] gave and nobody has seen.
///
/// # Safety
/// `memory` came from [`map`] with the same `bytes` and was never published.
pub unsafe fn discard(memory: NonNull<u8>, bytes: usize) {
    let bytes = align_up(bytes, OS_PAGE);
    // SAFETY: ours alone by the caller's promise.
    let _ = unsafe { Host::unmap(memory.as_ptr() as usize, bytes) };
    BYTES.fetch_sub(bytes, Relaxed);
}

/// Bytes mapped for tables and not retired.
pub fn bytes() -> usize {
    BYTES.load(Relaxed)
}
