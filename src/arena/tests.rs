//! The arena on the host: random work against a shadow of its contents, every
//! crime with its innocent twin, in all modes and poison windows.

use core::ffi::c_void;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use super::*;
use proptest::prelude::*;

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

    pub fn resize(&self, pointer: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: as for `free`.
        unsafe { self.arena.resize(pointer, size, 1, 5) }
    }

    pub fn free(&self, pointer: *mut u8) {
        // SAFETY: the tests commit their crimes inside the bench's own memory.
        unsafe { self.arena.free(pointer, 0x2001) };
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
            let moved = bench.resize(pointer, new_size);
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

/// One step of a program that keeps to the rules.
#[derive(Clone, Debug)]
enum Step {
    Allocate { size: usize, alignment: u32 },
    Free { which: usize },
    Resize { which: usize, size: usize },
    Check,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![3 => 0..80usize, 2 => 0..600usize, 1 => 0..9000usize];
    prop_oneof![
        5 => (size.clone(), 0..10u32).prop_map(|(size, alignment)| Step::Allocate { size, alignment }),
        4 => any::<usize>().prop_map(|which| Step::Free { which }),
        2 => (any::<usize>(), size).prop_map(|(which, size)| Step::Resize { which, size }),
        1 => Just(Step::Check),
    ]
}

/// Runs `steps` beside a shadow: blocks never overlap, keep their contents and
/// alignment, and the heap is whole again at the end.
fn shadow<M: Mode>(window: usize, steps: &[Step]) -> Result<(), TestCaseError> {
    let bench = Bench::<M>::new(1 << 15, window);
    let whole = bench.arena.statistics();
    let mut live: Vec<(usize, usize)> = Vec::new();
    for step in steps {
        match *step {
            Step::Allocate { size, alignment } => {
                let pointer = bench.arena.allocate(size, 1 << alignment, 3);
                if pointer.is_null() {
                    continue;
                }
                let address = pointer.addr();
                prop_assert_eq!(address % (1usize << alignment).max(layout::ALIGNMENT), 0);
                for &(other, length) in &live {
                    prop_assert!(address + size <= other || other + length <= address);
                }
                // SAFETY: `size` bytes were just allocated.
                unsafe { pointer.write_bytes(address as u8 ^ 0x5a, size) };
                live.push((address, size));
            }
            Step::Free { which } if !live.is_empty() => {
                let (address, size) = live.swap_remove(which % live.len());
                prop_assert!(holds(address, size, address));
                bench.free(core::ptr::with_exposed_provenance_mut(address));
            }
            Step::Resize { which, size } if !live.is_empty() => {
                let at = which % live.len();
                let (address, old) = live[at];
                let pointer = core::ptr::with_exposed_provenance_mut(address);
                let moved = bench.resize(pointer, size);
                if !moved.is_null() {
                    prop_assert!(holds(moved.addr(), old.min(size), address));
                    // SAFETY: `size` bytes are live now.
                    unsafe { moved.write_bytes(moved.addr() as u8 ^ 0x5a, size) };
                    live[at] = (moved.addr(), size);
                }
            }
            Step::Check => prop_assert_eq!(bench.arena.check(0), 0),
            _ => {}
        }
    }
    let statistics = bench.arena.statistics();
    prop_assert_eq!(statistics.live_blocks as usize, live.len());
    if M::OWNER || M::GUARD {
        prop_assert_eq!(statistics.live_bytes, live.iter().map(|block| block.1).sum::<usize>());
    }
    for (address, _) in live {
        bench.free(core::ptr::with_exposed_provenance_mut(address));
    }
    prop_assert_eq!(bench.arena.statistics().largest_free, whole.largest_free);
    prop_assert!(bench.kinds().iter().all(|&kind| kind == ArenaViolation::Exhausted));
    Ok(())
}

/// Whether `size` bytes at `address` are those of a block filled at `origin`.
fn holds(address: usize, size: usize, origin: usize) -> bool {
    // SAFETY: a live block of at least `size` bytes.
    let bytes = unsafe {
        core::slice::from_raw_parts(core::ptr::with_exposed_provenance::<u8>(address), size)
    };
    bytes.iter().all(|&byte| byte == origin as u8 ^ 0x5a)
}

/// A heap with gaps, one of whose blocks is written over its end: whatever is
/// hit, the first event names that block, walks end, and the heap goes on.
fn overflow<M: Mode>(victim: usize, beyond: &[u8], checked: bool) -> Result<(), TestCaseError> {
    let bench = Bench::<M>::new(1 << 14, 32);
    // The highest block: an overflow shall not leave the arena.
    bench.get(beyond.len());
    let blocks: Vec<_> = (0..40).map(|i| bench.get(i * 7 % 90)).collect();
    for gap in blocks.iter().skip(2).step_by(3) {
        bench.free(*gap);
    }
    // Not a gap.
    let victim = 3 + victim % 36 / 3 * 3;
    let (pointer, size) = (blocks[victim], victim * 7 % 90);
    // SAFETY: not sound, on purpose: bytes of the arena after the block.
    unsafe { pointer.add(size).copy_from_nonoverlapping(beyond.as_ptr(), beyond.len()) };
    if checked {
        bench.arena.check(0);
    } else {
        bench.free(pointer);
    }
    let events = bench.events();
    prop_assert!(!events.is_empty(), "nothing told");
    prop_assert_eq!(events[0].kind, ArenaViolation::Overflow);
    prop_assert_eq!(events[0].block, pointer.addr());
    // A neighbour's header that was wiped whole is told by itself, by the check
    // that mends it; a check later nothing is left.
    bench.arena.check(0);
    bench.arena.check(0);
    bench.events();
    prop_assert_eq!(bench.arena.check(0), 0, "a crime told again and again");
    for size in 0..60 {
        let pointer = bench.arena.allocate(size * 5, 1, 0);
        bench.free(pointer);
    }
    prop_assert!(bench.kinds().iter().all(|&kind| kind == ArenaViolation::Exhausted));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_program_that_keeps_to_the_rules_sees_an_ordinary_heap(
        steps in proptest::collection::vec(step(), 1..200),
        window in prop_oneof![Just(0), Just(32), Just(usize::MAX)],
    ) {
        shadow::<Bare>(0, &steps)?;
        shadow::<Owner>(0, &steps)?;
        shadow::<Guard>(window, &steps)?;
        shadow::<OwnerGuard>(window, &steps)?;
    }

    #[test]
    fn an_overflow_is_told_by_its_block_and_mended_however_far_it_goes(
        victim in 0..40usize,
        beyond in proptest::collection::vec(any::<u8>().prop_map(|byte| byte & !1), 1..120),
        checked in any::<bool>(),
    ) {
        overflow::<Guard>(victim, &beyond, checked)?;
        overflow::<OwnerGuard>(victim, &beyond, checked)?;
    }
}

#[test]
fn classes_never_fall_as_sizes_rise() {
    let of = |size| {
        assert!(size >= layout::Bare::SMALLEST);
        // SAFETY: a block's size.
        unsafe { classes::of(size) }
    };
    // Every size up to 2 MiB, then where classes begin.
    for size in 32..2 << 20 {
        assert!(of(size) <= of(size + 1), "{size}");
    }
    for shift in 6..31 {
        for size in [(1usize << shift) - layout::ALIGNMENT, 1 << shift, 3 << (shift - 1)] {
            assert!(of(size) <= of(size + layout::ALIGNMENT));
            assert!(of(size) < of(2 * size));
            // The block for a request of `size` bytes has a list.
            let block = layout::block_size::<OwnerGuard>(size);
            assert!(size < 128 || of(block) < classes::enough_for(size), "{size}");
        }
    }
}

/// A header that makes sense but for its slack, which would put the canary before
/// the payload: it was sealed as it stood, and each check told its own mending.
#[test]
fn a_header_with_more_slack_than_room_is_no_plausible_header() {
    let mut beyond = [0u8; 24];
    beyond[23] = 10;
    overflow::<OwnerGuard>(24, &beyond, false).expect("told once");
    overflow::<Guard>(24, &beyond, false).expect("told once");
}

/// Damage to the state's bits that only a leak scan uses is damage like any other.
#[test]
fn a_scan_mark_that_no_scan_made_is_told() {
    let bench = Bench::<OwnerGuard>::new(1 << 14, 32);
    let (pointer, _above) = (bench.get(24), bench.get(24));
    let state = pointer.cast::<usize>().wrapping_sub(4);
    // SAFETY: not sound, on purpose: the block's own header.
    unsafe { state.write(state.read() ^ layout::PENDING) };
    assert_eq!(bench.arena.check(0), 1);
    assert_eq!(bench.kinds().len(), 1);
    bench.arena.check(0);
    bench.events();
    assert_eq!(bench.arena.check(0), 0);
}

/// Check words and canaries are both made of secret and address. They had been
/// made so alike that two words of canary below a block were a free block's
/// header if the block's site was a small number, as sites in flash at 0 are: a
/// walk went there (found by the fuzzer).
#[test]
#[cfg(target_pointer_width = "64")] // 32 bits are too few to tell by one of them
fn no_site_makes_a_header_of_the_canary_below() {
    let bench = Bench::<OwnerGuard>::new(1 << 14, 0);
    for size in (0..400).filter(|size| (size + 8) % 16 <= 8) {
        let [above, below] = [40, size].map(|size| bench.get(size));
        assert!(above > below);
        let place = above.addr() - OwnerGuard::HEADER - layout::ALIGNMENT;
        // SAFETY: the word before the last of the canary.
        let canary = unsafe { block::load(place) };
        // What would make its check word right, which lies where the site does.
        let site = bench.arena.heap().secret() ^ place ^ canary & !OwnerGuard::PREVIOUS_FREE;
        assert!(site >> 48 >= 0xfefe, "{site:#x} may be an address");
        bench.free(below);
        bench.free(above);
    }
    assert_eq!(bench.kinds(), []);
}

/// Rows without bytes had been passed over for rows that nobody had written.
#[test]
fn an_exhaustion_names_the_sites_of_blocks_of_no_bytes_too() {
    unsafe extern "C" fn putc(context: *mut c_void, character: core::ffi::c_char) {
        // SAFETY: the context is the vector below.
        unsafe { (*context.cast::<Vec<u8>>()).push(character as u8) };
    }
    let bench = Bench::<OwnerGuard>::new(1 << 14, 32);
    bench.get(100);
    assert!(!bench.arena.allocate(0, 1, 0x3001).is_null());
    assert!(bench.arena.allocate(1 << 20, 1, 0x5001).is_null());
    let mut written = Vec::<u8>::new();
    let pen = bench.arena.pen(putc, (&raw mut written).cast());
    bench.arena.report_event(&bench.events()[0], pen);
    let record: serde_json::Value = serde_json::from_slice(&written).expect("JSON");
    let rows: Vec<_> = record["top"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            (row["blocks"].as_u64(), row["bytes"].as_u64(), row["stack"][0]["address"].as_str())
        })
        .collect();
    assert_eq!(rows, [(Some(1), Some(100), Some("0xfff")), (Some(1), Some(0), Some("0x2fff"))]);
}
