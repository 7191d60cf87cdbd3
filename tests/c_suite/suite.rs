//! Runs a group: finds its programs, builds and runs every case in every link
//! mode, a few at a time, and turns the faults into one closing message.

use crate::build;
use crate::expectation::Ending;
use crate::header::{Case, Link, Program, ReportFrom};
use crate::judge;
use crate::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

/// All scenario files of a group, sorted by name.
pub fn files_of(group: &str) -> Vec<PathBuf> {
    let folder = build::manifest_dir().join("c_tests").join(group);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "c" || e == "cc"))
        .filter(|path| {
            !path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("plugin_"))
        })
        .collect();
    files.sort();
    files
}

/// The body of each group's test.
pub fn run_group(group: &str) {
    let baseline = std::env::var_os("HEAPWARDEN_C_BASELINE").is_some();
    let filter = std::env::var("HEAPWARDEN_C_TEST").ok();
    if !baseline {
        let missing = build::shared_library().err().or(build::static_library().err());
        assert!(missing.is_none(), "{}", missing.unwrap_or_default());
    }
    let files = files_of(group);
    assert!(!files.is_empty(), "c_tests/{group} holds no scenario");
    let tally = Tally::default();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..jobs() {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _turn = Turn::take();
                    run_file(file, baseline, filter.as_deref(), &tally);
                }
            });
        }
    });
    let failures = tally.failures.into_inner().expect("no worker panicked");
    let runs = tally.runs.into_inner();
    let failed = failures.len();
    let closing = format!("{group}: {} programs, {runs} runs, {failed} failures", files.len());
    println!("{closing}");
    assert!(failures.is_empty(), "\n{}\n{closing}", failures.join("\n"));
}

/// Counts of one group.
#[derive(Default)]
struct Tally {
    runs: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    fn fail(&self, line: String) {
        self.failures.lock().expect("no worker panicked").push(line);
    }
}

fn run_file(file: &Path, baseline: bool, filter: Option<&str>, tally: &Tally) {
    let program = match Program::read(file) {
        Ok(program) => program,
        Err(fault) => return tally.fail(fault),
    };
    let wanted = |case: &str| {
        filter.is_none_or(|f| {
            f == program.name || f == case || f == format!("{}/{case}", program.name)
        })
    };
    if !program.cases.iter().any(|case| wanted(&case.name)) {
        return;
    }
    let only = std::env::var("HEAPWARDEN_C_LINK").ok();
    let links = if baseline { vec![Link::None] } else { program.links.clone() };
    for link in links {
        if only.as_ref().is_some_and(|name| name != link.name()) {
            continue;
        }
        if baseline && !(program.baseline && runs_without_library(&program)) {
            continue;
        }
        let title = format!("{}/{}", program.group, program.name);
        let built =
            build::build(&program, link).and_then(|exe| Ok((exe, build::build_plugins(&program)?)));
        let (executable, plugins) = match built {
            Ok(built) => built,
            Err(fault) => {
                tally.fail(format!("{title} ({}): {fault}", link.name()));
                continue;
            }
        };
        for case in program.cases.iter().filter(|case| wanted(&case.name)) {
            if baseline && !passes_without_library(case) {
                continue;
            }
            let mut case = case.clone();
            if baseline {
                case.report = ReportFrom::Off;
            }
            tally.runs.fetch_add(1, Ordering::Relaxed);
            let label = format!("{title} {} ({})", case.name, link.name());
            let attempt = || {
                let verdict = run::run(&program, &case, link, &executable, &plugins);
                let faults = verdict.map(|outcome| {
                    if filter.is_some() {
                        show(&label, &outcome);
                    }
                    judge::judge(&program, &case, &outcome)
                });
                match faults {
                    Err(fault) => Some(format!("{label}: {fault}")),
                    Ok(faults) if faults.is_empty() => None,
                    Ok(faults) => Some(format!("{label}: {}", faults.join("\n    and "))),
                }
            };
            let Some(failure) = attempt() else { continue };
            // A busy machine can make a deadline pass: a second failure counts,
            // one alone is printed.
            let Some(failure) = attempt() else {
                println!("unsteady: {failure}");
                continue;
            };
            match open_issue(&title, &case.name) {
                Some(why) if filter.is_none() => println!("open ({why}): {failure}"),
                _ => tally.fail(failure),
            }
        }
    }
}

/// Why this case may fail for now: its line in `c_tests/open.txt`.
fn open_issue(title: &str, case: &str) -> Option<&'static str> {
    const OPEN: &str = include_str!("../../c_tests/open.txt");
    OPEN.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let (name, why) = line.split_once(": ")?;
        let (program, cases) = name.split_once(' ')?;
        let is_it = program == title && (cases == "*" || cases.split(' ').any(|one| one == case));
        is_it.then_some(why)
    })
}

/// The verdict of such a case owes nothing to the library.
fn passes_without_library(case: &Case) -> bool {
    let wanted = &case.expectation;
    !wanted.has_records()
        && wanted.stderr.is_empty()
        && !matches!(wanted.ending(), Ending::Exit(codes) if codes.contains(&23))
}

/// Only what can be preloaded can also be run without the library.
fn runs_without_library(program: &Program) -> bool {
    program.links.contains(&Link::Preload)
}

/// For `HEAPWARDEN_C_TEST`: everything the program left behind.
fn show(label: &str, outcome: &run::Outcome) {
    println!("== {label}: {}", outcome.ending());
    println!("-- stdout\n{}-- stderr\n{}", outcome.stdout, outcome.stderr);
    for record in &outcome.records {
        println!("-- {record:#}");
    }
}

fn jobs() -> usize {
    let given = std::env::var("HEAPWARDEN_C_JOBS").ok().and_then(|n| n.parse().ok());
    given.unwrap_or(2).max(1)
}

/// Leave to run: all groups together never run more than `jobs` programs at once.
struct Turn;

static RUNNING: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

impl Turn {
    fn take() -> Turn {
        let mut running = RUNNING.lock().expect("no worker panicked");
        while *running >= jobs() {
            running = FREED.wait(running).expect("no worker panicked");
        }
        *running += 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Ok(mut running) = RUNNING.lock() {
            *running -= 1;
        }
        FREED.notify_one();
    }
}
