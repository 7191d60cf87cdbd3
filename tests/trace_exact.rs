//! Stacks are exact: captures in real programs and in the hard cases, each
//! compared with what libgcc's unwinder finds at the same place.
//!
//! The cases are the C and C++ files in `trace_cases/`; the lines at their
//! head say what is expected. `complete`: no stack may end early for want of
//! unwind information. `incomplete`: some must, and must say so.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

static SCRATCH: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trace");
    std::fs::create_dir_all(&path).unwrap();
    path
});

/// Builds the preload once.
static PRELOAD: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = SCRATCH.join("preload");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--manifest-path"])
        .arg(root.join("tests/trace_preload/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .unwrap();
    assert!(status.success(), "the preload does not build");
    target.join("release/libtrace_preload.so")
});

/// What the preload counted, from its line on standard error.
struct Counts(Vec<HashMap<String, u64>>);

impl Counts {
    fn of(output: &Output) -> Counts {
        let text = String::from_utf8_lossy(&output.stderr);
        let lines = text.lines().filter_map(|line| line.split_once("stack_check: "));
        Counts(
            lines
                .map(|(_, line)| {
                    let words: Vec<&str> = line.split(' ').collect();
                    let pairs = words.chunks_exact(2);
                    pairs.map(|pair| (pair[0].into(), pair[1].parse().unwrap())).collect()
                })
                .collect(),
        )
    }
    fn sum(&self, name: &str) -> u64 {
        self.0.iter().map(|counts| counts[name]).sum()
    }
}

fn run(program: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> (Output, Counts) {
    let output = Command::new("timeout")
        .arg("120")
        .arg(program)
        .args(arguments)
        .env("LD_PRELOAD", &*PRELOAD)
        .env("STACK_VERBOSE", "2")
        .env("PYTHONMALLOC", "malloc")
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let counts = Counts::of(&output);
    (output, counts)
}

fn compile(source: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let output = SCRATCH.join(name);
    let compiler = if source.extension().is_some_and(|end| end == "cpp") { "g++" } else { "gcc" };
    let status = Command::new(compiler)
        .args(["-w", "-fno-builtin-malloc", "-fno-optimize-sibling-calls"])
        .args(flags)
        .arg("-o")
        .arg(&output)
        .arg(source)
        .args(["-lpthread", "-ldl"])
        .status()
        .unwrap();
    assert!(status.success(), "{source:?} does not compile");
    output
}

fn case(name: &str, arguments: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace_cases").join(name);
    let text = std::fs::read_to_string(&source).unwrap();
    let head = |key: &str| {
        text.lines().find_map(|line| line.strip_prefix("// ")?.strip_prefix(key)).map(str::trim)
    };
    let flags: Vec<&str> = head("flags:").unwrap_or("-O2").split(' ').collect();
    if flags.contains(&"-mavx2") && !std::is_x86_feature_detected!("avx2") {
        return;
    }
    let program = compile(&source, name.split('.').next().unwrap(), &flags);
    for depth in ["8", "32"] {
        let (output, counts) =
            run(&program, arguments, &[("STACK_CHECK", "1"), ("STACK_DEPTH", depth)]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {text}");
        assert!(counts.sum("checked") > 1000, "{name}: {text}");
        for count in ["wrong", "shorter", "unseen", "dropped"] {
            assert_eq!(counts.sum(count), 0, "{name}, depth {depth}, {count}: {text}");
        }
        match head("expect:").unwrap().split(' ').next().unwrap() {
            "complete" => assert_eq!(counts.sum("incomplete"), 0, "{name}: {text}"),
            "incomplete" => assert_ne!(counts.sum("incomplete"), 0, "{name}: {text}"),
            "truncated" => assert_ne!(counts.sum("truncated"), 0, "{name}: {text}"),
            other => panic!("{name}: expects {other}?"),
        }
    }
}

macro_rules! cases {
    ($($name:ident: $file:literal;)*) => {
        $(#[test] fn $name() { case($file, &[]); })*
    };
}
cases! {
    frames_of_changing_size: "alloca.c";
    realigned_frames: "realigned.c";
    signal_handlers: "signals.c";
    signal_stacks: "altstack.c";
    long_jumps_and_callbacks: "jumps.c";
    threads_that_come_and_go: "threads.c";
    fibres: "fibres.c";
    code_without_unwind_information: "nocfi.c";
    code_made_at_run_time: "jit.c";
    deep_recursion: "deep.c";
    exceptions: "exceptions.cpp";
}

fn plugins() -> [String; 2] {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace_cases/dlclose_plugin.inc");
    ["64", "320"].map(|room| {
        let (name, room) = (format!("plugin{room}.so"), format!("-DROOM={room}"));
        let flags = ["-O2", "-shared", "-fPIC", &room, "-x", "c"];
        compile(&source, &name, &flags).to_str().unwrap().to_owned()
    })
}

#[test]
fn modules_closed_and_others_opened_in_their_place() {
    let [one, two] = plugins();
    case("dlclose.c", &[&one, &two]);
}

/// The twin of the test above: the comparison can fail.
#[test]
fn without_the_flush_after_dlclose_stacks_are_wrong() {
    let [one, two] = plugins();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace_cases/dlclose.c");
    let program = compile(&source, "dlclose_unflushed", &["-O2"]);
    let settings = [("STACK_CHECK", "1"), ("STACK_NO_FLUSH", "1")];
    let (output, counts) = run(&program, &[&one, &two], &settings);
    assert!(output.status.success());
    assert_ne!(counts.sum("wrong"), 0);
}

fn real_program(program: &str, arguments: &[&str], sample: &str, least: u64) {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    if !found.status.success() {
        eprintln!("{program} is not installed: not checked");
        return;
    }
    let path = String::from_utf8(found.stdout).unwrap();
    let settings = [("STACK_CHECK", sample), ("STACK_DEPTH", "32")];
    let (output, counts) = run(Path::new(path.trim()), arguments, &settings);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(counts.sum("checked") > least, "{text}");
    for count in ["wrong", "unseen", "shorter", "dropped"] {
        assert_eq!(counts.sum(count), 0, "{text}");
    }
}

#[test]
fn python() {
    let script = "import json, re, threading\n\
        def work():\n\
        \x20 for i in range(3000):\n\
        \x20   json.loads(json.dumps({str(i): [i, {'a': 'b' * i}]})); re.compile('a%d+' % i)\n\
        threads = [threading.Thread(target=work) for _ in range(3)]\n\
        [t.start() for t in threads]; [t.join() for t in threads]";
    real_program("python3", &["-c", script], "61", 3000);
}

#[test]
fn perl() {
    let script = "my %h; for (1..30000) { push @{$h{$_ % 100}}, join(',', map { $_ * 2 } 1..5); }";
    real_program("perl", &["-e", script], "61", 1000);
}

#[test]
fn sqlite() {
    let script = "create table t(a, b); with recursive n(i) as (select 1 union all select i + 1 \
        from n where i < 20000) insert into t select i, hex(randomblob(20)) from n; \
        create index x on t(b); select count(*), max(b) from t group by a % 100;";
    real_program("sqlite3", &[":memory:", script], "61", 500);
}

#[test]
fn cxx_compiler() {
    let source = SCRATCH.join("regex.cpp");
    let text = "#include <regex>\n#include <map>\n#include <string>\n\
        int main() { std::map<std::string, int> m; m[\"a\"] = std::regex_match(\"x\", std::regex(\"x+\")); return m[\"b\"]; }\n";
    std::fs::write(&source, text).unwrap();
    let arguments = ["-O1", "-c", "-o", "/dev/null", source.to_str().unwrap()];
    real_program("g++", &arguments, "211", 3000);
}
