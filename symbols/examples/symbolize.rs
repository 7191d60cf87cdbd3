//! Names addresses of a file: `symbolize FILE SVMA…` (hexadecimal), or, with
//! `--every N` in place of addresses, times N of them spread over the code.

use heapwarden_symbols::{Files, Module, Symbolizer};
use std::alloc::{GlobalAlloc, Layout, System};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Counts what an arena that never frees would have to hold, were it able to
/// grow and to take back the block it gave last.
struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static LAST: AtomicUsize = AtomicUsize::new(0);

impl Counting {
    fn took(&self, pointer: *mut u8, size: usize) -> *mut u8 {
        TAKEN.fetch_add(size, Ordering::Relaxed);
        LAST.store(pointer.addr(), Ordering::Relaxed);
        pointer
    }

    fn gave_last(&self, pointer: *mut u8) -> bool {
        LAST.load(Ordering::Relaxed) == pointer.addr()
    }
}

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, which is System's.
        self.took(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if self.gave_last(pointer) {
            TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        }
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, which is System's.
        self.took(unsafe { System.realloc(pointer, layout, size) }, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if self.gave_last(pointer) {
            TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
            LAST.store(0, Ordering::Relaxed);
        }
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, which is System's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Disk;

impl Files for Disk {
    fn map(&self, path: &[u8]) -> Option<&'static [u8]> {
        let file = std::fs::File::open(std::ffi::OsStr::from_bytes(path)).ok()?;
        // SAFETY: nobody truncates the files while this example runs.
        let map = unsafe { memmap2::Mmap::map(&file) }.ok()?;
        Some(Box::leak(Box::new(map)))
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("usage: symbolize FILE SVMA… | FILE --every N");
    let rest: Vec<String> = arguments.collect();
    let mut symbolizer = Symbolizer::new(Disk, &[]);
    let module = symbolizer.add_module(Module { path: path.as_bytes(), ..Module::default() });
    if let [flag, count] = &rest[..]
        && flag == "--every"
    {
        return measure(&mut symbolizer, module, &path, count.parse().expect("a number"));
    }
    for address in rest {
        let svma = u64::from_str_radix(address.trim_start_matches("0x"), 16).expect("hexadecimal");
        for frame in symbolizer.resolve(module, svma) {
            println!("{svma:#x} {frame:?}");
        }
        if let Some((name, offset)) = symbolizer.resolve_data(module, svma) {
            println!("{svma:#x} data {name} + {offset}");
        }
    }
}

fn measure(
    symbolizer: &mut Symbolizer<Disk>,
    module: heapwarden_symbols::ModuleId,
    path: &str,
    count: u64,
) {
    let image =
        Disk.map(path.as_bytes()).and_then(heapwarden_symbols::Image::parse).expect("an ELF file");
    let code = image.segments().find(|segment| segment.executable).expect("code");
    let before = TAKEN.load(Ordering::Relaxed);
    let start = Instant::now();
    let source = symbolizer.source(module);
    let opened = start.elapsed();
    let first = start.elapsed();
    symbolizer.resolve(module, code.svma + code.file_size / 2);
    let first = start.elapsed() - first;
    let taken_first = TAKEN.load(Ordering::Relaxed) - before;
    let (mut frames, mut named, mut lines) = (0, 0, 0);
    for index in 0..count {
        let svma = code.svma + code.file_size * index / count;
        let answer = symbolizer.resolve(module, svma);
        frames += answer.len();
        named += usize::from(answer.iter().any(|frame| frame.function.is_some()));
        lines += usize::from(answer.iter().any(|frame| frame.line.is_some()));
    }
    let taken = TAKEN.load(Ordering::Relaxed) - before;
    println!(
        "{path}: {source:?}, opened {opened:?}, first {first:?}, {count} addresses in all {:?}, {named} named, {lines} with a line, {frames} frames, {} KiB taken by the first, {} KiB in all",
        start.elapsed(),
        taken_first / 1024,
        taken / 1024
    );
}
