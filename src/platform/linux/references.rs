//! References: which pages the process has read or written lately, as the
//! processor notes it in the page tables (proc_pid_clear_refs(5),
//! proc_pid_smaps(5)).
//!
//! No system call of the program fails or slows down because of it, and it
//! needs no right beyond one's own /proc. The kernel tells how much of a
//! mapping was referenced, not which pages: who wants to know of one page makes
//! it a mapping of its own for as long as it takes to ask.
//!
//! Invariant: contents and rights of no page change.

use super::files::{File, write};
use super::maps;
use super::syscall::call;
use crate::platform::{Host, OsError, Platform};
use crate::units::OS_PAGE;

/// Forgets for all anonymous pages of the process that they were referenced.
pub fn forget() -> Result<(), OsError> {
    let file = File::open(b"/proc/thread-self/clear_refs\0", libc::O_WRONLY, 0)?;
    write(file.descriptor(), b"2")?;
    flush_translations();
    Ok(())
}

/// What a processor keeps in its translation buffer it does not note again.
/// Unmapping more pages than are flushed one by one (33 on x86) empties it.
fn flush_translations() {
    const PAGES: usize = 64;
    let Ok(start) = Host::map(PAGES * OS_PAGE) else { return };
    for page in 0..PAGES {
        // SAFETY: inside the mapping just made.
        unsafe { start.as_ptr().add(page * OS_PAGE).write_volatile(1) };
    }
    // SAFETY: made above and used by nobody else.
    let _ = unsafe { Host::unmap(start.as_ptr() as usize, PAGES * OS_PAGE) };
}

/// Makes a page a mapping of its own, or again a part of the one around it, by
/// advice on how a file would be read ahead, which anonymous memory ignores.
pub fn set_apart(page: usize, apart: bool) -> bool {
    // Neighbours of one advice would be one mapping.
    let advice = match apart {
        false => libc::MADV_NORMAL,
        true if (page / OS_PAGE).is_multiple_of(2) => libc::MADV_RANDOM,
        true => libc::MADV_SEQUENTIAL,
    };
    // SAFETY: madvise(2) with an advice that changes no contents and no rights.
    unsafe { call(libc::SYS_madvise, [page, OS_PAGE, advice as usize, 0, 0, 0]) }.is_ok()
}

/// One mapping, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct References {
    /// First address.
    pub start: usize,
    /// First address after it.
    pub end: usize,
    /// In memory.
    pub resident: usize,
    /// Of that: referenced since [`forget`].
    pub referenced: usize,
    /// Swapped out.
    pub swapped: usize,
}

/// Calls `visit` with each mapping of the process.
pub fn for_each(mut visit: impl FnMut(&References)) -> Result<(), OsError> {
    let file = File::open(b"/proc/thread-self/smaps\0", libc::O_RDONLY, 0)?;
    let mut found = References::default();
    file.for_each_line(|line| {
        // Addresses are in small letters, names begin with a capital.
        if !line.first().is_some_and(u8::is_ascii_uppercase) {
            if found.end != 0 {
                visit(&found);
            }
            found = References::default();
            if let Some(mapping) = maps::parse(line) {
                (found.start, found.end) = (mapping.start, mapping.end);
            }
        } else if let Some(bytes) = amount(line, b"Rss:") {
            found.resident = bytes;
        } else if let Some(bytes) = amount(line, b"Referenced:") {
            found.referenced = bytes;
        } else if let Some(bytes) = amount(line, b"Swap:") {
            found.swapped = bytes;
        }
        true
    })?;
    if found.end != 0 {
        visit(&found);
    }
    Ok(())
}

/// `Rss:     12 kB` in bytes.
fn amount(line: &[u8], name: &[u8]) -> Option<usize> {
    let digits = line.strip_prefix(name)?.trim_ascii_start();
    let digits = digits.strip_suffix(b" kB")?;
    let value = digits.iter().try_fold(0usize, |value, &digit| {
        digit.is_ascii_digit().then(|| value.wrapping_mul(10) + usize::from(digit - b'0'))
    })?;
    Some(value * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_the_kernel_writes_them() {
        assert_eq!(amount(b"Referenced:           12 kB", b"Referenced:"), Some(12 << 10));
        assert_eq!(amount(b"Rss:                   0 kB", b"Rss:"), Some(0));
        assert_eq!(amount(b"VmFlags: rd wr mr", b"Rss:"), None);
        assert_eq!(amount(b"Swap:  x kB", b"Swap:"), None);
    }

    #[test]
    fn a_page_that_is_used_is_told_from_one_that_is_not() {
        let pages = 8;
        let start = Host::map(pages * OS_PAGE).unwrap().as_ptr() as usize;
        Host::advise_huge(start, pages * OS_PAGE, false);
        // SAFETY: inside the mapping just made.
        let touch = |page: usize| unsafe {
            ((start + page * OS_PAGE) as *mut u8).write_volatile(1);
        };
        (0..pages).for_each(touch);
        if forget().is_err() {
            return; // not in this sandbox
        }
        [2, 3, 6].into_iter().for_each(touch);
        assert!((1..7).all(|page| set_apart(start + page * OS_PAGE, true)));
        let mut used = [false; 8];
        let mut seen = 0;
        for_each(|found| {
            let page = found.start.wrapping_sub(start) / OS_PAGE;
            if page < pages && found.end - found.start == OS_PAGE {
                seen += 1;
                assert_eq!(found.resident, OS_PAGE);
                used[page] = found.referenced > 0;
            }
        })
        .unwrap();
        assert!(seen >= 6, "{seen}");
        assert_eq!(used, [false, false, true, true, false, false, true, false]);
        assert!((1..7).all(|page| set_apart(start + page * OS_PAGE, false)));
        // SAFETY: made above, not used any more.
        unsafe { Host::unmap(start, pages * OS_PAGE) }.unwrap();
    }
}
