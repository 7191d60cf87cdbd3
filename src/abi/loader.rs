//! dlclose: the stack walk's rules for code that may be gone are dropped.

use crate::sync::atomics::{AtomicPtr, Ordering::Relaxed};
use core::ffi::c_void;

static NEXT: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// dlclose(3) of libc, then [`crate::trace::modules_changed`].
#[unsafe(no_mangle)]
unsafe extern "C" fn dlclose(handle: *mut c_void) -> i32 {
    let mut next = NEXT.load(Relaxed);
    if next.is_null() {
        // SAFETY: a constant name; dlsym may allocate, which works by now.
        next = unsafe { libc::dlsym(libc::RTLD_NEXT, c"dlclose".as_ptr()) };
        NEXT.store(next, Relaxed);
    }
    if next.is_null() {
        return -1;
    }
    // SAFETY: dlsym found the function of this name, which has this type.
    let real: unsafe extern "C" fn(*mut c_void) -> i32 = unsafe { core::mem::transmute(next) };
    // SAFETY: the caller's handle, passed on.
    let result = unsafe { real(handle) };
    crate::trace::modules_changed(true);
    result
}
