//! What each fuzz target does with its bytes. The fuzzer (fuzz/targets) and the
//! replay of the corpus (tests/fuzz_corpus.rs) share these.
//!
//! Invariant: any bytes are good enough; nothing here may panic, hang, or
//! touch what it was not given.

#![allow(dead_code)] // each target uses one

#[path = "../tests/model/in_process.rs"]
mod in_process;

#[path = "../symbols/tests/support/ask.rs"]
mod ask;

use ask::ask;
use heapwarden::config::{self, Options};
use heapwarden::harness::{Rules, STEP_BYTES, decode, run};
use heapwarden::heap::Settings;
use heapwarden::report::{Finding, Site, Suppressions};
use heapwarden::units::LeakKind;
use heapwarden_symbols::demangle;
use in_process::{HEAP, Hosted, TIERED};
use std::sync::LazyLock;

/// Steps of a program, and bytes of a block, at most.
const STEPS: usize = 150;
const LARGEST: usize = 100_000;

/// A program of operations on the heap in this process, crimes among them, by
/// the model ([`decode`]). It ends with a check of the whole heap, so the
/// quarantine is small; what one program can free fits into it.
pub fn operations(bytes: &[u8]) {
    const SETTINGS: Settings = Settings { quarantine: Some(STEPS * LARGEST), ..TIERED };
    const RULES: Rules = Rules { largest: LARGEST, most_live: 2 << 20, ..HEAP };
    static HOSTED: LazyLock<Hosted> = LazyLock::new(|| Hosted::new(&SETTINGS));
    let program = decode(&bytes[..bytes.len().min(STEPS * STEP_BYTES)], &RULES);
    if let Err(failure) = run(&program, &RULES, &*HOSTED) {
        panic!("{failure}");
    }
}

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

/// A hostile ELF file with its symbols and DWARF.
pub fn symbols(bytes: &[u8]) {
    const ADDRESSES: [u64; 8] = [0, 1, 0x1000, 0x1139, 0x1150, 0x4010, 0x40_1136, u64::MAX];
    let file = Box::into_raw(Box::<[u8]>::from(bytes));
    // SAFETY: nothing made from the file outlives this function.
    let text: &'static [u8] = unsafe { &*file };
    ask(text, &ADDRESSES);
    if let Ok(name) = std::str::from_utf8(&text[..text.len().min(200)]) {
        let _ = demangle(name);
    }
    // SAFETY: from `into_raw` above; what was made from the file is gone.
    drop(unsafe { Box::from_raw(file) });
}
