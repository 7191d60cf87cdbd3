//! A child process for work that may crash, hang or grow.
//!
//! Invariant: when [`run`] returns, the child is gone, and the program has
//! seen nothing of it: no signal, no zombie, no changed memory but the shared.

use crate::memory::Window;
use crate::platform::linux::limits::{self, Resource};
use crate::platform::linux::{process, shared};
use crate::platform::{Access, Host, OsError, Platform};
use crate::sync::atomics::AtomicU32;
use crate::units::{KIB, MIB, OS_PAGE};
use core::cell::UnsafeCell;

/// The child's stack: DWARF of hostile depth ends at its guard page.
const STACK_BYTES: usize = 8 * MIB;
/// How long a killed child may take to disappear, milliseconds.
const REAP_MS: u64 = 1000;

/// Runs `work` in a copy of this process that ends with it, for at most
/// `timeout_ms`. The reason if it did not come to its end.
pub fn run(timeout_ms: u64, work: &dyn Fn()) -> Result<(), &'static str> {
    let stack = Host::map(STACK_BYTES);
    let top = match stack {
        Ok(stack) => {
            let start = stack.as_ptr() as usize;
            // SAFETY: the lowest page of a mapping that is ours and not yet used.
            let _ = unsafe { Host::protect(start, OS_PAGE, Access::None) };
            start + STACK_BYTES
        }
        // The copy has a small stack of its own, at the same address.
        Err(_) => SMALL_STACK.0.get() as usize + size_of::<SmallStack>(),
    };
    let mut job = Job { work };
    // SAFETY: the stack is fresh and large, `child_main` never returns, and
    // `job` outlives the child, which has a copy of it.
    let result = unsafe { shared::fork_onto(top, child_main, (&raw mut job).cast()) };
    let outcome = match result {
        Ok(child) => wait(child, timeout_ms),
        Err(_) => Err("names are missing: a child process for naming them was refused"),
    };
    if let Ok(stack) = stack {
        // SAFETY: the mapping is ours; the child had its own copy.
        let _ = unsafe { Host::unmap(stack.as_ptr() as usize, STACK_BYTES) };
    }
    outcome
}

/// The child's stack where no other can be mapped. Nothing in the program
/// touches it, so it costs no memory.
#[repr(C, align(4096))]
struct SmallStack(UnsafeCell<[u8; 512 * KIB]>);
// SAFETY: only children use it, each its own copy.
unsafe impl Sync for SmallStack {}
static SMALL_STACK: SmallStack = SmallStack(UnsafeCell::new([0; 512 * KIB]));

struct Job<'a> {
    work: &'a dyn Fn(),
}

/// The child's first function.
extern "C" fn child_main(job: *mut u8) -> ! {
    shared::become_helper();
    if limits::soft_limit(Resource::AddressSpace).is_some()
        || limits::soft_limit(Resource::Data).is_some()
    {
        // The program's blocks are not needed here, their room may be.
        // SAFETY: this process is a copy that never goes back to the program.
        unsafe { Window::abandon() };
    }
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
