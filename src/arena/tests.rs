//! The arena on the host: random work against a shadow of its contents, every
//! crime with its innocent twin, in all modes and poison windows.

use core::ffi::c_void;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use super::*;

/// Collects the kinds of all events.
unsafe extern "C" fn collect(context: *mut c_void, event: *const ArenaEvent) -> ArenaAnswer {
    // SAFETY: the context is the `Vec` of `Bench`, the event the heap's.
    unsafe { (*context.cast::<Vec<ArenaEvent>>()).push(*event) };
    ArenaAnswer::Continue
}

pub(super) struct Bench<M: Mode> {
    pub arena: Arena<M>,
    events: *mut Vec<ArenaEvent>,
    memory: *mut [u64],
}

impl<M: Mode> Bench<M> {
    pub fn new(bytes: usize, poison_window: usize) -> Self {
        let memory = Box::into_raw(vec![0x5555_5555_5555_5555u64; bytes / 8].into_boxed_slice());
        let events = Box::into_raw(Box::<Vec<ArenaEvent>>::default());
        let config = ArenaConfig {
            on_event: Some(collect),
            context: events.cast(),
            poison_window,
            secret: 0x9e37_79b9,
            ..ArenaConfig::new()
        };
        // SAFETY: the box is this bench's alone.
        let arena = unsafe { Arena::create(memory.cast(), bytes, &config) };
        Bench { arena: arena.expect("the arena holds a heap"), events, memory }
    }

    pub fn events(&self) -> Vec<ArenaEvent> {
        // SAFETY: no handler runs now.
        core::mem::take(unsafe { &mut *self.events })
    }

    pub fn kinds(&self) -> Vec<ArenaViolation> {
        self.events().iter().map(|event| event.kind).collect()
    }

    pub fn get(&self, size: usize) -> *mut u8 {
        let pointer = self.arena.allocate(size, layout::ALIGNMENT, 0x1001);
        assert!(!pointer.is_null(), "no room for {size}");
        pointer
    }

    pub fn free(&self, pointer: *mut u8) {
        self.arena.free(pointer, 0x2001);
    }
}

impl<M: Mode> Drop for Bench<M> {
    fn drop(&mut self) {
        // SAFETY: both came from boxes and nothing uses them any more.
        unsafe {
            drop(Box::from_raw(self.memory));
            drop(Box::from_raw(self.events));
        }
    }
}

fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize
}

/// Random work; each block is filled with a byte of its own and looked at when
/// it goes. Events other than exhaustion are false reports.
fn work<M: Mode>(window: usize, steps: usize, seed: u64) {
    let bench = Bench::<M>::new(1 << 16, window);
    let whole = bench.arena.statistics();
    let mut live: Vec<(*mut u8, usize, u8)> = Vec::new();
    let mut state = seed;
    let mut failures = 0;
    for step in 0..steps {
        let dice = random(&mut state) % 100;
        if dice < 45 || live.is_empty() {
            let size = match random(&mut state) % 10 {
                0..6 => random(&mut state) % 64,
                6..9 => random(&mut state) % 256,
                _ => random(&mut state) % 3000,
            };
            let alignment = if dice < 5 { 1 << (random(&mut state) % 9) } else { 1 };
            let pointer = bench.arena.allocate(size, alignment, step << 2 | 1);
            if pointer.is_null() {
                failures += 1;
                continue;
            }
            assert_eq!(pointer.addr() % alignment.max(layout::ALIGNMENT), 0);
            let tag = step as u8;
            // SAFETY: `size` bytes were just allocated.
            unsafe { pointer.write_bytes(tag, size) };
            live.push((pointer, size, tag));
            continue;
        }
        let at = random(&mut state) % live.len();
        let (pointer, size, tag) = live[at];
        // SAFETY: the block is live with `size` bytes.
        let bytes = unsafe { core::slice::from_raw_parts(pointer, size) };
        assert!(bytes.iter().all(|&byte| byte == tag), "contents changed at step {step}");
        if dice < 85 {
            bench.free(pointer);
            live.swap_remove(at);
        } else {
            let new_size = random(&mut state) % 700;
            let moved = bench.arena.resize(pointer, new_size, 1, 5);
            if moved.is_null() {
                failures += 1;
                continue;
            }
            // SAFETY: `new_size` bytes are live, the first of them copied.
            unsafe {
                let kept = core::slice::from_raw_parts(moved, size.min(new_size));
                assert!(kept.iter().all(|&byte| byte == tag), "realloc lost bytes at {step}");
                moved.write_bytes(tag, new_size);
            }
            live[at] = (moved, new_size, tag);
        }
        if step % 997 == 0 {
            assert_eq!(bench.arena.check(0), 0, "a check at step {step} found damage");
            let statistics = bench.arena.statistics();
            assert_eq!(statistics.live_blocks as usize, live.len());
            assert_eq!(
                statistics.free_bytes + statistics.live_bytes + statistics.overhead_bytes,
                statistics.total_bytes
            );
        }
    }
    for (pointer, _, _) in live {
        bench.free(pointer);
    }
    assert_eq!(bench.arena.check(0), 0);
    let statistics = bench.arena.statistics();
    assert_eq!(statistics.free_bytes, whole.total_bytes);
    assert_eq!(statistics.largest_free, whole.largest_free, "free blocks did not join");
    let kinds = bench.kinds();
    assert!(kinds.iter().all(|&kind| kind == ArenaViolation::Exhausted), "{kinds:?}");
    assert_eq!(kinds.len(), failures);
}

#[test]
fn random_work_raises_nothing_in_any_mode() {
    for seed in 1..4 {
        work::<Bare>(0, 60_000, seed);
        work::<Owner>(0, 60_000, seed);
        for window in [0, 32, usize::MAX] {
            work::<Guard>(window, 60_000, seed);
            work::<OwnerGuard>(window, 60_000, seed);
        }
    }
}
