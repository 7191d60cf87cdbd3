//! The arena as the global allocator of a Rust program with threads: this test
//! itself runs on it.
#![cfg(feature = "arena-global")]

use heapwarden::arena::{
    ArenaAllocator, ArenaAnswer, ArenaConfig, ArenaEvent, ArenaSite, ArenaViolation, Guard,
    OwnerGuard,
};
use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ffi::c_void;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

const BYTES: usize = 8 << 20;

/// Memory for the process, given at its first allocation.
struct Process {
    once: Once,
    heap: ArenaAllocator<spin::Mutex<()>, Guard>,
}

#[repr(align(16))]
struct Memory(#[expect(dead_code, reason = "only its address is used")] [u8; BYTES]);

static mut MEMORY: Memory = Memory([0; BYTES]);

#[global_allocator]
static PROCESS: Process = Process { once: Once::new(), heap: ArenaAllocator::empty() };

static EVENTS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn on_event(_: *mut c_void, event: *const ArenaEvent) -> ArenaAnswer {
    // SAFETY: the heap's event.
    let kind = unsafe { (*event).kind };
    // The lock is free: the handler itself may allocate.
    let text = format!("{kind:?}");
    EVENTS.fetch_add(u32::from(!text.is_empty()), Ordering::Relaxed);
    ArenaAnswer::Continue
}

impl Process {
    fn heap(&'static self) -> &'static ArenaAllocator<spin::Mutex<()>, Guard> {
        self.once.call_once(|| {
            let config =
                ArenaConfig { on_event: Some(on_event), poison_window: 32, ..ArenaConfig::new() };
            // SAFETY: nothing else uses MEMORY; `Once` makes this the first use.
            assert!(unsafe { self.heap.init((&raw mut MEMORY).cast(), BYTES, &config) });
        });
        &self.heap
    }
}

// SAFETY: passed on to the arena, whose memory is PROCESS's alone.
unsafe impl GlobalAlloc for Process {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { PROCESS.heap().alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { PROCESS.heap().dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { PROCESS.heap().realloc(pointer, layout, size) }
    }
}

#[test]
fn a_program_with_threads_runs_on_an_arena() {
    let threads: Vec<_> = (0..4u64)
        .map(|seed| {
            std::thread::spawn(move || {
                let mut map = BTreeMap::new();
                for i in 0..20_000u64 {
                    let key = (i * 7919 + seed) % 97;
                    map.insert(key, vec![i as u8; (key * 13 % 300) as usize]);
                    if i % 3 == 0 {
                        map.remove(&(key / 2));
                    }
                }
                map.len()
            })
        })
        .collect();
    for thread in threads {
        assert!(thread.join().expect("no panic") > 0);
    }
    let arena = PROCESS.heap().arena().expect("initialised");
    assert_eq!(arena.check(0), 0);
    assert_eq!(EVENTS.load(Ordering::Relaxed), 0);

    // An overflow is told once, to a handler that allocates.
    let bytes = std::hint::black_box(vec![1u8; 24]);
    // SAFETY: not sound, on purpose: one byte past the end, in the block's canary.
    unsafe { bytes.as_ptr().cast_mut().add(24).write_volatile(0) };
    drop(bytes);
    assert_eq!(EVENTS.load(Ordering::Relaxed), 1);
}

#[test]
fn without_memory_every_request_fails() {
    static EMPTY: ArenaAllocator<spin::Mutex<()>> = ArenaAllocator::empty();
    // SAFETY: a layout that is not empty.
    assert!(unsafe { EMPTY.alloc(Layout::new::<u64>()) }.is_null());
}

#[test]
fn a_site_names_file_and_line() {
    static SMALL: ArenaAllocator<spin::Mutex<()>, OwnerGuard> = ArenaAllocator::empty();
    let memory = Box::leak(vec![0u64; 512].into_boxed_slice());
    // SAFETY: leaked, and used by nothing else.
    assert!(unsafe { SMALL.init(memory.as_mut_ptr().cast(), 4096, &ArenaConfig::new()) });
    let arena = SMALL.arena().expect("initialised");
    let pointer = arena.allocate(40, 64, heapwarden::site!());
    let line = line!() - 1;
    let block = arena.block_of(pointer).expect("live");
    // SAFETY: the record that `site!` made.
    let site = unsafe { &*std::ptr::with_exposed_provenance::<ArenaSite>(block.site) };
    assert_eq!((site.line, block.size), (line, 40));
    // SAFETY: ends in a zero.
    assert_eq!(unsafe { CStr::from_ptr(site.file) }.to_str(), Ok(file!()));
    // SAFETY: not used any more.
    unsafe { arena.free(pointer, 0) };
    assert_eq!(arena.statistics().live_blocks, 0);
    assert_ne!(ArenaViolation::None, ArenaViolation::Corrupt);
}
