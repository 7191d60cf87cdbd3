//! Servers that are checked for leaks while they work: `heapwarden check PID`
//! again and again under load. No request may fail, no check may fail, and
//! nothing that is in use may be called lost.
//!
//! The `#[ignore]`d twins do the same a hundred times: `make soak-servers`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use crate::harness::{Running, Scenario, accepts_connections, free_port, inputs, library};

const COMES_UP_WITHIN: Duration = Duration::from_secs(30);
const STOPS_WITHIN: Duration = Duration::from_secs(60);

fn tool() -> PathBuf {
    let tool = library().with_file_name("heapwarden");
    assert!(tool.is_file(), "{} is not there: run make first", tool.display());
    tool
}

/// One check; panics if it could not be done.
fn check(process: u32) {
    let output = Command::new(tool())
        .args(["check", &process.to_string(), "--quiet", "--timeout", "100"])
        .output()
        .expect("the tool starts");
    let code = output.status.code();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(code, Some(0 | 23)), "{code:?} {said}");
    assert!(said.is_empty(), "{said}");
}

/// Checks the process `times` times while `load` is done again and again.
fn check_under(process: u32, times: usize, load: impl Fn() + Sync) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            while !is_over.load(SeqCst) {
                load();
            }
        });
        (0..times).for_each(|_| check(process));
        is_over.store(true, SeqCst);
        load.join().expect("the load");
    });
}

/// Records of checks while the server ran: all but those of its end.
fn nothing_was_called_lost(scenario: &Scenario, process: u32, times: usize) {
    let records = scenario.records_of(process);
    let summaries = records.iter().filter(|record| record["type"] == "summary").count();
    assert!(summaries >= times, "{summaries} of {times} checks left a summary");
    let mut left = times;
    for record in &records {
        if record["type"] == "summary" {
            left -= 1;
            if left == 0 {
                break;
            }
        }
        let is_lost = matches!(record["kind"].as_str(), Some("definite" | "indirect"));
        assert!(record["type"] != "leak" || !is_lost, "in use, and called lost: {record}");
    }
}

fn redis(times: usize) {
    let scenario = Scenario::new(&format!("redis-checked-{times}"));
    scenario.begin();
    let port = free_port().to_string();
    let words = ["redis-server", "--bind", "127.0.0.1", "--port", &port, "--save", ""];
    let mut server = Running(scenario.command(&words, true, "server").spawn().expect("redis"));
    assert!(accepts_connections(port.parse().expect("port"), COMES_UP_WITHIN));
    let process = server.0.id();
    check_under(process, times, || {
        let words = ["redis-benchmark", "-p", &port, "-n", "2000", "-c", "10", "-r", "500", "-q"];
        let load = scenario.run(&words, false);
        assert!(load.status.success(), "{} {}", load.status, load.stderr);
    });
    let errors = scenario.run(&["redis-cli", "-p", &port, "INFO", "stats"], false);
    assert!(errors.stdout.contains("total_error_replies:0"), "{}", errors.stdout);
    server.signal("TERM");
    let status = server.ended_within(STOPS_WITHIN).expect("redis hangs at its end");
    assert!(status.success(), "{status}");
    scenario.assert_no_misuse();
    nothing_was_called_lost(&scenario, process, times);
}

fn nginx(times: usize) {
    let scenario = Scenario::new(&format!("nginx-checked-{times}"));
    scenario.begin();
    let port = free_port();
    let work = scenario.work();
    let configuration = format!(
        "user root;\nmaster_process off;\ndaemon off;\npid {0}/nginx.pid;\nerror_log {0}/error.log warn;\n\
         events {{ worker_connections 128; }}\n\
         http {{\n  access_log off;\n  gzip on;\n  gzip_types text/plain;\n  default_type text/plain;\n  \
         client_body_temp_path {0}/t1;\n  proxy_temp_path {0}/t2;\n  fastcgi_temp_path {0}/t3;\n  \
         uwsgi_temp_path {0}/t4;\n  scgi_temp_path {0}/t5;\n  \
         server {{ listen 127.0.0.1:{port}; root {0}; }}\n}}\n",
        work.display()
    );
    std::fs::write(work.join("page"), "hello, heap\n".repeat(3000)).expect("page");
    std::fs::write(work.join("nginx.conf"), configuration).expect("configuration");
    let file = work.join("nginx.conf").display().to_string();
    let words = ["/usr/sbin/nginx", "-p", ".", "-e", "error.log", "-c", &file];
    let mut server = Running(scenario.command(&words, true, "server").spawn().expect("nginx"));
    assert!(accepts_connections(port, COMES_UP_WITHIN));
    let process = server.0.id();
    check_under(process, times, || {
        let address = format!("http://127.0.0.1:{port}/page");
        let gzip = "Accept-Encoding: gzip";
        let words = ["ab", "-q", "-n", "500", "-c", "10", "-H", gzip, &address];
        let load = scenario.run(&words, false);
        assert!(load.status.success(), "{} {}", load.status, load.stderr);
        assert!(load.stdout.contains("Failed requests:        0"), "{}", load.stdout);
        assert!(!load.stdout.contains("Non-2xx"), "{}", load.stdout);
    });
    server.signal("QUIT");
    let status = server.ended_within(STOPS_WITHIN).expect("nginx hangs at its end");
    assert!(status.success(), "{status}");
    scenario.assert_no_misuse();
    nothing_was_called_lost(&scenario, process, times);
}

/// Four threads that build and drop dictionaries until a file appears.
fn python(times: usize) {
    let scenario =
        Scenario::new(&format!("python-checked-{times}")).environment("PYTHONMALLOC", "malloc");
    scenario.begin();
    let script = inputs().join("threads_until_told.py");
    let words = ["/usr/bin/python3", script.to_str().expect("path")];
    let mut program = Running(scenario.command(&words, true, "program").spawn().expect("python"));
    let process = program.0.id();
    let ready = scenario.work().join("ready");
    let begun = std::time::Instant::now();
    while !ready.exists() {
        assert!(begun.elapsed() < COMES_UP_WITHIN, "python does not come up");
        std::thread::sleep(Duration::from_millis(10));
    }
    (0..times).for_each(|_| check(process));
    std::fs::write(scenario.work().join("stop"), "").expect("stop");
    let status = program.ended_within(STOPS_WITHIN).expect("python hangs at its end");
    let outcome = scenario.outcome("program", status);
    assert!(status.success() && outcome.stderr.is_empty(), "{status} {}", outcome.stderr);
    assert!(outcome.stdout.starts_with("sound"), "{}", outcome.stdout);
    scenario.assert_no_misuse();
    nothing_was_called_lost(&scenario, process, times);
}

#[test]
fn redis_is_checked_while_it_serves() {
    redis(4);
}

#[test]
fn nginx_is_checked_while_it_serves() {
    nginx(4);
}

#[test]
fn python_is_checked_while_its_threads_work() {
    python(4);
}

#[test]
#[ignore = "a hundred checks each: make soak-servers"]
fn soak_redis() {
    redis(100);
}

#[test]
#[ignore = "a hundred checks each: make soak-servers"]
fn soak_nginx() {
    nginx(100);
}

#[test]
#[ignore = "a hundred checks each: make soak-servers"]
fn soak_python() {
    python(100);
}
