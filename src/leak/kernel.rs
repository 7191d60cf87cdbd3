//! What the kernel keeps for the program: the data of events that epoll
//! watches (epoll_ctl(2)) and the values that timers deliver (timer_create(2)).
//! A block whose address only the kernel has will come back with the event.
//!
//! Read before threads are held: it takes a while with many descriptors.

use super::room::Room;
use super::scratch::{Scratch, Table};
use crate::platform::OsError;
use crate::platform::linux::files::File;
use crate::platform::linux::syscall::call;

/// Descriptors above this number are not looked at.
const DESCRIPTORS: u32 = 1 << 20;

/// Words that the kernel will hand to the program.
pub struct KernelValues<'s> {
    values: Table<'s, usize>,
}

// SAFETY: an integer.
unsafe impl super::scratch::Zeroed for usize {}

impl<'s> KernelValues<'s> {
    /// Reads `/proc/self/timers` and the `fdinfo` of each epoll descriptor.
    /// What cannot be read holds nothing.
    pub fn read(scratch: &'s Scratch, room: &Room) -> KernelValues<'s> {
        let mut this = KernelValues { values: Table::new(scratch, room.kernel_values) };
        // "signal: 34/00007ffc01a3be68"
        this.read_lines(b"/proc/self/timers\0", |line| {
            let value = line.strip_prefix(b"signal: ")?;
            let slash = value.iter().position(|&byte| byte == b'/')?;
            hexadecimal(&value[slash + 1..])
        });
        let _ = for_each_descriptor(|descriptor| this.read_epoll(descriptor));
        this
    }

    /// The words.
    pub fn as_slice(&self) -> &[usize] {
        self.values.as_slice()
    }

    /// Words that found no room.
    pub fn dropped(&self) -> usize {
        self.values.dropped()
    }

    fn read_epoll(&mut self, descriptor: u32) {
        let mut path = [0u8; 40];
        let mut target = [0u8; 32];
        let link = numbered(b"/proc/thread-self/fd/", descriptor, &mut path);
        // SAFETY: the path is zero-terminated; the kernel writes at most the
        // target's length (readlink(2)).
        let result = unsafe {
            let here = libc::AT_FDCWD as usize;
            let (path, target) = (link.as_ptr() as usize, target.as_mut_ptr() as usize);
            call(libc::SYS_readlinkat, [here, path, target, 32, 0, 0])
        };
        let Ok(length) = result else { return };
        if &target[..length.min(32)] != b"anon_inode:[eventpoll]" {
            return;
        }
        // "tfd:        5 events:       19 data: 7f2a10000b60  pos:0 ino:…"
        self.read_lines(numbered(b"/proc/thread-self/fdinfo/", descriptor, &mut path), |line| {
            let at = line.windows(6).position(|window| window == b"data: ")? + 6;
            hexadecimal(line[at..].trim_ascii_start())
        });
    }

    /// Adds what `parse` finds in each line of a file.
    fn read_lines(&mut self, path: &[u8], parse: impl Fn(&[u8]) -> Option<usize>) {
        let Ok(file) = File::open(path, libc::O_RDONLY, 0) else { return };
        let mut buffer = [0u8; 4096];
        let mut filled = 0;
        while let Ok(bytes) = file.read(&mut buffer[filled..]) {
            filled += bytes;
            let mut start = 0;
            while let Some(length) = buffer[start..filled].iter().position(|&byte| byte == b'\n') {
                if let Some(value) = parse(&buffer[start..start + length]) {
                    self.values.push(value);
                }
                start += length + 1;
            }
            buffer.copy_within(start..filled, 0);
            filled -= start;
            if bytes == 0 || filled == buffer.len() {
                return;
            }
        }
    }
}

fn for_each_descriptor(mut visit: impl FnMut(u32)) -> Result<(), OsError> {
    super::tasks::for_each_number(b"/proc/thread-self/fd\0", |number| {
        if number < DESCRIPTORS {
            visit(number);
        }
    })
}

fn numbered<'a>(directory: &[u8], number: u32, path: &'a mut [u8; 40]) -> &'a [u8] {
    let mut length = directory.len();
    path[..length].copy_from_slice(directory);
    let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
    let mut rest = number;
    for place in (length..length + digits).rev() {
        path[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    length += digits;
    path[length] = 0;
    &path[..=length]
}

fn hexadecimal(text: &[u8]) -> Option<usize> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits == 0 || digits > 16 {
        return None;
    }
    text[..digits].iter().try_fold(0usize, |value, &digit| {
        (digit as char).to_digit(16).map(|digit| value << 4 | digit as usize)
    })
}
