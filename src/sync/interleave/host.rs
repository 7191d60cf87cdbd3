//! The platform in an exploration: sleeping on a word, memory for tables,
//! time that does not depend on the machine.

use super::place::{Kind, copied, loomed};
use super::{Mode, mode, signals, switch, task};
use crate::platform::{Access, OsError, Platform};
use crate::sync::atomics::AtomicU32;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::vec::Vec;

/// `P`, but for what an exploration must decide.
pub struct Modelled<P>(PhantomData<P>);

/// Bytes of memory for tables that loom's tasks map in one iteration.
const POOL: usize = 1 << 16;
const PAGE: usize = 4096;

enum Sleeper {
    Loom(loom::thread::Thread),
    Shuttle(shuttle::thread::Thread),
}

std::thread_local! {
    /// The kernel's lock of the queues: to compare and to sleep is one step,
    /// and who comes later sees what earlier ones wrote before (futex(2)).
    static BUCKET: RefCell<Option<Rc<loom::sync::Mutex<()>>>> = const { RefCell::new(None) };
    /// Who sleeps on a word, first come first: ticket and thread.
    static ASLEEP: RefCell<HashMap<usize, Vec<(u64, Sleeper)>>> = RefCell::new(HashMap::new());
    static TICKET: Cell<u64> = const { Cell::new(0) };
    static POOL_START: Cell<usize> = const { Cell::new(0) };
    static POOL_USED: Cell<usize> = const { Cell::new(0) };
}

fn bucket() -> Option<Rc<loom::sync::Mutex<()>>> {
    BUCKET.with_borrow(Clone::clone)
}

/// An iteration begins; with loom's mutex if it is one of loom's.
pub fn forget_all() {
    let mutex = (mode() == Mode::Loom).then(|| Rc::new(loom::sync::Mutex::new(())));
    BUCKET.set(mutex);
    ASLEEP.with_borrow_mut(HashMap::clear);
    TICKET.set(0);
    POOL_USED.set(0);
}

/// A time stamp that grows by one with each look; `None` outside an
/// exploration by loom, which must find the same in every run.
pub fn ticks() -> Option<u64> {
    matches!(mode(), Mode::Loom | Mode::Discover).then_some(1)
}

fn sleep(word: &AtomicU32, expected: u32, limited: bool) {
    let place = word.as_ptr() as usize;
    let bucket = bucket();
    let held = bucket.as_ref().map(|mutex| mutex.lock());
    let found = match mode() {
        // Nobody would wake the only task: what lies behind is met later.
        Mode::Discover => std::panic::resume_unwind(std::boxed::Box::new("asleep")),
        Mode::Loom => {
            // A read-modify-write sees the newest value; relaxed, it orders
            // nothing that the library does not order itself.
            loomed::AtomicU32(place).fetch_add(0, Relaxed)
        }
        _ => {
            switch();
            // SAFETY: the word is borrowed, and all tasks are of one thread.
            unsafe { word.as_ptr().read_volatile() }
        }
    };
    if found != expected {
        return;
    }
    // To loom a limit is far away, so that every wake-up must come.
    if limited && mode() == Mode::Shuttle {
        return super::spin_loop();
    }
    let ticket = TICKET.replace(TICKET.get() + 1);
    let sleeper = match mode() {
        Mode::Loom => Sleeper::Loom(loom::thread::current()),
        _ => Sleeper::Shuttle(shuttle::thread::current()),
    };
    ASLEEP.with_borrow_mut(|asleep| asleep.entry(place).or_default().push((ticket, sleeper)));
    drop(held);
    let is_asleep = || {
        ASLEEP.with_borrow(|asleep| {
            asleep.get(&place).is_some_and(|queue| queue.iter().any(|one| one.0 == ticket))
        })
    };
    while is_asleep() {
        match mode() {
            Mode::Loom => loom::thread::park(),
            _ => {
                signals::set_asleep(true);
                signals::deliver();
                if is_asleep() {
                    shuttle::thread::park();
                }
                signals::set_asleep(false);
            }
        }
    }
}

fn wake(word: &AtomicU32, count: u32) {
    switch();
    let bucket = bucket();
    let _held = bucket.as_ref().map(|mutex| mutex.lock());
    let place = word.as_ptr() as usize;
    for _ in 0..count {
        let first = ASLEEP.with_borrow_mut(|asleep| {
            asleep.get_mut(&place).and_then(|queue| (!queue.is_empty()).then(|| queue.remove(0)))
        });
        match first {
            Some((_, Sleeper::Loom(thread))) => thread.unpark(),
            Some((_, Sleeper::Shuttle(thread))) => thread.unpark(),
            None => return,
        }
    }
}

/// Memory for a table: zeros as the checkers see it, at the same addresses in
/// every iteration.
fn map(bytes: usize) -> Option<NonNull<u8>> {
    if POOL_START.get() == 0 {
        let pool = Vec::leak(std::vec![0u64; (POOL + PAGE) / 8]);
        POOL_START.set(crate::units::align_up(pool.as_ptr() as usize, PAGE));
    }
    let offset = POOL_USED.get();
    if offset + bytes > POOL {
        return None;
    }
    POOL_USED.set(offset + bytes);
    let start = POOL_START.get() + offset;
    if mode() == Mode::Loom {
        zero(start, loomed::add);
    }
    NonNull::new(start as *mut u8)
}

/// The small tables that are explored: two words, then places of four bytes.
fn zero(start: usize, mut each: impl FnMut(Kind, usize)) {
    each(Kind::AtomicUsize, start);
    each(Kind::AtomicUsize, start + 8);
    (start + 16..start + 16 + PLACES * 4).step_by(4).for_each(|place| each(Kind::AtomicU32, place));
}

/// Places of the largest table that is explored.
const PLACES: usize = 16;

fn is_pool(address: usize) -> bool {
    address.wrapping_sub(POOL_START.get()) < POOL
}

fn models_memory() -> bool {
    matches!(mode(), Mode::Loom | Mode::Discover)
}

impl<P: Platform> Platform for Modelled<P> {
    fn map(bytes: usize) -> Result<NonNull<u8>, OsError> {
        if models_memory() { map(bytes).ok_or(OsError(12)) } else { P::map(bytes) }
    }
    fn map_at(address: usize, bytes: usize, access: Access) -> Result<(), OsError> {
        P::map_at(address, bytes, access)
    }
    unsafe fn protect(address: usize, bytes: usize, access: Access) -> Result<(), OsError> {
        // SAFETY: the caller's promise is passed on.
        unsafe { P::protect(address, bytes, access) }
    }
    unsafe fn decommit(address: usize, bytes: usize) -> Result<(), OsError> {
        if models_memory() && is_pool(address) {
            zero(address, |kind, place| match (mode(), kind) {
                (Mode::Loom, Kind::AtomicUsize) => loomed::AtomicUsize(place).store(0, Relaxed),
                (Mode::Loom, _) => loomed::AtomicU32(place).store(0, Relaxed),
                _ => copied(kind, place, 0).set(0),
            });
            return Ok(());
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { P::decommit(address, bytes) }
    }
    unsafe fn unmap(address: usize, bytes: usize) -> Result<(), OsError> {
        if models_memory() && is_pool(address) {
            return Ok(());
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { P::unmap(address, bytes) }
    }
    unsafe fn move_pages(old: usize, new: usize, bytes: usize) -> Result<(), OsError> {
        // SAFETY: the caller's promise is passed on.
        unsafe { P::move_pages(old, new, bytes) }
    }
    fn advise_huge(address: usize, bytes: usize, wanted: bool) {
        P::advise_huge(address, bytes, wanted);
    }
    fn populate(address: usize, bytes: usize) {
        P::populate(address, bytes);
    }
    fn write(descriptor: i32, bytes: &[u8]) -> Result<usize, OsError> {
        P::write(descriptor, bytes)
    }
    fn thread_id() -> u32 {
        task::number().unwrap_or_else(P::thread_id)
    }
    fn monotonic_ns() -> u64 {
        ticks().or_else(signals::clock_ns).unwrap_or_else(P::monotonic_ns)
    }
    fn wait(word: &AtomicU32, expected: u32, timeout_ns: u64) {
        match mode() {
            Mode::Plain => P::wait(word, expected, timeout_ns),
            _ => sleep(word, expected, timeout_ns != 0),
        }
    }
    fn wake(word: &AtomicU32, count: u32) {
        match mode() {
            Mode::Plain => P::wake(word, count),
            Mode::Discover => {}
            _ => wake(word, count),
        }
    }
    fn abort() -> ! {
        P::abort()
    }
}
