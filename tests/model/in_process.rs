//! The hosted heap as an allocator of the harness: in this process, through the
//! rlib, below malloc's own functions; fast paths first, as they do. The fuzzer
//! of operations uses this file too (fuzz/bodies.rs).
//!
//! Invariant: the process has one heap, so one [`Hosted`] is at work at a time.

use heapwarden::guard::{Violation, ViolationKind};
use heapwarden::harness::{Allocator, Crime, Freeing, Function, Rules, Seen, SeenBlock};
use heapwarden::heap::{self, Found, Poisoning, Request, Settings};
use heapwarden::trace::{self, Entry};
use heapwarden::units::{Family, StackId};
use std::sync::{Mutex, PoisonError};

/// What the heap itself promises; errno, sized deletes and exit are the abi's.
pub const HEAP: Rules = Rules {
    zero_resize_frees: false,
    sized: false,
    refusals_set_errno: false,
    strict_aligned_alloc: false,
    forks: false,
    leaks: false,
    ..Rules::HEAPWARDEN
};

/// How the library fills and keeps freed blocks unless it is told otherwise.
pub const TIERED: Settings = Settings {
    stack_depth: 32,
    poisoning: Poisoning::Tiered,
    quarantine: Some(64 << 20),
    fill_on_alloc: false,
    limit: 0,
};

static VERDICTS: Mutex<Vec<Seen>> = Mutex::new(Vec::new());

fn verdicts() -> std::sync::MutexGuard<'static, Vec<Seen>> {
    VERDICTS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(violation: &Violation) {
    let crime = match violation.kind {
        ViolationKind::Overflow => Crime::Overflow,
        ViolationKind::Underflow => Crime::Underflow,
        ViolationKind::UseAfterFree => Crime::UseAfterFree,
        ViolationKind::DoubleFree => Crime::DoubleFree,
        ViolationKind::InteriorFree | ViolationKind::WildFree => Crime::BadFree,
        ViolationKind::Mismatch => Crime::Mismatch,
        other => panic!("{other:?} is the abi's to find"),
    };
    let block = match heap::locate(violation.block) {
        Found::Inside(block, _) if violation.block != 0 => Some(SeenBlock {
            address: block.start,
            size: Some(block.size),
            offset: Some(violation.address.wrapping_sub(block.start) as i64),
            allocated: site_of(block.record.stack()),
            freed: site_of(block.freed().0),
        }),
        _ => None,
    };
    verdicts().push(Seen { crime, block, site: site_of(violation.stack) });
}

type Site = fn(&mut dyn FnMut());

/// A call site: a function of its own for each number.
#[inline(never)]
fn site<const NUMBER: u8>(action: &mut dyn FnMut()) {
    action();
    std::hint::black_box(NUMBER);
}

static SITES: [Site; 8] =
    [site::<0>, site::<1>, site::<2>, site::<3>, site::<4>, site::<5>, site::<6>, site::<7>];

/// The site whose function is in the stack.
fn site_of(stack: StackId) -> Option<u8> {
    const LONGEST: usize = 128;
    let mut frames = [0; 64];
    let (count, _) = trace::frames(stack, &mut frames);
    frames[..count].iter().find_map(|&frame| {
        let before = |site: &&Site| (1..LONGEST).contains(&frame.wrapping_sub(**site as usize));
        let nearest = SITES.iter().filter(before).max_by_key(|site| **site as usize)?;
        SITES.iter().position(|site| *site as usize == *nearest as usize).map(|n| n as u8)
    })
}

/// What the abi's shims do: a call that knows where it came from.
macro_rules! with_entry {
    ($name:ident, $inner:ident($first:ty, $second:ty) -> $result:ty, $sp:literal, $fp:literal) => {
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(first: $first, second: $second) -> $result {
            core::arch::naked_asm!(
                concat!("mov ", $sp, ", rsp"),
                concat!("mov ", $fp, ", rbp"),
                "jmp {}",
                sym $inner
            )
        }
    };
}

with_entry!(allocate, allocate_inner(&Request, usize) -> *mut u8, "rdx", "rcx");
with_entry!(resize, resize_inner(usize, usize) -> *mut u8, "rdx", "rcx");
with_entry!(free, free_inner(usize, u8) -> (), "rdx", "rcx");
with_entry!(usable, usable_inner(usize, usize) -> usize, "rdx", "rcx");
with_entry!(check, check_inner(usize, usize) -> usize, "rdx", "rcx");

extern "C" fn allocate_inner(request: &Request, _: usize, sp: usize, fp: usize) -> *mut u8 {
    const MALLOC: u8 = Family::Malloc as u8;
    const NEW: u8 = Family::New as u8;
    const NEW_ARRAY: u8 = Family::NewArray as u8;
    let general = |_, entry| heap::allocate_general(request, entry);
    let (size, entry) = (request.size, Entry { sp, fp });
    match request.family {
        _ if request.alignment > 16 || request.zeroed => general(size, entry),
        Family::Malloc => heap::allocate::<MALLOC>(size, entry, general),
        Family::New => heap::allocate::<NEW>(size, entry, general),
        Family::NewArray => heap::allocate::<NEW_ARRAY>(size, entry, general),
        _ => general(size, entry),
    }
}

extern "C" fn resize_inner(block: usize, size: usize, sp: usize, fp: usize) -> *mut u8 {
    heap::resize(block, size, Entry { sp, fp })
}

extern "C" fn free_inner(block: usize, family: u8, sp: usize, fp: usize) {
    const MALLOC: u8 = Family::Malloc as u8;
    const NEW: u8 = Family::New as u8;
    const NEW_ARRAY: u8 = Family::NewArray as u8;
    let family = Family::from_bits(family);
    let general = |block, _, entry| heap::free_general(block, family, entry);
    let entry = Entry { sp, fp };
    match family {
        Family::Malloc => heap::free::<MALLOC, false>(block, 0, entry, general),
        Family::New => heap::free::<NEW, false>(block, 0, entry, general),
        Family::NewArray => heap::free::<NEW_ARRAY, false>(block, 0, entry, general),
        _ => general(block, 0, entry),
    }
}

extern "C" fn usable_inner(block: usize, _: usize, sp: usize, fp: usize) -> usize {
    heap::try_size_of(block)
        .or_else(|| heap::usable_size(block, Entry { sp, fp }))
        .unwrap_or_default()
}

extern "C" fn check_inner(_: usize, _: usize, sp: usize, fp: usize) -> usize {
    heap::check_heap(heap::capture(Entry { sp, fp }))
}

/// The process's heap; holds the figures when the program began.
pub struct Hosted(Mutex<heap::Statistics>);

// SAFETY: every pointer goes through as it is; crimes are the heap's to judge.
unsafe impl Allocator for Hosted {
    fn allocate(&self, function: Function, size: usize) -> (*mut u8, i32) {
        let Some(size) = function.bytes(size).filter(|_| function.is_aligned_well()) else {
            return (core::ptr::null_mut(), 0);
        };
        let request = Request {
            size,
            alignment: function.alignment().max(16),
            family: function.family(),
            zeroed: matches!(function, Function::Calloc { .. }),
        };
        // SAFETY: any request may be made.
        (unsafe { allocate(&request, 0) }, 0)
    }

    unsafe fn resize(&self, block: *mut u8, _: Function, _: usize, size: usize) -> (*mut u8, i32) {
        // SAFETY: the heap judges the pointer.
        (unsafe { resize(block.addr(), size) }, 0)
    }

    unsafe fn free(&self, block: *mut u8, _: Function, _: usize, how: Freeing) -> i32 {
        // SAFETY: the heap judges the pointer.
        unsafe { free(block.addr(), how.by as u8) };
        0
    }

    unsafe fn usable_size(&self, block: *mut u8, _: usize) -> usize {
        // SAFETY: the heap judges the pointer.
        unsafe { usable(block.addr(), 0) }
    }

    fn check(&self) -> usize {
        // SAFETY: may be called at any time.
        unsafe { check(0, 0) }
    }

    fn statistics(&self) -> (usize, usize) {
        let (now, begun) = (heap::statistics(), self.begun());
        let allocations = now.allocations - begun.allocations;
        (now.live_bytes.wrapping_sub(begun.live_bytes), allocations as usize)
    }

    fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = heap::statistics();
    }

    fn verdicts(&self) -> Vec<Seen> {
        std::mem::take(&mut verdicts())
    }

    fn at_site(&self, site: u8, action: &mut dyn FnMut()) {
        SITES[site as usize](action);
    }
}

impl Hosted {
    /// The heap, whose verdicts are noted from here on.
    pub fn new(settings: &Settings) -> Hosted {
        heap::set_violation_handler(note);
        heap::configure(settings);
        Hosted(Mutex::default())
    }

    fn begun(&self) -> heap::Statistics {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
