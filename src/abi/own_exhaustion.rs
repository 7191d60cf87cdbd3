//! The `heapwarden_` functions about memory that runs out: a handler, the
//! limit, and failing on purpose.
//!
//! cbindgen makes include/heapwarden.h from the functions and types of this
//! file, too; their documentation is what a C programmer reads there.

use super::fail_site;
use crate::exhaustion;
use crate::exhaustion::failing::{self, Plan};
use core::ffi::{CStr, c_char, c_int};

/// Called when an allocation of `size` bytes found no memory, before it fails.
///
/// It may free memory and return nonzero: then the allocation is tried again,
/// and the handler is called again if there is still too little, as with
/// C++'s new_handler. Returning 0 lets the allocation fail: it is reported,
/// and returns NULL with ENOMEM. The handler runs in the thread that
/// allocates and may allocate itself; those allocations do not call it.
pub type heapwarden_exhaustion_handler_t = Option<unsafe extern "C" fn(size: usize) -> c_int>;

/// Sets the handler for exhaustion; NULL = none. Returns the one before.
/// Any thread may call it at any time.
#[unsafe(no_mangle)]
pub extern "C" fn heapwarden_set_exhaustion_handler(
    handler: heapwarden_exhaustion_handler_t,
) -> heapwarden_exhaustion_handler_t {
    exhaustion::set_handler(handler)
}

/// The limit that heapwarden_set_heap_limit takes for "as the system says":
/// the smallest of the control group's, RLIMIT_AS, RLIMIT_DATA and physical
/// memory.
pub const HEAPWARDEN_LIMIT_AUTO: usize = !0;

/// Sets how many bytes of memory the heap may use, as `heap_limit_mb` does:
/// blocks, the gaps between them, freed blocks held back, and metadata.
/// 0 = no limit. A limit below what is in use refuses everything new.
#[unsafe(no_mangle)]
pub extern "C" fn heapwarden_set_heap_limit(bytes: usize) {
    exhaustion::set_limit((bytes != HEAPWARDEN_LIMIT_AUTO).then_some(bytes));
}

/// Which allocations fail on purpose. All zero: none.
///
/// `size_above` and `site` choose the allocations that count; `nth`, `every`,
/// `after` and `rate` choose among those, and without any of the four all of
/// them fail. realloc counts when it grows a block.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct heapwarden_failing_t {
    /// The Nth allocation fails, from 1; 0 = none.
    pub nth: u64,
    /// Every Nth allocation fails; 0 = none.
    pub every: u64,
    /// The Nth allocation and all after it fail; 0 = none.
    pub after: u64,
    /// On average one allocation in N fails; 0 = none.
    pub rate: u64,
    /// Where the random series of `rate` begins.
    pub seed: u64,
    /// Only allocations of more bytes count; 0 = of any size.
    pub size_above: u64,
    /// Only allocations with this function in their call stack count: its
    /// name as the program's file has it, C++ without the arguments; NULL =
    /// all. Needs `symbolize=1`.
    pub site: *const c_char,
}

/// Lets allocations fail from now on as `failing` says, and begins to count
/// anew; NULL ends it. Returns 0, or -1 if the site's name is longer than 255
/// bytes; then nothing changes. Replaces what the options said.
///
/// # Safety
/// `failing` is NULL or points to a whole structure, and its `site` is NULL or
/// points to a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_fail_allocations(
    failing: *const heapwarden_failing_t,
) -> c_int {
    // SAFETY: the caller's promise.
    let Some(wanted) = (unsafe { failing.as_ref() }) else {
        failing::follow(&Plan::NOTHING);
        return 0;
    };
    if !wanted.site.is_null() {
        // SAFETY: the caller's promise: a string.
        let name = unsafe { CStr::from_ptr(wanted.site) };
        if !fail_site::set(name.to_bytes()) {
            return -1;
        }
    }
    failing::follow(&Plan {
        nth: wanted.nth,
        every: wanted.every,
        after: wanted.after,
        rate: wanted.rate,
        seed: wanted.seed,
        size_above: wanted.size_above,
        site: !wanted.site.is_null(),
    });
    0
}

/// How many allocations counted since failing began, and in `*failed`, if it
/// is not NULL, how many of them were made to fail.
///
/// # Safety
/// `failed` is NULL or points to where a number may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heapwarden_counted_allocations(failed: *mut u64) -> u64 {
    let (counted, refused) = failing::counts();
    if !failed.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *failed = refused };
    }
    counted
}
