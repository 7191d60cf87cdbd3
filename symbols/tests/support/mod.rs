//! What the outer tests share: a workshop that builds programs in a directory of
//! its own, the disk as `Files`, and binutils as the oracle.
#![allow(dead_code)] // each test file uses its part of it

pub mod ask;

use heapwarden_symbols::{Files, Frame, Module, ModuleId, Symbolizer};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file system, read whole and kept.
pub struct Disk;

impl Files for Disk {
    fn map(&self, path: &[u8]) -> Option<&'static [u8]> {
        let bytes = fs::read(Path::new(OsStr::from_bytes(path))).ok()?;
        (!bytes.is_empty()).then(|| &*bytes.leak())
    }
}

/// A directory that vanishes with the test.
pub struct Workshop {
    directory: tempfile::TempDir,
}

impl Workshop {
    pub fn new() -> Workshop {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Workshop { directory }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Compiles `tests/programs/SOURCE` to `name`.
    pub fn compile(&self, source: &str, name: &str, flags: &[&str]) -> PathBuf {
        let compiler = if source.ends_with("pp") { "g++" } else { "gcc" };
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
        let output = self.path(name);
        let mut arguments = vec![programs.join(source).into_os_string(), "-o".into()];
        arguments.push(output.clone().into_os_string());
        run(Command::new(compiler).args(arguments).args(flags));
        output
    }

    /// Splits `program` into a stripped one and `NAME.debug`, unlinked.
    pub fn split(&self, program: &Path) -> (PathBuf, PathBuf) {
        let debug = program.with_extension("debug");
        let stripped = program.with_extension("stripped");
        run(Command::new("objcopy").arg("--only-keep-debug").args([program, &debug]));
        run(Command::new("strip").arg("-o").args([&stripped, program]));
        (stripped, debug)
    }
}

/// Runs a tool that must succeed and gives its standard output.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// A symboliser of one file, its debug files sought in `directories` too.
pub fn open(path: &Path, directories: &[&Path]) -> (Symbolizer<Disk>, ModuleId) {
    let directories: Vec<&[u8]> =
        directories.iter().map(|path| path.as_os_str().as_bytes()).collect();
    let mut symbolizer = Symbolizer::new(Disk, &directories);
    let module =
        symbolizer.add_module(Module { path: path.as_os_str().as_bytes(), ..Module::default() });
    (symbolizer, module)
}

/// One line of `nm`.
#[derive(Debug)]
pub struct NmSymbol {
    pub svma: u64,
    pub size: u64,
    pub kind: char,
    pub name: String,
}

/// Defined symbols with a size, without version.
pub fn nm(path: &Path, flags: &[&str]) -> Vec<NmSymbol> {
    let text = run(Command::new("nm").args(["--defined-only", "-S"]).args(flags).arg(path));
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [svma, size, kind, name] = fields[..] else {
                return None;
            };
            Some(NmSymbol {
                svma: u64::from_str_radix(svma, 16).ok()?,
                size: u64::from_str_radix(size, 16).ok()?,
                kind: kind.chars().next()?,
                name: name.split('@').next()?.into(),
            })
        })
        .collect()
}

/// What binutils' addr2line says about one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleFrame {
    /// Mangled; `None` for `??`.
    pub name: Option<String>,
    /// `file:line`; `None` if either is unknown.
    pub place: Option<String>,
}

/// The frames of each address, innermost first, by `addr2line -a -f -i`.
pub fn addr2line(path: &Path, addresses: &[u64]) -> Vec<Vec<OracleFrame>> {
    let list: String = addresses.iter().map(|svma| format!("{svma:#x}\n")).collect();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), list).expect("addresses written");
    let mut arguments = Command::new("addr2line");
    arguments.args(["-a", "-f", "-i", "-e"]).arg(path);
    arguments.arg(format!("@{}", file.path().display()));
    let text = run(&mut arguments);
    let mut answers = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("0x") {
            answers.push(Vec::new());
            continue;
        }
        let place = lines.next().expect("a place after each name");
        let place = place.split(" (discriminator").next().unwrap_or(place);
        let known = !place.starts_with("??") && !place.ends_with(":?") && !place.ends_with(":0");
        answers.last_mut().expect("an address first").push(OracleFrame {
            name: (line != "??").then(|| line.into()),
            place: known.then(|| normal(place)),
        });
    }
    assert_eq!(answers.len(), addresses.len());
    answers
}

/// Ours in the oracle's words.
pub fn in_oracle_words(frames: &[Frame]) -> Vec<OracleFrame> {
    let word = |frame: &Frame| OracleFrame {
        name: frame.raw_name.map(Into::into),
        place: frame.file.zip(frame.line).map(|(file, line)| normal(&format!("{file}:{line}"))),
    };
    frames.iter().map(word).collect()
}

/// A path without `.` and `..`: binutils and addr2line-rs join them differently.
pub fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}
