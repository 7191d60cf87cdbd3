//! Mappings: what is mapped where, read once per check, so that the scan
//! touches nothing it cannot read; and which pages of it were ever touched.

use super::modules::Modules;
use super::room::Room;
use super::scratch::{Scratch, Table, Zeroed};
use crate::memory::Window;
use crate::platform::OsError;
use crate::platform::linux::files::File;
use crate::platform::linux::maps;
use crate::platform::linux::syscall::call;
use crate::units::{MIB, OS_PAGE, align_down, align_up};

/// What a mapping is to a leak check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// May not be read, or is a device's, a file's, the kernel's.
    Other,
    /// Anonymous, readable and writable: may hold pointers.
    Anonymous,
    /// The main thread's stack.
    MainStack,
    /// May not be accessed at all: a guard.
    Guard,
}

/// One line of the memory map.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// First address.
    pub start: usize,
    /// First address after it.
    pub end: usize,
    /// Whether it can be read without touching a device.
    pub is_readable: bool,
    /// Whether it is a file's: pages beyond the file's end raise SIGBUS.
    pub is_file: bool,
    /// Whether it is a file's and cannot be written: code, constants, vtables.
    pub is_constant: bool,
    /// What it is.
    pub usage: Use,
}

// SAFETY: integers, a bool that zero makes false, and an enum whose first
// variant is zero.
unsafe impl Zeroed for Mapping {}

/// The memory map, sorted by address.
pub struct Mappings<'s> {
    table: Table<'s, Mapping>,
}

impl<'s> Mappings<'s> {
    /// Reads the map of the process as it is now.
    pub fn read(scratch: &'s Scratch, room: &Room) -> Result<Mappings<'s>, OsError> {
        let mut table = Table::new(scratch, room.mappings);
        maps::for_each(|line| {
            let is_main_stack = line.path.starts_with(b"[stack");
            let is_anonymous = line.inode == 0
                && (line.path.is_empty()
                    || line.path == b"[heap]"
                    || line.path.starts_with(b"[anon"))
                || line.path.starts_with(b"/dev/zero");
            let is_memory = is_anonymous || is_main_stack;
            let is_file = line.inode != 0
                && line.path.starts_with(b"/")
                && (!line.path.starts_with(b"/dev/") || line.path.starts_with(b"/dev/shm/"));
            let usage = if !line.readable && !line.writable && !line.executable {
                Use::Guard
            } else if is_main_stack {
                Use::MainStack
            } else if is_anonymous && line.readable && line.writable {
                Use::Anonymous
            } else {
                Use::Other
            };
            table.push(Mapping {
                start: line.start,
                end: line.end,
                is_readable: line.readable && (is_memory || is_file),
                is_file,
                is_constant: line.readable && !line.writable && !line.shared && is_file,
                usage,
            });
            true
        })?;
        Ok(Mappings { table })
    }

    /// What must be mapped where there is no /proc: the modules' segments, the
    /// heap, and around each of `points` what the kernel does not deny.
    pub fn guess(
        scratch: &'s Scratch,
        room: &Room,
        modules: &Modules<'_>,
        points: &[usize],
    ) -> Mappings<'s> {
        let mut table = Table::new(scratch, room.mappings);
        let mut add = |start: usize, end: usize, usage| {
            if start < end {
                table.push(Mapping {
                    start,
                    end,
                    is_readable: true,
                    is_file: false,
                    is_constant: false,
                    usage,
                });
            }
        };
        for segment in modules.segments() {
            add(align_down(segment.start, OS_PAGE), align_up(segment.end, OS_PAGE), Use::Other);
        }
        for &point in points {
            let page = align_down(point, OS_PAGE);
            if !Window::contains(point) && is_mapped(page) {
                const FAR: usize = 2048 * OS_PAGE;
                let end = (page..page + FAR).step_by(OS_PAGE).find(|&page| !is_mapped(page));
                add(page, end.unwrap_or(page + FAR), Use::MainStack);
            }
        }
        add(Window::base(), Window::base() + Window::extent(), Use::Other);
        let slice = table.as_mut_slice();
        slice.sort_unstable_by_key(|mapping| mapping.start);
        let mut end = 0;
        for mapping in slice {
            mapping.start = mapping.start.max(end);
            mapping.end = mapping.end.max(mapping.start);
            end = mapping.end;
        }
        Mappings { table }
    }

    /// All of them, by address.
    pub fn as_slice(&self) -> &[Mapping] {
        self.table.as_slice()
    }

    /// How many did not fit.
    pub fn dropped(&self) -> usize {
        self.table.dropped()
    }

    /// The mapping that holds `address`.
    pub fn find(&self, address: usize) -> Option<&Mapping> {
        let table = self.as_slice();
        let after = table.partition_point(|mapping| mapping.start <= address);
        table.get(after.checked_sub(1)?).filter(|mapping| address < mapping.end)
    }

    /// Calls `visit` with each readable part of `start..end`.
    pub fn readable(&self, start: usize, end: usize, mut visit: impl FnMut(usize, usize)) {
        let table = self.as_slice();
        let from = table.partition_point(|mapping| mapping.end <= start);
        for mapping in table[from..].iter().take_while(|mapping| mapping.start < end) {
            let (from, to) = (start.max(mapping.start), end.min(mapping.end));
            if mapping.is_readable && mapping.is_file {
                present_parts(from, to, &mut visit);
            } else if mapping.is_readable {
                visit(from, to);
            }
        }
    }

    /// Whether the eight bytes at `address` can be read.
    pub fn is_word_readable(&self, address: usize) -> bool {
        address.is_multiple_of(8) && self.find(address).is_some_and(|mapping| mapping.is_readable)
    }

    /// The word at `address`, if it can be read.
    pub fn word(&self, address: usize) -> Option<usize> {
        // SAFETY: aligned, and inside a readable mapping of memory.
        self.is_word_readable(address).then(|| unsafe { (address as *const usize).read_volatile() })
    }
}

/// Calls `visit` with the parts of a file's mapping whose pages there are.
fn present_parts(from: usize, to: usize, visit: &mut impl FnMut(usize, usize)) {
    if populate(from, to) != Err(OsError(libc::EFAULT)) {
        return visit(from, to);
    }
    for page in (align_down(from, OS_PAGE)..to).step_by(OS_PAGE) {
        if populate(page, page + OS_PAGE) != Err(OsError(libc::EFAULT)) {
            visit(from.max(page), to.min(page + OS_PAGE));
        }
    }
}

/// Whether the kernel knows the page (mincore(2)).
fn is_mapped(page: usize) -> bool {
    let mut resident = 0u8;
    // SAFETY: the kernel writes one byte to our stack for one page.
    unsafe { call(libc::SYS_mincore, [page, 1, &raw mut resident as usize, 0, 0, 0]) }.is_ok()
}

/// Asks the kernel to map the range's pages for reading; `EFAULT` where that
/// would raise SIGBUS (madvise(2), `MADV_POPULATE_READ`, Linux 5.14).
fn populate(from: usize, to: usize) -> Result<usize, OsError> {
    const MADV_POPULATE_READ: usize = 22;
    let start = align_down(from, OS_PAGE);
    // SAFETY: changes no contents and no rights.
    unsafe { call(libc::SYS_madvise, [start, to - start, MADV_POPULATE_READ, 0, 0, 0]) }
}

/// Ranges up to this size are read whole.
const SMALL: usize = MIB;

/// Pages that hold something: reading a page that was never touched would
/// make the kernel map a page of zeros for it, and sparse ranges of many GiB
/// are not rare.
pub struct Touched(Option<File>);

impl Touched {
    /// Takes every page as touched.
    pub const fn unknown() -> Touched {
        Touched(None)
    }

    /// Opens the kernel's page map (proc_pid_pagemap(5)).
    pub fn open() -> Touched {
        Touched(File::open(b"/proc/thread-self/pagemap\0", libc::O_RDONLY, 0).ok())
    }

    /// The first touched part of `from..end`.
    pub fn next(&self, from: usize, end: usize) -> Option<(usize, usize)> {
        let mut found = None;
        self.visit(from, end, |start, stop| {
            found = Some((start, stop));
            false
        });
        found
    }

    /// Calls `visit` with the parts of `start..end` that were ever touched
    /// (all of it when it is small or the kernel does not tell).
    pub fn for_each(&self, start: usize, end: usize, mut visit: impl FnMut(usize, usize)) {
        self.visit(start, end, |from, to| {
            visit(from, to);
            true
        });
    }

    fn visit(&self, start: usize, end: usize, mut visit: impl FnMut(usize, usize) -> bool) {
        let Some(file) = self.0.as_ref().filter(|_| end.saturating_sub(start) > SMALL) else {
            if start < end {
                visit(start, end);
            }
            return;
        };
        const PAGES: usize = 1024;
        let mut entries = [0u64; PAGES];
        let mut page = align_down(start, OS_PAGE);
        while page < end {
            let count = (end - page).div_ceil(OS_PAGE).min(PAGES);
            // SAFETY: the kernel writes at most `count * 8` bytes into the
            // array, which has room for them.
            let read = unsafe {
                call(
                    libc::SYS_pread64,
                    [
                        file.descriptor() as usize,
                        entries.as_mut_ptr() as usize,
                        count * 8,
                        page / OS_PAGE * 8,
                        0,
                        0,
                    ],
                )
            };
            if read != Ok(count * 8) {
                visit(start.max(page), end);
                return;
            }
            // Bit 63: present; bit 62: swapped out.
            let mut run = None;
            for (index, entry) in entries[..count].iter().chain([&0]).enumerate() {
                let address = page + index * OS_PAGE;
                match (entry >> 62 != 0, run) {
                    (true, None) => run = Some(address),
                    (false, Some(from)) => {
                        if !visit(start.max(from), end.min(address)) {
                            return;
                        }
                        run = None;
                    }
                    _ => {}
                }
            }
            page += count * OS_PAGE;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::platform::{Host, Platform};

    #[test]
    fn knows_readable_memory_and_leaves_out_the_rest() {
        let scratch = Scratch::new(Room::AMPLE.bytes_to_read()).unwrap();
        let mappings = Mappings::read(&scratch, &Room::AMPLE).unwrap();
        let local = 77usize;
        assert_eq!(mappings.word(&raw const local as usize), Some(77));
        assert_eq!(mappings.word(8), None);
        let mut parts = 0;
        mappings.readable(0, 4096, |_, _| parts += 1);
        assert_eq!(parts, 0);
    }

    #[test]
    fn only_touched_pages_of_a_large_range_are_visited() {
        let start = Host::map(64 * MIB).unwrap().as_ptr() as usize;
        Host::advise_huge(start, 64 * MIB, false);
        for page in [3, 4, 9000] {
            // SAFETY: inside the mapping just made.
            unsafe { ((start + page * OS_PAGE) as *mut u64).write(1) };
        }
        let mut seen = std::vec::Vec::new();
        Touched::open().for_each(start + 8, start + 64 * MIB, |from, to| {
            seen.push(((from - start) / OS_PAGE, (to - from) / OS_PAGE));
        });
        assert_eq!(seen, [(3, 2), (9000, 1)]);
        // SAFETY: made above, not used any more.
        unsafe { Host::unmap(start, 64 * MIB) }.unwrap();
    }
}
