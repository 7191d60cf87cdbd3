//! JSON records through a putc.
//!
//! Invariant: a record is one line, ended.

use core::ffi::c_void;

use super::super::{ArenaEvent, ArenaLeakKind, ArenaPutc, ArenaRoot};
use super::{arena, heapwarden_arena_t};

/// Writes an event as a JSON record, one line, through `putc`. For use in the
/// event handler.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`; `event` is the handler's; `putc`
/// may be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_report_event(
    heap: *mut heapwarden_arena_t,
    event: *const ArenaEvent,
    putc: ArenaPutc,
    context: *mut c_void,
) {
    let arena = arena(heap);
    // SAFETY: the handler's event, not null.
    arena.report_event(unsafe { &*event }, arena.pen(putc, context));
}

/// As `heapwarden_arena_lost`, but writes a JSON record for each call site and
/// a summary through `putc`; the lock is held while the leaks are written.
/// Returns the number of blocks that no root leads to.
///
/// # Safety
/// `heap` came from `heapwarden_arena_init`; the `count` roots are readable;
/// `putc` may be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_arena_report_lost(
    heap: *mut heapwarden_arena_t,
    roots: *const ArenaRoot,
    count: usize,
    putc: ArenaPutc,
    context: *mut c_void,
) -> usize {
    let arena = arena(heap);
    // SAFETY: the caller's array, not null, and memory.
    let totals = unsafe {
        let roots = core::slice::from_raw_parts(roots, count);
        arena.report_lost(roots, arena.pen(putc, context))
    };
    totals.kinds[ArenaLeakKind::Definite as usize].blocks
        + totals.kinds[ArenaLeakKind::Indirect as usize].blocks
}
