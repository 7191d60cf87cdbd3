//! Threads, stacks, registers, thread-local storage, foreign memory.

use super::heap::{Hidden, LATEST_NS, Turn, clean_stack};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// Anonymous (or, with a file, its) memory.
pub fn map(bytes: usize, flags: i32, file: i32) -> usize {
    let (flags, access) = (
        if file < 0 { flags | libc::MAP_ANONYMOUS } else { flags },
        libc::PROT_READ | libc::PROT_WRITE,
    );
    let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, flags, file, 0) };
    assert_ne!(at, libc::MAP_FAILED);
    at as usize
}

/// A thread that did `prepare` and waits until this is dropped.
struct Waiting {
    release: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Waiting {
    fn start(prepare: impl FnOnce(&mut dyn FnMut()) + Send + 'static) -> Waiting {
        let (release, wait): (Sender<()>, Receiver<()>) = channel();
        let (ready, is_ready) = channel();
        let thread = std::thread::spawn(move || {
            prepare(&mut || {
                clean_stack();
                ready.send(()).unwrap();
                let _ = wait.recv();
            });
        });
        is_ready.recv().unwrap();
        Waiting { release: Some(release), thread: Some(thread) }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.release.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn a_blocked_threads_stack_holds() {
    let turn = Turn::begin();
    let block = turn.block(64);
    let waiting = Waiting::start(move |wait| {
        let held = std::hint::black_box([block.address()]);
        wait();
        std::hint::black_box(held);
    });
    assert_eq!(turn.check().counts(), (0, 0, 0));
    drop(waiting);
    assert_eq!(turn.check().counts(), (1, 0, 0), "the thread has ended");
}

/// What a frame that has returned left behind, far below the stack pointer.
#[test]
fn the_dead_part_of_a_threads_stack_holds_nothing() {
    #[inline(never)]
    fn bury(block: Hidden) {
        let mut frame = [0usize; 1 << 14];
        std::hint::black_box(&mut frame)[0] = block.address();
        std::hint::black_box(&mut frame);
    }
    #[inline(never)]
    fn keep(block: Hidden, wait: &mut dyn FnMut()) {
        let mut frame = [0usize; 1 << 14];
        std::hint::black_box(&mut frame)[0] = block.address();
        wait();
        std::hint::black_box(&mut frame);
    }
    for is_dead in [false, true] {
        let turn = Turn::begin();
        let block = turn.block(64);
        let waiting = Waiting::start(move |wait| match is_dead {
            true => {
                bury(block);
                wait();
            }
            false => keep(block, wait),
        });
        assert_eq!(turn.check().counts(), (u64::from(is_dead), 0, 0), "dead: {is_dead}");
        drop(waiting);
    }
}

#[test]
fn a_running_threads_register_and_red_zone_hold() {
    for register in [true, false] {
        let turn = Turn::begin();
        let block = turn.block(64);
        static STOP: AtomicBool = AtomicBool::new(false);
        static RUNS: AtomicBool = AtomicBool::new(false);
        STOP.store(false, SeqCst);
        RUNS.store(false, SeqCst);
        let thread = std::thread::spawn(move || {
            clean_stack();
            unsafe { spin(block, register, STOP.as_ptr(), RUNS.as_ptr()) };
        });
        while !RUNS.load(SeqCst) {
            std::thread::yield_now();
        }
        let found = turn.check().counts();
        STOP.store(true, SeqCst);
        thread.join().unwrap();
        assert_eq!(found, (0, 0, 0), "register: {register}");
        assert_eq!(turn.check().counts(), (1, 0, 0));
    }
}

/// Spins with the address in a register only, or 100 bytes below the stack
/// pointer only.
#[inline(never)]
unsafe fn spin(block: Hidden, register: bool, stop: *mut bool, runs: *mut bool) {
    let veiled = block.veiled();
    unsafe {
        std::arch::asm!(
            "mov {veil}, 0x5555555555555555",
            "xor {word}, {veil}",
            "test {register}, {register}",
            "jnz 2f",
            "mov [rsp - 104], {word}",
            "xor {word}, {veil}",
            "2: mov byte ptr [{runs}], 1",
            "3: pause",
            "cmp byte ptr [{stop}], 0",
            "je 3b",
            "mov qword ptr [rsp - 104], 0",
            "xor {word}, {word}",
            word = inout(reg) veiled => _,
            veil = out(reg) _,
            register = in(reg) u64::from(register),
            stop = in(reg) stop,
            runs = in(reg) runs,
        );
    }
}

thread_local!(static LOCAL: Cell<usize> = const { Cell::new(0) });

#[test]
fn thread_local_variables_hold_in_both_kinds_of_thread() {
    let turn = Turn::begin();
    let block = turn.block(64);
    LOCAL.with(|local| block.hold(unsafe { AtomicUsize::from_ptr(local.as_ptr()) }, |at| at));
    assert_eq!(turn.check().counts(), (0, 0, 0));
    LOCAL.set(0);
    let waiting = Waiting::start(move |wait| {
        LOCAL.set(block.address());
        wait();
    });
    assert_eq!(turn.check().counts(), (0, 0, 0));
    drop(waiting);
    assert_eq!(turn.check().counts(), (1, 0, 0));
}

#[test]
fn values_of_thread_keys_hold() {
    let turn = Turn::begin();
    let block = turn.block(64);
    let mut keys = [0; 200];
    keys.iter_mut().for_each(|key| assert_eq!(unsafe { libc::pthread_key_create(key, None) }, 0));
    for key in [keys[0], keys[199]] {
        let waiting = Waiting::start(move |wait| {
            unsafe { libc::pthread_setspecific(key, block.address() as *const _) };
            wait();
            unsafe { libc::pthread_setspecific(key, std::ptr::null()) };
        });
        assert_eq!(turn.check().counts(), (0, 0, 0));
        drop(waiting);
    }
    assert_eq!(turn.check().counts(), (1, 0, 0));
    keys.iter().for_each(|&key| assert_eq!(unsafe { libc::pthread_key_delete(key) }, 0));
}

#[test]
fn the_result_of_a_finished_thread_waits_for_its_join() {
    static KERNEL_ID: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn give(word: *mut libc::c_void) -> *mut libc::c_void {
        KERNEL_ID.store(unsafe { libc::gettid() } as usize, SeqCst);
        (word as usize ^ 0x5555_5555_5555_5555) as *mut _
    }
    fn spin_until(value: impl Fn() -> usize) -> usize {
        loop {
            match value() {
                0 => std::thread::yield_now(),
                value => return value,
            }
        }
    }
    let turn = Turn::begin();
    let block = turn.block(64);
    let mut thread = 0;
    let veiled = block.veiled() as *mut _;
    assert_eq!(unsafe { libc::pthread_create(&mut thread, std::ptr::null(), give, veiled) }, 0);
    let task = spin_until(|| KERNEL_ID.load(SeqCst));
    let task = std::path::PathBuf::from(format!("/proc/self/task/{task}"));
    spin_until(|| usize::from(!task.exists()));
    clean_stack();
    assert_eq!(turn.check().counts(), (0, 0, 0));
    join_and_forget(thread);
    assert_eq!(turn.check().counts(), (1, 0, 0), "joined: the result was dropped");
}

#[inline(never)]
fn join_and_forget(thread: libc::pthread_t) {
    let mut result = std::ptr::null_mut();
    assert_eq!(unsafe { libc::pthread_join(thread, &mut result) }, 0);
    std::hint::black_box(&mut result);
    result = std::ptr::null_mut();
    std::hint::black_box(&mut result);
}

#[test]
fn a_signal_handler_on_its_own_stack_keeps_both_stacks() {
    static BLOCKS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    static IN_HANDLER: AtomicBool = AtomicBool::new(false);
    static LEAVE: AtomicBool = AtomicBool::new(false);
    extern "C" fn handler(_: i32) {
        let held = std::hint::black_box([BLOCKS[1].load(SeqCst) ^ 0x5555_5555_5555_5555]);
        IN_HANDLER.store(true, SeqCst);
        while !LEAVE.load(SeqCst) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        std::hint::black_box(held);
    }
    let turn = Turn::begin();
    let (below, above) = (turn.block(64), turn.block(64));
    BLOCKS[1].store(above.veiled(), SeqCst);
    let thread = std::thread::spawn(move || {
        let bytes = 64 * 1024;
        let stack = map(bytes, libc::MAP_PRIVATE, -1);
        let held = std::hint::black_box([below.address()]);
        unsafe {
            let alternate = libc::stack_t { ss_sp: stack as *mut _, ss_flags: 0, ss_size: bytes };
            assert_eq!(libc::sigaltstack(&alternate, std::ptr::null_mut()), 0);
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
            libc::raise(libc::SIGUSR1);
            let none = libc::stack_t {
                ss_sp: std::ptr::null_mut(),
                ss_flags: libc::SS_DISABLE,
                ss_size: 0,
            };
            libc::sigaltstack(&none, std::ptr::null_mut());
            libc::munmap(stack as *mut _, bytes);
        }
        std::hint::black_box(held);
    });
    while !IN_HANDLER.load(SeqCst) {
        std::thread::yield_now();
    }
    let found = turn.check().counts();
    LEAVE.store(true, SeqCst);
    thread.join().unwrap();
    assert_eq!(found, (0, 0, 0));
    assert_eq!(turn.check().counts(), (2, 0, 0));
}

#[test]
fn foreign_memory_that_is_held_holds_and_other_foreign_memory_may_hold() {
    static HOLDER: AtomicUsize = AtomicUsize::new(0);
    for flags in [libc::MAP_PRIVATE, libc::MAP_SHARED] {
        let turn = Turn::begin();
        let block = turn.block(64);
        // Guards on both sides, so that the kernel merges it with nothing; at
        // an address where nothing was before, so that no old word names it.
        let bytes = 3 << 20;
        let guarded = Hidden::new(0x2100_0000_0000 + ((flags as usize) << 32));
        prepare(guarded, bytes, flags, block);
        guarded.hold(&HOLDER, |at| at + 4096 + (1 << 20));
        assert_eq!(turn.check().counts(), (0, 0, 0), "an allocator's chunk");
        guarded.hold(&HOLDER, |at| at + 4096);
        assert_eq!(turn.check().counts(), (0, 0, 0), "its start");
        HOLDER.store(0, SeqCst);
        let found = turn.check();
        assert_eq!(found.counts(), (0, 0, 1), "nobody knows it");
        assert!(found.groups[0].is_foreign);
        unsafe { libc::munmap(guarded.address() as *mut _, bytes + 8192) };
        clean_stack();
        assert_eq!(turn.check().counts(), (1, 0, 0));
    }
}

#[inline(never)]
fn prepare(guarded: Hidden, bytes: usize, flags: i32, block: Hidden) {
    let at = guarded.address();
    unsafe {
        let fixed = libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let around = fixed | libc::MAP_PRIVATE;
        let guards = libc::mmap(at as *mut _, bytes + 8192, libc::PROT_NONE, around, -1, 0);
        assert_eq!(guards as usize, at);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = flags | fixed;
        libc::mmap((at + 4096) as *mut _, bytes, access, flags, -1, 0);
        block.hold(&*((at + 4096 + (2 << 20)) as *const AtomicUsize), |at| at);
    }
}

#[test]
fn a_thread_that_blocks_all_signals_does_not_stop_the_check() {
    let turn = Turn::begin();
    let block = turn.block(64);
    let waiting = Waiting::start(move |wait| {
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        }
        let held = std::hint::black_box([block.address()]);
        wait();
        std::hint::black_box(held);
    });
    let begun = std::time::Instant::now();
    let found = turn.check();
    assert!(begun.elapsed().as_nanos() < u128::from(LATEST_NS) / 2, "nobody waited for it");
    assert_eq!(found.summary.silent_threads, 1);
    assert_eq!(found.summary.outcome, heapwarden::leak::Outcome::Degraded);
    assert_eq!(found.counts(), (0, 0, 0), "its stack was read all the same");
    drop(waiting);
}

#[test]
fn threads_are_born_and_die_during_checks() {
    let turn = Turn::begin();
    let _lost = turn.block(64);
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let makers: Vec<_> = (0..2)
        .map(|_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(SeqCst) {
                    std::thread::spawn(clean_stack).join().unwrap();
                }
            })
        })
        .collect();
    for _ in 0..50 {
        let found = turn.check();
        assert_eq!(found.counts(), (1, 0, 0));
    }
    stop.store(true, SeqCst);
    makers.into_iter().for_each(|maker| maker.join().unwrap());
}

#[test]
fn what_the_kernel_keeps_for_an_event_or_a_timer_holds() {
    let turn = Turn::begin();
    let (watched, timed) = (turn.block(64), turn.block(64));
    let (events, timer) = hand_to_kernel(watched, timed);
    assert_eq!(turn.check().counts(), (0, 0, 0));
    unsafe {
        libc::close(events);
        libc::timer_delete(timer);
    }
    clean_stack();
    assert_eq!(turn.check().counts(), (2, 0, 0));
}

#[inline(never)]
fn hand_to_kernel(watched: Hidden, timed: Hidden) -> (i32, libc::timer_t) {
    unsafe {
        let events = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        let pipe = libc::eventfd(0, 0);
        let mut event =
            libc::epoll_event { events: libc::EPOLLIN as u32, u64: watched.address() as u64 };
        assert_eq!(libc::epoll_ctl(events, libc::EPOLL_CTL_ADD, pipe, &mut event), 0);
        let mut how: libc::sigevent = std::mem::zeroed();
        how.sigev_notify = libc::SIGEV_SIGNAL;
        how.sigev_signo = libc::SIGUSR2;
        how.sigev_value = libc::sigval { sival_ptr: timed.address() as *mut _ };
        let mut timer = std::mem::zeroed();
        assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &mut how, &mut timer), 0);
        (events, timer)
    }
}
