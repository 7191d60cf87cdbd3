//! Where debug information may lie, and in which packing: each place must give
//! the very frames that the plain program gives, and its innocent twin none.

mod support;

use heapwarden_symbols::{Files, Frame, Image, Module, Source, Symbolizer};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Disk, Workshop, nm, open, run};

/// The frames at the middle of each function of `program`, read from `path`.
fn all_frames(program: &Path, path: &Path, directories: &[&Path]) -> Vec<Vec<Frame>> {
    let (mut symbolizer, module) = open(path, directories);
    nm(program, &[])
        .iter()
        .filter(|symbol| "tTW".contains(symbol.kind) && symbol.size > 1)
        .map(|symbol| symbolizer.resolve(module, symbol.svma + symbol.size / 2).to_vec())
        .collect()
}

fn source(path: &Path, directories: &[&Path]) -> Source {
    let (mut symbolizer, module) = open(path, directories);
    symbolizer.source(module)
}

/// The frames of the plain program; they must be worth comparing with.
fn plain_frames(program: &Path) -> Vec<Vec<Frame>> {
    let frames = all_frames(program, program, &[]);
    assert!(frames.len() > 10);
    let all = || frames.iter().flatten();
    assert!(all().any(|frame| frame.line.is_some()));
    frames
}

fn zoo(shop: &Workshop, flags: &[&str]) -> PathBuf {
    shop.compile("zoo.cpp", "zoo", &[&["-g", "-O2"], flags].concat())
}

fn build_id(path: &Path) -> Vec<u8> {
    let bytes = Disk.map(path.as_os_str().as_bytes()).expect("a file");
    Image::parse(bytes).and_then(|image| image.build_id()).expect("a build-id").to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn objcopy(arguments: &[&dyn AsRef<OsStr>]) {
    let mut command = Command::new("objcopy");
    for argument in arguments {
        command.arg(argument);
    }
    run(&mut command);
}

#[test]
fn compressed_sections_say_what_plain_ones_say() {
    let shop = Workshop::new();
    let program = zoo(&shop, &[]);
    let expected = plain_frames(&program);
    for format in ["zlib", "zlib-gnu", "zstd"] {
        let packed = shop.path(format);
        objcopy(&[&format!("--compress-debug-sections={format}"), &program, &packed]);
        let size = |path: &Path| fs::metadata(path).expect("a file").len();
        assert!(size(&packed) < size(&program), "{format} did not pack");
        assert!(all_frames(&program, &packed, &[]) == expected, "{format}");
    }
}

/// Its units are in other files, which are not read: functions and lines remain,
/// inlined calls are lost.
#[test]
fn split_dwarf_still_gives_functions_and_lines() {
    let shop = Workshop::new();
    let program = zoo(&shop, &["-gsplit-dwarf", "-dumpdir", shop.path("").to_str().expect("text")]);
    let frames = plain_frames(&program);
    let main = nm(&program, &[]).into_iter().find(|symbol| symbol.name == "main").expect("main");
    let (mut symbolizer, module) = open(&program, &[]);
    let frame = symbolizer.resolve(module, main.svma)[0];
    assert_eq!(frame.function, Some("main"));
    assert!(frame.file.is_some_and(|file| file.ends_with("zoo.cpp")));
    assert!(frames.iter().all(|frames| frames.len() == 1 && !frames[0].inlined));
}

/// As clang writes them: the units have to be read for their ranges.
#[test]
fn units_that_no_aranges_list_are_found() {
    let shop = Workshop::new();
    let program = zoo(&shop, &[]);
    let expected = plain_frames(&program);
    let unlisted = shop.path("unlisted");
    objcopy(&[&"--remove-section=.debug_aranges", &program, &unlisted]);
    assert!(all_frames(&program, &unlisted, &[]) == expected);
    objcopy(&[&"--remove-section=.debug_info", &program, &unlisted]);
    assert!(all_frames(&program, &unlisted, &[]) != expected);
}

#[test]
fn a_separate_file_is_found_by_build_id() {
    let shop = Workshop::new();
    let program = zoo(&shop, &[]);
    let expected = plain_frames(&program);
    let (stripped, debug) = shop.split(&program);
    let id = hex(&build_id(&program));
    let (first, rest) = id.split_at(2);
    let gdb_style = format!("gdb/.build-id/{first}/{rest}.debug");
    let debuginfod_style = format!("cache/{id}/debuginfo");
    for (place, directory) in [(gdb_style, "gdb"), (debuginfod_style, "cache")] {
        let place = shop.path(&place);
        fs::create_dir_all(place.parent().expect("a parent")).expect("directories");
        fs::copy(&debug, &place).expect("copied");
        let directory = shop.path(directory);
        assert!(all_frames(&program, &stripped, &[&directory]) == expected, "{place:?}");
        assert_eq!(source(&stripped, &[&directory]), Source::Dwarf);
        // The innocent twin: another program's debug file in that place.
        fs::copy("/proc/self/exe", &place).expect("copied");
        assert_ne!(source(&stripped, &[&directory]), Source::Dwarf);
    }
}

#[test]
fn a_separate_file_is_found_by_debuglink() {
    let shop = Workshop::new();
    let program = zoo(&shop, &["-Wl,--build-id=none"]);
    let expected = plain_frames(&program);
    let (stripped, debug) = shop.split(&program);
    objcopy(&[&"--add-gnu-debuglink", &debug, &stripped]);
    let name = debug.file_name().expect("a name").to_owned();
    let beside = debug.clone();
    let below = shop.path(".debug").join(&name);
    let elsewhere = shop.path("elsewhere");
    let mirrored = elsewhere.join(shop.path("").strip_prefix("/").expect("absolute")).join(&name);
    let bytes = fs::read(&debug).expect("the debug file");
    fs::remove_file(&debug).expect("removed");
    for place in [beside, below, mirrored] {
        assert_ne!(source(&stripped, &[&elsewhere]), Source::Dwarf, "before {place:?}");
        fs::create_dir_all(place.parent().expect("a parent")).expect("directories");
        fs::write(&place, &bytes).expect("written");
        assert!(all_frames(&program, &stripped, &[&elsewhere]) == expected, "{place:?}");
        // The innocent twin: one byte more, and the checksum no longer fits.
        fs::write(&place, [&bytes[..], b"!"].concat()).expect("written");
        assert_ne!(source(&stripped, &[&elsewhere]), Source::Dwarf, "{place:?}");
        fs::remove_file(&place).expect("removed");
    }
}

#[test]
fn a_supplementary_file_of_dwz_is_read() {
    if Command::new("dwz").arg("--version").output().is_err() {
        eprintln!("skipped: dwz is not installed");
        return;
    }
    let shop = Workshop::new();
    let program = zoo(&shop, &[]);
    let expected = plain_frames(&program);
    let alone = shop.path("alone");
    run(Command::new("dwz").arg("-o").args([&alone, &program]));
    assert!(all_frames(&program, &alone, &[]) == expected);
    let sibling = shop.compile("zoo.cpp", "sibling", &["-g", "-O2", "-DSIBLING"]);
    let common = shop.path("common.dwz");
    run(Command::new("dwz").arg("-m").args([&common, &program, &sibling]));
    let (debug, sup) = (build_id(&program), build_id(&common));
    assert_ne!(debug, sup);
    assert!(all_frames(&program, &program, &[]) == expected);
    // The innocent twin: without the file the shared names are lost, no more.
    fs::remove_file(&common).expect("removed");
    let poorer = all_frames(&program, &program, &[]);
    assert!(poorer != expected);
    assert!(poorer.iter().flatten().all(|frame| frame.inlined || frame.function.is_some()));
}

#[test]
fn mini_debug_information_names_static_functions() {
    let shop = Workshop::new();
    let program = shop.compile("twins.c", "twins", &["-rdynamic"]);
    let (stripped, debug) = shop.split(&program);
    let names = |path: &Path| -> Vec<String> {
        let frames = all_frames(&program, path, &[]).concat();
        frames.iter().filter_map(|frame| frame.function.map(Into::into)).collect()
    };
    assert!(names(&stripped).contains(&"main".into()));
    assert!(!names(&stripped).contains(&"make".into()));
    assert_eq!(source(&stripped, &[]), Source::DynamicSymbols);
    run(Command::new("xz").arg(&debug));
    let packed = format!("--add-section=.gnu_debugdata={}.xz", debug.display());
    objcopy(&[&packed, &stripped]);
    assert!(names(&stripped).contains(&"main".into()));
    assert!(names(&stripped).contains(&"make".into()));
}

#[test]
fn a_file_replaced_since_it_was_loaded_is_not_used() {
    let shop = Workshop::new();
    let program = zoo(&shop, &[]);
    let main = nm(&program, &[]).into_iter().find(|symbol| symbol.name == "main").expect("main");
    let id = build_id(&program);
    let mut symbolizer = Symbolizer::new(Disk, &[]);
    let mut module =
        Module { path: program.as_os_str().as_bytes(), build_id: Some(&id), ..Module::default() };
    let same = symbolizer.add_module(module);
    assert_eq!(symbolizer.source(same), Source::Dwarf);
    assert_eq!(symbolizer.resolve(same, main.svma)[0].function, Some("main"));
    module.build_id = Some(b"another build-id....");
    let replaced = symbolizer.add_module(module);
    assert_eq!(symbolizer.source(replaced), Source::OtherFile);
    assert!(symbolizer.resolve(replaced, main.svma).is_empty());
    module.path = b"/nonexistent";
    let absent = symbolizer.add_module(module);
    assert_eq!(symbolizer.source(absent), Source::NoFile);
}
