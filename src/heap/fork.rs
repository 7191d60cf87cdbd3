//! fork: every lock of the heap is held across it, so that the child finds the
//! shared parts whole.

use super::central::CENTRAL;
use super::pool::{ABANDONED, THREADS, UNUSED, heaps};
use super::thread_heap::current;
use crate::platform::linux::process;
use crate::platform::{Host, Platform};
use crate::sync::atomics::{AtomicU64, Ordering::Relaxed};
use crate::{ledger, memory};

/// The signals that were blocked before the fork under way.
static FORK_SIGNALS: AtomicU64 = AtomicU64::new(0);

/// Before fork: takes every lock, in order, so that the child finds the
/// shared parts whole.
pub fn before_fork() {
    let signals = process::block_signals();
    THREADS.acquire();
    FORK_SIGNALS.store(signals, Relaxed);
    CENTRAL.acquire();
    ledger::before_fork();
    memory::before_fork();
}

/// The same, waiting for each lock at most `limit_ns`; `false`: one was not to be
/// had, and none is taken. For who must not wait for ever: a check.
#[must_use]
pub fn before_fork_within(limit_ns: u64) -> bool {
    let signals = process::block_signals();
    // SAFETY: each release frees what was taken just before it.
    unsafe {
        if THREADS.acquire_within(limit_ns) {
            if CENTRAL.acquire_within(limit_ns) {
                if ledger::before_fork_within(limit_ns) {
                    if memory::before_fork_within(limit_ns) {
                        FORK_SIGNALS.store(signals, Relaxed);
                        return true;
                    }
                    ledger::after_fork();
                }
                CENTRAL.release();
            }
            THREADS.release();
        }
    }
    process::restore_signals(signals);
    false
}

/// After fork in the parent: frees the locks.
///
/// # Safety
/// This thread called [`before_fork`].
pub unsafe fn after_fork_in_parent() {
    // SAFETY: the caller's promise.
    unsafe {
        memory::after_fork();
        ledger::after_fork();
        CENTRAL.release();
        let signals = FORK_SIGNALS.load(Relaxed);
        THREADS.release();
        process::restore_signals(signals);
    }
}

/// After fork in the child: frees the locks; heaps of threads that are gone
/// go to the pool, unless their thread was inside at that moment.
///
/// # Safety
/// This thread's copy in the parent called [`before_fork`].
pub unsafe fn after_fork_in_child() {
    // SAFETY: the caller's promise; this is the child's only thread.
    unsafe { after_fork_in_parent() };
    crate::trace::after_fork_in_child();
    let own = current();
    for heap in heaps() {
        if core::ptr::eq(heap, own) {
            heap.kernel_id.store(Host::thread_id(), Relaxed);
            continue;
        }
        let whole = heap.busy.load(Relaxed) == 0;
        let gone = if whole { UNUSED } else { ABANDONED };
        if heap.is_fallback {
            // A fallback heap whose user is gone stays taken for ever; one
            // that the forking thread itself is inside is given back by it.
            continue;
        }
        heap.state.store(gone, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::heap::pool::{enter, for_each_pooled};
    use std::sync::mpsc::channel;

    /// Whether a forked child's threads may adopt the heap of a thread that was
    /// inside it, or not, at that moment.
    fn is_adopted_in_child(is_inside: bool) -> bool {
        let (tell, told) = channel();
        let (go, wait) = channel::<()>();
        let thread = std::thread::spawn(move || {
            drop(enter().expect("there is memory for a heap"));
            let inside = is_inside.then(|| enter().expect("this thread's own"));
            tell.send(current() as usize).expect("the test waits");
            let _ = wait.recv();
            drop(inside);
        });
        let heap = told.recv().expect("the thread has a heap");
        before_fork();
        // SAFETY: fork(2); the child uses the heap only, and leaves.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut is_pooled = false;
            // SAFETY: this is the child, whose parent's copy called before_fork.
            unsafe { after_fork_in_child() };
            for_each_pooled(|pooled| is_pooled |= &raw const *pooled as usize == heap);
            process::exit_now(i32::from(is_pooled));
        }
        // SAFETY: this thread called before_fork.
        unsafe { after_fork_in_parent() };
        let mut status = 0;
        // SAFETY: waitpid writes the status, which lives on our stack.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        drop(go);
        thread.join().expect("the thread ends");
        assert!(libc::WIFEXITED(status), "the child ended with {status:#x}");
        libc::WEXITSTATUS(status) == 1
    }

    #[test]
    fn a_heap_is_adopted_in_the_child_unless_its_thread_was_inside() {
        assert!(is_adopted_in_child(false));
        assert!(!is_adopted_in_child(true), "it may be half changed");
    }
}
