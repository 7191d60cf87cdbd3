//! The handshake: every other thread of the process is asked by a signal to
//! show its registers and to wait, without ptrace.
//!
//! ```text
//!   checker                         thread
//!   slot ASKED, rt_tgsigqueueinfo -> handler: slot WRITING, registers,
//!   sleeps on `answered`          <- slot ANSWERED, wakes the checker
//!   … reads memory, or forks …       sleeps on `round`
//!   round += 1, one wake for all  -> returns
//! ```
//!
//! Invariant: a thread leaves the handler as soon as `round` has moved on, so
//! a late answer never waits; no wait of the checker is longer than its
//! deadline; slots are never unmapped, because a late answer may look at one.

use super::registers::Registers;
use super::{request, signal, tasks};
use crate::platform::linux::limits::{self, Resource};
use crate::platform::linux::process;
use crate::platform::{Host, OsError, Platform};
use crate::sync::atomics::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// How a thread answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It waits in the handler; its registers are known.
    Held,
    /// It did not answer: signals blocked, or the kernel kept it.
    Silent,
    /// It ended meanwhile.
    Gone,
}

/// One thread of the process, seen from the checker.
pub struct Slot {
    /// The kernel's number of the thread.
    pub task: u32,
    /// Round in the upper bits, state in the lower two.
    state: AtomicU32,
    /// Whether it got its signal. A thread that blocks it may just be being
    /// born: pthread_create blocks all signals for a moment.
    is_sent: AtomicBool,
    /// Valid when the thread is held; of a silent thread at most the stack
    /// pointer is known (0 = not).
    pub registers: Registers,
}

const ASKED: u32 = 0;
const WRITING: u32 = 1;
const ANSWERED: u32 = 2;
const OUT: u32 = 3;

/// Most threads that are asked, where there is room for so many.
const SLOTS: usize = 16 * 1024;
const ROUNDS: usize = 30;
/// How long a thread that blocks the signal is waited for.
const PATIENCE_NS: u64 = 3_000_000;
/// How long a thread is waited for that runs and blocks the signal, or got it
/// and does not run: it is stopped, or the kernel keeps it.
const KEPT_NS: u64 = 50_000_000;
/// How often threads that have not answered are looked after.
const GLANCE_NS: u64 = 500_000;

/// Odd while threads are held; also what held threads sleep on.
static ROUND: AtomicU32 = AtomicU32::new(0);
static ANSWERS: AtomicU32 = AtomicU32::new(0);
static SLOT_TABLE: AtomicPtr<Slot> = AtomicPtr::new(core::ptr::null_mut());
/// Slots of the table; written before it.
static SLOT_COUNT: AtomicUsize = AtomicUsize::new(0);
/// A thread of the warden's own that blocks all signals; 0 = none.
static OWN_THREAD: AtomicU32 = AtomicU32::new(0);

/// Leaves a thread of the warden's own out of checks: it holds no block of
/// the program's.
pub fn leave_out(task: u32) {
    OWN_THREAD.store(task, Release);
}

/// Calls its argument with the kernel ids of threads.
pub type ListThreads<'a> = dyn Fn(&mut dyn FnMut(u32)) + 'a;

/// All other threads of the process, held until this is dropped. One at a
/// time: the caller holds the lock of leak checks.
pub struct Handshake {
    slots: *mut Slot,
    count: usize,
    round: u32,
    signal: i32,
    mask: u64,
    /// Threads for which there was no slot.
    pub unlisted: usize,
}

impl Handshake {
    /// Asks all other threads, for at most `deadline_ns`. With `quiet`,
    /// threads that the kernel says are blocked get no signal. `signal` 0
    /// chooses one that the program does not use.
    ///
    /// All signals are blocked for the calling thread meanwhile, so that no
    /// handler of the program's runs among held threads.
    ///
    /// Where the kernel's list of threads cannot be read, `known` lists those
    /// to ask.
    pub fn begin(
        signal: i32,
        deadline_ns: u64,
        quiet: bool,
        known: &ListThreads<'_>,
    ) -> Result<Handshake, OsError> {
        let slots = slot_table()?;
        let signal = signal::settle(signal, handler())?;
        let mask = process::block_signals();
        let round = ROUND.fetch_add(1, AcqRel).wrapping_add(1);
        let mut this = Handshake { slots, count: 0, round, signal, mask, unlisted: 0 };
        ANSWERS.store(0, Release);
        let end = Host::monotonic_ns().saturating_add(deadline_ns);
        let me = Host::thread_id();
        for _ in 0..ROUNDS {
            let before = this.count;
            let mut ask = |task| {
                let is_ours = task == me || task == OWN_THREAD.load(Acquire);
                if !is_ours && !this.slots_so_far().iter().any(|slot| slot.task == task) {
                    this.ask(task, quiet);
                }
            };
            if tasks::for_each(&mut ask).is_err() {
                known(&mut ask);
            }
            this.wait(end, quiet);
            if this.count == before || Host::monotonic_ns() > end {
                break;
            }
        }
        this.locate_the_silent();
        Ok(this)
    }

    /// Asks the kernel where silent threads are blocked.
    fn locate_the_silent(&mut self) {
        for index in 0..self.count {
            // SAFETY: below `count`; a slot that is out has no other writer.
            let slot = unsafe { &mut *self.slots.add(index) };
            if slot.state.load(Acquire) & 3 == OUT && slot.registers.stack_pointer != GONE {
                slot.registers.stack_pointer = tasks::blocked_stack_pointer(slot.task).unwrap_or(0);
            }
        }
    }

    fn slots_so_far(&self) -> &[Slot] {
        // SAFETY: the first `count` slots are initialised, and this thread,
        // which alone holds the lock of checks, changes no plain field while
        // the borrow lives; handlers write `registers` only before ANSWERED.
        unsafe { core::slice::from_raw_parts(self.slots, self.count) }
    }

    /// All threads that were asked, with their answers.
    pub fn threads(&self) -> impl Iterator<Item = (&Slot, Answer)> {
        self.slots_so_far().iter().map(|slot| {
            let answer = match slot.state.load(Acquire) & 3 {
                ANSWERED => Answer::Held,
                OUT if slot.registers.stack_pointer == GONE => Answer::Gone,
                _ => Answer::Silent,
            };
            (slot, answer)
        })
    }

    fn ask(&mut self, task: u32, quiet: bool) {
        if self.count >= SLOT_COUNT.load(Relaxed) {
            self.unlisted += 1;
            return;
        }
        let index = self.count;
        // SAFETY: `index` is below SLOT_COUNT; nobody else touches a slot of this
        // round before it is asked, just below.
        let slot = unsafe {
            let slot = self.slots.add(index);
            slot.write(Slot {
                task,
                state: AtomicU32::new(self.round << 2 | ASKED),
                is_sent: AtomicBool::new(false),
                registers: Registers::NONE,
            });
            &*slot
        };
        self.count += 1;
        self.ask_unless_blocked(slot, index, quiet);
    }

    /// Sends the signal, unless the thread has ended, blocks it, or must not
    /// be disturbed; what it blocks may change, so that is asked again later.
    fn ask_unless_blocked(&self, slot: &Slot, index: usize, quiet: bool) {
        match tasks::status(slot.task) {
            None if !tasks::exists(slot.task) => self.count_out(slot, GONE),
            Some(status) if status.is_dead => self.count_out(slot, GONE),
            Some(status) if status.blocked & 1 << (self.signal - 1) != 0 => {}
            Some(_) if quiet && tasks::blocked_stack_pointer(slot.task).is_some() => {
                self.count_out(slot, 0);
            }
            _ => {
                slot.is_sent.store(true, Release);
                match self.send(slot.task, index) {
                    Ok(()) => {}
                    Err(OsError(libc::ESRCH)) => self.count_out(slot, GONE),
                    Err(_) => self.count_out(slot, 0),
                }
            }
        }
    }

    /// Stops waiting for a thread that has not answered.
    fn count_out(&self, slot: &Slot, why: usize) {
        let asked = self.round << 2 | ASKED;
        if slot.state.compare_exchange(asked, self.round << 2 | OUT, AcqRel, Acquire).is_ok() {
            // SAFETY: the state says OUT, so no handler writes this slot.
            unsafe { (*(slot as *const Slot).cast_mut()).registers.stack_pointer = why };
        }
    }

    fn send(&self, task: u32, index: usize) -> Result<(), OsError> {
        tasks::signal(task, self.signal, u64::from(self.round) << 32 | index as u64)
    }

    fn wait(&self, end: u64, quiet: bool) {
        let begun = Host::monotonic_ns();
        let mut last_look = begun;
        loop {
            let seen = ANSWERS.load(Acquire);
            let is_open = |slot: &Slot| matches!(slot.state.load(Acquire) & 3, ASKED | WRITING);
            if !self.slots_so_far().iter().any(is_open) {
                return;
            }
            let now = Host::monotonic_ns();
            if now >= end {
                self.slots_so_far().iter().for_each(|slot| self.count_out(slot, 0));
                return;
            }
            if now - last_look > GLANCE_NS {
                self.look_after_the_silent(now - begun, quiet);
                last_look = Host::monotonic_ns();
            }
            Host::wait(&ANSWERS, seen, GLANCE_NS.min(end - now));
        }
    }

    /// A thread that has ended will not answer, nor will one that blocks the
    /// signal for long, nor one that the kernel keeps.
    fn look_after_the_silent(&self, waited_ns: u64, quiet: bool) {
        let is_late = waited_ns > PATIENCE_NS;
        for (index, slot) in self.slots_so_far().iter().enumerate() {
            if slot.state.load(Acquire) & 3 != ASKED {
                continue;
            }
            let is_asleep = || tasks::blocked_stack_pointer(slot.task).is_some();
            if !slot.is_sent.load(Acquire) {
                self.ask_unless_blocked(slot, index, quiet);
                // One that is just being born runs, and will open its mask.
                let is_hopeless = waited_ns > KEPT_NS || is_late && is_asleep();
                if is_hopeless && !slot.is_sent.load(Acquire) {
                    self.count_out(slot, 0);
                }
            } else if is_late {
                match tasks::status(slot.task) {
                    None if !tasks::exists(slot.task) => self.count_out(slot, GONE),
                    None => {}
                    Some(status) if status.is_dead => self.count_out(slot, GONE),
                    Some(status) if status.blocked & 1 << (self.signal - 1) != 0 => {
                        self.count_out(slot, 0);
                    }
                    // The signal would have made it run.
                    Some(_) if waited_ns > KEPT_NS && is_asleep() => self.count_out(slot, 0),
                    Some(_) => {}
                }
            }
        }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        ROUND.store(self.round.wrapping_add(1), Release);
        Host::wake(&ROUND, u32::MAX >> 1);
        process::restore_signals(self.mask);
    }
}

/// In a slot that is out: the thread has ended.
const GONE: usize = 1;

fn slot_table() -> Result<*mut Slot, OsError> {
    let old = SLOT_TABLE.load(Acquire);
    if !old.is_null() {
        return Ok(old);
    }
    let map = |count| Host::map(count * size_of::<Slot>()).map(|fresh| (count, fresh));
    // Under a limit the room is wanted for the tables of this very check.
    let is_limited = [Resource::AddressSpace, Resource::Data].map(limits::soft_limit) != [None; 2];
    let ample = if is_limited { Err(OsError(libc::ENOMEM)) } else { map(SLOTS) };
    let (count, fresh) = ample.or_else(|_| {
        let mut threads = 256;
        let _ = tasks::for_each(|_| threads += 2);
        map(threads.min(SLOTS))
    })?;
    SLOT_COUNT.store(count, Relaxed);
    SLOT_TABLE.store(fresh.as_ptr().cast(), Release);
    Ok(fresh.as_ptr().cast())
}

/// The handler's address.
pub(super) fn handler() -> usize {
    on_signal as *const () as usize
}

extern "C" fn on_signal(_: i32, info: *const libc::siginfo_t, context: *const libc::ucontext_t) {
    // SAFETY: the kernel passes a whole siginfo; pid and value are set for
    // SI_QUEUE, which is checked first.
    let (code, sender, value) = unsafe {
        let info = &*info;
        (info.si_code, info.si_pid(), info.si_value().sival_ptr as usize as u64)
    };
    if code != libc::SI_QUEUE {
        return;
    }
    // SAFETY: the kernel passes a whole context.
    let context = unsafe { &*context };
    if sender as u32 != process::id() {
        return request::on_signal(value, context);
    }
    // SAFETY: the context is the running handler's.
    answer(value, |registers| unsafe { registers.interrupted(context) });
}

/// The calling thread, asked by a signal with `value`, lets `show` write its
/// registers and waits for the end of the round, if the round still wants it.
pub(super) fn answer(value: u64, show: impl FnOnce(&mut Registers)) {
    let round = (value >> 32) as u32;
    let index = value as u32 as usize;
    let slots = SLOT_TABLE.load(Acquire);
    let is_old = round & 1 == 0 || ROUND.load(Acquire) != round;
    if is_old || slots.is_null() || index >= SLOT_COUNT.load(Relaxed) {
        return;
    }
    // SAFETY: slots are never unmapped; the exchange below makes this thread
    // the slot's only writer, if it is still this round's.
    unsafe {
        let slot = slots.add(index);
        let state = &(*slot).state;
        let asked = round << 2 | ASKED;
        if state.compare_exchange(asked, round << 2 | WRITING, AcqRel, Relaxed).is_err() {
            return;
        }
        show(&mut (*slot).registers);
        state.store(round << 2 | ANSWERED, Release);
    }
    ANSWERS.fetch_add(1, AcqRel);
    Host::wake(&ANSWERS, 1);
    while ROUND.load(Acquire) == round {
        Host::wait(&ROUND, round, 0);
    }
}
