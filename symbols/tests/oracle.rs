//! Names and lines against binutils, over all functions of real programs.

mod support;

use heapwarden_symbols::{Files, Image};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use support::{Disk, OracleFrame, Workshop, addr2line, in_oracle_words, nm, open};

/// The first, some middle and the last byte of every function of a program.
fn addresses(path: &Path, flags: &[&str]) -> Vec<u64> {
    let mut addresses: Vec<u64> = nm(path, flags)
        .iter()
        .filter(|symbol| "tTwWi".contains(symbol.kind) && symbol.size > 0)
        .flat_map(|symbol| {
            [0, symbol.size / 3, symbol.size / 2, symbol.size - 1]
                .map(|offset| symbol.svma + offset)
        })
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Share of addresses where all frames are the oracle's, in percent, and the
/// first few where they are not.
fn agreement(path: &Path, debug: &Path, flags: &[&str]) -> (f64, String) {
    agreement_as(path, debug, flags, OracleFrame::eq)
}

fn agreement_as(
    path: &Path,
    debug: &Path,
    flags: &[&str],
    alike: impl Fn(&OracleFrame, &OracleFrame) -> bool,
) -> (f64, String) {
    let addresses = addresses(path, flags);
    assert!(addresses.len() > 20, "{} addresses of {path:?}", addresses.len());
    let oracle = addr2line(debug, &addresses);
    let (mut symbolizer, module) = open(path, &[]);
    let mut differences = Vec::new();
    for (&svma, theirs) in addresses.iter().zip(oracle) {
        let ours = in_oracle_words(symbolizer.resolve(module, svma));
        let theirs = forgiven(theirs, &ours);
        if ours.len() != theirs.len()
            || !ours.iter().zip(&theirs).all(|(ours, theirs)| alike(ours, theirs))
        {
            differences.push(format!("{svma:#x}\n  ours   {ours:?}\n  theirs {theirs:?}\n"));
        }
    }
    let share = 100.0 * (addresses.len() - differences.len()) as f64 / addresses.len() as f64;
    let shown: String = differences.iter().take(8).map(String::as_str).collect();
    (share, format!("{share:.2}% of {} agree\n{}", addresses.len(), shown))
}

/// Two habits of binutils are not ours: it calls the innermost inlined frame by
/// the symbol that covers it, and the cold half of a function by its symbol.
fn forgiven(mut theirs: Vec<OracleFrame>, ours: &[OracleFrame]) -> Vec<OracleFrame> {
    for frame in &mut theirs {
        if let Some(name) = &mut frame.name {
            *name = name.trim_end_matches(".cold").into();
        }
    }
    if let ([first, .., last], [ours, _, ..]) = (&mut theirs[..], ours)
        && first.name == last.name
    {
        first.name = ours.name.clone();
    }
    theirs
}

fn check(share: f64) -> impl Fn((f64, String)) {
    move |(agreed, text)| {
        println!("{text}");
        assert!(agreed >= share, "{text}");
    }
}

#[test]
fn a_program_with_dwarf_5_and_inlining() {
    let shop = Workshop::new();
    let program = shop.compile("zoo.cpp", "zoo", &["-g", "-gdwarf-5", "-O2"]);
    check(100.0)(agreement(&program, &program, &[]));
}

#[test]
fn a_program_with_dwarf_4_without_optimisation() {
    let shop = Workshop::new();
    let program = shop.compile("zoo.cpp", "zoo", &["-g", "-gdwarf-4", "-O0"]);
    check(100.0)(agreement(&program, &program, &[]));
}

/// Units that refer to each other: none can be read alone. Of two line rows for
/// one address binutils takes the first, `<artificial>`, and we the last.
#[test]
fn a_program_optimised_at_link_time() {
    let shop = Workshop::new();
    let program = shop.compile("zoo.cpp", "zoo", &["-g", "-flto", "-O2"]);
    check(98.0)(agreement(&program, &program, &[]));
}

#[test]
fn a_rust_program() {
    let program = std::env::current_exe().expect("a path");
    check(99.9)(agreement(&program, &program, &[]));
}

/// libc.so.6 itself: thousands of functions, its DWARF in a separate compressed
/// file. Skipped where libc6-dbg is not installed. Names may be any alias of the
/// oracle's, for we prefer `abort` to `__GI_abort`; of places only the lines are
/// compared, for binutils joins libc's relative directories twice
/// (`csu/csu/version.c`) and blames inline functions of headers on the `.c` file.
#[test]
fn the_c_library() {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let libc = maps.split_whitespace().find(|word| word.ends_with("/libc.so.6")).expect("a libc");
    let libc = Path::new(libc);
    let Some(debug) = installed_debug_file(libc) else {
        eprintln!("skipped: {libc:?} has no debug file installed");
        return;
    };
    // A name may stand at several addresses, one for each of its versions.
    let mut addresses: HashMap<String, Vec<u64>> = HashMap::new();
    for symbol in nm(&debug, &[]) {
        addresses.entry(symbol.name).or_default().push(symbol.svma);
    }
    let at = |frame: &OracleFrame| {
        frame.name.as_ref().and_then(|name| addresses.get(name)).map_or(&[][..], Vec::as_slice)
    };
    let alike = |ours: &OracleFrame, theirs: &OracleFrame| {
        let line = |frame: &OracleFrame| Some(frame.place.as_ref()?.rsplit(':').next()?.to_owned());
        (ours.name == theirs.name || at(ours).iter().any(|svma| at(theirs).contains(svma)))
            && line(ours) == line(theirs)
    };
    check(99.9)(agreement_as(libc, libc, &["-D"], alike));
}

fn installed_debug_file(path: &Path) -> Option<PathBuf> {
    let image = Image::parse(Disk.map(path.as_os_str().as_bytes())?)?;
    let id: String = image.build_id()?.iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, rest) = id.split_at(2);
    let debug = PathBuf::from(format!("/usr/lib/debug/.build-id/{first}/{rest}.debug"));
    debug.exists().then_some(debug)
}
