//! `heapwarden generate`: man pages and shell completions, for packagers.

use anyhow::{Context, Result};
use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Where man/ and completions/ are made
    directory: PathBuf,
}

/// Writes `man/*.1` and `completions/*` below the directory.
pub fn run<C: CommandFactory>(args: &Args) -> Result<ExitCode> {
    let (man, completions) = (args.directory.join("man"), args.directory.join("completions"));
    for directory in [&man, &completions] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let command = C::command().name("heapwarden");
    clap_mangen::generate_to(command.clone(), &man).context("cannot write man pages")?;
    for shell in Shell::value_variants() {
        clap_complete::generate_to(*shell, &mut command.clone(), "heapwarden", &completions)
            .context("cannot write completions")?;
    }
    Ok(ExitCode::SUCCESS)
}
