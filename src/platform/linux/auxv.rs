//! What the kernel told the process at its start: the auxiliary vector and
//! the environment, read without libc (getauxval(3), environ(7)).
//!
//! Both are found by `/proc/self` once and work before libc is initialised.
//! Where there is no /proc, or no descriptor, by the stack that the process
//! began with:
//!
//! ```text
//!   __libc_stack_end ──► argc │ argv … 0 │ environment … 0 │ kind, value …
//! ```

use super::files::read_file;

/// The auxiliary vector's value of `kind` (`libc::AT_*`), read from the kernel.
pub fn auxiliary(kind: u64) -> Option<u64> {
    let mut buffer = [0u8; 1024];
    let Ok(bytes) = read_file(b"/proc/self/auxv\0", &mut buffer) else { return known(kind) };
    bytes.chunks_exact(16).find_map(|pair| {
        let (key, value) = pair.split_at(8);
        (u64::from_ne_bytes(key.try_into().ok()?) == kind)
            .then(|| value.try_into().ok().map(u64::from_ne_bytes))?
    })
}

/// What libc knows of the auxiliary vector.
fn known(kind: u64) -> Option<u64> {
    // SAFETY: errno is the thread's own; getauxval(3) only reads, and is the
    // loader's from the first instruction of libc on.
    unsafe {
        let errno = libc::__errno_location();
        let before = errno.replace(0);
        let value = libc::getauxval(kind);
        (errno.replace(before) == 0).then_some(value)
    }
}

unsafe extern "C" {
    static environ: *const *const u8;
    static __libc_stack_end: *const usize;
}

/// The environment as a vector of strings (environ(7)); null if nothing of it
/// is known yet. It may change as soon as the program runs.
pub fn environment() -> *const *const u8 {
    // SAFETY: libc's, read before the program can write to it. Before libc is
    // initialised `environ` is null, and the stack's end, which the loader knows,
    // lies at argc; a static program has set `environ` before anything else.
    unsafe {
        if !environ.is_null() || __libc_stack_end.is_null() {
            return environ;
        }
        let arguments = __libc_stack_end.read();
        let end = __libc_stack_end.add(1 + arguments);
        debug_assert_eq!(end.read(), 0);
        end.add(1).cast()
    }
}

/// Whether the process runs with more rights than its caller
/// (setuid, setgid, capabilities: `AT_SECURE`). Unknown counts as yes.
pub fn is_secure() -> bool {
    auxiliary(libc::AT_SECURE) != Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{from_kernel, from_vector};

    #[test]
    fn what_proc_tells_is_known_without_it() {
        for kind in [libc::AT_SECURE, libc::AT_ENTRY, libc::AT_RANDOM] {
            assert_eq!(known(kind), auxiliary(kind));
            assert!(known(kind).is_some());
        }
        assert_eq!(known(12_345), None);
        let mut buffer = [0; 8192];
        let told = from_kernel(b"PATH", &mut buffer);
        assert!(told.is_some());
        // SAFETY: no test changes the environment.
        assert_eq!(unsafe { from_vector(environment(), b"PATH") }, told);
    }
}
