//! `heapwarden check PID`: a running process is asked to check itself.
//!
//! The process's memory map shows the library's notice board (an empty mapping
//! whose name tells the signal to send and how far checks have come; the
//! library's src/leak/request.rs draws it). So nothing but the right to see
//! the map and to send a signal is needed: no ptrace, no option set beforehand.
//!
//! Invariant: no signal is sent to a process that does not say it waits for it.

mod board;
mod process;

use crate::watch::IMPOSSIBLE;
use board::Board;
use process::{Process, Refusal};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Nothing was lost; something was.
const CLEAN: u8 = 0;
const LEAKS: u8 = 23;

/// How often the board is looked at, and how often the process is asked again.
const GLANCE: Duration = Duration::from_millis(10);
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// How often in a row all threads may be found to block the signal.
const PATIENCE: usize = 10;

/// Asks, waits up to `timeout` seconds, and unless `is_quiet` shows the report
/// where it can be read. The exit code; what keeps it from that is told, and
/// `None` says that the check may be done from outside instead.
pub fn run(id: u32, timeout: u64, is_quiet: bool) -> Option<ExitCode> {
    match check(id, timeout, is_quiet) {
        Ok(code) => Some(ExitCode::from(code)),
        Err(refusal) if refusal.may_be_looked_into() => {
            anstream::eprintln!("heapwarden: {refusal}; so it is looked at from outside");
            None
        }
        Err(refusal) => {
            anstream::eprintln!("heapwarden: {refusal}");
            Some(ExitCode::from(IMPOSSIBLE))
        }
    }
}

fn check(id: u32, timeout: u64, is_quiet: bool) -> Result<u8, Refusal> {
    let process = Process::open(id)?;
    let before = process.board()?;
    let report = Report::before(&process, &before);
    let end = Instant::now() + Duration::from_secs(timeout);
    let begun = ask(&process, &before, end)?;
    let after = loop {
        let board = process.board()?;
        if board.ended.wrapping_sub(begun) as i32 >= 0 {
            break board;
        }
        if Instant::now() >= end {
            return Err(Refusal::NoEnd(timeout));
        }
        sleep(GLANCE);
    };
    if !is_quiet {
        report.show(&process, &after);
    }
    Ok(match after.verdict {
        0 => CLEAN,
        1 => LEAKS,
        _ => IMPOSSIBLE,
    })
}

/// Sends the request until the process has begun a check; that check's number.
fn ask(process: &Process, before: &Board, end: Instant) -> Result<u32, Refusal> {
    let mut obstacle = None;
    for attempt in 0.. {
        // Where one thread is at a place where it cannot help, another may; and
        // all of them may block the signal for a moment.
        match process.request(attempt) {
            Ok(()) => obstacle = None,
            Err(refusal) if refusal.may_pass() && attempt < PATIENCE => obstacle = Some(refusal),
            Err(refusal) => return Err(refusal),
        }
        let again = Instant::now() + ASK_AGAIN;
        while Instant::now() < again {
            sleep(GLANCE);
            let board = process.board()?;
            if board.begun != before.begun {
                return Ok(board.begun);
            }
        }
        if Instant::now() >= end {
            break;
        }
    }
    Err(obstacle.unwrap_or_else(|| process.silence()))
}

/// The process's report, as far as it can be read from outside.
struct Report {
    descriptor: i32,
    /// Bytes that were there before.
    length: u64,
}

impl Report {
    fn before(process: &Process, board: &Board) -> Report {
        // Not opened yet: what will be there then is this check's, or stderr's.
        let descriptor = if board.descriptor < 0 { 2 } else { board.descriptor };
        let length = process.file(descriptor).map_or(0, |file| file.length);
        Report { descriptor, length }
    }

    fn show(&self, process: &Process, after: &Board) {
        let id = process.id();
        let from = if after.descriptor == self.descriptor { self.length } else { 0 };
        let file = process.file(after.descriptor);
        let name = match after.descriptor {
            1 => "standard output",
            2 => "standard error",
            _ => "log",
        };
        match file {
            Some(file) if file.is_regular && file.length > from => {
                let shown = file.path.display();
                match copy(&file.link, from) {
                    Ok(()) => anstream::eprintln!("heapwarden: this report is in {shown}"),
                    Err(error) => anstream::eprintln!(
                        "heapwarden: the report of process {id} is in {shown} ({error})"
                    ),
                }
            }
            _ if after.verdict == 0 => {}
            Some(file) => anstream::eprintln!(
                "heapwarden: the report of process {id} went to its {name} ({})",
                file.path.display()
            ),
            None => anstream::eprintln!("heapwarden: process {id} keeps its report to itself"),
        }
        if after.verdict == 0 {
            anstream::eprintln!("heapwarden: no leaks in process {id}");
        }
    }
}

/// Writes what a file holds from `from` on to standard output.
fn copy(path: &std::path::Path, from: u64) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    std::io::stdout().lock().write_all(&text)
}
