//! `heapwarden report FILE… --format`: what was found, in the form its reader
//! wants. One file a format.

mod blame;
mod csv;
mod describe;
mod folded;
mod html;
mod json;
mod junit;
mod pprof;
mod sarif;
mod source;
mod text;
pub mod words;

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
    /// Leave out the sites that this older JSON report has too
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Add commit and author of each finding's line, from git
    #[arg(long)]
    blame: bool,
    /// What folded stacks count
    #[arg(long, value_enum, default_value_t = By::Bytes)]
    by: By,
    /// Paths in SARIF are relative to this directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    source_root: PathBuf,
}

/// What a flame graph's widths mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    Bytes,
    Blocks,
}

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a person, with source lines
    Text,
    /// The records again, merged by call site
    Json,
    /// A page for a browser, in one file
    Html,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
    /// Gzipped protobuf for pprof, Pyroscope, Parca
    Pprof,
    /// Folded stacks, for flame graphs
    Folded,
    /// JUnit XML, for build servers
    Junit,
    /// A table, one row a call site
    Csv,
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

impl Output {
    /// A report in `format` at `path`.
    pub fn new(format: Format, path: PathBuf) -> Output {
        Output { format, path }
    }

    /// The file's name, if it is a file.
    pub fn file_name(&self) -> Option<String> {
        (self.path.as_os_str() != "-").then(|| self.path.display().to_string())
    }
}

/// What a format may need besides the findings.
pub struct Settings<'a> {
    /// Colours and the terminal's width are wanted.
    pub is_terminal: bool,
    /// More directories with sources.
    pub source_dirs: &'a [PathBuf],
    /// What flame graphs count.
    pub by: By,
    /// Paths below are shown relative to it.
    pub source_root: &'a Path,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let mut sites = read_sites(&args.files)?;
    if let Some(baseline) = &args.baseline {
        sites.without(&read_sites(std::slice::from_ref(baseline))?);
    }
    if args.blame {
        blame::add(&mut sites);
    }
    let settings = Settings {
        is_terminal: args.output.is_none(),
        source_dirs: &args.source_dir,
        by: args.by,
        source_root: &args.source_root,
    };
    match &args.output {
        Some(path) => write_file(&sites, args.format, path, &settings)?,
        None => {
            let mut out = open(None, args.format)?;
            write(&sites, args.format, &settings, &mut out)?;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes several forms of `sites`.
pub fn write_outputs(sites: &Sites, outputs: &[Output]) -> Result<()> {
    let settings = Settings {
        is_terminal: false,
        source_dirs: &[],
        by: By::Bytes,
        source_root: Path::new("."),
    };
    for output in outputs {
        if output.path == Path::new("-") {
            let settings = Settings { is_terminal: true, ..settings };
            write(sites, output.format, &settings, &mut anstream::stderr())?;
        } else {
            write_file(sites, output.format, &output.path, &settings)?;
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

/// Where a report goes: a file, or standard output, which takes the colours of
/// text out again where nobody sees them (pprof is no text).
pub fn open(output: Option<&Path>, format: Format) -> Result<Box<dyn Write>> {
    Ok(match (output, format) {
        (Some(path), _) => Box::new(BufWriter::new(
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
        )),
        (None, Format::Text) => Box::new(BufWriter::new(anstream::stdout())),
        (None, _) => Box::new(BufWriter::new(std::io::stdout().lock())),
    })
}

/// Writes `sites` with the usual settings.
pub fn write_to(
    sites: &Sites,
    format: Format,
    is_terminal: bool,
    out: &mut dyn Write,
) -> Result<()> {
    let settings =
        Settings { is_terminal, source_dirs: &[], by: By::Bytes, source_root: Path::new(".") };
    write(sites, format, &settings, out)
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
        Format::Html => html::write(sites, settings, out),
        Format::Sarif => sarif::write(sites, settings, out),
        Format::Pprof => pprof::write(sites, out),
        Format::Folded => folded::write(sites, settings.by, out),
        Format::Junit => junit::write(sites, out),
        Format::Csv => csv::write(sites, out),
    }
}
