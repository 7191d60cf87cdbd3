//! What is run: sets of workloads, each a program with its input made ready.
//!
//! Loops are our own sources in `benches/loops`; programs come with the system
//! (`tests/install-programs.sh`) and work on inputs made here, the same every time.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::measure::Program;
use crate::peers;

/// Workloads that are judged together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Set {
    /// Real programs.
    Programs,
    /// Bound by malloc and free.
    Loops,
    /// Growing by realloc, large blocks coming and going.
    Growth,
    /// One, two and 64 threads.
    Scaling,
    /// Starting a program that does nothing.
    Startup,
}

/// How a workload is run.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Once, from start to end.
    Once(Program),
    /// This many times in a row, costs added up (for the very short).
    Repeated(Program, u32),
    /// A server under a client; the server's cost counts.
    Redis { requests: u32 },
}

#[derive(Clone, Debug)]
pub struct Workload {
    pub name: &'static str,
    pub set: Set,
    pub shape: Shape,
    /// Part of `--quick`.
    pub quick: bool,
}

/// A loop's source and how many allocations it makes (0.3 to 0.6 s under glibc).
pub struct Loop {
    pub source: &'static str,
    name: &'static str,
    set: Set,
    allocations: u64,
    threads: Option<u32>,
    quick: bool,
    /// Allocations a round of the source makes at least; callgrind's unit.
    pub round: u64,
}

impl Loop {
    const fn new(source: &'static str, allocations: u64) -> Loop {
        Loop {
            source,
            name: source,
            set: Set::Loops,
            allocations,
            threads: None,
            quick: false,
            round: 50_000,
        }
    }

    /// The loop's name: its source without the ending.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(name, _)| name)
    }
}

pub const LOOPS: &[Loop] = &[
    Loop { quick: true, ..Loop::new("tight.c", 40_000_000) },
    Loop::new("tight_mixed.c", 40_000_000),
    Loop { quick: true, ..Loop::new("batch1k.c", 12_000_000) },
    Loop { quick: true, ..Loop::new("random_lifetimes.c", 16_000_000) },
    Loop { round: 131_071, ..Loop::new("binary_trees.c", 20_000_000) },
    Loop { quick: true, ..Loop::new("cross_thread.c", 4_000_000) },
    Loop::new("larson_like.c", 12_000_000),
    Loop { quick: true, ..Loop::new("strings_maps.cpp", 2_000_000) },
    Loop::new("sh6like.c", 24_000_000),
    Loop { round: 400_000, ..Loop::new("many_live.c", 4_000_000) },
    Loop::new("lua_like.c", 16_000_000),
    Loop { set: Set::Growth, quick: true, ..Loop::new("realloc_growth.c", 8_000_000) },
    Loop { set: Set::Growth, round: 500, ..Loop::new("large_come_and_go.c", 12_000) },
    Loop {
        name: "threads-1",
        set: Set::Scaling,
        threads: Some(1),
        ..Loop::new("threads.c", 8_000_000)
    },
    Loop {
        name: "threads-2",
        set: Set::Scaling,
        threads: Some(2),
        ..Loop::new("threads.c", 8_000_000)
    },
    Loop {
        name: "threads-64",
        set: Set::Scaling,
        threads: Some(64),
        ..Loop::new("threads.c", 250_000)
    },
];

/// Compiles the loops that need it into `target/bench/loops`.
///
/// # Errors
/// When a compiler is missing or refuses a source.
pub fn compile_loops(bench: &Path) -> Result<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("loops");
    let folder = bench.join("loops");
    fs::create_dir_all(&folder)?;
    let newest_header = fs::metadata(sources.join("loop.h"))?.modified()?;
    for item in LOOPS {
        let source = sources.join(item.source);
        let binary = folder.join(source.file_stem().context("a source without a name")?);
        let changed = fs::metadata(&source)?.modified()?.max(newest_header);
        if fs::metadata(&binary).and_then(|data| data.modified()).is_ok_and(|built| built > changed)
        {
            continue;
        }
        let mut compiler = if item.source.ends_with(".cpp") {
            let mut compiler = Command::new("g++");
            compiler.arg("-std=c++17");
            compiler
        } else {
            let mut compiler = Command::new("gcc");
            // Without this gcc drops malloc and free pairs whose block nobody reads.
            compiler.args(["-std=c11", "-fno-builtin"]);
            compiler
        };
        peers::run(
            compiler.args(["-O2", "-g", "-Wall", "-pthread"]).arg(&source).arg("-o").arg(&binary),
        )
        .with_context(|| format!("compiling {}", item.source))?;
    }
    Ok(folder)
}

/// All workloads of this machine; a program that is missing is named and left out.
///
/// # Errors
/// When inputs cannot be written or the loops do not compile.
pub fn all(bench: &Path) -> Result<Vec<Workload>> {
    let binaries = compile_loops(bench)?;
    let mut workloads = programs(bench)?;
    for item in LOOPS {
        let binary = binaries.join(item.source.split('.').next().unwrap_or_default());
        let mut words = vec![binary.display().to_string(), item.allocations.to_string()];
        words.extend(item.threads.map(|threads| threads.to_string()));
        let shape = Shape::Once(Program::of(words));
        workloads.push(Workload { name: item.name(), set: item.set, shape, quick: item.quick });
    }
    workloads.push(Workload {
        name: "true",
        set: Set::Startup,
        shape: Shape::Repeated(Program::of(["/bin/true"]), 100),
        quick: true,
    });
    Ok(workloads)
}

impl Program {
    fn of<Words>(words: Words) -> Program
    where
        Words: IntoIterator,
        Words::Item: Into<String>,
    {
        Program {
            words: words.into_iter().map(Into::into).collect(),
            stdin: None,
            environment: Vec::new(),
            brings_allocator: false,
        }
    }
}

fn programs(bench: &Path) -> Result<Vec<Workload>> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let script = |name: &str| scripts.join(name).display().to_string();
    let inputs = bench.join("inputs");
    fs::create_dir_all(&inputs)?;
    let items_json = write_once(&inputs.join("items.json"), items_json)?;
    let items_xml = write_once(&inputs.join("items.xml"), items_xml)?;
    let mut found: Vec<Workload> = Vec::new();
    let mut add = |name: &'static str, quick: bool, program: Program| {
        if program.words[0].starts_with('/') || peers::on_path(&program.words[0]) {
            found.push(Workload { name, set: Set::Programs, shape: Shape::Once(program), quick });
        } else {
            eprintln!(
                "skipped {name}: no {} here; run tests/install-programs.sh",
                program.words[0]
            );
        }
    };
    let sqlite = Program::of(["sqlite3", ":memory:"]);
    add("sqlite3", true, Program { stdin: Some(scripts.join("work.sql")), ..sqlite });
    add("lua5.4", true, Program::of(["lua5.4".to_owned(), script("work.lua")]));
    // Debian's own python3, not one that a version manager put before it.
    let python = Program::of(["/usr/bin/python3".to_owned(), script("work.py")]);
    add(
        "python3",
        false,
        Program {
            environment: vec![
                ("PYTHONMALLOC", "malloc".to_owned()),
                ("PYTHONHASHSEED", "1".to_owned()),
            ],
            ..python
        },
    );
    let perl = Program::of(["perl".to_owned(), script("work.pl")]);
    add("perl", false, Program { environment: vec![("PERL_HASH_SEED", "1".to_owned())], ..perl });
    let preprocessed = inputs.join("regex.ii");
    peers::run(
        Command::new("g++")
            .args(["-E", "-O1"])
            .arg(script("regex.cpp"))
            .arg("-o")
            .arg(&preprocessed),
    )?;
    let compiler = Command::new("g++").arg("-print-prog-name=cc1plus").output()?.stdout;
    add(
        "cc1plus",
        false,
        Program::of([
            String::from_utf8_lossy(&compiler).trim().to_owned(),
            "-quiet".to_owned(),
            "-O1".to_owned(),
            "-fpreprocessed".to_owned(),
            preprocessed.display().to_string(),
            "-o".to_owned(),
            "-".to_owned(),
        ]),
    );
    add("jq", true, Program::of(["jq".to_owned(), "-f".to_owned(), script("work.jq"), items_json]));
    add(
        "xmllint",
        false,
        Program::of([
            "xmllint".to_owned(),
            "--xpath".to_owned(),
            "count(//item[@amount > 500]/name)".to_owned(),
            items_xml,
        ]),
    );
    if peers::on_path("redis-server") && peers::on_path("redis-benchmark") {
        let shape = Shape::Redis { requests: 50_000 };
        found.push(Workload { name: "redis", set: Set::Programs, shape, quick: false });
    } else {
        eprintln!("skipped redis: run tests/install-programs.sh");
    }
    Ok(found)
}

/// Writes an input unless it is there; by pieces, so that the runner stays small
/// (see `measure`: its peak is the floor of every child's).
fn write_once(path: &Path, write: fn(&mut dyn Write) -> io::Result<()>) -> Result<String> {
    if !path.is_file() {
        let part = path.with_extension("part");
        let mut file = io::BufWriter::new(fs::File::create(&part)?);
        write(&mut file)
            .and_then(|()| file.flush())
            .with_context(|| format!("cannot write {}", path.display()))?;
        fs::rename(part, path)?;
    }
    Ok(path.display().to_string())
}

/// The fields of item `i`: name, place, amount; nothing random.
fn item(i: u32) -> (String, String, u32) {
    (format!("item {}", i * 7919 % 60013), format!("place {}", i * 31 % 97), i * 17 % 1009)
}

fn items_json(out: &mut dyn Write) -> io::Result<()> {
    write!(out, "[")?;
    for i in 0..50_000 {
        let (name, place, amount) = item(i);
        let comma = if i == 0 { "" } else { ",\n" };
        let tag = i % 7;
        write!(
            out,
            r#"{comma}{{"id":{i},"name":"{name}","place":"{place}","amount":{amount},"tags":["a{tag}","b"]}}"#
        )?;
    }
    writeln!(out, "]")
}

fn items_xml(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<?xml version=\"1.0\"?>\n<items>")?;
    for i in 0..120_000 {
        let (name, place, amount) = item(i);
        writeln!(
            out,
            r#"<item id="{i}" amount="{amount}"><name>{name}</name><place>{place}</place></item>"#
        )?;
    }
    writeln!(out, "</items>")
}
