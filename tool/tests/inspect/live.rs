//! A running process: `top --once`, `metrics`, `check PID`.

use crate::subject::{Program, answer, ask, leaks, parse};
use openmetrics_parser::openmetrics::parse_openmetrics;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

fn site<'v>(look: &'v Value, function: &str) -> &'v Value {
    let sites = look["sites"].as_array().unwrap();
    let is_it = |site: &&Value| site["stack"][0]["function"] == function;
    sites.iter().find(is_it).unwrap_or_else(|| panic!("no {function} in {look}"))
}

#[test]
fn top_counts_what_is_live_and_what_grows() {
    let program = Program::compile("busy.c");
    let subject = program.start("", "");
    let text = answer(
        0,
        &[
            "top",
            &subject.pid(),
            "--once",
            "--interval",
            "0.5",
            "--format",
            "json",
            "--sort",
            "growth",
        ],
    );
    let look: Value = serde_json::from_str(&text).unwrap();
    let kept = site(&look, "keep");
    assert_eq!((&kept["blocks"], &kept["bytes"]), (&1000.into(), &64_000.into()));
    assert_eq!((&kept["growth_bytes"], &kept["freed_share"]), (&0.into(), &0.0.into()));
    let grown = site(&look, "grow");
    assert!(grown["growth_bytes"].as_i64().unwrap() >= 200, "{grown}");
    assert!(grown["rate_bytes_per_s"].as_f64().unwrap() > 0.0);
    assert_eq!(grown, &look["sites"][0], "grows most");
    assert!(look["allocations_per_s"].as_f64().unwrap() > 0.0 && look["threads"] == 2);
    assert_eq!(look["name"], "app");
    // In the table the same.
    let text = answer(0, &["top", &subject.pid(), "--once", "--interval", "0", "--limit", "2"]);
    assert!(text.contains("keep busy.c:") && text.contains("more site(s)"), "{text}");
}

#[test]
fn looking_neither_stops_nor_traces_the_process() {
    let program = Program::compile("busy.c");
    let subject = program.start("", "");
    let trace = program.directory.path().join("calls");
    // What the command asks of the kernel: no ptrace, no signal.
    let status = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=ptrace,kill,tkill,tgkill,process_vm_readv", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_heapwarden"))
        .args(["metrics", &subject.pid()])
        .output()
        .unwrap();
    assert!(status.status.success(), "{status:?}");
    let calls = std::fs::read_to_string(&trace).unwrap();
    assert!(calls.contains("process_vm_readv("), "{calls}");
    let forbidden = |line: &&str| line.contains("ptrace(") || line.contains("kill(");
    assert_eq!(calls.lines().find(forbidden), None);
}

#[test]
fn metrics_are_openmetrics() {
    let program = Program::compile("busy.c");
    let subject = program.start("", "");
    let file = program.directory.path().join("heap.prom");
    let text = answer(0, &["metrics", &subject.pid(), "--sites", "2"]);
    answer(0, &["metrics", &subject.pid(), "--output", file.to_str().unwrap()]);
    for text in [text.clone(), std::fs::read_to_string(&file).unwrap()] {
        let families = parse_openmetrics(&text).unwrap_or_else(|e| panic!("{e}\n{text}")).families;
        for name in
            ["heapwarden_live_bytes", "heapwarden_allocations", "heapwarden_site_live_bytes"]
        {
            assert!(families.contains_key(name), "{name} in {text}");
        }
    }
    let kept = text.lines().find(|line| line.contains("function=\"keep\"")).unwrap();
    assert!(kept.ends_with(" 64000"), "{kept}");
    let sites = text.lines().filter(|line| line.starts_with("heapwarden_site_live_bytes{"));
    assert_eq!(sites.count(), 2, "{text}");
}

#[test]
fn a_process_that_dies_is_told() {
    let program = Program::compile("busy.c");
    let mut subject = program.start("", "");
    let pid = subject.pid();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1000));
        subject.child.kill().unwrap();
        subject.child.wait().unwrap();
    });
    let text = answer(24, &["top", &pid, "--once", "--interval", "3"]);
    assert!(text.contains(&format!("process {pid} (app) has ended")), "{text}");
    killer.join().unwrap();
    for command in ["top", "metrics", "check"] {
        let text = answer(24, &[command, &pid]);
        assert!(text.contains(&format!("there is no process {pid}")), "{text}");
    }
}

#[test]
fn a_process_without_heapwarden_is_told() {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = child.id().to_string();
    for command in ["top", "metrics", "check"] {
        let text = answer(24, &[command, &pid]);
        let says = ["heapwarden is not in this process", "does not run under heapwarden"];
        assert!(says.iter().any(|wanted| text.contains(wanted)), "{text}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ask(&["top", "0"]).status.code(), Some(2));
    assert!(answer(24, &["check", "some-program"]).contains("no process id"));
}

#[test]
fn a_check_from_outside_finds_what_the_process_finds_itself() {
    for source in ["crimes.c", "idioms.cc"] {
        let program = Program::compile(source);
        let subject = program.start("check", "format=json:log_path=own:show_leak_kinds=all");
        let own = leaks(&program.records());
        let text = answer(23, &["check", &subject.pid(), "--format", "json", "--reachable"]);
        let mut seen = leaks(&parse(&text));
        // The buffer of standard output came after its own check.
        seen.retain(|(_, stack), _| !stack.contains("_IO_file_doallocate"));
        assert_eq!(seen, own, "{source}");
        let status = std::fs::read_to_string(format!("/proc/{}/status", subject.pid())).unwrap();
        assert!(status.contains("TracerPid:\t0") && status.contains("State:\tS"), "{status}");
    }
}

#[test]
fn an_address_of_a_running_process_is_described() {
    let program = Program::compile("crimes.c");
    let subject = program.start("crime", "");
    let [list, gone, big] = &subject.words[..] else { panic!("{:?}", subject.words) };
    let text = answer(0, &["check", &subject.pid(), "--block", list]);
    assert!(
        text.contains("the start of a live block of 48 bytes") && text.contains("hold "),
        "{text}"
    );
    let text = answer(0, &["check", &subject.pid(), "--block", gone]);
    assert!(text.contains("freed block") && text.matches("write_freed").count() == 2, "{text}");
    let text = answer(0, &["check", &subject.pid(), "--block", big, "--format", "json"]);
    let block: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&block["state"], &block["block"]["size"]), (&"live".into(), &(1 << 20).into()));
    let text = answer(0, &["check", &subject.pid(), "--block", "0x10"]);
    assert!(text.contains("not the heap's"), "{text}");
}
