//! Requests that cannot have been meant: overflowing products, sizes no object
//! can have, alignments that are none.
//!
//! Each gets the right error code and is remembered by its call site; the
//! records are written once a site, with their counts, when the process ends
//! or is about to: at exit, before an abort, at a fatal fault. Programs that
//! probe limits on purpose go on undisturbed.
//!
//! Invariant: bounded: sites beyond [`SITES`] are counted, not kept. A site is
//! the return address together with the kind.

use super::lifecycle::ensure_started;
use super::runtime::REPORTER;
use crate::heap;
use crate::report::{Warning, WarningKind};
use crate::sync::atomics::{
    AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::trace::Entry;
use crate::units::{StackId, Text, WINDOW};
use core::fmt::{self, Write};

/// Call sites that are remembered.
const SITES: usize = 128;

/// A request as the programmer wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    Malloc(usize),
    Calloc(usize, usize),
    Realloc(usize),
    /// Alignment and size, as in the rest of the aligned family.
    AlignedAlloc(usize, usize),
    Memalign(usize, usize),
    PosixMemalign(usize, usize),
    Valloc(usize),
    Pvalloc(usize),
    New(usize),
    NewArray(usize),
}

/// A number as the programmer most likely wrote it: above half the range it
/// was a negative one.
struct Written(usize);

impl fmt::Display for Written {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0 as isize)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = Written;
        match *self {
            Call::Malloc(size) => write!(out, "malloc({})", written(size)),
            Call::Calloc(count, each) => {
                write!(out, "calloc({}, {})", written(count), written(each))
            }
            Call::Realloc(size) => write!(out, "realloc(pointer, {})", written(size)),
            Call::AlignedAlloc(alignment, size) => {
                write!(out, "aligned_alloc({}, {})", written(alignment), written(size))
            }
            Call::Memalign(alignment, size) => {
                write!(out, "memalign({}, {})", written(alignment), written(size))
            }
            Call::PosixMemalign(alignment, size) => {
                write!(out, "posix_memalign(&pointer, {}, {})", written(alignment), written(size))
            }
            Call::Valloc(size) => write!(out, "valloc({})", written(size)),
            Call::Pvalloc(size) => write!(out, "pvalloc({})", written(size)),
            Call::New(size) => write!(out, "operator new({})", written(size)),
            Call::NewArray(size) => write!(out, "operator new[]({})", written(size)),
        }
    }
}

impl Call {
    /// As three words, for the table.
    fn pack(self) -> [usize; 3] {
        match self {
            Call::Malloc(a) => [0, a, 0],
            Call::Calloc(a, b) => [1, a, b],
            Call::Realloc(a) => [2, a, 0],
            Call::AlignedAlloc(a, b) => [3, a, b],
            Call::Memalign(a, b) => [4, a, b],
            Call::PosixMemalign(a, b) => [5, a, b],
            Call::Valloc(a) => [6, a, 0],
            Call::Pvalloc(a) => [7, a, 0],
            Call::New(a) => [8, a, 0],
            Call::NewArray(a) => [9, a, 0],
        }
    }

    fn unpack([which, a, b]: [usize; 3]) -> Call {
        match which {
            0 => Call::Malloc(a),
            1 => Call::Calloc(a, b),
            2 => Call::Realloc(a),
            3 => Call::AlignedAlloc(a, b),
            4 => Call::Memalign(a, b),
            5 => Call::PosixMemalign(a, b),
            6 => Call::Valloc(a),
            7 => Call::Pvalloc(a),
            8 => Call::New(a),
            _ => Call::NewArray(a),
        }
    }
}

/// One call site. `key` is claimed first; `stack` is written last before
/// `count` becomes more than 0.
struct Site {
    /// Return address << 2 | kind; 0 = unused.
    key: AtomicUsize,
    count: AtomicU64,
    /// How many of `count` were reported.
    told: AtomicU64,
    stack: AtomicU32,
    call: [AtomicUsize; 3],
}

static TABLE: [Site; SITES] = [const {
    Site {
        key: AtomicUsize::new(0),
        count: AtomicU64::new(0),
        told: AtomicU64::new(0),
        stack: AtomicU32::new(0),
        call: [const { AtomicUsize::new(0) }; 3],
    }
}; SITES];

const fn number(kind: WarningKind) -> usize {
    match kind {
        WarningKind::CallocOverflow => 1,
        WarningKind::AllocationSizeTooBig => 2,
        WarningKind::InvalidAlignment | WarningKind::StackMismatch => 3,
    }
}

const fn kind_of(key: usize) -> WarningKind {
    match key & 3 {
        1 => WarningKind::CallocOverflow,
        2 => WarningKind::AllocationSizeTooBig,
        _ => WarningKind::InvalidAlignment,
    }
}

/// Remembers a refused request whose size no object can have: above PTRDIFF_MAX
/// (then it was most likely a negative number), or above all addresses of the
/// heap, however much memory there were.
pub(super) fn check_size(size: usize, call: Call, entry: Entry) {
    if size > WINDOW {
        warn(WarningKind::AllocationSizeTooBig, call, entry);
    }
}

/// Remembers a refused alignment.
#[cold]
#[inline(never)]
pub(super) fn bad_alignment(call: Call, entry: Entry) {
    ensure_started();
    warn(WarningKind::InvalidAlignment, call, entry);
}

/// Remembers a refused request.
#[cold]
#[inline(never)]
pub(super) fn warn(kind: WarningKind, call: Call, entry: Entry) {
    // SAFETY: malloc's caller pushed its return address at `entry.sp`
    // (System V psABI x86-64, 3.2.2), so the word is there.
    let caller = unsafe { (entry.sp as *const usize).read_volatile() };
    let key = caller << 2 | number(kind);
    for step in 0..SITES {
        let site =
            &TABLE[(caller.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).wrapping_add(step) % SITES];
        let claimed = match site.key.load(Relaxed) {
            0 => site.key.compare_exchange(0, key, AcqRel, Acquire),
            other => Err(other),
        };
        match claimed {
            Ok(_) => {
                site.stack.store(heap::capture(entry).0, Relaxed);
                for (place, word) in site.call.iter().zip(call.pack()) {
                    place.store(word, Relaxed);
                }
                site.count.fetch_add(1, Release);
                return;
            }
            Err(other) if other == key => {
                site.count.fetch_add(1, Release);
                return;
            }
            Err(_) => {}
        }
    }
}

/// Writes the records of sites that have not been told of.
pub(super) fn flush() {
    super::stack_check::tell();
    for site in &TABLE {
        let count = site.count.load(Acquire);
        if count == 0 || site.told.swap(count, Relaxed) != 0 {
            continue;
        }
        let mut buffer = [0; 128];
        let mut message = Text::new(&mut buffer);
        let words = [0, 1, 2].map(|index: usize| site.call[index].load(Relaxed));
        let _ = write!(message, "{}", Call::unpack(words));
        REPORTER.warning(&Warning {
            kind: kind_of(site.key.load(Relaxed)),
            message: message.as_str(),
            stack: StackId(site.stack.load(Relaxed)),
            count,
        });
    }
}

/// In a forked child: what the parent did is the parent's to tell.
pub(super) fn after_fork_in_child() {
    super::stack_check::after_fork_in_child();
    for site in &TABLE {
        site.told.store(site.count.load(Relaxed), Relaxed);
    }
}
