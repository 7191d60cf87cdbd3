//! Room: how many entries the tables of one check can take.
//!
//! Ample tables cost address space only, some 35 MiB of it, and nothing has
//! to be counted first. Where that is refused (`ulimit -v`, `ulimit -d`, no
//! overcommit), what there is gets counted, and the tables are made to fit: a
//! few hundred KiB for a small program.
//!
//! Invariant: a table that turns out too small counts what it drops, so that
//! the summary says so.

use super::kernel::KernelValues;
use super::mappings::{Mapping, Mappings};
use super::modules::{Modules, Segment, ThreadLocal};
use super::roots::{Foreign, Root};
use super::scratch::Scratch;
use super::{annotations, sites, tasks, tree};
use crate::platform::OsError;

/// Entries by table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Lines of the memory map.
    pub mappings: usize,
    /// Writable segments of modules.
    pub segments: usize,
    /// Modules with thread-local storage.
    pub thread_locals: usize,
    /// Ranges that hold pointers.
    pub roots: usize,
    /// Anonymous mappings of the program's.
    pub foreign: usize,
    /// Words that the kernel keeps.
    pub kernel_values: usize,
    /// Records of leaks; a power of two.
    pub sites: usize,
    /// Sums of what leaks hold; a power of two.
    pub nodes: usize,
}

impl Room {
    /// For all but the strangest programs.
    pub const AMPLE: Room = Room {
        mappings: 80_000,
        segments: 16 * 1024,
        thread_locals: 8 * 1024,
        roots: 64 * 1024,
        foreign: 64 * 1024,
        kernel_values: 128 * 1024,
        sites: 1 << 16,
        nodes: 8192,
    };

    /// No entry at all: reading into such tables counts what there is.
    const NONE: Room = Room {
        mappings: 0,
        segments: 0,
        thread_locals: 0,
        roots: 0,
        foreign: 0,
        kernel_values: 0,
        sites: 0,
        nodes: 0,
    };

    /// For what there is now, and a quarter more.
    pub fn measured() -> Result<Room, OsError> {
        let nothing = Scratch::new(1)?;
        let counted = Modules::read(&nothing, &Room::NONE).dropped_by_table();
        let mappings = Mappings::read(&nothing, &Room::NONE).map_or(512, |read| read.dropped());
        let kernel_values = KernelValues::read(&nothing, &Room::NONE).dropped();
        let mut threads = 1;
        let mut regions = 0;
        let _ = tasks::for_each(|_| threads += 1);
        annotations::for_each_region(|_, _| regions += 1);
        let (segments, thread_locals) = counted;
        // A thread has registers, a stack, its own one below another, and TLS.
        let roots = segments + regions + mappings + threads * (5 + thread_locals);
        let more = |count: usize| count + count / 4 + 64;
        Ok(Room {
            mappings: more(mappings),
            segments: more(segments),
            thread_locals: more(thread_locals),
            roots: more(roots),
            foreign: more(mappings),
            kernel_values: more(kernel_values),
            sites: 512,
            nodes: 256,
        })
    }

    /// Bytes of scratch for what a check reads.
    pub fn bytes_to_read(&self) -> usize {
        const TABLES: usize = 6;
        self.mappings * size_of::<Mapping>()
            + self.segments * size_of::<Segment>()
            + self.thread_locals * size_of::<ThreadLocal>()
            + self.roots * size_of::<Root>()
            + self.foreign * size_of::<Foreign>()
            + self.kernel_values * size_of::<usize>()
            + TABLES * 64
    }

    /// Bytes of scratch for what it finds.
    pub fn bytes_to_find(&self) -> usize {
        sites::bytes_needed(self.sites) + tree::bytes_needed(self.nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_room_holds_what_there_is_and_is_far_smaller() {
        let room = Room::measured().unwrap();
        let scratch = Scratch::new(room.bytes_to_read()).unwrap();
        let modules = Modules::read(&scratch, &room);
        let mappings = Mappings::read(&scratch, &room).unwrap();
        assert_eq!((modules.dropped(), mappings.dropped()), (0, 0));
        assert!(modules.segments().len() > 1 && mappings.as_slice().len() > 5);
        let bytes = room.bytes_to_read() + room.bytes_to_find();
        assert!(bytes * 8 < Room::AMPLE.bytes_to_read() + Room::AMPLE.bytes_to_find());
    }
}
