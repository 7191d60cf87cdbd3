//! `heapwarden run -- PROGRAM`: a program under the warden.
//!
//! The program replaces this process (execve), so its process id, signals,
//! terminal and exit code are its own. Only when something is to be done with
//! the report afterwards does this process stay, pass signals on, and end the
//! way the program ended.

mod closing;
pub mod library;
mod lsan_options;
pub mod program;
mod wait;

use crate::report::{Format as ReportFormat, Output};
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// The check could not be done (interface: never the leak code).
const CANNOT_CHECK: u8 = 24;

#[derive(clap::Args)]
pub struct Args {
    /// Leak kinds to report: definite,indirect,possible,reachable,hidden,all
    #[arg(long, value_name = "KINDS")]
    leak_kinds: Option<String>,
    /// How the report is written
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write the report to FILE.PID instead of standard error
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Suppressions in LeakSanitizer's or Valgrind's format
    #[arg(long, value_name = "FILE")]
    suppressions: Option<PathBuf>,
    /// Exit code when something was found and the program itself exits 0
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u8))]
    exitcode: Option<u8>,
    /// Look for hidden leaks: reachable memory that nobody needs
    #[arg(long)]
    hidden_leaks: bool,
    /// Limit of the heap, in MiB
    #[arg(long, value_name = "MIB")]
    limit_mb: Option<u64>,
    /// Give every Nth allocation guard pages; 1 = all
    #[arg(long, value_name = "N")]
    guard_sample: Option<u64>,
    /// Go on after a misuse was reported
    #[arg(long)]
    keep_going: bool,
    /// Check forked children too that never call exec (others always are)
    #[arg(long)]
    children: bool,
    /// Also take log_path, suppressions and exitcode from LSAN_OPTIONS, where
    /// CTest's MemCheck step puts them
    #[arg(long)]
    lsan_options: bool,
    /// Any other option of HEAPWARDEN_OPTIONS (help=1 lists them)
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    options: Vec<String>,
    /// Afterwards, also write the report in this form: FORMAT=FILE
    #[arg(long, value_name = "FORMAT=FILE", value_parser = crate::report::parse_output)]
    report: Vec<Output>,
    /// Afterwards, also write a page for a browser
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Afterwards, also write SARIF 2.1.0
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Sites that this older JSON report has too are neither shown nor failures
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn key_value(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.is_empty() => Ok(text.to_owned()),
        _ => Err("KEY=VALUE is expected".to_owned()),
    }
}

/// Runs the program. Returns only if it cannot, or to write reports.
pub fn run(args: Args) -> Result<ExitCode> {
    let program = match program::find(&args.program[0]) {
        Ok(program) => program,
        Err(refusal) => {
            anstream::eprintln!("heapwarden: {refusal}");
            return Ok(ExitCode::from(refusal.exit_code()));
        }
    };
    let library = match library::find() {
        Ok(library) => library,
        Err(error) => {
            anstream::eprintln!("heapwarden: {error:#}");
            return Ok(ExitCode::from(CANNOT_CHECK));
        }
    };
    let mut command = Command::new(&program);
    command.arg0(&args.program[0]).args(&args.program[1..]);
    command.env("LD_PRELOAD", appended("LD_PRELOAD", ":", library.as_os_str().to_owned()));
    if args.outputs().is_empty() && args.baseline.is_none() {
        set_options(&mut command, &args.options_text());
        let error = command.exec();
        return Err(error).with_context(|| format!("cannot run {}", program.display()));
    }
    wait::run_and_report(command, &args)
}

fn set_options(command: &mut Command, text: &str) {
    if !text.is_empty() {
        command.env("HEAPWARDEN_OPTIONS", appended("HEAPWARDEN_OPTIONS", ":", text.into()));
    }
}

/// The variable's value with `more` behind it.
pub fn appended(variable: &str, separator: &str, more: OsString) -> OsString {
    match std::env::var_os(variable) {
        Some(mut value) if !value.is_empty() => {
            value.push(separator);
            value.push(more);
            value
        }
        _ => more,
    }
}

impl Args {
    /// What is to be written when the program has ended.
    fn outputs(&self) -> Vec<Output> {
        let mut outputs = self.report.clone();
        for (format, path) in [(ReportFormat::Html, &self.html), (ReportFormat::Sarif, &self.sarif)]
        {
            outputs.extend(path.iter().map(|path| Output::new(format, path.clone())));
        }
        outputs
    }

    /// The flags as text of `HEAPWARDEN_OPTIONS`; later ones win.
    fn options_text(&self) -> String {
        let mut text = String::new();
        let mut add = |key: &str, value: &str| {
            let colon = if text.is_empty() { "" } else { ":" };
            let _ = write!(text, "{colon}{key}={}", quoted(value));
        };
        if self.lsan_options {
            let text = std::env::var("LSAN_OPTIONS").unwrap_or_default();
            for (key, value) in lsan_options::known(&text) {
                add(key, value);
            }
        }
        if self.children {
            add("check_children", "1");
        }
        if let Some(kinds) = &self.leak_kinds {
            add("show_leak_kinds", kinds);
        }
        match self.format {
            Some(Format::Text) => add("format", "text"),
            Some(Format::Json) => add("format", "json"),
            None => {}
        }
        for (key, path) in [("log_path", &self.log), ("suppressions", &self.suppressions)] {
            if let Some(path) = path {
                let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                add(key, &absolute.to_string_lossy());
            }
        }
        for (key, number) in [
            ("exitcode", self.exitcode.map(u64::from)),
            ("heap_limit_mb", self.limit_mb),
            ("guard_sample", self.guard_sample),
        ] {
            if let Some(number) = number {
                add(key, &number.to_string());
            }
        }
        if self.hidden_leaks {
            add("hidden_leaks", "1");
        }
        if self.keep_going {
            add("halt_on_error", "0");
        }
        for option in &self.options {
            if let Some((key, value)) = option.split_once('=') {
                add(key, value);
            }
        }
        text
    }
}

/// A value that the options' grammar takes as one word.
fn quoted(value: &str) -> String {
    let divides = |letter: char| letter == ':' || letter.is_ascii_whitespace() || letter == '"';
    match value.contains(divides) {
        false => value.to_owned(),
        true if value.contains('"') => format!("'{value}'"),
        true => format!("\"{value}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn options(line: &[&str]) -> String {
        let line = ["run"].iter().chain(line).chain(&["--", "prog", "--its", "-o"]);
        let args = Line::parse_from(line).args;
        assert_eq!(args.program, ["prog", "--its", "-o"]);
        args.options_text()
    }

    #[test]
    fn flags_become_options_in_order_and_quoted() {
        assert_eq!(options(&[]), "");
        assert_eq!(
            options(&[
                "--format",
                "json",
                "--log",
                "/tmp/a:b",
                "--limit-mb",
                "64",
                "-o",
                "quiet=1"
            ]),
            "format=json:log_path=\"/tmp/a:b\":heap_limit_mb=64:quiet=1"
        );
        assert_eq!(
            options(&["--leak-kinds", "all", "--exitcode", "7", "--hidden-leaks", "--keep-going"]),
            "show_leak_kinds=all:exitcode=7:hidden_leaks=1:halt_on_error=0"
        );
    }

    #[test]
    fn a_bad_flag_is_refused() {
        for line in [&["--exitcode", "256"][..], &["-o", "novalue"], &["--format", "xml"]] {
            let line = ["run"].iter().chain(line).chain(&["--", "prog"]);
            assert!(Line::try_parse_from(line).is_err());
        }
    }
}
