//! Runs programs under a preloaded library, from outside: a driver in C replays
//! the script, and what it prints and what the library reports is compared with
//! the prediction.
//!
//! Invariant: each run has files of its own in the folder that the user gave.

use super::judge::{Failure, Fault, Judge, Observation};
use super::model::{Action, Command, Model};
use super::operation::Program;
use super::report::Report;
use super::rules::Rules;
use super::script::{DRIVER, OPERATIONS, script};
use super::tally::Tally;
use std::boxed::Box;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};
use std::string::{String, ToString};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::vec::Vec;

/// A library, and the programs that are run under it.
pub struct Outside {
    folder: PathBuf,
    driver: PathBuf,
    library: Option<PathBuf>,
    runs: AtomicUsize,
}

/// Exit code when leaks or misuse were found.
const FOUND: i32 = 23;

/// Options of heapwarden for what the model predicts: misuse is survived, and
/// freed blocks are held for long enough.
const OPTIONS: &str =
    "format=json:halt_on_error=0:exitcode=23:quarantine_mb=64:show_leak_kinds=all";

impl Outside {
    /// Builds the driver in `folder`, to be run with `library` preloaded
    /// (`None`: as it is).
    ///
    /// # Errors
    /// What the compiler said.
    pub fn new(folder: &Path, library: Option<&Path>) -> Result<Outside, String> {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        // Tests may build at the same time: each into a folder of its own.
        let sources = folder.join(std::format!("driver-{}", std::process::id()));
        fs::create_dir_all(&sources).map_err(|error| error.to_string())?;
        let written = fs::write(sources.join("operations.h"), OPERATIONS)
            .and_then(|()| fs::write(sources.join("driver.c"), DRIVER));
        written.map_err(|error| error.to_string())?;
        let driver = compile(&sources.join("driver.c"))?;
        let library = library.map(Path::to_path_buf);
        Ok(Outside { folder: folder.to_path_buf(), driver, library, runs: AtomicUsize::new(0) })
    }

    /// Runs a program and judges it, also what is left at its end.
    ///
    /// # Errors
    /// The first fault.
    pub fn run(&self, program: &Program, rules: &Rules) -> Result<Tally, Box<Failure>> {
        let (actions, model) = Model::plan(program, rules);
        let fail = |(fault, action): (Fault, Option<&Action>)| {
            let action = action.cloned();
            Box::new(Failure { fault, action, program: program.clone() })
        };
        let broken = |what: String| fail((Fault::Machine(what), None));
        let run = self.next_run();
        let file = run.with_extension("script");
        fs::write(&file, script(&actions)).map_err(|error| broken(error.to_string()))?;
        let output = self.start(&self.driver, &[&file], &run).map_err(broken)?;
        let report = Report::read(&run).map_err(broken)?;
        let result = judge(&actions, &model, rules, &output, &report).map_err(fail);
        if result.is_ok() {
            self.clean(&run);
        }
        result
    }

    /// Compiles a C program (see [`super::c_program`]), runs it, and tells the
    /// kinds of misuse that were reported.
    ///
    /// # Errors
    /// What the compiler said, or that it could not be run.
    pub fn reproduce(&self, source: &str) -> Result<Vec<String>, String> {
        let run = self.next_run();
        let file = run.with_extension("c");
        fs::write(&file, source).map_err(|error| error.to_string())?;
        let program = compile(&file)?;
        self.start(&program, &[], &run)?;
        let report = Report::read(&run)?;
        self.clean(&run);
        Ok(report.errors.iter().map(|error| error.crime.name().to_string()).collect())
    }

    fn next_run(&self) -> PathBuf {
        let number = self.runs.fetch_add(1, Relaxed);
        self.folder.join(std::format!("run-{}-{number}", std::process::id()))
    }

    fn start(&self, program: &Path, arguments: &[&Path], run: &Path) -> Result<Output, String> {
        let mut process = Process::new(program);
        process.args(arguments);
        let options = std::format!("{OPTIONS}:log_path={}", run.with_extension("log").display());
        process.env("HEAPWARDEN_OPTIONS", options);
        if let Some(library) = &self.library {
            process.env("LD_PRELOAD", library);
        }
        process.output().map_err(|error| std::format!("{}: {error}", program.display()))
    }

    /// Removes what a run left, its reports among it.
    fn clean(&self, run: &Path) {
        for file in Report::files(run) {
            let _ = fs::remove_file(file);
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Some(sources) = self.driver.parent() {
            let _ = fs::remove_dir_all(sources);
        }
    }
}

/// Compiles a C file to a program beside it.
fn compile(source: &Path) -> Result<PathBuf, String> {
    let program = source.with_extension("program");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = Process::new(&compiler)
        .args(["-g", "-O1", "-fno-builtin", "-fno-optimize-sibling-calls", "-pthread", "-w"])
        .arg("-o")
        .arg(&program)
        .arg(source)
        // Operators also where the library brings none.
        .args(["-Wl,--no-as-needed", "-lstdc++"])
        .output()
        .map_err(|error| std::format!("{}: {error}", compiler.display()))?;
    match output.status.success() {
        true => Ok(program),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

type Found<'a> = (Fault, Option<&'a Action>);

fn judge<'a>(
    actions: &'a [Action],
    model: &Model,
    rules: &Rules,
    output: &Output,
    report: &Report,
) -> Result<Tally, Found<'a>> {
    let mut judge = Judge::default();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let mut told = 0;
    for (number, action) in actions.iter().enumerate() {
        judge.expect(action);
        let ended = || (Fault::Machine(ending(output)), Some(action));
        let (line, mut seen, errors) = lines.next().and_then(parse).ok_or_else(ended)?;
        if line != number + 1 {
            return Err(ended());
        }
        // Bytes of glibc's own, in the child of a fork, are nobody's business.
        let errors = if action.command == Command::ChildEnd { told } else { errors };
        let verdicts = report.errors.get(told..errors).unwrap_or_default();
        seen.verdicts = verdicts.to_vec();
        told = errors;
        judge.observe(action, &seen).map_err(|fault| (fault, Some(action)))?;
    }
    let rest = report.errors.get(told..).unwrap_or_default();
    judge.end(model, rest).map_err(|fault| (fault, None))?;
    let mut found = !report.errors.is_empty();
    if rules.leaks {
        let (_, leaks) = model.end();
        leaks
            .compare(|kind, site| report.leaks(kind, site))
            .map_err(|what| (Fault::Leaks(what), None))?;
        found |= leaks.are_lost();
        judge.tally.leaks += leaks.blocks() as u64;
    }
    let wanted = if found { FOUND } else { 0 };
    match output.status.code() {
        Some(code) if code == wanted => Ok(judge.tally),
        _ => Err((Fault::Machine(ending(output)), None)),
    }
}

fn ending(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    std::format!("the program ended with {}\n{}", output.status, errors.trim_end())
}

/// A line of the driver: the action's number, what was seen, and how many
/// misuses were reported so far.
fn parse(line: &str) -> Option<(usize, Observation, usize)> {
    let values: Result<Vec<usize>, _> =
        line.split(' ').map(|word| usize::from_str_radix(word, 16)).collect();
    let [number, address, errno, value, allocations, errors] =
        <[usize; 6]>::try_from(values.ok()?).ok()?;
    let verdicts = Vec::new();
    Some((
        number,
        Observation { address, errno: errno as i32, value, allocations, verdicts },
        errors,
    ))
}
