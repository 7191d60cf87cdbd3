//! Address space kept back for reports and leak checks.
//!
//! Names come from a child process through a mapping that both share, and a
//! check needs tables. Where `ulimit -v` counts every mapping, those would be
//! refused just when they are wanted; so their room is held from the start, and
//! let go meanwhile. What the first report maps stays mapped, so checks have
//! room of their own.

use crate::platform::linux::limits::{self, Resource};
use crate::platform::{Host, Platform};
use crate::sync::atomics::{AtomicUsize, Ordering::Relaxed};
use crate::units::{KIB, MIB, OS_PAGE, align_down};

/// Room that is held while a limit on mappings is in force.
pub struct Reserve {
    start: AtomicUsize,
    bytes: AtomicUsize,
    /// Which part of the limit, and at most how many bytes.
    part: usize,
    most: usize,
}

/// For the names in a report.
pub static REPORT: Reserve = Reserve::new(32, 2560 * KIB);
/// For the tables of a leak check: they grow with the heap, to a hundredth of
/// it where blocks are small.
pub static CHECK: Reserve = Reserve::new(64, 64 * MIB);

impl Reserve {
    const fn new(part: usize, most: usize) -> Reserve {
        Reserve { start: AtomicUsize::new(0), bytes: AtomicUsize::new(0), part, most }
    }

    /// Holds the room, where a limit on mappings is in force; best effort.
    pub fn hold(&self) {
        let limits = [Resource::AddressSpace, Resource::Data].map(limits::soft_limit);
        let Some(limit) = limits.into_iter().flatten().min() else { return };
        if self.start.load(Relaxed) != 0 {
            return;
        }
        let bytes = align_down((limit / self.part).clamp(384 * KIB, self.most), OS_PAGE);
        if let Ok(start) = Host::map(bytes) {
            self.bytes.store(bytes, Relaxed);
            self.start.store(start.as_ptr() as usize, Relaxed);
        }
    }

    /// Lets the room go.
    pub fn release(&self) {
        let start = self.start.swap(0, Relaxed);
        if start != 0 {
            // SAFETY: mapped by `hold` with these bytes, used by nobody, and
            // only one thread gets its address out of `start`.
            let _ = unsafe { Host::unmap(start, self.bytes.load(Relaxed)) };
        }
    }
}
