//! Start, exit and fork.
//!
//! ```text
//!   first allocation ──> options ──> settings          (before any constructor)
//!   constructor      ──> fork handlers, exit hook       (first of all: initfirst)
//!   exit             ──> destructors ──> leak check ──> exit code
//! ```
//!
//! The check must come after the last destructor. Preloaded, the exit hook
//! (on_exit(3)), registered first, runs last; linked in statically it runs
//! before the destructors, and ours, the last of them, does the check.

use super::leaks::Verdict;
use super::runtime::{OPTIONS_BUFFER, REPORTER};
use super::shim::{Saved, checkpoint};
use crate::config::{self, Poison, Sources};
use crate::heap::{self, Poisoning, Settings};
use crate::leak::{self, Obstacle};
use crate::platform::linux::auxv;
use crate::platform::{Host, Platform};
use crate::symbol::NAMES;
use crate::sync::atomics::{
    AtomicBool, AtomicI32, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::units::{MIB, Text};
use core::ffi::{CStr, c_char, c_void};
use core::fmt::Write;

const NOT_STARTED: u32 = 0;
const STARTING: u32 = 1;
const STARTED: u32 = 2;

static PHASE: AtomicU32 = AtomicU32::new(NOT_STARTED);
static FINISHED: AtomicBool = AtomicBool::new(false);
static DESTRUCTORS_RAN: AtomicBool = AtomicBool::new(false);
static STATUS: AtomicI32 = AtomicI32::new(i32::MIN);

/// The text that a function of the program's returns, if the program has it:
/// a weak symbol without arguments.
macro_rules! program_text {
    ($name:literal) => {{
        let function: usize;
        // SAFETY: loads the address of a weak symbol, 0 where nobody defines it.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $name),
                concat!("mov {function}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                function = out(reg) function,
                options(nostack, readonly, preserves_flags),
            );
        }
        text_of(function)
    }};
}

/// Reads the options before the first allocation; later calls cost a load.
#[inline]
pub(super) fn ensure_started() {
    if PHASE.load(Acquire) != STARTED {
        start();
    }
}

#[cold]
fn start() {
    if PHASE.compare_exchange(NOT_STARTED, STARTING, AcqRel, Acquire).is_err() {
        // Another thread starts, or we are called from within: for a moment
        // the defaults serve.
        return;
    }
    let mut buffer = [0u8; 8192];
    let secure = auxv::is_secure();
    let environment = match secure {
        true => None,
        // SAFETY: nobody has changed the environment that early.
        false => config::from_kernel(b"HEAPWARDEN_OPTIONS", &mut buffer)
            .or_else(|| unsafe { config::from_vector(auxv::environment(), b"HEAPWARDEN_OPTIONS") }),
    };
    // SAFETY: the exchange above made this the one thread that starts.
    let options = unsafe { OPTIONS_BUFFER.fill() };
    let sources = Sources {
        program: program_text!("heapwarden_default_options"),
        environment: environment.unwrap_or(b""),
        secure,
    };
    let mut warnings = [0u8; 4096];
    let mut text = Text::new(&mut warnings);
    config::load(options, sources, &mut |warning| {
        let _ = writeln!(text, "{warning}");
    });
    heap::configure(&Settings {
        stack_depth: options.stack_depth as u32,
        poisoning: match options.poison {
            Poison::Tiered => Poisoning::Tiered,
            Poison::Full => Poisoning::Full,
            Poison::None => Poisoning::None,
        },
        quarantine: options.quarantine_mb.map(|mib| mib as usize * MIB),
        fill_on_alloc: options.fill_on_alloc,
        limit: options.heap_limit_mb.unwrap_or(0) as usize * MIB,
    });
    heap::set_violation_handler(super::violations::on_violation);
    heap::watch_holders(options.lost_because);
    heap::watch_ordinals(options.ordinals);
    heap::set_guard_sample(options.guard_sample);
    heap::set_check_every(options.check_every);
    PHASE.store(STARTED, Release);
    NAMES.configure(options.symbolize, options.symbolize_timeout_s);
    REPORTER.configure(options);
    REPORTER.add_suppressions(program_text!("heapwarden_default_suppressions"));
    REPORTER.add_suppressions(program_text!("__lsan_default_suppressions"));
    for line in text.as_str().lines() {
        REPORTER.notice(format_args!("{line}"));
    }
    super::exhaustion::start(options, secure);
    if options.help {
        let mut help = [0u8; 16384];
        let mut text = Text::new(&mut help);
        let _ = config::write_help(options, &mut text);
        let _ = Host::write(2, text.as_bytes());
    }
}

fn text_of(function: usize) -> &'static [u8] {
    if function == 0 {
        return b"";
    }
    // SAFETY: the contract of the header: a function without arguments that
    // returns a string which lives for ever.
    unsafe {
        let function: extern "C" fn() -> *const c_char = core::mem::transmute(function);
        let text = function();
        if text.is_null() { b"" } else { CStr::from_ptr(text).to_bytes() }
    }
}

unsafe extern "C" {
    fn on_exit(handler: unsafe extern "C" fn(i32, *mut c_void), argument: *mut c_void) -> i32;
    fn pthread_atfork(
        prepare: Option<unsafe extern "C" fn()>,
        parent: Option<unsafe extern "C" fn()>,
        child: Option<unsafe extern "C" fn()>,
    ) -> i32;
}

extern "C" fn construct() {
    crate::trace::loader_is_ready();
    ensure_started();
    super::stack_check::start(OPTIONS_BUFFER.get().stack_check);
    super::faults::install();
    // SAFETY: functions of ours with the types that libc wants; both may
    // allocate, which works by now.
    unsafe {
        pthread_atfork(Some(before_fork), Some(after_fork_in_parent), Some(after_fork_in_child));
        on_exit(heapwarden_at_exit, core::ptr::null_mut());
    }
    super::watch::start();
    super::bundled::find();
}

checkpoint! {
    "heapwarden_destruct"("rdi") => destruct;
    "heapwarden_at_exit"("rdx") => at_exit;
}

unsafe extern "C" fn destruct(saved: *const Saved) {
    DESTRUCTORS_RAN.store(true, Relaxed);
    let status = STATUS.load(Relaxed);
    if status != i32::MIN {
        finish(status, saved);
    }
}

unsafe extern "C" fn at_exit(status: i32, _argument: usize, saved: *const Saved) {
    STATUS.store(status, Relaxed);
    if DESTRUCTORS_RAN.load(Relaxed) {
        finish(status, saved);
    }
}

unsafe extern "C" {
    fn heapwarden_destruct();
    fn heapwarden_at_exit(status: i32, argument: *mut c_void);
}

#[used]
#[unsafe(link_section = ".init_array.00000")]
static CONSTRUCTOR: extern "C" fn() = construct;
#[used]
#[unsafe(link_section = ".fini_array.00000")]
static DESTRUCTOR: unsafe extern "C" fn() = heapwarden_destruct;

/// The last act: checks, reports, and the exit code.
fn finish(status: i32, saved: *const Saved) {
    if FINISHED.swap(true, AcqRel) {
        return;
    }
    let options = OPTIONS_BUFFER.get();
    super::exhaustion::finish();
    if !super::leaks::is_heap_open() {
        super::leaks::tell_obstacle(Obstacle::HeapLocked);
        return end(status, Verdict::Impossible);
    }
    if options.detect_leaks && options.hidden_leaks {
        super::leaks::survey_idleness();
    }
    heap::check_heap(heap::capture(Saved::entry(saved)));
    super::warnings::flush();
    // A forked child is asked only if told, and for what it allocated itself.
    let since = FORK_SEQUENCE.load(Relaxed);
    let verdict = match options.detect_leaks && (since == 0 || options.check_children) {
        true => super::leaks::check_at_exit(saved, since),
        false => Verdict::Clean,
    };
    end(status, verdict);
}

/// The exit code that the verdict makes of the program's own.
fn end(status: i32, verdict: Verdict) {
    let options = OPTIONS_BUFFER.get();
    let code = match verdict {
        // No memory for the check either, as the exhaustion report said before.
        Verdict::Impossible if crate::exhaustion::was_refused_by_system() => 0,
        Verdict::Impossible => IMPOSSIBLE,
        Verdict::Leaks => options.exitcode as i32,
        Verdict::Clean if super::violations::count() > 0 => options.exitcode as i32,
        Verdict::Clean => 0,
    };
    if status == 0 && code != 0 && options.exitcode != 0 {
        // Inside exit(), exit() goes on with what is left: libc's own flush
        // of the streams, which takes no lock that a thread may hold.
        // SAFETY: glibc allows it (exit.c runs the remaining handlers).
        unsafe { libc::exit(code) };
    }
}

/// After a check that the program asked for as its last: none at exit, and
/// the end now if leaks were found.
pub(super) fn check_now_instead_of_at_exit(verdict: Verdict) {
    FINISHED.store(true, Relaxed);
    let code = OPTIONS_BUFFER.get().exitcode as i32;
    if verdict == Verdict::Leaks && code != 0 {
        // SAFETY: the program asked for it (lsan_interface.h).
        unsafe { libc::exit(code) };
    }
}

/// The exit code when the check itself could not be done.
const IMPOSSIBLE: i32 = 24;

unsafe extern "C" {
    fn _IO_list_lock();
    fn _IO_list_unlock();
    fn _IO_list_resetlock();
}

/// glibc takes its lock of all streams after the handlers ran, so ours would
/// be taken before it; a thread inside fflush(NULL) or getline takes them in
/// the other order. The lock is recursive: taken here first, the order is one.
/// In the child glibc itself makes it new only if the parent had threads; then
/// and else, we do.
unsafe extern "C" fn before_fork() {
    // SAFETY: exported by glibc for exactly this order (libio.h).
    unsafe { _IO_list_lock() };
    leak::pools::before_fork();
    heap::before_fork();
}

unsafe extern "C" fn after_fork_in_parent() {
    // SAFETY: libc pairs this with `before_fork`.
    unsafe {
        heap::after_fork_in_parent();
        leak::pools::after_fork();
        _IO_list_unlock();
    }
}

unsafe extern "C" fn after_fork_in_child() {
    // SAFETY: libc pairs this with `before_fork`.
    unsafe {
        heap::after_fork_in_child();
        leak::pools::after_fork();
        _IO_list_resetlock();
    }
    leak::after_fork_in_child();
    FORK_SEQUENCE.store(heap::mark(), Relaxed);
    super::warnings::after_fork_in_child();
    super::watch::after_fork_in_child();
}

/// In a forked child, the mark that was set at its birth; 0 in the first
/// process.
static FORK_SEQUENCE: AtomicU64 = AtomicU64::new(0);
