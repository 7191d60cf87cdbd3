//! redis-server under redis-benchmark, on a Unix socket: the server runs under
//! the allocator, the client as it is, and the server's processor time counts.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::measure::{self, Outcome, Program};
use crate::peers::Allocator;

/// Commands whose handling allocates in different ways.
const TESTS: &str = "set,lpush,rpop,sadd,hset,zadd,lrange_100,mset";

/// Starts a server, lets the client do its work, stops it.
///
/// # Errors
/// When the server does not come up, or the client reports a failure.
pub fn run(
    allocator: &Allocator,
    requests: u32,
    folder: &Path,
    limit: Duration,
) -> Result<Outcome> {
    let socket = folder.join("redis.socket");
    let _ = std::fs::remove_file(&socket);
    let socket_name = socket.display().to_string();
    let words = [
        "redis-server",
        "--port",
        "0",
        "--save",
        "",
        "--appendonly",
        "no",
        "--unixsocket",
        &socket_name,
    ];
    let program = Program {
        words: words.map(str::to_owned).to_vec(),
        stdin: None,
        environment: Vec::new(),
        // Debian links redis with jemalloc.
        brings_allocator: true,
    };
    let begin = Instant::now();
    let server = measure::command(&program, allocator, folder)?
        .process_group(0)
        .spawn()
        .context("redis-server")?;
    while !socket.exists()
        && begin.elapsed() < Duration::from_secs(10)
        && !measure::has_ended(&server)
    {
        thread::sleep(Duration::from_millis(5));
    }
    let client = Command::new("redis-benchmark")
        .args([
            "-s",
            &socket_name,
            "-q",
            "-t",
            TESTS,
            "-d",
            "200",
            "-r",
            "20000",
            "-P",
            "8",
            "-n",
            &requests.to_string(),
        ])
        .stdin(Stdio::null())
        .output()
        .context("redis-benchmark")?;
    let pid = libc::pid_t::try_from(server.id())?;
    // SAFETY: a signal to our own child, which is not reaped yet.
    unsafe { libc::kill(pid, libc::SIGTERM) };
    let (mut cost, ending, killed) = measure::wait(server, limit)?;
    cost.wall = begin.elapsed().as_secs_f64();
    // A server that died tells more than a client that found none.
    let served = client.status.success() || !ending.starts_with("exit status: 0");
    ensure!(served, "redis-benchmark: {}", client.status);
    let answers = String::from_utf8_lossy(&client.stdout).matches("requests per second").count();
    Ok(Outcome {
        cost,
        ending,
        killed,
        output: answers as u64,
        last_words: measure::last_words(folder),
    })
}
