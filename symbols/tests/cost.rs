//! What an answer costs: a report must not keep a dying process waiting.

mod support;

use heapwarden_symbols::{Files, Image, Module, Symbolizer};
use std::cell::Cell;
use std::time::{Duration, Instant};
use support::{Disk, Workshop, nm, run};

/// The disk, counting how often it is asked.
struct Counted<'a>(&'a Cell<usize>);

impl Files for Counted<'_> {
    fn map(&self, path: &[u8]) -> Option<&'static [u8]> {
        self.0.set(self.0.get() + 1);
        Disk.map(path)
    }
}

/// Time this thread has spent on a processor: a busy machine does not count.
fn time_on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = text.and_then(|text| text.split_whitespace().next()?.parse().ok());
    match nanoseconds {
        Some(nanoseconds) => Duration::from_nanos(nanoseconds),
        None => {
            static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
            START.get_or_init(Instant::now).elapsed()
        }
    }
}

/// A whole report, 200 sites of 20 frames, over this program and libc (with its
/// debug information, where it is installed); 0.1 s when compiled for release.
#[test]
fn a_report_of_4000_frames_takes_less_than_two_seconds() {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let libc = maps.split_whitespace().find(|word| word.ends_with("/libc.so.6")).expect("a libc");
    let program = std::env::current_exe().expect("a path");
    let start = time_on_cpu();
    let mut symbolizer = Symbolizer::new(Disk, &[]);
    let mut named = 0;
    for path in [libc, program.to_str().expect("text")] {
        let image = Disk.map(path.as_bytes()).and_then(Image::parse).expect("an ELF file");
        let code = image.segments().find(|segment| segment.executable).expect("code");
        let module = symbolizer.add_module(Module { path: path.as_bytes(), ..Module::default() });
        for frame in 0..2000 {
            let svma = code.svma + code.file_size * frame / 2000;
            let frames = symbolizer.resolve(module, svma);
            named += usize::from(frames.iter().any(|frame| frame.function.is_some()));
        }
    }
    let taken = time_on_cpu() - start;
    assert!(named > 3000, "{named} of 4000 named");
    assert!(taken < Duration::from_secs(2), "{taken:?}");
}

#[test]
fn an_answer_is_worked_out_once_and_nothing_before_it_is_asked_for() {
    let shop = Workshop::new();
    let program = shop.compile("twins.c", "twins", &["-g"]);
    let path = program.to_str().expect("text").as_bytes();
    let main = nm(&program, &[]).into_iter().find(|symbol| symbol.name == "main").expect("main");
    let asked = Cell::new(0);
    let mut symbolizer = Symbolizer::new(Counted(&asked), &[]);
    let module = Module { path, ..Module::default() };
    let first = symbolizer.add_module(module);
    assert_eq!(asked.get(), 0);
    let frames = symbolizer.resolve(first, main.svma).to_vec();
    let opened = asked.get();
    assert!(opened >= 1);
    // The same file once more, as after dlclose and dlopen.
    let second =
        symbolizer.add_module(Module { load_bias: 0x1000, start: 0x1000, end: u64::MAX, ..module });
    assert_eq!(symbolizer.resolve(second, main.svma), frames);
    assert_eq!(symbolizer.resolve_address(main.svma + 0x1000), frames);
    symbolizer.resolve_data(second, main.svma);
    assert_eq!(asked.get(), opened);
    let again = symbolizer.resolve(first, main.svma)[0];
    assert!(std::ptr::eq(again.file.expect("a file"), frames[0].file.expect("a file")));
}

/// No part of the library may need std: proven where there is none.
#[test]
fn it_builds_where_there_is_no_std() {
    let target = "x86_64-unknown-none";
    let installed = run(std::process::Command::new("rustc").args(["--print", "sysroot"]));
    let library = std::path::Path::new(installed.trim()).join("lib/rustlib").join(target);
    if !library.exists() {
        eprintln!("skipped: rustup target add {target}");
        return;
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let shop = Workshop::new();
    let mut build = std::process::Command::new(cargo);
    build.args(["check", "--quiet", "--offline", "--lib", "--target", target]);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    build.env("CARGO_TARGET_DIR", shop.path("target"));
    run(&mut build);
}
