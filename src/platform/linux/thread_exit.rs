//! Being told that a thread ends: one pthread key, whose destructor runs in
//! the ending thread, after C++ thread_local destructors
//! (pthread_key_create(3), Itanium C++ ABI 3.3.6).

use crate::sync::atomics::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use core::ffi::c_void;

static KEY: AtomicU32 = AtomicU32::new(NONE);
static MAKING: AtomicU32 = AtomicU32::new(0);
const NONE: u32 = u32::MAX;

/// Has `destructor(value)` called when this thread ends, once; calling again
/// from within arms the next round (at most four, POSIX).
///
/// May call calloc once (glibc, for keys from 32 on): the caller is ready for
/// that. Without a key (all taken) the thread's end goes unnoticed: its heap
/// is then not reused.
pub fn watch(value: usize, destructor: extern "C" fn(usize)) {
    let mut key = KEY.load(Acquire);
    if key == NONE {
        if MAKING.swap(1, Acquire) != 0 {
            return;
        }
        let mut made: libc::pthread_key_t = 0;
        // SAFETY: a function that takes one word is what the key calls.
        let call: unsafe extern "C" fn(*mut c_void) = unsafe { core::mem::transmute(destructor) };
        // SAFETY: pthread_key_create writes the key, which lives on our stack.
        if unsafe { libc::pthread_key_create(&mut made, Some(call)) } != 0 {
            MAKING.store(0, Relaxed);
            return;
        }
        key = made;
        KEY.store(key, Release);
    }
    // SAFETY: a valid key; the value is only handed back to the destructor.
    unsafe { libc::pthread_setspecific(key, value as *const c_void) };
}
