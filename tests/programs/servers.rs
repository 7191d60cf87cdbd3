//! Servers on loopback, under load, and stopped in the ordinary way.

use std::fs;
use std::time::Duration;

use crate::harness::{Running, Scenario, accepts_connections, free_port};

const STOPS_WITHIN: Duration = Duration::from_secs(60);

/// redis-server with a background save (fork under load) and its three helper threads;
/// the client runs under heapwarden too. No command may fail.
#[test]
fn redis_under_redis_benchmark() {
    let scenario = Scenario::new("redis");
    scenario.begin();
    let port = free_port().to_string();
    let words = [
        "redis-server",
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
        "--save",
        "",
        "--appendonly",
        "yes",
        "--dir",
        ".",
    ];
    let server = scenario.command(&words, true, "server").spawn().expect("redis-server starts");
    let mut server = Running(server);
    let ready = accepts_connections(port.parse().expect("port"), Duration::from_secs(20));
    assert!(
        ready,
        "redis-server does not come up: {:?}",
        server.ended_within(Duration::from_millis(10))
    );

    let load = scenario.run(
        &[
            "redis-benchmark",
            "-p",
            &port,
            "-n",
            "10000",
            "-c",
            "20",
            "-P",
            "4",
            "-r",
            "5000",
            "-d",
            "100",
            "-q",
            "--csv",
        ],
        true,
    );
    assert!(load.status.success(), "redis-benchmark: {} {}", load.status, load.stderr);
    assert!(load.stdout.lines().count() > 10, "few tests ran: {}", load.stdout);
    let cli = |words: &[&str]| {
        let outcome = scenario.run(&[&["redis-cli", "-p", &port], words].concat(), true);
        assert!(outcome.status.success(), "redis-cli {words:?}: {}", outcome.stderr);
        outcome.stdout
    };
    assert!(cli(&["BGSAVE"]).contains("started"));
    let script = "local t = {} for i = 1, 1000 do t[i] = tostring(i) end return #table.concat(t)";
    assert_eq!(cli(&["EVAL", script, "0"]).trim(), "2893");
    let deadline = std::time::Instant::now() + STOPS_WITHIN;
    while !cli(&["INFO", "persistence"]).contains("rdb_bgsave_in_progress:0") {
        assert!(std::time::Instant::now() < deadline, "the background save hangs");
    }
    assert!(cli(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:ok"));
    assert!(cli(&["INFO", "stats"]).contains("total_error_replies:0"), "commands failed");

    server.signal("TERM");
    let status = server.ended_within(STOPS_WITHIN).expect("redis-server hangs at its end");
    let outcome = scenario.outcome("server", status);
    assert!(status.success(), "redis-server: {status} {}{}", outcome.stdout, outcome.stderr);
    scenario.assert_no_misuse();
}

/// nginx with two workers: files, gzip, server-side redirect; a reload under way.
#[test]
fn nginx_under_ab() {
    let scenario = Scenario::new("nginx");
    scenario.begin();
    let port = free_port();
    let work = scenario.work();
    fs::create_dir(work.join("site")).expect("site");
    fs::write(work.join("site/index.html"), "<p>hello, heap</p>\n".repeat(2000)).expect("page");
    let configuration = format!(
        "user root;\nworker_processes 2;\ndaemon off;\npid {0}/nginx.pid;\nerror_log {0}/error.log warn;\n\
         events {{ worker_connections 128; }}\n\
         http {{\n  access_log {0}/access.log;\n  gzip on;\n  gzip_types text/plain;\n  default_type text/plain;\n  \
         client_body_temp_path {0}/t1;\n  proxy_temp_path {0}/t2;\n  fastcgi_temp_path {0}/t3;\n  \
         uwsgi_temp_path {0}/t4;\n  scgi_temp_path {0}/t5;\n  \
         server {{ listen 127.0.0.1:{port}; root {0}/site; location /old {{ rewrite ^ /index.html last; }} }}\n}}\n",
        work.display()
    );
    fs::write(work.join("nginx.conf"), configuration).expect("configuration");
    let file = work.join("nginx.conf").display().to_string();
    let words = ["/usr/sbin/nginx", "-p", ".", "-e", "error.log", "-c", &file];
    let server = scenario.command(&words, true, "server").spawn().expect("nginx starts");
    let mut server = Running(server);
    let ready = accepts_connections(port, Duration::from_secs(20));
    assert!(ready, "nginx does not come up: {:?}", server.ended_within(Duration::from_millis(10)));

    let load = |path: &str, more: &[&str]| {
        let address = format!("http://127.0.0.1:{port}{path}");
        let words = [&["ab", "-q", "-n", "3000", "-c", "20"], more, &[address.as_str()]].concat();
        let outcome = scenario.run(&words, true);
        assert!(outcome.status.success(), "ab: {} {}", outcome.status, outcome.stderr);
        for line in ["Complete requests:      3000", "Failed requests:        0"] {
            assert!(outcome.stdout.contains(line), "ab on {path}: {}", outcome.stdout);
        }
        assert!(!outcome.stdout.contains("Non-2xx"), "ab on {path}: {}", outcome.stdout);
    };
    load("/", &["-k"]);
    // Fresh workers, and the old ones leave in their own time.
    server.signal("HUP");
    load("/old", &["-H", "Accept-Encoding: gzip"]);

    server.signal("QUIT");
    let status = server.ended_within(STOPS_WITHIN).expect("nginx hangs at its end");
    let errors = fs::read_to_string(work.join("error.log")).unwrap_or_default();
    assert!(status.success(), "nginx: {status} {errors}");
    // The master notes a worker that died of a signal.
    assert!(!errors.contains("exited on signal"), "{errors}");
    scenario.assert_no_misuse();
}
