//! A lock for the cold paths: a word, spun on shortly, then slept on.
//!
//! ```text
//!   0 free    1 held    2 held, and somebody sleeps on it
//! ```
//!
//! (Drepper, "Futexes are tricky", mutex 2.) Signals are blocked while a lock
//! is held: a handler that allocates would wait for its own thread. Where there is no OS, the arena
//! heap takes a lock from its user instead (`spin` by default).

use crate::platform::linux::process;
use crate::platform::{Host, Platform};
use crate::sync::atomics::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
    SPINS, spin_loop,
};
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};

/// The order in which locks may be taken: a thread that holds one takes only
/// locks of higher rank. Fork takes them all in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Rank {
    /// Leak checks: one at a time.
    Check,
    /// The list of thread heaps.
    Threads,
    /// Slabs that no thread owns.
    Central,
    /// Spans and the address window.
    Window,
    /// The epoch log.
    Epochs,
    /// Memory for metadata.
    Metadata,
    /// Interned call stacks and modules.
    Depot,
    /// Reports: one record at a time.
    Report,
}

/// A value behind a lock.
pub struct Lock<T> {
    word: AtomicU32,
    rank: Rank,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands out the value to one thread at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// A free lock of the given rank around `value`.
    pub const fn new(rank: Rank, value: T) -> Self {
        Lock { word: AtomicU32::new(0), rank, value: UnsafeCell::new(value) }
    }

    /// This lock's place in the order.
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// Takes the lock, sleeping while another thread holds it. While asleep
    /// signals are open: a leak check may need this thread's answer.
    pub fn lock(&self) -> Guard<'_, T> {
        // Who has slept takes the lock as 2: others may be asleep still.
        let mut taken = 1;
        loop {
            let signals = process::block_signals();
            for _ in 0..SPINS {
                if self.word.load(Relaxed) == 0
                    && self.word.compare_exchange(0, taken, Acquire, Relaxed).is_ok()
                {
                    return Guard { lock: self, signals };
                }
                spin_loop();
            }
            if self.word.swap(2, Acquire) == 0 {
                return Guard { lock: self, signals };
            }
            process::restore_signals(signals);
            Host::wait(&self.word, 2, 0);
            taken = 2;
        }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let signals = process::block_signals();
        if self.word.compare_exchange(0, 1, Acquire, Relaxed).is_ok() {
            return Some(Guard { lock: self, signals });
        }
        process::restore_signals(signals);
        None
    }

    /// Takes the lock without a guard: for fork, which holds all locks across
    /// a point that no scope spans. Pair with [`Lock::release`]; the caller
    /// has blocked signals.
    pub fn acquire(&self) {
        for _ in 0..SPINS {
            if self.word.compare_exchange(0, 1, Acquire, Relaxed).is_ok() {
                return;
            }
            spin_loop();
        }
        while self.word.swap(2, Acquire) != 0 {
            Host::wait(&self.word, 2, 0);
        }
    }

    /// [`Lock::acquire`] for at most `limit_ns` nanoseconds; `false`: not taken.
    #[must_use]
    pub fn acquire_within(&self, limit_ns: u64) -> bool {
        let end = Host::monotonic_ns().saturating_add(limit_ns);
        while self.word.swap(2, Acquire) != 0 {
            let now = Host::monotonic_ns();
            if now >= end {
                return false;
            }
            Host::wait(&self.word, 2, end - now);
        }
        true
    }

    /// Frees a lock that this thread took with [`Lock::acquire`].
    ///
    /// # Safety
    /// The calling thread holds the lock and no guard of it lives; or this is
    /// the only thread of a forked child and its parent held it.
    pub unsafe fn release(&self) {
        if self.word.swap(0, Release) == 2 {
            Host::wake(&self.word, 1);
        }
    }
}

/// Access to a locked value; frees the lock when it goes out of scope.
pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
    /// The signals that were blocked before.
    signals: u64,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this guard exists only while its thread holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard exists only while its thread holds the lock, and
        // `&mut self` makes it the only way in.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this guard's thread holds the lock, and the guard is gone.
        unsafe { self.lock.release() }
        process::restore_signals(self.signals);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn four_threads_count_together() {
        static COUNT: Lock<u64> = Lock::new(Rank::Check, 0);
        let threads: std::vec::Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..10_000).for_each(|_| *COUNT.lock() += 1)))
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*COUNT.lock(), 40_000);
    }

    #[test]
    fn nobody_sleeps_on_after_many_have_waited() {
        static COUNT: Lock<u64> = Lock::new(Rank::Check, 0);
        let threads: std::vec::Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn(|| {
                    for _ in 0..200 {
                        let mut count = COUNT.lock();
                        *count += 1;
                        std::thread::sleep(std::time::Duration::from_micros(20));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*COUNT.lock(), 1600);
    }

    #[test]
    fn a_held_lock_is_refused_not_waited_for() {
        let lock = Lock::new(Rank::Check, ());
        let held = lock.lock();
        assert!(lock.try_lock().is_none());
        // A refused guard once freed the lock as it was dropped.
        assert!(lock.try_lock().is_none(), "a refusal leaves the lock held");
        drop(held);
        assert!(lock.try_lock().is_some());
    }

    #[test]
    fn a_wait_with_a_limit_ends_and_leaves_the_lock_usable() {
        let lock = Lock::new(Rank::Check, 7);
        let held = lock.lock();
        assert!(!lock.acquire_within(1_000_000));
        drop(held);
        assert!(lock.acquire_within(1_000_000) && lock.try_lock().is_none());
        // SAFETY: taken just above.
        unsafe { lock.release() };
        assert_eq!(*lock.lock(), 7);
    }
}
