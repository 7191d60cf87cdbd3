//! Runs the program as a child, and writes reports when it has ended.

use super::{Args, closing, set_options};
use crate::report::{Format, Output, read_sites, write_outputs};
use crate::sites::{Site, Sites};
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
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::{env, fs, process, thread};

/// The library's exit code for findings (interface: `exitcode`).
const LEAK_CODE: u8 = 23;

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

    let result = run_to_end(&mut command).and_then(|status| {
        let sites = read_reports(&directory, args)?;
        finish(&sites, args)?;
        Ok((status, sites))
    });
    let _ = fs::remove_dir_all(&directory);
    let (status, sites) = result?;
    let found_code = i32::from(args.exitcode.unwrap_or(LEAK_CODE));
    if args.baseline.is_some() && status.code() == Some(found_code) && !has_failure(&sites) {
        return Ok(ExitCode::SUCCESS);
    }
    Ok(end_as(status))
}

/// Whether something is left that the baseline did not have.
fn has_failure(sites: &Sites) -> bool {
    sites.list.iter().any(Site::is_failure)
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

/// What the program and its children reported, without the baseline.
fn read_reports(directory: &Path, args: &Args) -> Result<Sites> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .context("cannot read the report")?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    if files.is_empty() {
        anstream::eprintln!("heapwarden: the program wrote no report (did it end before exit?)");
        return Ok(Sites::default());
    }
    let mut sites = read_sites(&files)?;
    if let Some(baseline) = &args.baseline {
        sites.without(&read_sites(std::slice::from_ref(baseline))?);
    }
    Ok(sites)
}

/// Writes the reports, and text to the terminal if nothing else shows it.
fn finish(sites: &Sites, args: &Args) -> Result<()> {
    let mut outputs = args.outputs();
    if outputs.is_empty() {
        outputs.push(Output::new(Format::Text, "-".into()));
    }
    write_outputs(sites, &outputs)?;
    anstream::eprint!("{}", closing::summary(sites, &outputs));
    Ok(())
}

/// Ends this process as the program ended, if need be by the same signal.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        let _ = emulate_default_handler(signal);
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(1));
    }
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
