//! `make bench`: heapwarden beside other allocators and leak checkers.
//!
//! Rounds are interleaved: every round runs every workload once under every
//! allocator, so that a busy minute of the machine hits all of them. A run whose
//! output or exit code differs from glibc's is marked BROKEN and not timed.

mod instructions;
mod measure;
mod peer_list;
mod peers;
mod redis;
mod results;
mod table;
mod workloads;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use measure::{Cost, Outcome};
use peers::Allocator;
use results::{Cell, Figure, Row};
use workloads::{Set, Shape, Workload};

/// Times heapwarden beside other allocators and leak checkers.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Rounds; each runs every workload once under every allocator.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Begin no further round that would end after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// Two rounds of a few workloads.
    #[arg(long)]
    quick: bool,
    /// Sets to run; all when not given.
    #[arg(long, value_delimiter = ',')]
    set: Vec<Set>,
    /// Workloads to run, by name; all when not given.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Columns, by name; the usual ones when not given. glibc is always there.
    #[arg(long, value_delimiter = ',')]
    allocators: Vec<String>,
    /// Put the tables into this page too, in place of those of its last time.
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Count the instructions of the loops with callgrind instead of timing.
    #[arg(long)]
    instructions: bool,
    /// Fetch and build every peer, and run nothing.
    #[arg(long)]
    peers: bool,
    /// The library to measure.
    #[arg(long, env = "HEAPWARDEN_LIB", default_value = "target/release/libheapwarden.so")]
    library: PathBuf,
    /// Where peers, inputs and results are kept.
    #[arg(long, default_value = "target")]
    target: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.target)?;
    let target = fs::canonicalize(&arguments.target)?;
    let bench = target.join("bench");
    fs::create_dir_all(&bench)?;
    if arguments.peers {
        return peers::bring_in_all(&target);
    }
    let library = std::path::absolute(&arguments.library)?;
    let mut columns = arguments.allocators.clone();
    if arguments.instructions {
        if columns.is_empty() {
            columns = [
                "heapwarden",
                "heapwarden-nostack",
                "heapwarden-off",
                "mi3",
                "mi3-secure",
                "jemalloc",
                "tcmalloc",
            ]
            .map(str::to_owned)
            .to_vec();
        }
        columns.push("bump".to_owned());
    }
    let allocators = peers::allocators(&target, &library, &columns)?;
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len} {msg}")?
            .progress_chars("=> "),
    );
    let chosen =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let mut rounds = 0;
    let tables = if arguments.instructions {
        let binaries = workloads::compile_loops(&bench)?;
        let counts = instructions::count(&bench, &binaries, &allocators, chosen, &bar)?;
        format!(
            "### Instructions an allocation and its free take, the loop's own work included\n\n{}",
            instructions::markdown(&counts, &allocators)
        )
    } else {
        let workloads: Vec<Workload> = workloads::all(&bench)?
            .into_iter()
            .filter(|workload| chosen(workload.name))
            .filter(|workload| arguments.set.is_empty() || arguments.set.contains(&workload.set))
            .filter(|workload| !arguments.quick || workload.quick || !arguments.only.is_empty())
            .collect();
        rounds = if arguments.quick { 2 } else { arguments.rounds };
        let limit = arguments.minutes.map(|minutes| Duration::from_secs(minutes * 60));
        let rows;
        (rows, rounds) = time(&bench, &workloads, &allocators, rounds, limit, &bar)?;
        let names: Vec<&'static str> = allocators.iter().map(|allocator| allocator.name).collect();
        table::markdown(&rows, &names)
    };
    bar.finish_and_clear();
    let rounds = match rounds {
        0 => String::new(),
        _ => format!("interleaved rounds: {rounds}, "),
    };
    let text = format!("{}\n\n{tables}", machine(&rounds));
    print!("{text}");
    if let Some(path) = arguments.markdown {
        let part = if arguments.instructions { "instructions" } else { "times" };
        let page = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, placed(&page, part, &text))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The page with `text` between `<!-- PART -->` and `<!-- end of PART -->`; where
/// it has no such place, at its end.
fn placed(page: &str, part: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- {part} -->\n"), format!("<!-- end of {part} -->\n"));
    let cut = page.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) = cut.unwrap_or((page, ""));
    format!("{before}{begin}{}\n{end}{after}", text.trim_end())
}

/// When and on what the figures were taken.
fn machine(rounds: &str) -> String {
    let line = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let value = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        value
            .split_once([':', '='])
            .map_or(String::new(), |(_, value)| value.trim().trim_matches('"').to_owned())
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "Taken {}: {}, {} processors, Linux {}, {}; {rounds}load average at the end {}.",
        jiff::Zoned::now().strftime("%Y-%m-%d %H:%M %Z"),
        line("/proc/cpuinfo", "model name"),
        std::thread::available_parallelism().map_or(0, usize::from),
        kernel.trim(),
        line("/etc/os-release", "PRETTY_NAME"),
        load.split(' ').next().unwrap_or_default(),
    )
}

/// Runs all rounds, or as many as fit into `limit` (at least one), and says how
/// many. The first glibc run of a workload is what the others'
/// output is held against.
fn time(
    bench: &Path,
    workloads: &[Workload],
    allocators: &[Allocator],
    rounds: usize,
    limit: Option<Duration>,
    bar: &ProgressBar,
) -> Result<(Vec<Row>, usize)> {
    let begin = Instant::now();
    bar.set_length((workloads.len() * allocators.len() * rounds) as u64);
    let mut rows: Vec<Row> = workloads
        .iter()
        .map(|workload| Row {
            workload: workload.name,
            set: workload.set,
            repeats: if let Shape::Repeated(_, times) = workload.shape { times } else { 1 },
            cells: BTreeMap::new(),
        })
        .collect();
    let mut references: Vec<Option<Outcome>> = workloads.iter().map(|_| None).collect();
    for round in 0..rounds {
        // The next one takes as long as those before did on the average.
        let done = u32::try_from(round)?;
        if limit.is_some_and(|limit| done > 0 && begin.elapsed() / done * (done + 1) > limit) {
            return Ok((rows, round));
        }
        for ((workload, row), reference) in workloads.iter().zip(&mut rows).zip(&mut references) {
            for turn in 0..allocators.len() {
                // Another one begins each round; glibc in the first.
                let allocator = &allocators[(turn + round) % allocators.len()];
                bar.set_message(format!(
                    "round {} of {rounds}: {} under {}",
                    round + 1,
                    workload.name,
                    allocator.name
                ));
                if !enough(row, allocator.name) {
                    sample(bench, workload, allocator, row, reference)?;
                }
                bar.inc(1);
            }
        }
    }
    Ok((rows, rounds))
}

/// Whether no further sample is needed: broken, or so slow that noise does not
/// matter (one sample over twenty times glibc's, two over six times).
fn enough(row: &Row, allocator: &str) -> bool {
    match row.cells.get(allocator) {
        Some(Cell::Broken(_) | Cell::TooSlow(_)) => true,
        Some(Cell::Samples(samples)) => {
            let ratio = row.ratio(allocator, "glibc", Figure::Processor).unwrap_or(1.0);
            ratio > 20.0 || (ratio > 6.0 && samples.len() >= 2)
        }
        _ => false,
    }
}

fn sample(
    bench: &Path,
    workload: &Workload,
    allocator: &Allocator,
    row: &mut Row,
    reference: &mut Option<Outcome>,
) -> Result<()> {
    let expected_wall = reference.as_ref().map_or(1.0, |outcome| outcome.cost.wall);
    let limit = Duration::from_secs_f64(10.0 + 40.0 * expected_wall);
    let outcome = match run(bench, workload, allocator, limit) {
        Ok(outcome) => outcome,
        Err(error) if allocator.name != "glibc" => {
            row.cells.insert(allocator.name, Cell::Broken(format!("{error:#}")));
            return Ok(());
        }
        Err(error) => return Err(error.context(workload.name)),
    };
    if let Some(reference) = reference {
        if outcome.killed {
            row.cells.insert(allocator.name, Cell::TooSlow(limit.as_secs_f64() / expected_wall));
            return Ok(());
        }
        if !outcome.agrees_with(reference) {
            let what =
                if outcome.ending == reference.ending { "output differs" } else { &outcome.ending };
            let reason = format!("{what} {}", outcome.last_words);
            row.cells.insert(allocator.name, Cell::Broken(reason.trim().to_owned()));
            return Ok(());
        }
    }
    let cell = row.cells.entry(allocator.name).or_insert_with(|| Cell::Samples(Vec::new()));
    if let Cell::Samples(samples) = cell {
        samples.push(outcome.cost);
    }
    if reference.is_none() {
        anyhow::ensure!(
            outcome.ending == "exit status: 0",
            "{} under glibc: {} {}",
            workload.name,
            outcome.ending,
            outcome.last_words
        );
        *reference = Some(outcome);
    }
    Ok(())
}

fn run(
    bench: &Path,
    workload: &Workload,
    allocator: &Allocator,
    limit: Duration,
) -> Result<Outcome> {
    match &workload.shape {
        Shape::Once(program) => measure::run(program, allocator, bench, limit),
        Shape::Repeated(program, times) => {
            let mut total = Cost::default();
            let mut last = measure::run(program, allocator, bench, limit)?;
            for _ in 0..*times {
                last = measure::run(program, allocator, bench, limit)?;
                total.processor += last.cost.processor;
                total.wall += last.cost.wall;
                total.peak = total.peak.max(last.cost.peak);
            }
            last.cost = total;
            Ok(last)
        }
        Shape::Redis { requests } => redis::run(allocator, *requests, bench, limit),
    }
}

#[cfg(test)]
mod tests {
    use super::placed;

    #[test]
    fn tables_replace_only_their_own_part() {
        let page = placed("# Title\n", "times", "first");
        let page = placed(&page, "instructions", "counts");
        let again = placed(&page, "times", "second\n\n");
        assert_eq!(
            again,
            "# Title\n<!-- times -->\nsecond\n<!-- end of times -->\n\
             <!-- instructions -->\ncounts\n<!-- end of instructions -->\n"
        );
    }
}
