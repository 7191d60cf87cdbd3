//! Runs the program as a child, and writes reports when it has ended.

use super::{Args, set_options};
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{
    SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use signal_hook::low_level::emulate_default_handler;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};
use std::{env, fs, process, thread};

/// Signals that are meant for the program.
const PASSED_ON: [i32; 9] =
    [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGWINCH];

/// Runs `command` to its end, writes the reports that were asked for, and
/// ends as it did.
pub fn run_and_report(mut command: Command, args: &Args) -> Result<ExitCode> {
    let directory = env::temp_dir().join(format!("heapwarden-run-{}", process::id()));
    fs::create_dir(&directory)
        .with_context(|| format!("cannot make {} for the report", directory.display()))?;
    let log = directory.join("report");
    let mut options = args.options_text();
    if !options.is_empty() {
        options.push(':');
    }
    options.push_str(&format!("format=json:log_path={}", super::quoted(&log.to_string_lossy())));
    set_options(&mut command, &options);

    let status = run_to_end(&mut command);
    let written = status.and_then(|status| {
        write_reports(&directory, args)?;
        Ok(status)
    });
    let _ = fs::remove_dir_all(&directory);
    Ok(end_as(written?))
}

fn run_to_end(command: &mut Command) -> Result<ExitStatus> {
    // Caught before the child exists: none is lost, and none ends us first.
    let mut signals = SignalsInfo::<WithOrigin>::new(PASSED_ON).context("cannot catch signals")?;
    let mut child = command.spawn().context("cannot run the program")?;
    let id = child.id();
    let handle = signals.handle();
    let passer = thread::spawn(move || {
        for origin in signals.forever() {
            // What no process sent came from the terminal, which sends to the
            // whole group: the program has its own.
            if origin.process.is_some()
                && let (Ok(id), Ok(signal)) = (i32::try_from(id), origin.signal.try_into())
            {
                let _ = kill(Pid::from_raw(id), Some::<Signal>(signal));
            }
        }
    });
    let status = child.wait().context("cannot wait for the program");
    handle.close();
    let _ = passer.join();
    status
}

/// Reads what the program and its children reported, and writes it.
fn write_reports(directory: &PathBuf, args: &Args) -> Result<()> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .context("cannot read the report")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    if files.is_empty() {
        anstream::eprintln!("heapwarden: the program wrote no report (did it end before exit?)");
    }
    crate::report::write_outputs(&files, &args.report)
}

/// Ends this process as the program ended, if need be by the same signal.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        let _ = emulate_default_handler(signal);
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(1));
    }
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
