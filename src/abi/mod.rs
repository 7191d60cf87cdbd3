//! Abi: the doors that C and C++ programs come in by.
//!
//! - `shim`: the first instructions of malloc and its family
//! - `malloc`, `posix`, `glibc`, `cxx`: argument law and errno, a few lines each
//! - `lifecycle`: start, exit, fork; `loader`: dlclose
//! - `violations`, `leaks`: what the heap and the leak scan found, as reports;
//!   `findings`: a group of lost blocks as a record;
//!   `violation_text`: in words; `operators`: new and delete that are not ours,
//!   `bundled`: those of a libstdc++ inside the program
//! - `signals`, `faults`: faults that a block of ours explains
//! - `ledger_root`: where a tool outside the process begins to read
//! - `warnings`: requests that cannot have been meant
//! - `exhaustion`, `fail_site`: when memory runs out, and failing on purpose
//! - `own`, `own_exhaustion`: the `heapwarden_` functions; `runtime`: what a no_std library owes rustc
//!
//! Invariant: no exported function calls another (a compiler may fold malloc
//! and memset into calloc); errno changes only where C says so.

mod bundled;
mod cxx;
mod exhaustion;
mod fail_site;
mod faults;
mod findings;
mod glibc;
#[cfg(feature = "global")]
mod global;
mod holders;
mod leaks;
mod ledger_root;
mod lifecycle;
mod loader;
mod malloc;
mod operators;
#[allow(non_camel_case_types)] // C's names
pub mod own;
#[allow(non_camel_case_types)] // C's names
pub mod own_exhaustion;
mod own_pools;
mod posix;
mod runtime;
mod safe_place;
mod shim;
mod signals;
mod stack_check;
mod violation_text;
mod violations;
mod warnings;
mod watch;

#[cfg(feature = "global")]
pub use global::Heapwarden;
pub use runtime::{OPTIONS_BUFFER, REPORTER};
