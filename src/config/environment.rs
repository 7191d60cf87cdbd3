//! One variable of the environment, without libc: getenv(3) may run before
//! libc is ready, and setenv(3) in another thread may move what it returned.

use crate::platform::linux::files::File;

/// The value of variable `name` at the process's start, from the kernel
/// (`/proc/self/environ`), in `buffer`. `None` if it is not set, does not
/// fit, or there is no /proc.
pub fn from_kernel<'a>(name: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = File::open(b"/proc/self/environ\0", libc::O_RDONLY, 0).ok()?;
    let mut chunk = [0u8; 1024];
    // Position in `name=`; `None` once this variable is known to be another.
    let mut matched = Some(0);
    let mut length = 0;
    loop {
        let bytes = file.read(&mut chunk).ok()?;
        if bytes == 0 {
            return (matched == Some(name.len() + 1)).then_some(&buffer[..length]);
        }
        for &byte in &chunk[..bytes] {
            matched = match (matched, byte) {
                (Some(position), 0) if position > name.len() => return Some(&buffer[..length]),
                (_, 0) => Some(0),
                (Some(position), _) if position > name.len() => {
                    *buffer.get_mut(length)? = byte;
                    length += 1;
                    matched
                }
                (Some(position), _) if position == name.len() && byte == b'=' => Some(position + 1),
                (Some(position), _) if name.get(position) == Some(&byte) => Some(position + 1),
                _ => None,
            };
        }
    }
}

/// The value of variable `name` in a vector of strings such as `environ`.
///
/// # Safety
/// `vector` is null or points to pointers to zero-terminated strings, the
/// last pointer null, and all stay as they are for `'a`.
pub unsafe fn from_vector<'a>(vector: *const *const u8, name: &[u8]) -> Option<&'a [u8]> {
    if vector.is_null() {
        return None;
    }
    for index in 0.. {
        // SAFETY: the caller promises a vector that ends in a null pointer,
        // and every earlier element was not null.
        let text = unsafe { *vector.add(index) };
        if text.is_null() {
            return None;
        }
        // SAFETY: the caller promises a zero-terminated string.
        let text = unsafe { core::ffi::CStr::from_ptr(text.cast()) }.to_bytes();
        if let Some(value) = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(b"=")) {
            return Some(value);
        }
    }
    None
}
