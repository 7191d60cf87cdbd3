//! Being told that a thread ends: one pthread key, whose destructor runs in
//! the ending thread, after C++ thread_local destructors
//! (pthread_key_create(3), Itanium C++ ABI 3.3.6).

use crate::sync::Once;
use core::ffi::c_void;

static KEY: Once = Once::new();

/// Has `destructor(value)` called when this thread ends, once; calling again
/// from within arms the next round (at most four, POSIX).
///
/// May call calloc once (glibc, for keys from 32 on): the caller is ready for
/// that. Without a key (all taken) the thread's end goes unnoticed: its heap
/// is then not reused.
pub fn watch(value: usize, destructor: extern "C" fn(usize)) {
    #[cfg(feature = "interleave")]
    if crate::sync::interleave::watch_end(value, destructor) {
        return;
    }
    let key = KEY.get_or_make(|| {
        let mut made: libc::pthread_key_t = 0;
        // SAFETY: a function that takes one word is what the key calls.
        let call: unsafe extern "C" fn(*mut c_void) = unsafe { core::mem::transmute(destructor) };
        // SAFETY: pthread_key_create writes the key, which lives on our stack.
        (unsafe { libc::pthread_key_create(&mut made, Some(call)) } == 0).then_some(made)
    });
    if let Some(key) = key {
        // SAFETY: a valid key; the value is only handed back to the destructor.
        unsafe { libc::pthread_setspecific(key, value as *const c_void) };
    }
}
