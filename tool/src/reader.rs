//! Reads report files line by line, however long, damaged or foreign.
//!
//! Invariant: one bad line costs that line. A file without a single record is
//! an error that says so; lines that are no records are counted, not shown.

use crate::record::Line;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, stdin};
use std::path::{Path, PathBuf};

/// Longest line that is read; the library's own are at most 64 KiB.
const LINE_MAX: u64 = 16 << 20;
/// Files from this length on get a progress bar.
const LARGE: u64 = 32 << 20;

/// What was read and what was not.
#[derive(Default)]
pub struct Tally {
    /// Records.
    pub records: u64,
    /// Lines of something else (the program's own output), or damaged.
    pub foreign: u64,
    /// Records that break off at the end of the file.
    pub cut_off: bool,
}

/// Calls `visit` with each record of `paths` in turn; `-` is standard input.
pub fn read_all(paths: &[PathBuf], mut visit: impl FnMut(Line) -> Result<()>) -> Result<()> {
    for path in paths {
        let tally = read_one(path, &mut visit)?;
        if tally.cut_off {
            anstream::eprintln!(
                "heapwarden: {}: the last record breaks off; the rest was read",
                path.display()
            );
        }
        if tally.records == 0 {
            bail!(
                "{}: no heapwarden records in {} line(s); JSON is expected \
                 (HEAPWARDEN_OPTIONS=format=json)",
                path.display(),
                tally.foreign
            );
        }
    }
    Ok(())
}

/// Calls `visit` with each record of `path`.
pub fn read_one(path: &Path, visit: &mut impl FnMut(Line) -> Result<()>) -> Result<Tally> {
    let mut tally = Tally::default();
    for_each_line(path, |line, is_whole| {
        match serde_json::from_slice::<Line>(line) {
            Ok(record) => {
                tally.records += 1;
                visit(record)?;
            }
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(_) => {
                tally.foreign += 1;
                tally.cut_off |= !is_whole && line.starts_with(b"{");
            }
        }
        Ok(())
    })?;
    Ok(tally)
}

/// Calls `visit` with each line of `path` (without its end), and whether it
/// had one.
pub fn for_each_line(path: &Path, mut visit: impl FnMut(&[u8], bool) -> Result<()>) -> Result<()> {
    let shown = || format!("cannot read {}", path.display());
    let (input, bar): (Box<dyn Read>, ProgressBar) = if path == Path::new("-") {
        (Box::new(stdin()), ProgressBar::hidden())
    } else {
        let file = File::open(path).with_context(shown)?;
        let length = file.metadata().with_context(shown)?.len();
        let bar = progress(length, path);
        (Box::new(file), bar)
    };
    let mut input = BufReader::with_capacity(1 << 18, bar.wrap_read(input));
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut input).take(LINE_MAX).read_until(b'\n', &mut line).with_context(shown)?;
        if read == 0 {
            break;
        }
        let is_whole = line.last() == Some(&b'\n');
        if !is_whole && read as u64 == LINE_MAX {
            skip_line(&mut input).with_context(shown)?;
            continue;
        }
        visit(line.strip_suffix(b"\n").unwrap_or(&line), is_whole)?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Reads to the end of a line without keeping it.
fn skip_line(input: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let length = end.map_or(buffer.len(), |end| end + 1);
        input.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// A bar on the terminal for large files, hidden otherwise.
fn progress(length: u64, path: &Path) -> ProgressBar {
    if length < LARGE || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {eta} left");
    let bar = ProgressBar::new(length).with_message(path.display().to_string());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
