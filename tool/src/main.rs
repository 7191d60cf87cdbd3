//! The `heapwarden` command: watches programs and reads what was found.
//!
//! One file a subcommand. Each has an `Args` (what the command line says) and
//! a `run` (what is done); this file only lists them.

mod ask;
mod check;
mod diff;
mod generate;
mod ledger;
mod metrics;
mod ordinals;
mod reader;
mod record;
mod report;
mod run;
mod sites;
mod sweep;
mod symbolize;
mod top;
mod watch;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A malloc in which every block has an owner: finds leaks, misuse and
/// exhaustion of the heap in C and C++ programs.
#[derive(Parser)]
#[command(version, about, propagate_version = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program under heapwarden
    Run(run::Args),
    /// Check the heap of a running process or of a core; ask whose an address is
    Check(check::Args),
    /// Show what was found, as text or in the form another program reads
    Report(report::Args),
    /// Show which findings are new, gone, grown or shrunk
    Diff(diff::Args),
    /// Make each allocation fail in turn: crashes and leaks of the error paths
    Sweep(sweep::Args),
    /// Fill functions, files and lines into a JSON report
    Symbolize(symbolize::Args),
    /// Show who holds how much, live, in a terminal
    Top(top::Args),
    /// Print a running process's heap figures as OpenMetrics text
    Metrics(metrics::Args),
    /// Make man pages and shell completions
    #[command(hide = true)]
    Generate(generate::Args),
}

fn main() -> ExitCode {
    let result = match CommandLine::parse().command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Symbolize(args) => symbolize::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Metrics(args) => metrics::run(&args),
        Command::Generate(args) => generate::run::<CommandLine>(&args),
    };
    result.unwrap_or_else(|error| {
        // A reader that had enough (`| head`) is no failure of ours.
        let is_pipe = error.chain().any(|cause| {
            cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
        });
        if is_pipe {
            return ExitCode::SUCCESS;
        }
        anstream::eprintln!("heapwarden: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::CommandLine::command().debug_assert();
    }
}
