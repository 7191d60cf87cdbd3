//! Where a stack lies: the addresses above `sp` that may be read.
//!
//! A thread's own ("home") stack ends where its thread control block begins
//! (both C libraries place it at the top of a pthread's stack) or, for the
//! first thread, where the kernel's `[stack]` mapping ends; it stays readable
//! as long as the thread lives. Any other stack (signal stack, fibre) is
//! foreign: it may be unmapped between two captures.
//!
//! Invariant: raw system calls only, nothing allocated, under 1 KiB of stack
//! (a signal stack may have no more than 2 KiB).

use crate::platform::linux::{auxv, files::File, syscall::call};
use core::ops::ControlFlow;

/// Addresses `low..high`, readable from any live stack pointer inside up to `high`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct StackRange {
    /// The lowest stack pointer that belongs to it.
    pub low: usize,
    /// First address after it; 0 means an empty range.
    pub high: usize,
}

/// What kind of stack an address is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stack {
    /// The thread's own.
    Home(StackRange),
    /// A signal stack, a fibre's, or one that cannot be told.
    Foreign(StackRange),
}

/// The largest stack that is believed of the first thread when its limit is
/// larger or missing.
const LARGEST_FIRST_STACK: usize = 1 << 30;

impl StackRange {
    /// Whether `address` lies inside.
    #[inline]
    pub fn contains(&self, address: usize) -> bool {
        // One compare: low ≤ address < high.
        address.wrapping_sub(self.low) < self.high.wrapping_sub(self.low)
    }
}

/// The stack that holds `sp`; `None` when the kernel does not say.
pub fn find(sp: usize) -> Option<Stack> {
    let range = mapping_of(sp)?;
    let control_block = thread_control_block();
    if range.contains(control_block) && control_block > sp {
        return Some(Stack::Home(StackRange { low: range.low, high: control_block & !7 }));
    }
    // AT_RANDOM points into the first thread's initial stack.
    let first = auxv::auxiliary(libc::AT_RANDOM).unwrap_or(0) as usize;
    if range.contains(first) && first > sp {
        let low = range.high.saturating_sub(first_stack_limit()).min(range.low);
        return Some(Stack::Home(StackRange { low, high: range.high }));
    }
    Some(Stack::Foreign(range))
}

fn first_stack_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let stack = libc::RLIMIT_STACK as usize;
    // SAFETY: prlimit64(2) on ourselves writes one rlimit, on our stack.
    let _ = unsafe { call(libc::SYS_prlimit64, [0, stack, 0, &raw mut limit as usize, 0, 0]) };
    (limit.rlim_cur as usize).min(LARGEST_FIRST_STACK)
}

/// The address of this thread's control block: its first word points to itself
/// (ELF Handling For Thread-Local Storage, 3.4.6, variant II).
fn thread_control_block() -> usize {
    let block: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads the first word of the thread control block, which every
    // thread with thread-local storage has.
    unsafe {
        core::arch::asm!("mov {block}, qword ptr fs:[0]", block = out(reg) block,
            options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        block = 0;
    }
    block
}

/// `struct procmap_query` of `<linux/fs.h>` (Linux 6.11).
#[repr(C)]
#[derive(Default)]
struct MappingQuery {
    size: u64,
    query_flags: u64,
    query_address: u64,
    start: u64,
    end: u64,
    flags: u64,
    page_size: u64,
    offset: u64,
    inode: u64,
    device: [u32; 2],
    name_size: u32,
    build_id_size: u32,
    name_address: u64,
    build_id_address: u64,
}

/// `_IOWR('f', 17, struct procmap_query)`.
const PROCMAP_QUERY: usize = 0xc068_6611;
/// `PROCMAP_QUERY_VMA_READABLE`, both as a condition and in the answer.
const READABLE: u64 = 1;
/// Adjoining mappings that are taken as one stack.
const ADJOINING: usize = 16;

fn mapping_of(address: usize) -> Option<StackRange> {
    let maps = File::open(b"/proc/thread-self/maps\0", libc::O_RDONLY, 0).ok()?;
    let Some(mut range) = ask(&maps, address) else { return read(&maps, address) };
    for _ in 0..ADJOINING {
        match ask(&maps, range.high) {
            Some(next) if next.low == range.high => range.high = next.high,
            _ => break,
        }
    }
    Some(range)
}

fn ask(maps: &File, address: usize) -> Option<StackRange> {
    let mut query = MappingQuery {
        size: size_of::<MappingQuery>() as u64,
        query_flags: READABLE,
        query_address: address as u64,
        ..Default::default()
    };
    let arguments = [maps.descriptor() as usize, PROCMAP_QUERY, &raw mut query as usize, 0, 0, 0];
    // SAFETY: the kernel reads and writes one query structure of the size it names.
    unsafe { call(libc::SYS_ioctl, arguments) }.ok()?;
    Some(StackRange { low: query.start as usize, high: query.end as usize })
}

/// The same from the text of the map, for older kernels.
fn read(maps: &File, address: usize) -> Option<StackRange> {
    let mut lines = Lines { wanted: address, found: None, number: [0; 2], field: 0 };
    let mut buffer = [0u8; 512];
    loop {
        let length = maps.read(&mut buffer).ok()?;
        if length == 0 || lines.feed(&buffer[..length]).is_break() {
            return lines.found;
        }
    }
}

/// Reads `start-end r…` from each line and merges what adjoins.
struct Lines {
    wanted: usize,
    found: Option<StackRange>,
    number: [usize; 2],
    /// 0: start, 1: end, 2: permissions, 3: the rest of the line.
    field: u8,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        for &byte in bytes {
            match (self.field, byte) {
                (_, b'\n') => (self.field, self.number) = (0, [0; 2]),
                (0, b'-') | (1, b' ') => self.field += 1,
                (0 | 1, digit) => {
                    let number = &mut self.number[usize::from(self.field)];
                    let digit = (digit as char).to_digit(16).unwrap_or(0) as usize;
                    *number = *number << 4 | digit;
                }
                (2, readable) => {
                    self.field = 3;
                    self.line(readable == b'r')?;
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn line(&mut self, readable: bool) -> ControlFlow<()> {
        let [low, high] = self.number;
        match &mut self.found {
            Some(range) if readable && range.high == low => range.high = high,
            Some(_) => return ControlFlow::Break(()),
            None if readable && (low..high).contains(&self.wanted) => {
                self.found = Some(StackRange { low, high });
            }
            None => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> usize {
        let local = 0u8;
        &raw const local as usize
    }

    #[test]
    fn a_thread_is_at_home() {
        std::thread::spawn(|| {
            let Some(Stack::Home(range)) = find(here()) else { panic!("not at home") };
            assert!(range.contains(here()));
            assert!(range.high - range.low >= 1 << 20);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn memory_from_the_heap_is_foreign() {
        let block = std::vec![0u8; 1 << 16];
        let inside = block.as_ptr() as usize + (1 << 15);
        assert!(matches!(find(inside), Some(Stack::Foreign(range)) if range.contains(inside)));
        assert_eq!(find(8), None);
    }

    #[test]
    fn question_and_text_agree() {
        let maps = File::open(b"/proc/self/maps\0", libc::O_RDONLY, 0).unwrap();
        let text = read(&maps, here()).unwrap();
        assert!(text.contains(here()));
        if let Some(asked) = ask(&maps, here()) {
            assert!(asked.low >= text.low && asked.high <= text.high);
        }
        let mut lines = Lines { wanted: 0x1800, found: None, number: [0; 2], field: 0 };
        let text = b"1000-2000 rw-p 0 0:0 0\n2000-3000 r--p 0\n3000-4000 ---p 0\n";
        for byte in text {
            if lines.feed(&[*byte]).is_break() {
                break;
            }
        }
        assert_eq!(lines.found, Some(StackRange { low: 0x1000, high: 0x3000 }));
    }

    #[test]
    fn an_empty_range_contains_nothing() {
        for address in [0, 1, 8, usize::MAX] {
            assert!(!StackRange::default().contains(address));
        }
    }
}
