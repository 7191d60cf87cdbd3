//! Mallocs given as C functions: glibc's, and jemalloc's and mimalloc's, which
//! are opened by dlopen.

use heapwarden::harness::CFunctions;
use std::ffi::{CString, c_int, c_void};
use std::mem::transmute;

/// glibc's, which is this process's own.
pub fn glibc() -> CFunctions {
    opened(None, "").expect("libc has a malloc")
}

/// The malloc of a shared library whose functions' names begin with `prefix`;
/// `None` where it is not installed.
pub fn opened(library: Option<&str>, prefix: &str) -> Option<CFunctions> {
    let name = library.map(|library| CString::new(library).expect("no zero byte"));
    let name = name.as_ref().map_or(std::ptr::null(), |name| name.as_ptr());
    // SAFETY: a library that is meant to be opened; its constructors run.
    let handle = unsafe { libc::dlopen(name, libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return None;
    }
    let symbol = |name: &str| {
        let name = CString::new(format!("{prefix}{name}")).expect("no zero byte");
        // SAFETY: an open library and a C string.
        let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
        (!found.is_null()).then_some(found)
    };
    // SAFETY: these names have these types in every C library (C23 7.24.4,
    // POSIX.1-2001, malloc_usable_size(3)).
    unsafe {
        Some(CFunctions {
            malloc: transmute::<*mut c_void, unsafe extern "C" fn(usize) -> *mut c_void>(symbol(
                "malloc",
            )?),
            calloc: transmute::<*mut c_void, unsafe extern "C" fn(usize, usize) -> *mut c_void>(
                symbol("calloc")?,
            ),
            realloc: transmute::<
                *mut c_void,
                unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
            >(symbol("realloc")?),
            free: transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void)>(symbol("free")?),
            aligned_alloc: transmute::<
                *mut c_void,
                unsafe extern "C" fn(usize, usize) -> *mut c_void,
            >(symbol("aligned_alloc")?),
            posix_memalign: symbol("posix_memalign").map(|found| {
                transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut *mut c_void, usize, usize) -> c_int,
                >(found)
            }),
            usable_size: symbol("malloc_usable_size").map(|found| {
                transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void) -> usize>(found)
            }),
        })
    }
}
