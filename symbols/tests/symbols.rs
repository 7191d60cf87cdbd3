//! Symbol tables: functions and variables by address and by name, against `nm`.

mod support;

use heapwarden_symbols::{Files, Image, Module, Source, Symbolizer, demangle};
use std::path::Path;
use std::process::Command;
use support::{Disk, Workshop, nm, open, run};

/// Every function that `nm` knows is found by each of its bytes and by name.
fn functions_agree(path: &Path, flags: &[&str], expected: Source) {
    let (mut symbolizer, module) = open(path, &[]);
    assert_eq!(symbolizer.source(module), expected);
    let symbols = nm(path, flags);
    let functions: Vec<_> =
        symbols.iter().filter(|symbol| "tTWwi".contains(symbol.kind) && symbol.size > 0).collect();
    assert!(functions.len() > 3);
    for function in &functions {
        let aliases: Vec<&str> = functions
            .iter()
            .filter(|other| other.svma == function.svma)
            .map(|other| other.name.as_str())
            .collect();
        for offset in [0, function.size / 2, function.size - 1] {
            let frames = symbolizer.resolve(module, function.svma + offset);
            assert_eq!(frames.len(), 1);
            let name = frames[0].raw_name.expect("a name");
            assert!(aliases.contains(&name), "{name} for {function:?}");
            assert_eq!(frames[0].function_offset, Some(offset));
            assert!(!frames[0].inlined);
        }
        let found = symbolizer.find_function(module, &function.name).expect("found by name");
        let starts =
            |svma| functions.iter().any(|other| other.name == function.name && other.svma == svma);
        assert!(starts(found.start), "{found:?} for {function:?}");
    }
    assert_eq!(symbolizer.find_function(module, "no_such_function"), None);
    assert!(symbolizer.resolve(module, u64::MAX).is_empty());
    assert!(symbolizer.resolve(module, 0).is_empty());
}

#[test]
fn functions_of_a_program_without_debug_information() {
    let shop = Workshop::new();
    let program = shop.compile("zoo.cpp", "zoo", &["-O1"]);
    functions_agree(&program, &[], Source::Symbols);
}

#[test]
fn functions_of_a_stripped_library() {
    let shop = Workshop::new();
    let library = shop.compile("zoo.cpp", "libzoo.so", &["-O1", "-shared", "-fPIC", "-s"]);
    functions_agree(&library, &["-D"], Source::DynamicSymbols);
}

#[test]
fn functions_of_a_32_bit_file_of_the_other_byte_order() {
    // Made by hand: an ELF32 big-endian file with one function symbol, `go`.
    let word = |values: &[u32]| -> Vec<u8> {
        values.iter().flat_map(|value| value.to_be_bytes()).collect()
    };
    let half = |values: &[u16]| -> Vec<u8> {
        values.iter().flat_map(|value| value.to_be_bytes()).collect()
    };
    let mut file = b"\x7fELF\x01\x02\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(half(&[2, 8])); // executable, MIPS
    file.extend(word(&[1, 0, 0, 96, 0])); // version, entry, phoff, shoff, flags
    file.extend(half(&[52, 0, 0, 40, 4, 3])); // four sections, names in the last
    file.extend(b"\0go\0.symtab\0\0"); // 52: strings (16 bytes would be 13)
    file.resize(64, 0);
    file.extend(word(&[0, 0, 0, 0])); // 64: symbols
    file.extend(word(&[1, 0x1000, 0x20]));
    file.extend([0x12, 0]); // global function
    file.extend(half(&[1]));
    file.resize(96, 0);
    file.extend(word(&[0; 10]));
    file.extend(word(&[0, 1, 6, 0x1000, 0, 0x100, 0, 0, 4, 0])); // code
    file.extend(word(&[4, 2, 0, 0, 64, 32, 3, 1, 4, 16])); // .symtab
    file.extend(word(&[0, 3, 0, 0, 52, 12, 0, 0, 1, 0])); // strings
    let mut symbolizer = Symbolizer::new(support::ask::OneFile(file.leak()), &[]);
    let module = symbolizer.add_module(Module { path: b"/it", ..Module::default() });
    assert_eq!(symbolizer.find_function(module, "go"), Some(0x1000..0x1020));
    assert_eq!(symbolizer.resolve(module, 0x101f)[0].function, Some("go"));
    assert!(symbolizer.resolve(module, 0x1020).is_empty());
}

#[test]
fn variables_hold_their_addresses() {
    let shop = Workshop::new();
    for (source, expected) in [("twins.c", "hidden_counter"), ("zoo.cpp", "zoo::animals")] {
        let program = shop.compile(source, "program", &["-O1"]);
        let (mut symbolizer, module) = open(&program, &[]);
        let symbols = nm(&program, &[]);
        let in_tls = thread_locals(&program);
        let mut seen = Vec::new();
        for variable in
            symbols.iter().filter(|symbol| "bBdDrRuvV".contains(symbol.kind) && symbol.size > 0)
        {
            if in_tls.contains(&variable.name) {
                continue;
            }
            for offset in [0, variable.size / 2, variable.size - 1] {
                let symbol =
                    symbolizer.data_symbol(module, variable.svma + offset).expect("a variable");
                let alias = |other: &&support::NmSymbol| {
                    other.svma == variable.svma && other.name == symbol.raw_name
                };
                assert!(symbols.iter().any(|other| alias(&other)), "{symbol:?} for {variable:?}");
                let (name, found) =
                    symbolizer.resolve_data(module, variable.svma + offset).expect("a variable");
                assert_eq!(found, offset);
                seen.push(name);
            }
        }
        assert!(seen.contains(&expected), "{seen:?}");
        assert!(!in_tls.iter().any(|name| seen.contains(&name.as_str())));
        let main = symbols.iter().find(|symbol| symbol.name == "main").expect("main");
        assert_eq!(symbolizer.resolve_data(module, main.svma), None, "code is no variable");
    }
}

/// `nm` gives thread-local variables as if they had addresses.
fn thread_locals(path: &Path) -> Vec<String> {
    let text = run(Command::new("readelf").args(["-sW"]).arg(path));
    let tls = text.lines().filter(|line| line.split_whitespace().nth(3) == Some("TLS"));
    tls.filter_map(|line| line.split_whitespace().last().map(Into::into)).collect()
}

#[inline(never)]
fn where_am_i() -> usize {
    where_am_i as *const () as usize
}

#[test]
fn an_address_of_this_process_is_named() {
    let address = std::hint::black_box(where_am_i)() as u64;
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let program = std::env::current_exe().expect("a path");
    let program = program.to_str().expect("text");
    let image = Disk.map(program.as_bytes()).and_then(Image::parse).expect("an ELF file");
    let mut symbolizer = Symbolizer::new(Disk, &[]);
    let mut biases = Vec::new();
    for line in maps.lines().filter(|line| line.ends_with(program)) {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next().and_then(|range| range.split_once('-')).expect("a range");
        let hexadecimal = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
        let (start, end) = (hexadecimal(start), hexadecimal(end));
        let offset = hexadecimal(fields.nth(1).expect("an offset"));
        let load_bias = image.load_bias(start, offset, 4096).expect("a bias");
        biases.push(load_bias);
        symbolizer.add_module(Module {
            path: program.as_bytes(),
            build_id: image.build_id(),
            load_bias,
            start,
            end,
        });
    }
    assert!(biases.len() > 1 && biases.iter().all(|bias| *bias == biases[0]), "{biases:x?}");
    let frame = symbolizer.resolve_address(address)[0];
    assert_eq!(frame.function, Some("symbols::where_am_i"));
    assert!(frame.file.is_some_and(|file| file.ends_with("tests/symbols.rs")));
    assert!(symbolizer.resolve_address(8).is_empty());
}

#[test]
fn names_are_spelled_as_in_the_source() {
    for (raw, spelled) in [
        ("_ZN3zoo9outermostEi", Some("zoo::outermost(int)")),
        ("_ZN3zoo6KeeperC2EPKc", Some("zoo::Keeper::Keeper(char const*)")),
        ("_Znwm", Some("operator new(unsigned long)")),
        ("_ZN4core3fmt5write17h0123456789abcdefE", Some("core::fmt::write")),
        ("_RNvCs1234_7mycrate3foo", Some("mycrate::foo")),
        ("malloc", None),
        ("_Zebra", None),
        ("_Z", None),
        ("_R", None),
        ("", None),
    ] {
        assert_eq!(demangle(raw).as_deref(), spelled, "{raw}");
    }
}

/// A function whose every further parameter is a pair of the one before, told by
/// its number: `f(pair<a, a>, pair<pair<a, a>, pair<a, a>>, …)`.
fn doubling(levels: usize) -> String {
    // Substitutions: S_ = a, S0_ = p, S1_ = p<a, a>, S2_ = p<S1_, S1_>, …
    let mut name = String::from("_Z1f1a1pIS_S_E");
    for level in 1..levels {
        name.push_str(&format!("S0_IS{level}_S{level}_E"));
    }
    name
}

#[test]
fn a_name_that_would_spell_to_gigabytes_is_left_as_it_is() {
    let twin = demangle(&doubling(3)).expect("spelled");
    let pair = "p<p<a, a>, p<a, a> >";
    assert_eq!(twin, format!("f(a, p<a, a>, {pair}, p<{pair}, {pair} >)"));
    assert_eq!(demangle(&doubling(30)), None);
}
