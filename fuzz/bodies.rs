//! What each fuzz target does with its bytes. The fuzzer (fuzz/targets) and the
//! replay of the corpus (tests/fuzz_corpus.rs) share these.
//!
//! Invariant: any bytes are good enough; nothing here may panic, hang, or
//! touch what it was not given.

#![allow(dead_code)] // each target uses one

use heapwarden::config::{self, Options};
use heapwarden::harness::{self, Rules, RustAllocator};
use heapwarden::heap;
use heapwarden::report::{Finding, Site, Suppressions};
use heapwarden::trace::Entry;
use heapwarden::units::{Family, LeakKind};
use heapwarden_symbols::{Files, Image, Module, Symbolizer, demangle};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::alloc::{GlobalAlloc, Layout};

/// Option strings, as the environment and files give them.
pub fn options(bytes: &[u8]) {
    let mut options = Options::DEFAULT;
    let mut warnings = 0;
    config::apply(&mut options, bytes, &mut |_| warnings += 1);
    assert!(warnings <= bytes.len() + 1);
    let mut help = String::new();
    config::write_help(&options, &mut help).expect("a string takes everything");
}

/// Suppression files, and names that may come from any binary: the first line
/// is the function's, the second the file's, the rest are rules.
pub fn suppressions(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |&byte| byte == b'\n');
    let function = parts.next().unwrap_or_default().to_vec();
    let file = parts.next().unwrap_or_default().to_vec();
    // Rules live as long as the process; a fuzzer gives the memory back.
    let text: Box<[u8]> = parts.next().unwrap_or_default().into();
    let text = Box::into_raw(text);
    {
        let mut rules = Box::new(Suppressions::new());
        // SAFETY: `rules` is gone before the text is.
        rules.add(unsafe { &*text }, |_| ());
        for finding in [Finding::Leak(LeakKind::Definite), Finding::Hidden, Finding::Error] {
            let site = Site { function: &function, file: &file, module: b"/usr/bin/program" };
            rules.matches(finding, Default::default(), |visit| {
                visit(&site);
                visit(&Site::default());
            });
        }
        rules.for_each_matched(|_, _| ());
    }
    // SAFETY: from `into_raw` above, and nobody has it any more.
    drop(unsafe { Box::from_raw(text) });
}

/// `.eh_frame_hdr` and `.eh_frame` of a hostile binary; the first eight bytes
/// are the address asked for.
pub fn cfi(bytes: &[u8]) {
    let Some((address, sections)) = bytes.split_first_chunk::<8>() else { return };
    let address = u64::from_le_bytes(*address);
    heapwarden::trace::interpret(sections, address);
    heapwarden::trace::interpret(sections, address % 0x200 + 0x5000);
}

struct OneFile(&'static [u8]);

impl Files for OneFile {
    fn map(&self, path: &[u8]) -> Option<&'static [u8]> {
        (path == b"/it").then_some(self.0)
    }
}

/// A hostile ELF file with its symbols and DWARF.
pub fn symbols(bytes: &[u8]) {
    let file = Box::into_raw(Box::<[u8]>::from(bytes));
    // SAFETY: nothing made from the file outlives this function.
    let text: &'static [u8] = unsafe { &*file };
    {
        let mut symbolizer = Symbolizer::new(OneFile(text), &[b"/debug"]);
        let module = symbolizer.add_module(Module { path: b"/it", ..Module::default() });
        for address in [0, 1, 0x1000, 0x1139, 0x1150, 0x4010, 0x40_1136, u64::MAX] {
            symbolizer.resolve(module, address);
            symbolizer.resolve_data(module, address);
        }
        symbolizer.find_function(module, "main");
        symbolizer.source(module);
        if let Some(image) = Image::parse(text) {
            image.build_id();
            image.load_bias(0x7f00_0000_0000, 0x1000, 4096);
            image.segments().count();
        }
        if let Ok(name) = std::str::from_utf8(&text[..text.len().min(200)]) {
            let _ = demangle(name);
        }
    }
    // SAFETY: from `into_raw` above; symbolizer and image are gone.
    drop(unsafe { Box::from_raw(file) });
}

/// The hosted heap as a `GlobalAlloc`.
struct Warden;

fn entry() -> Entry {
    let (sp, fp): (usize, usize);
    // SAFETY: reads two registers.
    unsafe {
        std::arch::asm!("mov {}, rsp", "mov {}, rbp", out(reg) sp, out(reg) fp,
            options(nomem, nostack, preserves_flags));
    }
    Entry { sp, fp }
}

const MALLOC: u8 = Family::Malloc as u8;

// SAFETY: the heap's own promises, which the harness checks.
unsafe impl GlobalAlloc for Warden {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, alignment) = (layout.size(), layout.align());
        let request = heap::Request { size, alignment, family: Family::Malloc, zeroed: false };
        match alignment <= 16 {
            true => heap::allocate::<MALLOC>(size, entry(), |_, entry| {
                heap::allocate_general(&request, entry)
            }),
            false => heap::allocate_general(&request, entry()),
        }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, alignment) = (layout.size(), layout.align());
        let request = heap::Request { size, alignment, family: Family::Malloc, zeroed: true };
        heap::allocate_general(&request, entry())
    }
    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        heap::free::<MALLOC, false>(pointer as usize, 0, entry(), |pointer, _, entry| {
            heap::free_general(pointer, Family::Malloc, entry);
        });
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= 16 {
            return heap::resize(pointer as usize, size, entry());
        }
        // SAFETY: the caller's promises are passed on.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(pointer, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            new
        }
    }
}

/// A program of operations, as the harness makes it from these bytes instead
/// of random ones, on the hosted heap, judged by the model.
pub fn operations(bytes: &[u8]) {
    static WARDEN: Warden = Warden;
    let config = Config { failure_persistence: None, ..Config::default() };
    let random = TestRng::from_seed(RngAlgorithm::PassThrough, bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let Ok(tree) = harness::programs(&Rules::RUST, 60).new_tree(&mut runner) else { return };
    let program = tree.current();
    if let Err(failure) = harness::run(&program, &Rules::RUST, &RustAllocator(&WARDEN)) {
        panic!("{failure}");
    }
}
