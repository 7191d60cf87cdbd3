//! The memory map of the process: `/proc/self/maps`, line by line
//! (proc_pid_maps(5)).

use super::files::File;
use crate::platform::OsError;

/// One line of the memory map.
#[derive(Clone, Copy, Debug)]
pub struct Mapping<'a> {
    /// First address.
    pub start: usize,
    /// First address after it.
    pub end: usize,
    /// May be read.
    pub readable: bool,
    /// May be written.
    pub writable: bool,
    /// Holds code.
    pub executable: bool,
    /// Shared with other processes (`MAP_SHARED`).
    pub shared: bool,
    /// Offset in the file behind it.
    pub offset: u64,
    /// Inode of the file; 0 for anonymous memory.
    pub inode: u64,
    /// Path, `[stack]`, `[heap]`, …, or empty.
    pub path: &'a [u8],
}

/// Calls `visit` for each mapping until it returns `false`.
pub fn for_each(mut visit: impl FnMut(Mapping<'_>) -> bool) -> Result<(), OsError> {
    // Not /proc/self: when the first thread has ended (pthread_exit from main),
    // its view of the memory is empty.
    let file = File::open(b"/proc/thread-self/maps\0", libc::O_RDONLY, 0)?;
    file.for_each_line(|line| parse(line).is_none_or(&mut visit))
}

pub(super) fn parse(line: &[u8]) -> Option<Mapping<'_>> {
    let mut words = line.splitn(6, |&byte| byte == b' ');
    let range = words.next()?;
    let dash = range.iter().position(|&byte| byte == b'-')?;
    let permissions = words.next()?;
    let offset = hexadecimal(words.next()?)?;
    let _device = words.next()?;
    let inode = words.next()?.iter().try_fold(0u64, |value, &digit| {
        digit.is_ascii_digit().then(|| value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')))
    })?;
    let has = |index: usize, letter: u8| permissions.get(index) == Some(&letter);
    Some(Mapping {
        start: hexadecimal(&range[..dash])? as usize,
        end: hexadecimal(&range[dash + 1..])? as usize,
        readable: has(0, b'r'),
        writable: has(1, b'w'),
        executable: has(2, b'x'),
        shared: has(3, b's'),
        offset,
        inode,
        path: words.next().unwrap_or_default().trim_ascii_start(),
    })
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, &digit| {
        (digit as char).to_digit(16).map(|digit| value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_this_stack_and_this_code() {
        let local = 0u8;
        let (stack, code) =
            (&raw const local as usize, finds_this_stack_and_this_code as *const () as usize);
        let (mut saw_stack, mut saw_code) = (false, false);
        for_each(|mapping| {
            let holds = |address| (mapping.start..mapping.end).contains(&address);
            saw_stack |= holds(stack) && mapping.writable && mapping.inode == 0;
            saw_code |= holds(code) && mapping.executable && mapping.path.starts_with(b"/");
            true
        })
        .unwrap();
        assert!(saw_stack && saw_code);
    }

    #[test]
    fn a_path_with_spaces_stays_whole() {
        let line = b"7f00-7f10 r--s 00001000 08:01 42                         /tmp/a b (deleted)";
        let mapping = parse(line).unwrap();
        assert_eq!((mapping.start, mapping.end, mapping.inode), (0x7f00, 0x7f10, 42));
        assert_eq!(mapping.path, b"/tmp/a b (deleted)");
        assert!(mapping.shared && !mapping.writable);
    }
}
