//! A child process for work that may crash, hang or grow.
//!
//! Invariant: when [`run`] returns, the child is gone, and the program has
//! seen nothing of it: no signal, no zombie, no changed memory but the shared.

use crate::platform::linux::{process, shared};
use crate::platform::{Access, Host, OsError, Platform};
use crate::units::{MIB, OS_PAGE};
use core::sync::atomic::AtomicU32;

/// The child's stack: DWARF of hostile depth ends at its guard page.
const STACK_BYTES: usize = 8 * MIB;
/// How long a killed child may take to disappear, milliseconds.
const REAP_MS: u64 = 1000;

/// Runs `work` in a copy of this process that ends with it, for at most
/// `timeout_ms`. The reason if it did not come to its end.
pub fn run(timeout_ms: u64, work: &dyn Fn()) -> Result<(), &'static str> {
    let refused = "names are missing: no memory for naming them";
    let stack = Host::map(STACK_BYTES).map_err(|_| refused)?;
    let start = stack.as_ptr() as usize;
    // SAFETY: the lowest page of a mapping that is ours and not yet used.
    let _ = unsafe { Host::protect(start, OS_PAGE, Access::None) };
    let top = start + STACK_BYTES;
    let mut job = Job { work };
    // SAFETY: the stack is fresh and large, `child_main` never returns, and
    // `job` outlives the child, which has a copy of it.
    let result = unsafe { shared::fork_onto(top, child_main, (&raw mut job).cast()) };
    let outcome = match result {
        Ok(child) => wait(child, timeout_ms),
        Err(_) => Err("names are missing: a child process for naming them was refused"),
    };
    // SAFETY: the mapping is ours; the child had its own copy.
    let _ = unsafe { Host::unmap(start, STACK_BYTES) };
    outcome
}

struct Job<'a> {
    work: &'a dyn Fn(),
}

/// The child's first function.
extern "C" fn child_main(job: *mut u8) -> ! {
    shared::become_helper();
    #[cfg(any(feature = "abi", test))]
    super::arena_alloc::enter();
    // SAFETY: `run` passed a pointer to its job, of which this process has a
    // copy at the same address.
    let job = unsafe { &*job.cast::<Job<'_>>() };
    (job.work)();
    process::exit_now(0)
}

/// Waits until `child` is gone; kills it at the deadline.
fn wait(child: u32, timeout_ms: u64) -> Result<(), &'static str> {
    const CRASHED: &str = "names are missing: naming them crashed (a damaged debug file?)";
    const LATE: &str = "names are missing: naming them took longer than symbolize_timeout_s";
    let deadline = Host::monotonic_ns().saturating_add(timeout_ms.saturating_mul(1_000_000));
    let mut pause_ns = 50_000;
    let mut is_late = false;
    let mut give_up = u64::MAX;
    loop {
        match shared::reap(child) {
            Ok(None) => {}
            Ok(Some(0)) if !is_late => return Ok(()),
            // Somebody else reaped it: whatever it answered is there.
            Err(OsError(libc::ECHILD)) => return Ok(()),
            Ok(Some(_)) | Err(_) => return Err(if is_late { LATE } else { CRASHED }),
        }
        let now = Host::monotonic_ns();
        if now >= deadline && !is_late {
            is_late = true;
            shared::kill(child);
            give_up = now + REAP_MS * 1_000_000;
        }
        if now >= give_up {
            return Err(LATE);
        }
        Host::wait(&AtomicU32::new(0), 0, pause_ns);
        pause_ns = (pause_ns * 2).min(2_000_000);
    }
}
