//! How fast a leak check marks: `leak_marking MIB BLOCK`
//!
//! Builds a random graph of BLOCK-byte blocks in the library's heap (one word in
//! four is a pointer to another block, as in benches/leak_scan.c), checks it in
//! place, and prints the processor time of marking alone and of the whole check.

use heapwarden::heap::{self, Request};
use heapwarden::leak::{Caller, HeapAccess, LeakOptions, check};
use heapwarden::trace::Entry;
use heapwarden::units::Family;

struct Locks;

impl HeapAccess for Locks {
    fn lock(&self) -> bool {
        heap::before_fork_within(1_000_000_000)
    }
    fn unlock(&self) {
        // SAFETY: a check pairs this with `lock`, in one thread.
        unsafe { heap::after_fork_in_parent() };
    }
}

/// A block whose stack is the caller's return address.
#[unsafe(naked)]
unsafe extern "C" fn allocate(size: usize) -> *mut u64 {
    core::arch::naked_asm!("mov rsi, rsp", "mov rdx, rbp", "jmp {}", sym allocate_from)
}

extern "C" fn allocate_from(size: usize, sp: usize, fp: usize) -> *mut u64 {
    let request = Request { size, alignment: 16, family: Family::Malloc, zeroed: true };
    heap::allocate_general(&request, Entry { sp, fp }).cast()
}

/// All blocks are reachable from the first, which the caller holds.
fn graph(bytes: usize, block: usize) -> *mut u64 {
    let count = bytes / block;
    // SAFETY: the function keeps to the C convention.
    let table = unsafe { allocate(count * 8) }.cast::<*mut u64>();
    let mut noise = 88_172_645_463_325_252_u64;
    let mut next = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise as usize % count
    };
    // SAFETY: the table has room for `count` pointers, all of which are set
    // before any is read, and each block for `block / 8` words.
    unsafe {
        (0..count).for_each(|i| table.add(i).write(allocate(block)));
        for i in 0..count {
            for word in (0..block / 8).step_by(4) {
                (*table.add(i)).add(word).write(*table.add(next()) as u64);
            }
        }
    }
    table.cast()
}

fn processor_ms() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).flat_map(|word| word.parse()).collect();
    let (mib, block) = match *numbers {
        [mib, block] if block >= 8 => (mib, block),
        _ => {
            eprintln!("leak_marking: expected MIB BLOCK, a block of at least 8 bytes");
            std::process::exit(2);
        }
    };
    let root = graph(mib << 20, block);
    let begun = processor_ms();
    let summary = check(&Locks, &Caller::here(), &LeakOptions::DEFAULT, &mut |_, _| ());
    let whole = processor_ms() - begun;
    let marking = summary.mark_ns as f64;
    println!(
        "{mib} {block} | marking {:.1} ms, {:.2} GB/s | whole check in place {whole:.1} ms | {} blocks",
        marking / 1e6,
        summary.bytes_read as f64 / marking,
        summary.reachable.blocks
    );
    std::hint::black_box(root);
}
