//! What the kernel told the process at its start: the auxiliary vector and
//! the environment, read without libc (getauxval(3), environ(7)).
//!
//! Both are found by `/proc/self` once and work before libc is initialised.

use super::files::read_file;

/// The auxiliary vector's value of `kind` (`libc::AT_*`), read from the kernel.
pub fn auxiliary(kind: u64) -> Option<u64> {
    let mut buffer = [0u8; 1024];
    let bytes = read_file(b"/proc/self/auxv\0", &mut buffer).ok()?;
    bytes.chunks_exact(16).find_map(|pair| {
        let (key, value) = pair.split_at(8);
        (u64::from_ne_bytes(key.try_into().ok()?) == kind)
            .then(|| value.try_into().ok().map(u64::from_ne_bytes))?
    })
}

/// Whether the process runs with more rights than its caller
/// (setuid, setgid, capabilities: `AT_SECURE`). Unknown counts as yes.
pub fn is_secure() -> bool {
    auxiliary(libc::AT_SECURE) != Some(0)
}
