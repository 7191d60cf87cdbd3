//! Units: small value types with checked arithmetic, and text in fixed buffers.
//!
//! Invariant: nothing here touches memory it was not handed, calls the
//! platform, or contains `unsafe`.

mod bits;
mod error_kinds;
mod ids;
mod leak_kinds;
mod text;

pub use bits::{align_down, align_up, byte_at, checked_align_up, is_aligned, ranges_overlap};
pub use error_kinds::ErrorKind;
pub use ids::{Family, StackId, ThreadNumber};
pub use leak_kinds::{LeakKind, LeakKinds};
pub use text::{Text, parse_size};

/// Bytes in an OS page on every platform the hosted heap supports.
pub const OS_PAGE: usize = 4096;
/// Bytes in a granule: the unit that the heap cuts its window into.
pub const GRANULE: usize = 64 * 1024;
/// Bytes of address space that the hosted heap's window spans.
#[cfg(target_pointer_width = "64")]
pub const WINDOW: usize = 1 << 40;
/// Bytes in a kibibyte.
pub const KIB: usize = 1 << 10;
/// Bytes in a mebibyte.
pub const MIB: usize = 1 << 20;
/// Bytes in a gibibyte.
pub const GIB: usize = 1 << 30;
/// The largest size any function of the malloc family may be asked for:
/// pointer differences must fit `ptrdiff_t` (C23 7.24.4, glibc ≥ 2.30).
pub const MAX_REQUEST: usize = isize::MAX as usize;
