//! A library for LD_PRELOAD that captures a stack at every malloc and free and
//! leaves the memory to the C library: the call-stack room tested and measured
//! on real programs, without the heap.
//!
//! `STACK_CHECK=N`     compare every Nth capture with libgcc's unwinder
//! `STACK_DEPTH=D`     frames to keep (16)
//! `STACK_TIME=N`      time every Nth capture with the time stamp counter
//! `STACK_VERBOSE=1`   print the first wrong stacks
//! `STACK_OFF=1`       only forward
//!
//! Prints one line to standard error at exit.

use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use heapwarden::platform::linux::{process, tls};
use heapwarden::platform::{Host, Platform, ticks};
use heapwarden::trace::{self, Comparison, Entry, ThreadTrace, Unwinder};
use std::arch::{global_asm, naked_asm};

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_free(block: *mut c_void);
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
    fn _Unwind_Backtrace(
        visit: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIPInfo(context: *mut c_void, exact: *mut c_int) -> usize;
    fn _Unwind_GetCFA(context: *mut c_void) -> usize;
    fn getenv(name: *const c_char) -> *const c_char;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

static CHECK: AtomicU64 = AtomicU64::new(0);
static TIME: AtomicU64 = AtomicU64::new(0);
static DEPTH: AtomicU64 = AtomicU64::new(16);
static VERBOSE: AtomicU64 = AtomicU64::new(0);
static OFF: AtomicU64 = AtomicU64::new(0);
static PID: AtomicU64 = AtomicU64::new(0);

static CAPTURES: AtomicU64 = AtomicU64::new(0);
static CHECKED: AtomicU64 = AtomicU64::new(0);
static INCOMPLETE: AtomicU64 = AtomicU64::new(0);
static TRUNCATED: AtomicU64 = AtomicU64::new(0);
static SHORTER: AtomicU64 = AtomicU64::new(0);
static UNSEEN: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);
/// Buckets of 16 ticks.
static TIMES: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512];

// Each shim hands over what malloc's first instruction sees.
macro_rules! shim {
    ($name:ident, $sp:literal, $fp:literal, $inner:path) => {
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        unsafe extern "C" fn $name() {
            naked_asm!(
                concat!("mov ", $sp, ", rsp"),
                concat!("mov ", $fp, ", rbp"),
                "jmp {inner}",
                inner = sym $inner,
            )
        }
    };
}
shim!(malloc, "rsi", "rdx", inner_malloc);
shim!(free, "rsi", "rdx", inner_free);
shim!(calloc, "rdx", "rcx", inner_calloc);
shim!(realloc, "rdx", "rcx", inner_realloc);
shim!(memalign, "rdx", "rcx", inner_memalign);
shim!(aligned_alloc, "rdx", "rcx", inner_memalign);
shim!(posix_memalign, "rcx", "r8", inner_posix_memalign);

unsafe extern "C" fn inner_malloc(size: usize, sp: usize, fp: usize) -> *mut c_void {
    capture(Entry { sp, fp });
    // SAFETY: forwards the caller's own request.
    unsafe { __libc_malloc(size) }
}
unsafe extern "C" fn inner_free(block: *mut c_void, sp: usize, fp: usize) {
    if !block.is_null() {
        capture(Entry { sp, fp });
    }
    // SAFETY: forwards the caller's own request.
    unsafe { __libc_free(block) }
}
unsafe extern "C" fn inner_calloc(count: usize, size: usize, sp: usize, fp: usize) -> *mut c_void {
    capture(Entry { sp, fp });
    // SAFETY: forwards the caller's own request.
    unsafe { __libc_calloc(count, size) }
}
unsafe extern "C" fn inner_realloc(
    block: *mut c_void,
    size: usize,
    sp: usize,
    fp: usize,
) -> *mut c_void {
    capture(Entry { sp, fp });
    // SAFETY: forwards the caller's own request.
    unsafe { __libc_realloc(block, size) }
}
unsafe extern "C" fn inner_memalign(
    alignment: usize,
    size: usize,
    sp: usize,
    fp: usize,
) -> *mut c_void {
    capture(Entry { sp, fp });
    // SAFETY: forwards the caller's own request.
    unsafe { __libc_memalign(alignment, size) }
}
unsafe extern "C" fn inner_posix_memalign(
    out: *mut *mut c_void,
    alignment: usize,
    size: usize,
    sp: usize,
    fp: usize,
) -> c_int {
    capture(Entry { sp, fp });
    // SAFETY: forwards the caller's own request; `out` is the caller's.
    unsafe {
        let block = __libc_memalign(alignment, size);
        if block.is_null() {
            return libc_enomem();
        }
        *out = block;
    }
    0
}
fn libc_enomem() -> c_int {
    12
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

fn thread_trace() -> Option<&'static mut ThreadTrace> {
    if tls::get() == 0 {
        let bytes = ThreadTrace::SIZE.next_multiple_of(4096);
        let memory = Host::map(bytes).ok()?;
        tls::set(memory.as_ptr() as usize);
        THREADS.fetch_add(1, Relaxed);
        // SAFETY: zeroed, large enough, and this thread's alone.
        unsafe { (*memory.as_ptr().cast::<ThreadTrace>()).attach() };
    }
    // SAFETY: set above, never unmapped, used by this thread only.
    Some(unsafe { &mut *(tls::get() as *mut ThreadTrace) })
}

#[inline]
fn capture(entry: Entry) {
    if OFF.load(Relaxed) != 0 {
        return;
    }
    let Some(thread) = thread_trace() else { return };
    let (check, time) = (CHECK.load(Relaxed), TIME.load(Relaxed));
    let depth = DEPTH.load(Relaxed) as u32;
    if check == 0 && time == 0 {
        core::hint::black_box(thread.capture(entry, depth));
        return;
    }
    let count = CAPTURES.fetch_add(1, Relaxed);
    let start = ticks();
    let id = thread.capture(entry, depth);
    if time != 0 && count % time == 0 {
        let bucket = (ticks() - start) / 16;
        TIMES[(bucket as usize).min(511)].fetch_add(1, Relaxed);
    }
    if check != 0 && count % check == 0 {
        compare(entry, id);
    }
}

#[inline(never)]
fn compare(entry: Entry, id: trace::StackId) {
    use std::cell::Cell;
    thread_local!(static INSIDE: Cell<bool> = const { Cell::new(false) });
    if INSIDE.replace(true) {
        return;
    }
    let unwinder = Unwinder {
        backtrace: _Unwind_Backtrace,
        ip_info: _Unwind_GetIPInfo,
        cfa: _Unwind_GetCFA,
    };
    CHECKED.fetch_add(1, Relaxed);
    let verdict = trace::check_against_unwinder(entry, id, unwinder);
    let mut frames = [0; 512];
    let (count, end) = trace::frames(id, &mut frames);
    match end {
        trace::Completeness::Incomplete => INCOMPLETE.fetch_add(1, Relaxed),
        trace::Completeness::Truncated => TRUNCATED.fetch_add(1, Relaxed),
        _ => 0,
    };
    let (counter, name) = match verdict {
        Comparison::Wrong(_) => (&WRONG, "wrong"),
        Comparison::Unseen => (&UNSEEN, "unseen"),
        Comparison::Shorter if end == trace::Completeness::Incomplete => (&SHORTER, "shorter"),
        Comparison::Shorter | Comparison::Equal => return INSIDE.set(false),
    };
    if counter.fetch_add(1, Relaxed) < VERBOSE.load(Relaxed) {
        eprintln!("{name} {verdict:?} sp {:x}: {:x?} {end:?}", entry.sp, &frames[..count]);
    }
    INSIDE.set(false);
}

/// dlclose, with the flush that has to follow it.
#[unsafe(no_mangle)]
unsafe extern "C" fn dlclose(handle: *mut c_void) -> c_int {
    const NEXT: *mut c_void = usize::MAX as *mut c_void;
    // SAFETY: the next dlclose has this type; the handle is the caller's.
    let result = unsafe {
        let real: unsafe extern "C" fn(*mut c_void) -> c_int =
            core::mem::transmute(dlsym(NEXT, c"dlclose".as_ptr()));
        real(handle)
    };
    if std::env::var_os("STACK_NO_FLUSH").is_none() {
        trace::modules_changed(true);
    }
    result
}

fn number(name: &core::ffi::CStr, default: u64) -> u64 {
    // SAFETY: getenv returns null or a string that lives long enough to parse.
    let text = unsafe { getenv(name.as_ptr()) };
    if text.is_null() {
        return default;
    }
    // SAFETY: not null, zero-terminated (environ(7)).
    let text = unsafe { core::ffi::CStr::from_ptr(text) };
    text.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

extern "C" fn start() {
    CHECK.store(number(c"STACK_CHECK", 0), Relaxed);
    TIME.store(number(c"STACK_TIME", 0), Relaxed);
    DEPTH.store(number(c"STACK_DEPTH", 16), Relaxed);
    VERBOSE.store(number(c"STACK_VERBOSE", 0), Relaxed);
    OFF.store(number(c"STACK_OFF", 0), Relaxed);
    PID.store(u64::from(process::id()), Relaxed);
}

extern "C" fn finish() {
    if PID.load(Relaxed) != u64::from(process::id()) {
        return;
    }
    let statistics = trace::statistics();
    let mut line = format!(
        "stack_check: captures {} checked {} wrong {} shorter {} unseen {} incomplete {} truncated {} threads {} nodes {} \
         bytes {} dropped {}",
        CAPTURES.load(Relaxed),
        CHECKED.load(Relaxed),
        WRONG.load(Relaxed),
        SHORTER.load(Relaxed),
        UNSEEN.load(Relaxed),
        INCOMPLETE.load(Relaxed),
        TRUNCATED.load(Relaxed),
        THREADS.load(Relaxed),
        statistics.nodes,
        statistics.bytes,
        statistics.dropped,
    );
    if TIME.load(Relaxed) != 0 {
        let counts: Vec<u64> = TIMES.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let at = |share: f64| {
            let mut sum = 0;
            counts
                .iter()
                .position(|count| {
                    sum += count;
                    sum as f64 >= total as f64 * share
                })
                .unwrap_or(0)
                * 16
        };
        let below = at(0.99) / 16;
        let (mut sum, mut number) = (0, 0);
        for (index, count) in counts[..=below].iter().enumerate() {
            sum += count * (index as u64 * 16 + 8);
            number += count;
        }
        line += &format!(
            " ticks p50 {} p90 {} p99 {} mean<p99 {}",
            at(0.5),
            at(0.9),
            at(0.99),
            sum / number.max(1)
        );
    }
    line.push('\n');
    let _ = Host::write(2, line.as_bytes());
}

// Constructor and destructor without a crate.
global_asm!(
    ".section .init_array,\"aw\"",
    ".quad {start}",
    ".section .fini_array,\"aw\"",
    ".quad {finish}",
    ".text",
    start = sym start,
    finish = sym finish,
);
