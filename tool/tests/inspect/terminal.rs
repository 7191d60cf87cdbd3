//! `top` on a terminal: a pseudo-terminal, and a screen that shows what comes.

use crate::subject::Program;
use portable_pty::{CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A terminal in which `top` runs.
struct Terminal {
    screen: vt100::Parser,
    output: Receiver<Vec<u8>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    fn open(pid: &str) -> Terminal {
        let size = PtySize { rows: 30, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_heapwarden"));
        command.args(["top", pid, "--interval", "0.2"]);
        command.env("TERM", "xterm-256color");
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(bytes @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..bytes].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = pty.master.take_writer().unwrap();
        let screen = vt100::Parser::new(30, 120, 0);
        Terminal { screen, output, keys, child, _master: pty.master }
    }

    /// Waits until the screen shows `wanted`.
    fn wait_for(&mut self, wanted: &str) {
        self.wait_until(wanted, |screen| screen.contains(wanted));
    }

    fn wait_until(&mut self, wanted: &str, is_so: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so(&self.screen.screen().contents()) {
            match self.output.recv_timeout(Duration::from_millis(200)) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(_) => assert!(
                    Instant::now() < deadline,
                    "no {wanted} on\n{}",
                    self.screen.screen().contents()
                ),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(500)) {
            self.screen.process(&bytes);
        }
        (status, self.screen.screen().contents())
    }
}

#[test]
fn keys_sort_open_the_stack_and_quit() {
    let program = Program::compile("busy.c");
    let subject = program.start("", "");
    let mut terminal = Terminal::open(&subject.pid());
    terminal.wait_for("keep busy.c:");
    terminal.wait_for("2 thread(s)");
    terminal.press("g");
    // What grows most comes first, as soon as it has grown.
    terminal.wait_until("grow before keep", |screen| {
        screen.find("grow busy.c:").is_some_and(|at| Some(at) < screen.find("keep busy.c:"))
    });
    terminal.press("\r");
    terminal.wait_for("allocated here");
    terminal.wait_for("#0  grow");
    terminal.wait_for("#1  main");
    terminal.press("\x1b");
    terminal.wait_for("keep busy.c:");
    terminal.press("q");
    let (status, _) = terminal.end();
    assert_eq!(status.exit_code(), 0);
}

#[test]
fn the_end_of_the_process_ends_the_view_with_a_word() {
    let program = Program::compile("busy.c");
    let mut subject = program.start("", "");
    let mut terminal = Terminal::open(&subject.pid());
    terminal.wait_for("keep busy.c:");
    subject.child.kill().unwrap();
    subject.child.wait().unwrap();
    terminal.wait_for("has ended");
    let (status, screen) = terminal.end();
    assert_eq!(status.exit_code(), 24, "{screen}");
    assert!(screen.contains(&format!("process {} (app) has ended", subject.pid())), "{screen}");
}
