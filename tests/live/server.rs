//! The program under check (server.c), and the command that checks it.

pub use crate::built::built;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

/// How the library comes into the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    Preloaded,
    Static,
    FullStatic,
    /// Not at all.
    None,
}

/// A folder of this test run's own.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("live-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    })
}

fn compiled(link: Link) -> &'static Path {
    static PROGRAMS: [OnceLock<PathBuf>; 3] = [const { OnceLock::new() }; 3];
    let (place, flags) = match link {
        Link::Preloaded | Link::None => (0, &[][..]),
        Link::Static => (1, &["libheapwarden.a"][..]),
        Link::FullStatic => (2, &["-static", "libheapwarden.a"][..]),
    };
    PROGRAMS[place].get_or_init(|| {
        let program = folder().join(format!("server-{place}"));
        let mut command = Command::new("cc");
        command.args(["-g", "-O1", "-fno-builtin", "-pthread", "-w", "-o"]).arg(&program);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/server.c"));
        for flag in flags {
            match flag.strip_prefix("lib") {
                Some(_) => command.arg(built(flag)),
                None => command.arg(flag),
            };
        }
        let output = command.args(["-lpthread", "-ldl", "-lm"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        program
    })
}

/// A running server; it ends when this goes out of scope.
pub struct Server {
    child: Child,
    /// The process to check: the server's, or its child's.
    pub process: i32,
}

impl Server {
    /// Starts it and waits until it is ready. Its standard error goes to `errors`.
    pub fn start(link: Link, words: &[&str], options: &str, errors: Stdio) -> Server {
        let mut command = Command::new(compiled(link));
        command.args(words).stdout(Stdio::piped()).stderr(errors).env_remove("LD_PRELOAD");
        command.env("HEAPWARDEN_OPTIONS", options);
        if link == Link::Preloaded {
            command.env("LD_PRELOAD", built("libheapwarden.so"));
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let process = line.trim().strip_prefix("ready ").and_then(|number| number.parse().ok());
        let process = process.unwrap_or_else(|| panic!("the server says {line:?}"));
        Server { child, process }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill(2) of our own child.
        unsafe { libc::kill(self.process, signal) };
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it; what it wrote to a piped standard error.
    pub fn errors(mut self) -> String {
        self.end();
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn end(&mut self) {
        self.signal(libc::SIGKILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// `heapwarden check PROCESS MORE…`
pub fn check(process: i32, more: &[&str]) -> Output {
    let mut command = Command::new(built("heapwarden"));
    command.args(["check", &process.to_string()]).args(more);
    if !more.contains(&"--timeout") {
        command.args(["--timeout", "50"]);
    }
    command.output().unwrap()
}

/// Its standard error, for messages.
pub fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
