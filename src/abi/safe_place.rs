//! May a thread be made here? Asked in a signal handler, of the code that the
//! signal interrupted.
//!
//! pthread_create(3) takes locks of libc that have no owner, so a handler that
//! interrupted one of their holders would wait for its own thread. The holders
//! are the loader, and pthread_create, pthread_join, pthread_detach and fork
//! themselves; a thread that is being born or is ending has no frame but
//! libc's. A thread with a frame of the program's and none of those is safe:
//! the usual server, asleep in epoll_wait, is.
//!
//! Invariant: when in doubt, no.

use crate::heap;
use crate::sync::atomics::{AtomicUsize, Ordering::Relaxed};
use crate::trace;
use core::ffi::{c_char, c_int, c_void};

const FUNCTIONS: usize = 5;
/// First address and first address after it, of the functions that take the
/// locks.
static RANGES: [[AtomicUsize; 2]; FUNCTIONS] =
    [const { [AtomicUsize::new(0), AtomicUsize::new(0)] }; FUNCTIONS];
/// Taken as a function's length where the loader cannot tell: static programs.
const LONG: usize = 4096;
const FRAMES: usize = 64;

unsafe extern "C" {
    /// glibc's (dladdr(3)); `extra` becomes the symbol when `flags` is 1.
    fn dladdr1(
        address: *const c_void,
        info: *mut libc::Dl_info,
        extra: *mut *mut c_void,
        flags: c_int,
    ) -> c_int;
}
const RTLD_DL_SYMENT: c_int = 1;

/// Looks up where those functions lie. Not from a handler.
pub(super) fn learn() {
    let names = [c"pthread_create", c"pthread_join", c"pthread_detach", c"fork", c"vfork"];
    for (range, name) in RANGES.iter().zip(names) {
        // SAFETY: constant names; the structures live on our stack, and the
        // symbol that the loader points to is its own and stays.
        let (start, bytes) = unsafe {
            let name: *const c_char = name.as_ptr();
            let function = libc::dlsym(libc::RTLD_DEFAULT, name);
            let mut info: libc::Dl_info = core::mem::zeroed();
            let mut symbol: *mut c_void = core::ptr::null_mut();
            let found = !function.is_null()
                && dladdr1(function, &raw mut info, &raw mut symbol, RTLD_DL_SYMENT) != 0
                && !symbol.is_null();
            let bytes =
                if found { (*symbol.cast::<libc::Elf64_Sym>()).st_size as usize } else { 0 };
            (function as usize, if bytes == 0 { LONG } else { bytes })
        };
        if start != 0 {
            range[0].store(start, Relaxed);
            range[1].store(start + bytes, Relaxed);
        }
    }
}

/// Whether a thread may be made in the handler that got `context`.
pub(super) fn is_safe(context: &libc::ucontext_t) -> bool {
    let registers = &context.uc_mcontext.gregs;
    let register = |number: i32| registers[number as usize] as usize;
    let stack = heap::capture_interrupted(
        register(libc::REG_RIP),
        register(libc::REG_RSP),
        register(libc::REG_RBP),
        FRAMES as u32,
    );
    let mut frames = [0; FRAMES];
    let (depth, _) = trace::frames(stack, &mut frames);
    let mut is_programs = false;
    for frame in &frames[..depth] {
        let address = frame - 1;
        let holds = |range: &[AtomicUsize; 2]| {
            (range[0].load(Relaxed)..range[1].load(Relaxed)).contains(&address)
        };
        let Some((_, module)) = trace::module_of(address) else { continue };
        let name = module.path().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if name.starts_with(b"ld-linux") || name.starts_with(b"ld-2") || RANGES.iter().any(holds) {
            return false;
        }
        let is_support = [&b"libc.so"[..], b"libc-", b"libpthread", b"libheapwarden.so"]
            .iter()
            .any(|library| name.starts_with(library));
        is_programs |= !is_support;
    }
    is_programs
}
