//! The `heapwarden_` functions: what a program may ask and tell, and the
//! `__lsan_` names for code that is annotated for LeakSanitizer.
//!
//! cbindgen makes include/heapwarden.h from the functions and types of this
//! file; their documentation is what a C programmer reads there.

#![allow(clippy::missing_safety_doc)] // the C contract stands in each description

use super::leaks::{self, Verdict};
use super::shim::{Saved, checkpoint};
use crate::heap::{self, Block, Found};
use crate::leak::{Caller, LeakOptions, annotations};
use crate::ledger::{self, State};
use crate::memory;
use crate::platform::{Host, Platform};
use crate::trace;
use crate::units::StackId;
use core::ffi::c_void;

/// Where a block is in its life.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum heapwarden_state_t {
    /// The program's.
    HEAPWARDEN_LIVE = 1,
    /// Freed, and held back from reuse.
    HEAPWARDEN_HELD = 2,
    /// Freed, and ready for reuse.
    HEAPWARDEN_FREE = 3,
}

/// What the ledger knows of a block.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct heapwarden_block_t {
    /// Its first byte.
    pub address: *mut c_void,
    /// Bytes that were asked for; 0 for free blocks, whose size is forgotten.
    pub size: usize,
    /// Where it is in its life.
    pub state: heapwarden_state_t,
    /// 1 malloc, 2 aligned_alloc and its kin, 3 new, 4 new[], 5 aligned new,
    /// 6 aligned new[]; 0 for free blocks.
    pub family: u8,
    /// The thread that allocated it: 1 is the first of the process; 0 unknown.
    pub thread: u32,
    /// Milliseconds since it was allocated.
    pub age_ms: u64,
    /// About how many allocations the process had made before it.
    pub sequence: u64,
    /// The call stack that allocated it (heapwarden_stack).
    pub allocated_by: u32,
    /// The call stack that freed it; 0 for live blocks or when unknown.
    pub freed_by: u32,
}

/// What one call site holds.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct heapwarden_site_t {
    /// The call stack (heapwarden_stack).
    pub stack: u32,
    /// Live blocks.
    pub blocks: u64,
    /// Live bytes asked for.
    pub bytes: u64,
}

/// Figures of the whole heap.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct heapwarden_statistics_t {
    /// Bytes that the program asked for and has not freed.
    pub live_bytes: usize,
    /// Allocations made so far.
    pub allocations: u64,
    /// Bytes of freed blocks held back from reuse.
    pub held_bytes: usize,
    /// Bytes of memory in slabs and spans, now and at the most.
    pub in_use_bytes: usize,
    /// See in_use_bytes.
    pub peak_bytes: usize,
    /// Bytes of address space for records, stacks and tables.
    pub metadata_bytes: usize,
    /// The limit in force in bytes; 0 = none.
    pub limit_bytes: usize,
    /// Misuses reported so far.
    pub errors: u64,
    /// Threads that have allocated and live.
    pub threads: u32,
}

/// Called with each block of a walk; not 0 ends it.
pub type heapwarden_block_visitor =
    Option<unsafe extern "C" fn(block: *const heapwarden_block_t, argument: *mut c_void) -> i32>;

/// Called with each call site of a walk; not 0 ends it.
pub type heapwarden_site_visitor =
    Option<unsafe extern "C" fn(site: *const heapwarden_site_t, argument: *mut c_void) -> i32>;

fn facts(block: &Block) -> heapwarden_block_t {
    let state = match block.record.state() {
        State::Live | State::Ignored => heapwarden_state_t::HEAPWARDEN_LIVE,
        State::Held => heapwarden_state_t::HEAPWARDEN_HELD,
        _ => heapwarden_state_t::HEAPWARDEN_FREE,
    };
    let known = state != heapwarden_state_t::HEAPWARDEN_FREE;
    let epoch = if known { ledger::epoch(block.record.stamp()) } else { None };
    let now = Host::monotonic_ns() / 1_000_000;
    heapwarden_block_t {
        address: block.start as *mut c_void,
        size: block.size,
        state,
        family: if known { block.record.family() as u8 + 1 } else { 0 },
        thread: epoch.map_or(0, |epoch| epoch.thread.0),
        age_ms: epoch.map_or(0, |epoch| now.saturating_sub(epoch.begun_ms)),
        sequence: epoch.map_or(0, |epoch| epoch.sequence),
        allocated_by: block.record.stack().0,
        freed_by: 0,
    }
}

/// Tells what lies at an address, which may be any number: it is not followed.
/// Returns 1 and fills `block` (unless it is NULL) when the address is in a
/// block, live or freed, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_describe(
    address: *const c_void,
    block: *mut heapwarden_block_t,
) -> i32 {
    let Found::Inside(found, _) = heap::locate(address as usize) else { return 0 };
    if !block.is_null() {
        // SAFETY: the caller passes room for one block.
        unsafe { block.write(heapwarden_block_t { freed_by: found.freed().0.0, ..facts(&found) }) };
    }
    1
}

/// Writes up to `count` return addresses of a call stack to `frames`, the
/// caller of malloc first; returns how many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_stack(
    stack: u32,
    frames: *mut *mut c_void,
    count: usize,
) -> usize {
    if frames.is_null() || count == 0 {
        return 0;
    }
    // SAFETY: the caller passes room for `count` addresses.
    let frames = unsafe { core::slice::from_raw_parts_mut(frames.cast::<usize>(), count) };
    trace::frames(StackId(stack), frames).0
}

/// Calls `visit` with every live block, in the order of addresses. The visitor
/// may allocate and free; blocks that come or go meanwhile may be missed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_walk_blocks(
    visit: heapwarden_block_visitor,
    argument: *mut c_void,
) {
    let Some(visit) = visit else { return };
    let mut ended = false;
    heap::for_each_block(|block| {
        if !ended && block.is_live() {
            // SAFETY: the caller's function and its own argument.
            ended = unsafe { visit(&facts(&block), argument) } != 0;
        }
    });
}

/// Calls `visit` with every call site that holds live blocks, largest first.
/// Returns how many sites were left out for want of memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_walk_sites(
    visit: heapwarden_site_visitor,
    argument: *mut c_void,
) -> usize {
    const ROOM: usize = 1 << 16;
    let Some(visit) = visit else { return 0 };
    let bytes = ROOM * size_of::<heapwarden_site_t>();
    let Ok(memory) = Host::map(bytes) else { return usize::MAX };
    // SAFETY: a fresh zeroed mapping of that size, which nobody else knows.
    let sites = unsafe {
        core::slice::from_raw_parts_mut(memory.cast::<heapwarden_site_t>().as_ptr(), ROOM)
    };
    let mut left_out = 0;
    heap::for_each_block(|block| {
        if !block.is_live() {
            return;
        }
        let stack = block.record.stack().0;
        let start = stack.wrapping_mul(0x9e37_79b9) as usize >> 8;
        for probe in 0..64 {
            let site = &mut sites[(start + probe) % ROOM];
            if site.blocks == 0 || site.stack == stack {
                site.stack = stack;
                site.blocks += 1;
                site.bytes += block.size as u64;
                return;
            }
        }
        left_out += 1;
    });
    sites.sort_unstable_by_key(|site| core::cmp::Reverse(site.bytes));
    for site in sites.iter().take_while(|site| site.blocks > 0) {
        // SAFETY: the caller's function and its own argument.
        if unsafe { visit(site, argument) } != 0 {
            break;
        }
    }
    // SAFETY: mapped above; `sites` is not used any more.
    let _ = unsafe { Host::unmap(memory.as_ptr() as usize, bytes) };
    left_out
}

/// Fills in figures of the whole heap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_statistics(figures: *mut heapwarden_statistics_t) {
    if figures.is_null() {
        return;
    }
    let (sums, memory) = (heap::statistics(), heap::memory());
    let all = heapwarden_statistics_t {
        live_bytes: sums.live_bytes,
        allocations: sums.allocations,
        held_bytes: sums.held_bytes,
        in_use_bytes: memory.in_use,
        peak_bytes: memory.peak,
        metadata_bytes: memory::metadata_mapped() + trace::statistics().bytes,
        limit_bytes: memory.limit,
        errors: super::violations::count(),
        threads: sums.threads,
    };
    // SAFETY: the caller passes room for the figures.
    unsafe { figures.write(all) };
}

/// Checks every guard and every freed byte that is still held, and reports
/// damage. Returns how many blocks were damaged.
#[unsafe(no_mangle)]
pub extern "C" fn heapwarden_check_heap() -> usize {
    heap::check_heap(StackId::UNKNOWN)
}

/// Sets a mark: heapwarden_leaks_since and heapwarden_live_since look only at
/// blocks that are allocated after it. Costs about a microsecond a thread.
#[unsafe(no_mangle)]
pub extern "C" fn heapwarden_mark() -> u64 {
    heap::mark()
}

/// Counts live blocks that were allocated since a mark, reachable or not, and
/// adds their bytes to `*bytes` (unless it is NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_live_since(mark: u64, bytes: *mut u64) -> u64 {
    let (mut blocks, mut sum) = (0, 0);
    heap::for_each_block(|block| {
        let new =
            || ledger::epoch(block.record.stamp()).is_some_and(|epoch| epoch.sequence >= mark);
        if block.is_live() && new() {
            blocks += 1;
            sum += block.size as u64;
        }
    });
    if !bytes.is_null() {
        // SAFETY: the caller passes room for the sum.
        unsafe { *bytes = sum };
    }
    blocks
}

/// Marks a block so that leak checks take it, and what it points to, as
/// needed. Returns 0, or -1 when the address is not the start of a live block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_ignore(block: *const c_void) -> i32 {
    if heap::ignore(block as usize) { 0 } else { -1 }
}

/// From here on, blocks that this thread allocates are ignored by leak checks,
/// until as many calls of heapwarden_enable. Calls nest.
#[unsafe(no_mangle)]
pub extern "C" fn heapwarden_disable() {
    heap::ignore_scope(true);
}

/// Ends the scope that the last heapwarden_disable of this thread began.
#[unsafe(no_mangle)]
pub extern "C" fn heapwarden_enable() {
    heap::ignore_scope(false);
}

/// Lets leak checks look for pointers in memory that is not the heap's: an
/// mmap of the program's own, for example. Returns 0, or -1 without room.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_register_root_region(
    start: *const c_void,
    bytes: usize,
) -> i32 {
    if annotations::add_root(start as usize, bytes) { 0 } else { -1 }
}

/// Takes one heapwarden_register_root_region with the same values back.
/// Returns 0, or -1 when there was none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_unregister_root_region(
    start: *const c_void,
    bytes: usize,
) -> i32 {
    if annotations::remove_root(start as usize, bytes) { 0 } else { -1 }
}

/// Tells leak checks which bits of this program's tagged pointers are the
/// address: each word is also tried with the other bits cleared, so that
/// 0x0000ffffffffffff finds pointers with a tag in the upper 16 bits and
/// ~(uintptr_t)7 those with one in the lower three. 0 ends that. Returns the
/// mask before; the option pointer_mask does the same from the start on.
#[unsafe(no_mangle)]
pub extern "C" fn heapwarden_pointer_mask(mask: usize) -> usize {
    annotations::set_pointer_mask(mask)
}

checkpoint! {
    "heapwarden_check_leaks"("rdi") => check_leaks;
    "heapwarden_leaks_since"("rsi") => leaks_since;
    "__lsan_do_recoverable_leak_check"("rdi") => check_leaks;
    "__lsan_do_leak_check"("rdi") => last_check;
}

fn live_check(saved: *const Saved, since: u64) -> Verdict {
    let caller = Caller::on_stack_from(saved as usize);
    leaks::check_live(&caller, LeakOptions { since_sequence: since, ..LeakOptions::LIVE })
}

fn as_result(verdict: Verdict) -> i32 {
    match verdict {
        Verdict::Clean => 0,
        Verdict::Leaks => 1,
        Verdict::Impossible => -1,
    }
}

unsafe extern "C" fn check_leaks(saved: *const Saved) -> i32 {
    as_result(live_check(saved, 0))
}

unsafe extern "C" fn leaks_since(mark: u64, saved: *const Saved) -> i32 {
    as_result(live_check(saved, mark))
}

/// LeakSanitizer's: the check now instead of at exit; ends the process with
/// `exitcode` when leaks were found.
unsafe extern "C" fn last_check(saved: *const Saved) {
    super::lifecycle::check_now_instead_of_at_exit(live_check(saved, 0));
}

#[unsafe(no_mangle)]
extern "C" fn __lsan_disable() {
    heap::ignore_scope(true);
}

#[unsafe(no_mangle)]
extern "C" fn __lsan_enable() {
    heap::ignore_scope(false);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __lsan_ignore_object(block: *const c_void) {
    heap::ignore(block as usize);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __lsan_register_root_region(start: *const c_void, bytes: usize) {
    annotations::add_root(start as usize, bytes);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __lsan_unregister_root_region(start: *const c_void, bytes: usize) {
    annotations::remove_root(start as usize, bytes);
}
