//! `heapwarden sweep -- PROGRAM`: what breaks when malloc fails.
//!
//! ```text
//!   plain runs ──> how many allocations, which leaks, which output, how long
//!   run N      ──> allocation N fails   (all N, or evenly chosen ones)
//!   outcome    ──> crashed, damaged, hung, leaked, silent; or survived
//!   groups     ──> by outcome and the stack of the failed call, run once
//!                  more for its names and to see that it repeats
//! ```
//!
//! The idea is SQLite's and Zig's out-of-memory tests, for programs as they
//! are.

mod group;
mod once;

use crate::record::Frame;
use crate::run::{library, program};
use anyhow::{Context, Result, bail};
use group::{Groups, Kind};
use indicatif::{ProgressBar, ProgressStyle};
use once::{Observation, Program};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// The first allocations are all tried, before any are left out.
const ALWAYS: u64 = 256;

#[derive(clap::Args)]
pub struct Args {
    /// Try at most this many allocations; evenly chosen if there are more
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    max_runs: u64,
    /// Programs that run at the same time
    #[arg(short, long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Seconds after which a run counts as hung [default: ten times the plain run, at least 10]
    #[arg(long, value_name = "S")]
    timeout: Option<u64>,
    /// Only allocations of this function, called directly or not
    #[arg(long, value_name = "FUNCTION")]
    site: Option<String>,
    /// Standard input of each run [default: empty]
    #[arg(long, value_name = "FILE")]
    stdin: Option<PathBuf>,
    /// Also list runs that ended by abort(), as xmalloc and uncaught bad_alloc do
    #[arg(long)]
    aborts: bool,
    /// Any other option of HEAPWARDEN_OPTIONS
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = crate::run::key_value)]
    options: Vec<String>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

/// Sweeps; exit code 0 if every run came out well, 1 if not.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut program = prepare(args)?;
    let mut plain = program.run(u64::MAX, false).context("the plain run")?;
    if let Some(kind) = Kind::of(&plain, &plain).filter(|kind| *kind != Kind::Silent) {
        bail!(
            "without any failure the program already {}: sweep a program that works",
            kind.verb()
        );
    }
    let again = program.run(u64::MAX, false)?;
    program.timeout = match args.timeout {
        Some(seconds) => Duration::from_secs(seconds),
        None => (plain.took.max(again.took) * 10).max(Duration::from_secs(10)),
    };
    let total = match plain.counted {
        Some(count) => count,
        None => find_count(&program)?,
    };
    if plain.output != again.output {
        plain.output = None; // Not the same each time, so nothing can be told from it.
    }
    let chosen = choose(total, args.max_runs);
    println!(
        "{total} allocation(s){}; a plain run takes {:.0?} and ends with {}.",
        match chosen.len() as u64 == total {
            true => String::new(),
            false => format!(", {} of them tried", chosen.len()),
        },
        again.took,
        plain.ending
    );
    let (groups, survived) = sweep(&program, &plain, &chosen, args)?;
    tell(&program, &plain, &groups, &survived, args)
}

fn prepare(args: &Args) -> Result<Program> {
    let (path, preload) = match program::find(&args.program[0]) {
        Ok(path) => (path, Some(library::find()?)),
        // Linked with the library: its options are all it needs.
        Err(program::Refusal::Static(path)) => (path, None),
        Err(refusal) => bail!("{refusal}"),
    };
    let mut options = args.options.clone();
    options.extend(args.site.as_ref().map(|site| format!("fail_site={site}")));
    Program::new(path, args.program.clone(), preload, options, args.stdin.clone())
}

/// How many allocations a program makes that does not come to its end: by
/// doubling, then halving.
fn find_count(program: &Program) -> Result<u64> {
    let is_there = |number| program.run(number, false).map(|seen| !seen.failed_stack.is_empty());
    if !is_there(1)? {
        bail!("no allocation failed: is the program watched at all, or has it none?");
    }
    let (mut there, mut beyond) = (1, 2);
    while is_there(beyond)? {
        (there, beyond) = (beyond, beyond * 2);
    }
    while beyond - there > 1 {
        let middle = there + (beyond - there) / 2;
        *if is_there(middle)? { &mut there } else { &mut beyond } = middle;
    }
    Ok(there)
}

/// The numbers to try: all, or the first ones and evenly spread ones.
fn choose(total: u64, most: u64) -> Vec<u64> {
    if total <= most {
        return (1..=total).collect();
    }
    let first = ALWAYS.min(most / 2);
    let (rest, picks) = (total - first, most - first);
    let spread = (0..picks)
        .map(|pick| first + 1 + (u128::from(pick) * u128::from(rest) / u128::from(picks)) as u64);
    (1..=first).chain(spread).collect()
}

/// What survived, by how it ended.
type Survived = BTreeMap<String, u64>;

fn sweep(
    program: &Program,
    plain: &Observation,
    chosen: &[u64],
    args: &Args,
) -> Result<(Groups, Survived)> {
    let style = "{bar:40} {pos}/{len} runs, {eta} left{msg}";
    let bar = ProgressBar::new(chosen.len() as u64)
        .with_style(ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar()));
    let results = Mutex::new((Groups::default(), Survived::new()));
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some(&number) = chosen.get(next.fetch_add(1, Relaxed)) {
            let seen = program.run(number, false)?;
            bar.inc(1);
            let mut results = results.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if seen.failed_stack.is_empty() {
                *results.1.entry("had fewer allocations this time".into()).or_default() += 1;
                continue;
            }
            match Kind::of(&seen, plain).filter(|kind| *kind != Kind::Aborted || args.aborts) {
                Some(kind) => results.0.add(kind, number, seen),
                None => *results.1.entry(seen.ending.to_string()).or_default() += 1,
            }
            let found = results.0.len();
            if found > 0 {
                bar.set_message(format!(", {found} finding(s)"));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..args.jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    bar.finish_and_clear();
    Ok(results.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

fn tell(
    program: &Program,
    plain: &Observation,
    groups: &Groups,
    survived: &Survived,
    args: &Args,
) -> Result<ExitCode> {
    let mut causes: HashMap<u64, usize> = HashMap::new();
    let mut repeated: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for (number, group) in groups.sorted().into_iter().enumerate() {
        let first = group.numbers[0];
        if let Some(cause) = group.cause()
            && let Some(&earlier) = causes.get(&cause)
        {
            repeated.entry(earlier).or_default().push(first);
            continue;
        }
        causes.extend(group.cause().map(|cause| (cause, number + 1)));
        let named = program.run(first, true)?;
        let repeats = Kind::of(&named, plain) == Some(group.kind);
        println!("\n{}. {}: {}", number + 1, group.kind.title(), group.describe(&named));
        println!("   when this allocation of {} byte(s) fails:", named.requested);
        print_stack(if repeats { &named.failed_stack } else { &group.first.failed_stack });
        for leak in named.new_leaks(plain).take(3) {
            println!("   {} byte(s) leaked, allocated from:", leak.bytes);
            print_stack(&leak.stack);
        }
        for error in named.errors.iter().take(1) {
            println!("   {}: {}", error.kind, error.message);
            print_stack(&error.stack);
        }
        if group.kind == Kind::Crashed {
            named.last_words().for_each(|line| println!("   | {line}"));
        }
        println!(
            "   {} run(s), the first with allocation {first}{}; to repeat it:",
            group.numbers.len(),
            if repeats { "" } else { " (not every time)" }
        );
        println!("     {}", program.command(first));
    }
    for (earlier, firsts) in &repeated {
        let numbers: Vec<_> = firsts.iter().take(8).map(u64::to_string).collect();
        println!(
            "\nWhat goes wrong in {earlier} goes wrong after {} other failing calls, too: \
             allocation {}{}",
            firsts.len(),
            numbers.join(", "),
            if firsts.len() > 8 { ", …" } else { "" }
        );
    }
    let sum: u64 = survived.values().sum();
    let endings: Vec<_> =
        survived.iter().map(|(ending, runs)| format!("{ending}: {runs}")).collect();
    println!(
        "\n{} finding(s); {sum} run(s) came out well{}{}.",
        groups.len(),
        if endings.is_empty() { "" } else { " — " },
        endings.join(", ")
    );
    if !args.aborts && survived.keys().any(|ending| ending.contains("SIGABRT")) {
        println!("Runs that gave up by abort() count as well; --aborts lists them.");
    }
    Ok(ExitCode::from(u8::from(groups.len() > 0)))
}

fn print_stack(stack: &[Frame]) {
    for (number, frame) in stack.iter().take(8).enumerate() {
        let place = frame.location().map(|place| format!(" at {place}")).unwrap_or_default();
        println!("      #{number} {}{place}", frame.name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_numbers_are_tried_when_they_are_few() {
        assert_eq!(choose(5, 5), [1, 2, 3, 4, 5]);
        assert!(choose(0, 5).is_empty());
    }

    #[test]
    fn of_many_the_first_and_an_even_spread_are_tried() {
        let chosen = choose(1_000_000, 1000);
        assert_eq!(chosen.len(), 1000);
        assert!(chosen.is_sorted_by(|a, b| a < b), "no number twice");
        assert_eq!(chosen[..ALWAYS as usize], (1..=ALWAYS).collect::<Vec<_>>());
        let gaps = chosen[ALWAYS as usize..].windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.clone().max() <= gaps.min().map(|gap| gap + 1));
        assert!(*chosen.last().unwrap() > 998_000);
    }
}
