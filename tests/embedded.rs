//! The arena as firmware meets it: C programs on Cortex-M4, Cortex-M3 and RV32
//! under QEMU, and without any OS or libc on this machine. What is missing here
//! is skipped and said; `tests/install-embedded.sh` installs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Each board with one of the libraries of `make embedded`; what is made for
/// Cortex-M0, a subset of the others, runs on the M3.
const BOARDS: [(&str, &str); 3] = [
    ("cortex-m4", "thumbv7em-none-eabihf"),
    ("cortex-m3", "thumbv6m-none-eabi"),
    ("riscv32", "riscv32imac-unknown-none-elf"),
];
const MODES: [&str; 4] = ["bare", "owner", "guard", "owner-guard"];

/// One build of a target at a time: they share a directory, and its last output.
static BUILDING: [Mutex<()>; 4] = [const { Mutex::new(()) }; 4];

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Why firmware cannot be built or run here, if so.
fn missing() -> Option<String> {
    let tools = [
        "arm-none-eabi-gcc",
        "arm-none-eabi-size",
        "arm-none-eabi-nm",
        "qemu-system-arm",
        "riscv64-unknown-elf-gcc",
        "qemu-system-riscv32",
    ];
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let have = |tool: &str| std::env::split_paths(&paths).any(|path| path.join(tool).exists());
    let mut absent: Vec<&str> = tools.into_iter().filter(|tool| !have(tool)).collect();
    if !Path::new("/usr/lib/rustlib/src/rust/library/core").exists() {
        absent.push("rust-web-src");
    }
    if absent.is_empty() {
        return None;
    }
    let absent = absent.join(", ");
    // Straight to the terminal: the harness hides what a passing test prints.
    let line = format!("embedded: skipped, not installed: {absent}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    Some(absent)
}

fn library(target: &str, mode: &str) -> String {
    let place = BOARDS.iter().position(|board| board.1 == target).unwrap_or(BOARDS.len());
    let _building = BUILDING[place].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let output = run("embedded/build.sh", &[target, mode]);
    assert!(output.status.success(), "{target} {mode}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

fn link(board: &str, library: &str, source: &str, flags: &[&str]) -> PathBuf {
    let name: String = [&[board, source], flags].concat().join("-");
    let name: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    let mode = Path::new(library).parent().and_then(Path::file_name).expect("a mode's folder");
    // Numbered: two tests may link the same firmware at the same time.
    static LINKED: AtomicUsize = AtomicUsize::new(0);
    let number = LINKED.fetch_add(1, Ordering::Relaxed);
    let elf = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("{name}-{}-{number}.elf", mode.to_string_lossy()));
    let source = format!("embedded/firmware/{source}.c");
    let path = elf.to_str().expect("UTF-8");
    let mut arguments = vec![board, library, path, source.as_str()];
    arguments.extend(flags);
    let output = run("embedded/link.sh", &arguments);
    assert!(output.status.success(), "{source} {flags:?}: {}", text(&output.stderr));
    elf
}

/// The UART of a firmware that must end with 0.
fn emulate(board: &str, elf: &Path) -> String {
    let output = run("embedded/run.sh", &[board, elf.to_str().expect("UTF-8")]);
    let uart = text(&output.stdout);
    assert!(
        output.status.success(),
        "{board} {}: {:?}\n{uart}{}",
        elf.display(),
        output.status.code(),
        text(&output.stderr)
    );
    uart
}

fn firmware(board: &str, target: &str, mode: &str, source: &str, flags: &[&str]) -> String {
    emulate(board, &link(board, &library(target, mode), source, flags))
}

/// The same firmware on every board at once.
fn firmware_everywhere(source: &str) {
    std::thread::scope(|boards| {
        for (board, target) in BOARDS {
            boards.spawn(move || firmware(board, target, "owner-guard", source, &[]));
        }
    });
}

/// The value of `name` in "name value" lines.
fn value(uart: &str, name: &str) -> u32 {
    uart.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        .unwrap_or_else(|| panic!("no {name} in\n{uart}"))
}

#[test]
fn each_crime_raises_its_event_and_nothing_else() {
    if missing().is_some() {
        return;
    }
    firmware_everywhere("events");
    let (board, target) = BOARDS[0];
    for window in ["-DWINDOW=0", "-DWINDOW=SIZE_MAX"] {
        firmware(board, target, "owner-guard", "events", &[window]);
    }
    firmware(board, target, "guard", "events", &["-DNO_OWNER"]);
}

#[test]
fn a_million_random_operations_raise_no_false_report() {
    if missing().is_some() {
        return;
    }
    firmware_everywhere("random");
    let (board, target) = BOARDS[0];
    for mode in MODES {
        for window in ["-DWINDOW=0", "-DWINDOW=SIZE_MAX"] {
            firmware(board, target, mode, "random", &[window, "-DSTEPS=200000"]);
        }
    }
}

#[test]
fn lost_blocks_cycles_and_interior_pointers_are_found_with_their_lines() {
    if missing().is_some() {
        return;
    }
    firmware_everywhere("lost");
    let (board, target) = BOARDS[0];
    let uart = firmware(board, target, "owner-guard", "lost", &[]);
    assert!(value(&uart, "instructions-per-block") <= SCAN_MAX, "{uart}");
    firmware(BOARDS[0].0, BOARDS[0].1, "owner", "lost", &[]);
}

/// Bytes of text that `PART` of the API adds to a program without it.
fn text_size(mode: &str, part: &str) -> u32 {
    let library = library("thumbv7em-none-eabihf", mode);
    let [with, without] = [part, "-DPART=0"].map(|part| {
        let elf = link("cortex-m4", &library, "size", &[part]);
        let output = run("arm-none-eabi-size", &[elf.to_str().expect("UTF-8")]);
        let text = text(&output.stdout);
        let row = text.lines().nth(1).expect("a row of sizes");
        row.split_whitespace().next().expect("text").parse::<u32>().expect("a number")
    });
    with - without
}

#[test]
fn the_code_is_no_larger_than_docs_embedded_md_says() {
    if missing().is_some() {
        return;
    }
    for (mode, part, limit) in [
        ("bare", "-DPART=1", TEXT_BARE),
        ("owner-guard", "-DPART=1", TEXT_OWNER_GUARD),
        ("owner-guard", "-DPART=2", TEXT_EVERYTHING),
        ("owner-guard", "-DPART=3", TEXT_WITH_WRITERS),
    ] {
        let size = text_size(mode, part);
        eprintln!("{mode} {part}: {size} bytes");
        assert!(size <= limit, "{mode} {part}: {size} bytes, at most {limit}");
    }
}

#[test]
fn calls_are_bounded_and_the_arena_is_used_well() {
    if missing().is_some() {
        return;
    }
    let (board, target) = BOARDS[0];
    let full = firmware(board, target, "owner-guard", "measure", &["-DWINDOW=32"]);
    let bare = firmware(board, target, "bare", "measure", &["-DWINDOW=0"]);
    let guard = firmware(board, target, "guard", "measure", &["-DWINDOW=32"]);
    eprintln!("owner-guard:\n{full}bare:\n{bare}guard:\n{guard}");
    for (name, limit) in [
        ("malloc-max", MALLOC_MAX),
        ("holes-malloc", MALLOC_MAX),
        ("free-max", FREE_MAX),
        ("holes-free", FREE_MAX),
    ] {
        for uart in [&full, &guard] {
            assert!(value(uart, name) <= limit, "{name} {}, at most {limit}", value(uart, name));
        }
    }
    for (uart, name, least) in [
        (&full, "efficiency-mixed", 820),
        (&full, "efficiency-small", 530),
        (&bare, "efficiency-mixed", 910),
        (&bare, "efficiency-small", 770),
    ] {
        assert!(value(uart, name) >= least, "{name} {}, at least {least}", value(uart, name));
    }
}

/// Nothing but the four functions that a compiler may call on its own.
#[test]
fn the_library_needs_nothing_and_cannot_panic() {
    if missing().is_some() {
        return;
    }
    for (_, target) in BOARDS {
        library(target, "owner-guard");
    }
    let library = library("thumbv7em-none-eabihf", "owner-guard");
    let elf = link("cortex-m4", &library, "size", &["-DPART=2"]);
    let symbols = text(&run("arm-none-eabi-nm", &[elf.to_str().expect("UTF-8")]).stdout);
    assert!(symbols.contains("heapwarden_arena_lost"));
    for line in symbols.lines() {
        assert!(!line.contains("panicking"), "{line}");
    }
    link("cortex-m0", &self::library("thumbv6m-none-eabi", "owner-guard"), "size", &["-DPART=2"]);
}

#[test]
fn the_log_of_a_firmware_is_read_back_with_files_and_lines() {
    if missing().is_some() {
        return;
    }
    let (board, target) = BOARDS[0];
    let elf = link(board, &library(target, "owner-guard"), "example", &[]);
    let uart = emulate(board, &elf);
    let schema: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string("docs/report.schema.json").expect("schema"))
            .expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let mut kinds = Vec::new();
    for line in uart.lines().filter(|line| line.starts_with('{')) {
        let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let errors: Vec<_> = schema.iter_errors(&record).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {line}");
        kinds.push(record["type"].as_str().expect("a type").to_owned());
    }
    assert_eq!(kinds, ["error", "exhaustion", "leak", "leak", "summary"]);
    let exhaustion = uart.lines().find(|line| line.contains("\"exhaustion\"")).expect("a record");
    let exhaustion: serde_json::Value = serde_json::from_str(exhaustion).expect("JSON");
    let (top, in_use) = (&exhaustion["top"][0], exhaustion["in_use"].as_f64().expect("bytes"));
    let share = top["bytes"].as_f64().expect("bytes") / in_use;
    assert!((top["share"].as_f64().expect("a share") - share).abs() < 0.002, "{top}, not {share}");

    let log = elf.with_extension("log");
    std::fs::write(&log, &uart).expect("the log");
    let cargo = env!("CARGO");
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--package", "heapwarden-tool", "--", "symbolize", "--elf"])
        .args([&elf, &log])
        .output()
        .expect("cargo");
    let named = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let source = std::fs::read_to_string("embedded/firmware/example.c").expect("the example");
    let line_of = |what: &str| source.lines().position(|line| line.contains(what)).expect(what) + 1;
    for (kind, function, what) in [
        ("\"definite\"", "receive", "= heapwarden_arena_malloc(heap, sizeof *message"),
        ("\"definite\"", "storage_task", "= library_malloc(12)"),
        ("exhaustion", "main", "heapwarden_arena_malloc(heap, 60000)"),
    ] {
        let line = line_of(what);
        let found = named.lines().filter(|record| record.contains(kind)).any(|record| {
            let record: serde_json::Value = serde_json::from_str(record).expect("JSON");
            let frame = &record["stack"][0];
            frame["function"] == function
                && frame["line"] == line
                && frame["file"].as_str().is_some_and(|file| file.ends_with("example.c"))
        });
        assert!(found, "{kind} in {function}, line {line}, in\n{named}");
    }
    assert!(named.contains("boot: three tasks"), "other lines go through");
}

/// Always possible: no cross compiler, no emulator, no libc.
#[test]
fn it_runs_on_this_machine_without_os_services() {
    if cfg!(not(all(target_arch = "x86_64", target_os = "linux"))) {
        return;
    }
    for mode in ["owner-guard", "owner"] {
        let library = library("x86_64-unknown-linux-gnu", mode);
        for (source, flags) in [("events", &[][..]), ("random", &["-DSTEPS=300000"]), ("lost", &[])]
        {
            if mode == "owner-guard" || source != "events" {
                emulate("linux", &link("linux", &library, source, flags));
            }
        }
    }
}

/// Text added by init, malloc and free; by everything but the JSON writers, and
/// with them; bytes, opt-level z.
const TEXT_BARE: u32 = 970;
const TEXT_OWNER_GUARD: u32 = 1638;
const TEXT_EVERYTHING: u32 = 4096;
const TEXT_WITH_WRITERS: u32 = 6822;
/// Instructions a live block in a scan for lost blocks.
const SCAN_MAX: u32 = 770;
/// Instructions a call in the worst state of the heap, window 32.
const MALLOC_MAX: u32 = 300;
const FREE_MAX: u32 = 250;
