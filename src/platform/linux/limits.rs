//! What the kernel lets this process have: resource limits (prlimit(2)),
//! physical memory (sysinfo(2)), and what it has (proc_pid_statm(5)).

use super::files::read_file;
use super::syscall::call;
use crate::units::OS_PAGE;

/// A resource of getrlimit(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// The address space (`RLIMIT_AS`, `ulimit -v`).
    AddressSpace,
    /// Private writable memory (`RLIMIT_DATA`, `ulimit -d`).
    Data,
}

/// The soft limit of `resource`, in bytes; `None` = unlimited.
pub fn soft_limit(resource: Resource) -> Option<usize> {
    let number = match resource {
        Resource::AddressSpace => libc::RLIMIT_AS,
        Resource::Data => libc::RLIMIT_DATA,
    };
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
    // SAFETY: prlimit64(2) writes one rlimit, which lives on our stack.
    let _ = unsafe {
        call(libc::SYS_prlimit64, [0, number as usize, 0, &raw mut limit as usize, 0, 0])
    };
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur as usize)
}

/// Bytes of physical memory; 0 = unknown.
pub fn physical_memory() -> usize {
    // SAFETY: all-zero is a valid `sysinfo`.
    let mut info: libc::sysinfo = unsafe { core::mem::zeroed() };
    // SAFETY: sysinfo(2) writes one structure, which lives on our stack.
    match unsafe { call(libc::SYS_sysinfo, [&raw mut info as usize, 0, 0, 0, 0, 0]) } {
        Ok(_) => (info.totalram as usize).saturating_mul((info.mem_unit as usize).max(1)),
        Err(_) => 0,
    }
}

/// Bytes that count against [`Resource::AddressSpace`] and [`Resource::Data`]
/// now (the latter with the stack, which the kernel does not count).
pub fn in_use() -> Option<(usize, usize)> {
    let mut buffer = [0; 128];
    let text = read_file(b"/proc/thread-self/statm\0", &mut buffer).ok()?;
    let pages = |index: usize| {
        let word = text.trim_ascii_end().split(|&byte| byte == b' ').nth(index)?;
        crate::units::parse_size(word).map(|pages| pages as usize * OS_PAGE)
    };
    Some((pages(0)?, pages(5)?))
}

/// Bytes of memory that a forked copy of this process shares with it until one
/// of them writes (proc_pid_statm(5): resident, less the pages of files).
pub fn private_bytes() -> Option<usize> {
    let mut buffer = [0; 128];
    let text = read_file(b"/proc/thread-self/statm\0", &mut buffer).ok()?;
    let mut words = text.trim_ascii_end().split(|&byte| byte == b' ').skip(1);
    let mut pages = || words.next().and_then(crate::units::parse_size);
    let (resident, shared) = (pages()?, pages()?);
    Some(resident.saturating_sub(shared) as usize * OS_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_less_than_there_is() {
        let (space, data) = in_use().unwrap();
        assert!(data > 0 && data <= space);
        assert!(physical_memory() > 16 << 20);
    }

    #[test]
    fn a_limit_that_the_kernel_states_is_read() {
        let mut wanted = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: getrlimit(2) writes one rlimit, which lives on our stack.
        unsafe { libc::getrlimit(libc::RLIMIT_DATA, &raw mut wanted) };
        let expected = (wanted.rlim_cur != libc::RLIM_INFINITY).then_some(wanted.rlim_cur as usize);
        assert_eq!(soft_limit(Resource::Data), expected);
    }
}
