//! Damaged files: any answer is right but a panic, a hang, or an abort.

mod support;

use heapwarden_symbols::{Image, demangle};
use std::fs;
use std::path::Path;
use std::process::Command;
use support::ask::ask;
use support::{Workshop, nm, run};

/// A small generator (xorshift64*), so that a failure can be told by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn addresses(program: &Path) -> Vec<u64> {
    let mut addresses: Vec<u64> =
        nm(program, &[]).iter().map(|symbol| symbol.svma + symbol.size / 2).collect();
    addresses.extend([0, 1, u64::MAX - 1, u64::MAX]);
    addresses
}

/// The same program in each packing that is read in its own way.
fn victims(shop: &Workshop) -> Vec<std::path::PathBuf> {
    let mut victims = Vec::new();
    for (name, flags) in [("four", ["-gdwarf-4", "-O1"]), ("five", ["-gdwarf-5", "-O1"])] {
        let program = shop.compile("twins.c", name, &flags);
        for format in ["zlib", "zlib-gnu", "zstd"] {
            let packed = shop.path(&format!("{name}.{format}"));
            let option = format!("--compress-debug-sections={format}");
            run(Command::new("objcopy").arg(option).args([&program, &packed]));
            victims.push(packed);
        }
        victims.push(program);
    }
    let program = shop.compile("twins.c", "mini", &["-rdynamic"]);
    let (stripped, debug) = shop.split(&program);
    run(Command::new("xz").arg(&debug));
    let section = format!("--add-section=.gnu_debugdata={}.xz", debug.display());
    run(Command::new("objcopy").arg(section).arg(&stripped));
    fs::rename(&stripped, &program).expect("renamed");
    victims.push(program);
    victims
}

/// `HEAPWARDEN_SYMBOLS_ROUNDS` lengthens the search; damaged copies are leaked.
fn rounds() -> u64 {
    let wish = std::env::var("HEAPWARDEN_SYMBOLS_ROUNDS").ok();
    wish.and_then(|text| text.parse().ok()).unwrap_or(300)
}

#[test]
fn flipped_bytes_cause_no_panic() {
    let shop = Workshop::new();
    let asked = addresses(&shop.compile("twins.c", "whole", &["-gdwarf-5", "-O1"]));
    for victim in victims(&shop) {
        let whole = fs::read(&victim).expect("a file");
        for seed in 1..=rounds() {
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut bytes = whole.clone();
            // One to some dozen bytes, anywhere, in the headers, or in the
            // debug sections and section headers at the end.
            let most = 1 << random.below(6);
            for _ in 0..1 + random.below(most) {
                let length = bytes.len();
                let place = match random.below(4) {
                    0 => random.below(length),
                    1 => random.below(0x400.min(length)),
                    _ => length - 1 - random.below(length / 3),
                };
                bytes[place] = match random.below(3) {
                    0 => 0xff,
                    1 => 0,
                    _ => random.next() as u8,
                };
            }
            println!("{} seed {seed}", victim.display());
            ask(bytes.leak(), &asked);
        }
    }
}

#[test]
fn truncated_files_cause_no_panic() {
    let shop = Workshop::new();
    let program = shop.compile("twins.c", "whole", &["-gdwarf-5", "-O1"]);
    let asked = addresses(&program);
    for victim in victims(&shop) {
        let whole: &'static [u8] = fs::read(&victim).expect("a file").leak();
        for length in (0..128).chain((128..whole.len()).step_by(97)) {
            ask(&whole[..length], &asked);
        }
    }
}

#[test]
fn damaged_names_cause_no_panic() {
    let shop = Workshop::new();
    let mut names: Vec<String> = Vec::new();
    for program in [shop.compile("zoo.cpp", "zoo", &[]), std::env::current_exe().expect("a path")] {
        let symbols = nm(&program, &[]).into_iter().map(|symbol| symbol.name);
        names.extend(symbols.filter(|name| demangle(name).is_some()).take(2000));
    }
    let alphabet = b"_ZNKSt0123456789EIJLRPOTDXFABCabcdefghijklmnopqrstuvwxyz.$";
    for seed in 1..=rounds() * 30 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut name = names[random.below(names.len())].clone().into_bytes();
        for _ in 0..1 + random.below(4) {
            let place = 2 + random.below(name.len() - 2);
            let letter = alphabet[random.below(alphabet.len())];
            match random.below(4) {
                0 => name.insert(place, letter),
                1 if name.len() > 4 => drop(name.remove(place)),
                2 => name.extend_from_within(place..),
                _ => name[place] = letter,
            }
        }
        let name = String::from_utf8(name).expect("ASCII");
        println!("seed {seed} {name}");
        demangle(&name);
    }
}

#[test]
fn what_is_no_elf_file_has_no_names() {
    for bytes in [&b""[..], b"\x7fELF", b"\x7fELF\x02\x01\x01", b"#!/bin/sh\n", &[0xff; 4096]] {
        assert!(Image::parse(bytes).is_none());
        ask(bytes, &[0, 0x1000]);
    }
}
