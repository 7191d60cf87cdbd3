//! What the built library must look like from outside, read with binutils: its
//! name, its thread-local storage, what it imports and exports, and that none
//! of its malloc functions calls another. These belong to the group `load`.

use crate::build;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// Output of one binutils command on the shared library.
fn read_library(tool: &str, args: &[&str]) -> String {
    let library = build::shared_library().unwrap_or_else(|missing| panic!("{missing}"));
    let output =
        Command::new(tool).args(args).arg(&library).output().expect("binutils is installed");
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn load_soname_is_the_promised_one() {
    let dynamic = read_library("readelf", &["-dW"]);
    assert!(dynamic.contains("Library soname: [libheapwarden.so.1]"), "{dynamic}");
}

#[test]
fn load_thread_local_storage_is_initial_exec() {
    let relocations = read_library("readelf", &["-rW"]);
    for dynamic in ["DTPMOD", "DTPOFF", "TLSDESC"] {
        let lines: Vec<&str> = relocations.lines().filter(|line| line.contains(dynamic)).collect();
        assert!(lines.is_empty(), "dynamic TLS relocations: {lines:?}");
    }
    assert!(relocations.contains("TPOFF"), "no thread-local state at all?");
    assert!(!imports().contains("__tls_get_addr"), "__tls_get_addr is imported");
}

/// Undefined dynamic symbols, without versions; weak ones need not exist.
fn imports() -> BTreeSet<String> {
    let symbols = read_library("nm", &["-D", "--undefined-only", "--format=posix"]);
    let name = |line: &str| {
        line.split_whitespace().next().map(|n| n.split('@').next().unwrap_or(n).to_string())
    };
    symbols.lines().filter_map(name).collect()
}

/// Names of the allow-list file, without its comments.
fn allowed(file: &str) -> BTreeSet<String> {
    let path = build::manifest_dir().join("c_tests").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_string).collect()
}

#[test]
fn load_imports_are_on_the_allow_list() {
    let allowed = allowed("allowed_imports.txt");
    let strange: Vec<String> =
        imports().into_iter().filter(|name| !allowed.contains(name)).collect();
    assert!(strange.is_empty(), "not in c_tests/allowed_imports.txt: {strange:?}");
}

#[test]
fn load_needs_no_other_library() {
    let dynamic = read_library("readelf", &["-dW"]);
    let needed: Vec<&str> = dynamic.lines().filter(|line| line.contains("(NEEDED)")).collect();
    for line in &needed {
        let known =
            ["[libc.so.6]", "[ld-linux-x86-64.so.2]", "[ld-linux-aarch64.so.1]", "[libgcc_s.so.1]"];
        assert!(known.iter().any(|name| line.contains(name)), "needs {line}");
    }
}

/// The malloc family of interface.md, section 5.
const FAMILY: &[&str] = &[
    "malloc",
    "calloc",
    "realloc",
    "free",
    "aligned_alloc",
    "posix_memalign",
    "memalign",
    "valloc",
    "pvalloc",
    "malloc_usable_size",
    "free_sized",
    "free_aligned_sized",
    "mallinfo",
    "mallinfo2",
    "mallopt",
    "malloc_trim",
    "malloc_stats",
    "malloc_info",
];

/// The LeakSanitizer annotations that exist as aliases.
const ANNOTATIONS: &[&str] = &[
    "__lsan_disable",
    "__lsan_enable",
    "__lsan_ignore_object",
    "__lsan_register_root_region",
    "__lsan_unregister_root_region",
    "__lsan_do_leak_check",
    "__lsan_do_recoverable_leak_check",
];

#[test]
fn load_exports_the_whole_family() {
    let symbols = read_library("nm", &["-D", "--defined-only", "--format=posix"]);
    let defined: BTreeSet<&str> =
        symbols.lines().filter_map(|l| l.split([' ', '@']).next()).collect();
    let missing: Vec<&&str> =
        FAMILY.iter().chain(ANNOTATIONS).filter(|name| !defined.contains(**name)).collect();
    assert!(missing.is_empty(), "not exported: {missing:?}");
    let foreign = |name: &&&str| {
        let ours = name.starts_with("heapwarden_")
            || name.starts_with("__lsan_")
            || name.starts_with("__heapwarden");
        let cxx = name.starts_with("_Zn") || name.starts_with("_Zd");
        !(ours || cxx || FAMILY.contains(*name) || INTERPOSED.contains(*name))
    };
    let strange: Vec<&&str> = defined.iter().filter(foreign).collect();
    assert!(strange.is_empty(), "exported without need: {strange:?}");
}

/// Functions that are not malloc's but are watched: threads, module tables, names.
const INTERPOSED: &[&str] = &[
    "pthread_create",
    "sigaction",
    "signal",
    "dlclose",
    "dlopen",
    "cfree",
    "malloc_size",
    "reallocarray",
];

#[test]
fn load_family_functions_do_not_call_each_other() {
    let code = read_library("objdump", &["-d", "--no-show-raw-insn"]);
    let mut inside = "";
    let mut faults = Vec::new();
    for line in code.lines() {
        if let Some(name) = line.strip_suffix(">:").and_then(|l| l.split_once('<')) {
            inside = name.1;
        }
        let target =
            line.split_once("call").or_else(|| line.split_once("jmp")).map(|(_, rest)| rest);
        let Some((_, target)) = target.and_then(|t| t.split_once('<')) else { continue };
        let target = target.split(['>', '@', '+']).next().unwrap_or_default();
        if FAMILY.contains(&inside) && FAMILY.contains(&target) && inside != target {
            faults.push(format!("{inside} goes to {target}"));
        }
    }
    assert!(faults.is_empty(), "{faults:?}");
}

/// Both Rust parts bring their own copies of Rust's runtime symbols.
#[test]
fn load_beside_another_rust_library() {
    let folder = build::output_dir().join("beside_rust");
    fs::create_dir_all(&folder).expect("a folder");
    let rust = "#[unsafe(no_mangle)] pub extern \"C\" fn sum_of_squares(n: u64) -> u64 { \
        let numbers: Vec<u64> = (0..n).collect(); \
        let text = numbers.iter().map(|x| format!(\"{}\", x * x)).collect::<Vec<_>>().join(\" \"); \
        std::thread::spawn(move || text.split(' ').filter_map(|w| w.parse::<u64>().ok()).sum()).join().unwrap() }";
    let main = "#include <stdio.h>\n#include <stdlib.h>\nunsigned long sum_of_squares(unsigned long);\n\
        int main(void) { free(malloc(10)); printf(\"%lu\\n\", sum_of_squares(100)); return 0; }\n";
    fs::write(folder.join("other.rs"), rust).expect("written");
    fs::write(folder.join("main.c"), main).expect("written");
    let library = build::static_library().unwrap_or_else(|missing| panic!("{missing}"));
    let run = |command: &mut Command| {
        let output = command.current_dir(&folder).output().expect("it starts");
        assert!(
            output.status.success(),
            "{command:?}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    };
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    run(Command::new(rustc).args([
        "--edition=2024",
        "--crate-type=staticlib",
        "-O",
        "other.rs",
        "-o",
        "libother.a",
    ]));
    for order in [["libother.a", "HEAPWARDEN"], ["HEAPWARDEN", "libother.a"]] {
        let mut link = Command::new("cc");
        link.args(["main.c", "-o", "main"]);
        for part in order {
            if part == "HEAPWARDEN" {
                link.arg(&library)
            } else {
                link.arg(part)
            };
        }
        run(link.args(["-lpthread", "-ldl", "-lm"]));
        let output = run(&mut Command::new(folder.join("main")));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "328350\n");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
