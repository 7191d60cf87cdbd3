//! Modules: the writable segments of the program and its libraries, and the
//! sizes of their thread-local storage (dl_iterate_phdr(3)).
//!
//! Read before any thread is held, because the loader takes a lock for it.

use super::room::Room;
use super::scratch::{Scratch, Table, Zeroed};
use crate::platform::linux::own;
use crate::units::{OS_PAGE, align_down, align_up};
use core::ffi::{c_int, c_void};

/// A writable segment: initialised data and bss of a module.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// First address.
    pub start: usize,
    /// First address after it.
    pub end: usize,
}

// SAFETY: integers.
unsafe impl Zeroed for Segment {}

/// Thread-local storage of one module.
#[derive(Clone, Copy, Debug)]
pub struct ThreadLocal {
    /// The loader's number of the module: its place in the dtv.
    pub module: usize,
    /// Bytes of one thread's copy.
    pub bytes: usize,
}

// SAFETY: integers.
unsafe impl Zeroed for ThreadLocal {}

/// What the check knows of the loaded modules.
pub struct Modules<'s> {
    segments: Table<'s, Segment>,
    thread_locals: Table<'s, ThreadLocal>,
    seen: usize,
}

impl<'s> Modules<'s> {
    /// Reads the loader's list.
    pub fn read(scratch: &'s Scratch, room: &Room) -> Modules<'s> {
        let mut modules = Modules {
            segments: Table::new(scratch, room.segments),
            thread_locals: Table::new(scratch, room.thread_locals),
            seen: 0,
        };
        // SAFETY: the callback gets `modules` back, which outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut modules).cast()) };
        modules
    }

    /// Writable segments of all modules but the warden's own library.
    pub fn segments(&self) -> &[Segment] {
        self.segments.as_slice()
    }

    /// Bytes of `module`'s thread-local storage; 0 = unknown.
    pub fn thread_local_bytes(&self, module: usize) -> usize {
        let found = self.thread_locals.as_slice().iter().find(|local| local.module == module);
        found.map_or(0, |local| local.bytes)
    }

    /// Segments that found no room.
    pub fn dropped(&self) -> usize {
        let (segments, thread_locals) = self.dropped_by_table();
        segments + thread_locals
    }

    /// The same: segments, and thread-local storage.
    pub fn dropped_by_table(&self) -> (usize, usize) {
        (self.segments.dropped(), self.thread_locals.dropped())
    }
}

extern "C" fn visit(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
    // SAFETY: the loader passes a whole description whose headers stay mapped
    // while it holds its lock; `data` is the `Modules` of `read`.
    let (info, modules, headers) = unsafe {
        let info = &*info;
        let headers = if info.dlpi_phdr.is_null() {
            &[]
        } else {
            core::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum))
        };
        (info, &mut *data.cast::<Modules<'_>>(), headers)
    };
    let base = info.dlpi_addr as usize;
    let range = |header: &libc::Elf64_Phdr| {
        let start = base.wrapping_add(header.p_vaddr as usize);
        (start, start.saturating_add(header.p_memsz as usize))
    };
    let here = visit as *const () as usize;
    let is_program = modules.seen == 0;
    modules.seen += 1;
    // Our own library's data holds no pointer of the program's. Linked
    // statically, we are part of the program.
    let is_ours = !is_program
        && headers.iter().any(|header| {
            let (start, end) = range(header);
            header.p_type == libc::PT_LOAD && (start..end).contains(&here)
        });
    for header in headers {
        let (start, end) = range(header);
        if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W != 0 {
            if is_ours {
                // Its bss looks like anybody's anonymous memory.
                let start = align_down(start, OS_PAGE);
                own::note(start, align_up(end, OS_PAGE) - start);
            } else {
                modules.segments.push(Segment { start, end });
            }
        } else if header.p_type == libc::PT_TLS {
            let (module, bytes) = (info.dlpi_tls_modid, header.p_memsz as usize);
            modules.thread_locals.push(ThreadLocal { module, bytes });
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    static mut GLOBAL: usize = 5;

    #[test]
    fn a_global_lies_in_a_segment_and_the_programs_tls_has_a_size() {
        let scratch = Scratch::new(Room::AMPLE.bytes_to_read()).unwrap();
        let modules = Modules::read(&scratch, &Room::AMPLE);
        let address = &raw const GLOBAL as usize;
        let holds = |segment: &Segment| (segment.start..segment.end).contains(&address);
        assert!(modules.segments().iter().any(holds));
        assert!(modules.thread_local_bytes(1) > 0);
        assert_eq!(modules.dropped(), 0);
    }
}
