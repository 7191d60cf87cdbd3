//! Real programs that run out of memory: their own message and exit code, as
//! under the system's malloc.

use crate::support::built;
use std::path::PathBuf;
use std::process::Command;

struct Program {
    name: &'static str,
    arguments: &'static [&'static str],
    /// Words of its own message.
    says: &'static str,
}

const PROGRAMS: &[Program] = &[
    Program {
        name: "bash",
        arguments: &["-c", "s=xxxxxxxxxxxxxxxx; while :; do s=$s$s; done"],
        says: "cannot allocate",
    },
    Program {
        name: "python3",
        arguments: &["-c", "a=[]\nwhile True: a.append(bytearray(1000000))"],
        says: "MemoryError",
    },
    Program {
        name: "perl",
        arguments: &["-e", "my @a; while(1){push @a, 'x' x 1000000}"],
        says: "Out of memory",
    },
    Program {
        name: "sqlite3",
        arguments: &[
            ":memory:",
            "with recursive c(x) as (values(1) union all select x+1 from c limit 4000) \
             select length(group_concat(hex(zeroblob(100000)),'')) from c;",
        ],
        says: "out of memory",
    },
    Program { name: "g++", arguments: &["-fsyntax-only", "-x", "c++", "-"], says: "exhausted" },
];

/// Many templates: more than the limit holds.
fn large_source() -> String {
    (0..60_000)
        .map(|i| format!("template<typename T> T f{i}(T x) {{ return x + {i}; }} int g{i} = f{i}<int>({i});\n"))
        .collect()
}

fn run(
    program: &Program,
    path: &PathBuf,
    limit: &str,
    options: Option<&str>,
) -> (Option<i32>, String) {
    let input = std::env::temp_dir().join(format!("large-{}.cc", std::process::id()));
    if program.name == "g++" && !input.exists() {
        std::fs::write(&input, large_source()).unwrap();
    }
    let source = if program.name == "g++" { input.as_path() } else { "/dev/null".as_ref() };
    let mut command = Command::new("bash");
    command.args(["-c", &format!("ulimit -c 0; {limit}; exec timeout 120 env \"$@\""), "bash"]);
    if let Some(options) = options {
        command.arg(format!("LD_PRELOAD={}", built("libheapwarden.so").display()));
        command.arg(format!("HEAPWARDEN_OPTIONS={options}:detect_leaks=0:log_path=/dev/null"));
    }
    let output = command
        .arg(path)
        .args(program.arguments)
        .stdin(std::fs::File::open(source).unwrap())
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn programs_end_as_they_do_with_the_system_s_malloc() {
    for program in PROGRAMS {
        let Some(path) = ["/usr/bin", "/bin"]
            .iter()
            .map(|folder| PathBuf::from(folder).join(program.name))
            .find(|path| path.exists())
        else {
            eprintln!("{} is not installed: not tested", program.name);
            continue;
        };
        let plain = run(program, &path, "ulimit -v 300000", None);
        assert!(plain.1.contains(program.says), "{}: {plain:?}", program.name);
        let watched = run(program, &path, "ulimit -v 300000", Some("symbolize=0"));
        assert_eq!(watched.0, plain.0, "{}: {watched:?}", program.name);
        assert!(watched.1.contains(program.says), "{}: {watched:?}", program.name);
        // gcc takes most of its memory with mmap, beside any malloc.
        if program.name != "g++" {
            let limited = run(program, &path, ":", Some("symbolize=0:heap_limit_mb=250"));
            assert_eq!(limited.0, plain.0, "{}: {limited:?}", program.name);
            assert!(limited.1.contains(program.says), "{}: {limited:?}", program.name);
        }
    }
}
