//! Address space kept back for the report of its end.
//!
//! Names come from a child process through a mapping that both share. Where
//! `ulimit -v` counts every mapping, that one would be refused just when it is
//! wanted; so its room is held from the start, and let go for the report.

use crate::platform::linux::limits::{self, Resource};
use crate::platform::{Host, Platform};
use crate::sync::atomics::{AtomicUsize, Ordering::Relaxed};
use crate::units::{KIB, OS_PAGE, align_down};

static START: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// Holds the room, where a limit on mappings is in force; best effort.
pub fn hold() {
    let limits = [Resource::AddressSpace, Resource::Data].map(limits::soft_limit);
    let Some(limit) = limits.into_iter().flatten().min() else { return };
    if START.load(Relaxed) != 0 {
        return;
    }
    let bytes = align_down((limit / 32).clamp(384 * KIB, 2560 * KIB), OS_PAGE);
    if let Ok(start) = Host::map(bytes) {
        BYTES.store(bytes, Relaxed);
        START.store(start.as_ptr() as usize, Relaxed);
    }
}

/// Lets the room go.
pub fn release() {
    let start = START.swap(0, Relaxed);
    if start != 0 {
        // SAFETY: mapped by `hold` with these bytes, used by nobody, and only
        // one thread gets its address out of `START`.
        let _ = unsafe { Host::unmap(start, BYTES.load(Relaxed)) };
    }
}
