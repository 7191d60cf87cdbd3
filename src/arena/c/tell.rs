//! JSON records through a putc.
//!
//! Invariant: a record is one line, ended.

use core::ffi::c_void;

use core::mem::MaybeUninit;

use super::super::{ArenaEvent, ArenaLeak, ArenaLeakKind, ArenaPutc, ArenaRoot, Pen};
use super::inspect::heapwarden_arena_lost;
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
    let mut writer = Writer { heap, pen: arena(heap).pen(putc, context) };
    let mut totals = MaybeUninit::uninit();
    // SAFETY: the caller's array and memory; the writer outlives the scan, which
    // writes the totals.
    let totals = unsafe {
        let writer = (&raw mut writer).cast();
        heapwarden_arena_lost(heap, roots, count, Some(write_leak), writer, totals.as_mut_ptr());
        totals.assume_init_ref()
    };
    arena(heap).report_totals(totals, &writer.pen);
    totals.kinds[ArenaLeakKind::Definite as usize].blocks
        + totals.kinds[ArenaLeakKind::Indirect as usize].blocks
}

/// Whose leaks are written, and where to.
struct Writer {
    heap: *mut heapwarden_arena_t,
    pen: Pen,
}

unsafe extern "C" fn write_leak(context: *mut c_void, leak: *const ArenaLeak) {
    // SAFETY: the writer above; the scan's leak.
    let (writer, leak) = unsafe { (&*context.cast::<Writer>(), &*leak) };
    arena(writer.heap).report_leak(leak, &writer.pen);
}
