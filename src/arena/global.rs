//! The arena as a Rust program's global allocator, behind a lock that the user
//! brings: any [`lock_api::RawMutex`], such as `spin::Mutex<()>` where threads
//! spin, or a wrapper of `critical_section` on a single core (see
//! `docs/embedded.md`).
//!
//! Rust's allocator interface does not say who calls, so blocks that come
//! through it have no call site; [`ArenaAllocator::arena`] gives the doors that
//! take one, with [`site!`](crate::site).
//!
//! Invariant: before `init`, every request fails.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;

use lock_api::RawMutex;

use super::door::Arena;
use super::event::{ArenaAnswer, ArenaConfig, ArenaEvent};
use super::layout::{Mode, OwnerGuard};

/// A global allocator over memory that is given later:
///
/// ```
/// use heapwarden::arena::{ArenaAllocator, ArenaConfig};
///
/// // #[global_allocator], in firmware
/// static HEAP: ArenaAllocator<spin::Mutex<()>> = ArenaAllocator::empty();
///
/// static mut MEMORY: [u64; 1024] = [0; 1024];
/// // SAFETY: nothing else uses MEMORY, and nothing has used HEAP yet.
/// unsafe { HEAP.init((&raw mut MEMORY).cast(), 8192, &ArenaConfig::new()) };
/// assert!(HEAP.arena().is_some());
/// ```
pub struct ArenaAllocator<R, M = OwnerGuard> {
    lock: R,
    /// The user's configuration; its functions are called with its context.
    config: UnsafeCell<ArenaConfig>,
    arena: UnsafeCell<Option<Arena<M>>>,
}

// SAFETY: the cells are written once, by `init`, before anything else uses the
// heap; every use of the heap itself is under the lock.
unsafe impl<R: Sync, M> Sync for ArenaAllocator<R, M> {}

impl<R: RawMutex, M: Mode> ArenaAllocator<R, M> {
    /// An allocator without memory.
    pub const fn empty() -> Self {
        ArenaAllocator {
            lock: R::INIT,
            config: UnsafeCell::new(ArenaConfig::new()),
            arena: UnsafeCell::new(None),
        }
    }

    /// Gives it its memory; false when that is too small. The configuration's
    /// `lock` and `unlock` are not used: `R` is the lock.
    ///
    /// # Safety
    /// As for [`Arena::create`]; called once, before the first use.
    pub unsafe fn init(
        &'static self,
        memory: *mut u8,
        length: usize,
        config: &ArenaConfig,
    ) -> bool {
        let inner = ArenaConfig {
            on_event: config.on_event.map(|_| Self::on_event as _),
            lock: Some(Self::lock),
            unlock: Some(Self::unlock),
            task: config.task.map(|_| Self::task as _),
            clock: config.clock.map(|_| Self::clock as _),
            context: ptr::from_ref(self).cast_mut().cast(),
            ..*config
        };
        // SAFETY: the caller's promise: nothing else reads the cells yet.
        unsafe {
            *self.config.get() = *config;
            *self.arena.get() = Arena::create(memory, length, &inner);
        }
        self.arena().is_some()
    }

    /// The heap's doors, for checks, walks, reports, and blocks with call sites.
    pub fn arena(&self) -> Option<Arena<M>> {
        // SAFETY: written before the first use.
        unsafe { *self.arena.get() }
    }

    /// The allocator that `init` made a context of, and the user's functions.
    ///
    /// # Safety
    /// `context` is the one that `init` made.
    unsafe fn of<'a>(context: *mut c_void) -> (&'a Self, &'a ArenaConfig) {
        // SAFETY: a `&'static Self`; the configuration does not change any more.
        unsafe {
            let this = &*context.cast::<Self>();
            (this, &*this.config.get())
        }
    }

    unsafe extern "C" fn lock(context: *mut c_void) {
        // SAFETY: the heap passes `init`'s context.
        unsafe { Self::of(context) }.0.lock.lock();
    }

    unsafe extern "C" fn unlock(context: *mut c_void) {
        // SAFETY: the heap passes `init`'s context, and gives back a lock that
        // it has taken.
        unsafe { Self::of(context).0.lock.unlock() };
    }

    unsafe extern "C" fn on_event(context: *mut c_void, event: *const ArenaEvent) -> ArenaAnswer {
        // SAFETY: as above; the user gave the function with its context.
        unsafe {
            let (_, config) = Self::of(context);
            match config.on_event {
                Some(on_event) => on_event(config.context, event),
                None => ArenaAnswer::Continue,
            }
        }
    }

    unsafe extern "C" fn task(context: *mut c_void) -> u32 {
        // SAFETY: as above; the user gave the function with its context.
        unsafe {
            let (_, config) = Self::of(context);
            config.task.map_or(0, |task| task(config.context))
        }
    }

    unsafe extern "C" fn clock(context: *mut c_void) -> u32 {
        // SAFETY: as above; the user gave the function with its context.
        unsafe {
            let (_, config) = Self::of(context);
            config.clock.map_or(0, |clock| clock(config.context))
        }
    }
}

// SAFETY: the arena gives each request bytes of its own, at the alignment asked
// for, until they are freed; it does not unwind.
unsafe impl<R: RawMutex, M: Mode> GlobalAlloc for ArenaAllocator<R, M> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.arena()
            .map_or(ptr::null_mut(), |arena| arena.allocate(layout.size(), layout.align(), 0))
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        if let Some(arena) = self.arena() {
            // SAFETY: `GlobalAlloc`'s promise.
            unsafe { arena.free(pointer, 0) };
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match self.arena() {
            // SAFETY: `GlobalAlloc`'s promise.
            Some(arena) => unsafe { arena.resize(pointer, size, layout.align(), 0) },
            None => ptr::null_mut(),
        }
    }
}

/// The address of a static record of this place, for the doors that take a
/// call site.
#[macro_export]
macro_rules! site {
    () => {{
        static SITE: $crate::arena::ArenaSite = $crate::arena::ArenaSite {
            file: concat!(file!(), "\0").as_ptr().cast(),
            function: concat!(module_path!(), "\0").as_ptr().cast(),
            line: line!(),
        };
        (&raw const SITE).expose_provenance()
    }};
}
