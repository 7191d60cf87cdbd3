//! `heapwarden report FILE… --format`: what was found, in the form its reader
//! wants. One file a format.

mod json;
mod source;
mod text;
mod words;

use crate::reader::read_all;
use crate::sites::Sites;
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// JSON reports (HEAPWARDEN_OPTIONS=format=json); - is standard input.
    /// Several are merged by call site
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write here instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Look for sources here too, when the recorded path is not there
    #[arg(long, value_name = "DIR")]
    source_dir: Vec<PathBuf>,
}

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person, with source lines
    Text,
    /// The records again, merged by call site
    Json,
}

/// A report to be written to a file.
#[derive(Clone, Debug)]
pub struct Output {
    format: Format,
    path: PathBuf,
}

/// Reads `FORMAT=FILE`.
pub fn parse_output(text: &str) -> Result<Output, String> {
    let (format, path) = text.split_once('=').ok_or("FORMAT=FILE is expected")?;
    Ok(Output { format: Format::from_str(format, false)?, path: path.into() })
}

/// What a format may need besides the findings.
pub struct Settings<'a> {
    /// Colours and the terminal's width are wanted.
    pub is_terminal: bool,
    /// More directories with sources.
    pub source_dirs: &'a [PathBuf],
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let sites = read_sites(&args.files)?;
    let settings = Settings { is_terminal: args.output.is_none(), source_dirs: &args.source_dir };
    match &args.output {
        Some(path) => write_file(&sites, args.format, path, &settings)?,
        None => {
            let mut out = BufWriter::new(anstream::stdout());
            write(&sites, args.format, &settings, &mut out)?;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes several forms of the reports in `files`.
pub fn write_outputs(files: &[PathBuf], outputs: &[Output]) -> Result<()> {
    let sites = match files {
        [] => Sites::default(),
        _ => read_sites(files)?,
    };
    let settings = Settings { is_terminal: false, source_dirs: &[] };
    for output in outputs {
        if output.path == Path::new("-") {
            let settings = Settings { is_terminal: true, ..settings };
            write(&sites, output.format, &settings, &mut anstream::stderr())?;
        } else {
            write_file(&sites, output.format, &output.path, &settings)?;
        }
    }
    Ok(())
}

/// All findings of `files`, merged and sorted.
pub fn read_sites(files: &[PathBuf]) -> Result<Sites> {
    let mut sites = Sites::default();
    read_all(files, |line| {
        sites.add(line);
        Ok(())
    })?;
    sites.sort();
    Ok(sites)
}

fn write_file(sites: &Sites, format: Format, path: &Path, settings: &Settings<'_>) -> Result<()> {
    let shown = || format!("cannot write {}", path.display());
    let mut out = BufWriter::new(File::create(path).with_context(shown)?);
    write(sites, format, settings, &mut out).with_context(shown)?;
    out.flush().with_context(shown)
}

fn write(
    sites: &Sites,
    format: Format,
    settings: &Settings<'_>,
    out: &mut dyn Write,
) -> Result<()> {
    match format {
        Format::Text => text::write(sites, settings, out),
        Format::Json => json::write(sites, out),
    }
}
