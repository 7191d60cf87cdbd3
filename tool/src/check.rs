//! `heapwarden check`: a heap check and a leak check from outside, of a core or
//! of a running process; or what is known of one address.
//!
//! ```text
//!   core file ─┐               ┌ guards    who wrote where nobody may
//!              ├─ Image ─ Heap ┤ roots → mark → lost    what cannot be reached
//!   process ───┘               └ block     whose address is this
//!                                  └──> records ──> the formats of `report`
//! ```

mod block;
mod guards;
mod heuristics;
mod lost;
mod mark;
mod records;
mod roots;

use crate::ledger::census::monotonic_ms;
use crate::ledger::core_file;
use crate::ledger::epochs::Epochs;
use crate::ledger::live::LiveMemory;
use crate::ledger::memory::Memory;
use crate::ledger::names::build_id_of;
use crate::ledger::root::read_beginning;
use crate::ledger::stopped;
use crate::ledger::threads::Threads;
use crate::ledger::{Census, Heap, Image, LedgerRoot, Names, Stacks};
use crate::record::{Cost, Dropped, Line, Notice, Record};
use crate::report::{Format, words};
use crate::sites::Sites;
use crate::top::Order;
use crate::top::once::{self, Shown};
use crate::watch::{IMPOSSIBLE, rows_of};
use anyhow::{Context, Result, anyhow, bail};
use records::Ledger;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

#[derive(clap::Args)]
pub struct Args {
    /// A core of a program that ran under heapwarden
    #[arg(long, value_name = "FILE")]
    core: Option<PathBuf>,
    /// The program that dumped the core (its file); without --core the id of a
    /// running process
    #[arg(value_name = "PROGRAM|PID", required_unless_present = "core")]
    subject: Option<PathBuf>,
    /// Only say what is known of this address (0x…)
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    block: Option<u64>,
    /// Only say who holds how much
    #[arg(long, conflicts_with = "block")]
    stats: bool,
    /// Show blocks that are still reachable too
    #[arg(long)]
    reachable: bool,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write here instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Of a running process: do not ask it to check itself, but copy its memory
    /// while it is stopped for a moment; so do --format, --output and --reachable
    #[arg(long)]
    outside: bool,
    /// Of a running process: seconds to wait for the end of its own check
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
    /// Of a running process that is asked: only the exit code
    #[arg(long, short)]
    quiet: bool,
    /// Exit code when something was found
    #[arg(long, value_name = "CODE", default_value_t = 23)]
    exitcode: u8,
}

fn address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    let value = match digits {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    value.map_err(|_| "an address like 0x7f0012345678 is expected".to_owned())
}

/// What the filling of freed memory was set to.
#[derive(Clone, Copy)]
pub struct Modes {
    /// Freed memory is filled.
    poisons: bool,
    /// All of it, whatever its size.
    poisons_full: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    match check(args) {
        Ok(code) => Ok(code),
        Err(error) => {
            if error
                .chain()
                .any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(is_pipe))
            {
                return Err(error);
            }
            anstream::eprintln!("heapwarden: {error:#}");
            Ok(ExitCode::from(IMPOSSIBLE))
        }
    }
}

fn is_pipe(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}

fn check(args: &Args) -> Result<ExitCode> {
    let subject = args.subject.as_deref();
    if let Some(core) = &args.core {
        let image = core_file::open(core, subject)?;
        if let Some(program) = subject {
            is_of(&image, program)?;
        }
        let root = LedgerRoot::find(&image).map_err(|error| explain(error, core, &image))?;
        let mut names = Names::new(subject);
        return match args.block {
            Some(address) => answer(args, &image, &root, &mut names, image.now_ms, address),
            None if args.stats => stats(args, &image, &root, &mut names, &image),
            None => check_image(args, &image, &root, &mut names, Duration::ZERO),
        };
    }
    let subject = subject.and_then(Path::to_str).unwrap_or_default();
    let pid: u32 =
        subject.parse().ok().filter(|&pid| pid > 0).with_context(|| {
            format!("'{subject}' is no process id; a core is given by --core FILE")
        })?;
    let is_asked = args.block.is_none()
        && !(args.stats || args.outside || args.reachable || args.output.is_some())
        && args.format == Format::Text;
    if is_asked && let Some(code) = crate::ask::run(pid, args.timeout, args.quiet) {
        return Ok(code);
    }
    let memory = LiveMemory::open(pid)?;
    let root = LedgerRoot::find(&memory).with_context(|| format!("process {pid}"))?;
    let mut names = Names::of_process(pid);
    match args.block {
        Some(address) => answer(args, &memory, &root, &mut names, Some(monotonic_ms()), address),
        None if args.stats => stats(args, &memory, &root, &mut names, &memory),
        None => {
            let below = root.tables.window.table_bytes + root.tables.window.metadata_bytes;
            let (image, pause) = stopped::copy(&memory, root.base - below..root.base)?;
            check_image(args, &image, &root, &mut names, pause)
        }
    }
}

/// Why a core has no root, as far as the core tells.
fn explain(error: anyhow::Error, core: &Path, image: &Image) -> anyhow::Error {
    match image.gaps.first() {
        Some(gap) => anyhow!("{}: {gap}; what is left tells nothing of the heap", core.display()),
        None => error.context(core.display().to_string()),
    }
}

/// Whether the core is of that program, as far as build-ids tell.
fn is_of(image: &Image, program: &Path) -> Result<()> {
    if !program.is_file() {
        bail!("{}: there is no such program", program.display());
    }
    let headers = image.program_headers;
    let holds = |map: &&crate::ledger::Mapping| (map.start..map.end).contains(&headers);
    let Some(mapping) = image.mappings().iter().find(holds) else { return Ok(()) };
    let Some(beginning) = read_beginning(image, mapping) else { return Ok(()) };
    let dumped = crate::ledger::root::build_id_in(&beginning);
    match (dumped, build_id_of(program)) {
        (Some(dumped), Some(given)) if dumped != given => {
            let name = mapping
                .path
                .as_deref()
                .map_or(String::new(), |path| format!(" ({})", path.display()));
            bail!(
                "the core is not of {}: it was dumped by a program{name} with another build-id",
                program.display()
            )
        }
        _ => Ok(()),
    }
}

/// Answers what is known of one address.
fn answer(
    args: &Args,
    memory: &dyn Memory,
    root: &LedgerRoot,
    names: &mut Names,
    now_ms: Option<u64>,
    address: u64,
) -> Result<ExitCode> {
    let heap = Heap::read(memory, root)?;
    let (stacks, epochs) = (Stacks::read(memory, root)?, Epochs::read(memory, root)?);
    let threads = Threads::read(memory, root)?;
    let mut ledger = Ledger {
        memory,
        stacks: &stacks,
        names,
        epochs: &epochs,
        threads: &threads,
        now_ms: now_ms.unwrap_or(epochs.newest_ms),
    };
    let answer = block::describe(memory, root, &heap, &mut ledger, address);
    let mut out = crate::report::open(args.output.as_deref(), args.format)?;
    match args.format {
        Format::Text => block::write_text(&answer, &mut out)?,
        Format::Json => {
            serde_json::to_writer(&mut out, &answer)?;
            writeln!(out)?;
        }
        _ => bail!("an address is described as text or json"),
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Whom statistics are about.
trait Subject {
    /// Process, name, time, and the monotonic clock's milliseconds, if known.
    fn is(&self) -> (u32, String, SystemTime, Option<u64>);
}

impl Subject for Image {
    fn is(&self) -> (u32, String, SystemTime, Option<u64>) {
        (self.pid, self.name.clone(), self.time, self.now_ms)
    }
}

impl Subject for LiveMemory {
    fn is(&self) -> (u32, String, SystemTime, Option<u64>) {
        (self.pid, self.name(), SystemTime::now(), Some(monotonic_ms()))
    }
}

/// Says who holds how much.
fn stats(
    args: &Args,
    memory: &dyn Memory,
    root: &LedgerRoot,
    names: &mut Names,
    subject: &dyn Subject,
) -> Result<ExitCode> {
    const MOST: usize = 1000;
    let census = Census::take(memory, root)?;
    let stacks = Stacks::read(memory, root)?;
    let (pid, name, time, now_ms) = subject.is();
    let newest = || Epochs::read(memory, root).map_or(0, |epochs| epochs.newest_ms);
    let mut rows = rows_of(&census, now_ms.unwrap_or_else(newest));
    crate::top::sort(&mut rows, Order::Bytes);
    let mut shown = Shown {
        pid,
        name,
        time,
        census,
        growth_rate: 0.0,
        allocation_rate: 0.0,
        rows,
        stack: &mut |stack| names.stack(&stacks, stack),
    };
    let mut out = crate::report::open(args.output.as_deref(), args.format)?;
    match args.format {
        Format::Text => once::write_text(&mut shown, MOST, &mut out)?,
        Format::Json => once::write_json(&mut shown, MOST, &mut out)?,
        _ => bail!("statistics are written as text or json"),
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn check_image(
    args: &Args,
    image: &Image,
    root: &LedgerRoot,
    names: &mut Names,
    pause: Duration,
) -> Result<ExitCode> {
    let begun = Instant::now();
    let heap = Heap::read(image, root)?;
    let (stacks, epochs) = (Stacks::read(image, root)?, Epochs::read(image, root)?);
    let threads = Threads::read(image, root)?;
    let modes = image.half(root.tables.heap.modes)?;
    let modes = Modes {
        poisons: modes & root.tables.heap.poison_none == 0,
        poisons_full: modes & root.tables.heap.poison_full != 0,
    };
    let mut ledger = Ledger {
        memory: image,
        stacks: &stacks,
        names,
        epochs: &epochs,
        threads: &threads,
        now_ms: image.now_ms.unwrap_or(epochs.newest_ms),
    };
    let damages = guards::check(&heap, image, modes);
    let mut found: Vec<Record> =
        damages.iter().map(|damage| records::error(damage, &heap, &mut ledger)).collect();
    let marker = mark::Marker::run(&heap, image, roots::collect(image, root));
    let lost = lost::find(&marker);
    let (leaks, mut summary) = records::leaks(&marker, &lost, &mut ledger, args.reachable);
    let is_clean = found.is_empty()
        && [summary.definite, summary.indirect, summary.possible].iter().all(|it| it.blocks == 0);
    summary.errors = found.len() as u64;
    summary.cost = Cost {
        metadata_bytes: image.word(root.tables.window.metadata).unwrap_or(0),
        scan_ms: begun.elapsed().as_millis() as u64,
        longest_pause_ms: pause.as_millis() as u64,
    };
    summary.dropped =
        Dropped { stacks: stacks.dropped, records: heap.damaged, ..Dropped::default() };
    found.extend(leaks);
    let mut gaps = image.gaps.clone();
    if heap.damaged > 0 {
        gaps.push(format!("{} part(s) of the heap's tables are missing or damaged", heap.damaged));
    }
    found.extend(gaps.into_iter().map(|message| Record::Notice(Notice { message })));
    found.push(Record::Summary(Box::new(summary)));
    let lines = found.into_iter().map(|record| records::line(image, record));
    write(args, lines.collect())?;
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::from(args.exitcode) })
}

fn write(args: &Args, lines: Vec<Line>) -> Result<()> {
    let mut out = crate::report::open(args.output.as_deref(), args.format)?;
    if args.format == Format::Json {
        for line in &lines {
            serde_json::to_writer(&mut out, line)?;
            writeln!(out)?;
        }
        return Ok(out.flush()?);
    }
    let mut sites = Sites::default();
    for line in lines {
        if let Record::Notice(notice) = &line.record {
            anstream::eprintln!("heapwarden: {}", notice.message);
        }
        sites.add(line);
    }
    sites.sort();
    crate::report::write_to(&sites, args.format, args.output.is_none(), &mut *out)?;
    if args.format == Format::Text
        && let Some((_, _, summary)) = sites.summaries.first()
    {
        let count = |name: &str, count: crate::record::Count| {
            format!("{name}: {} in {}", words::amount(count.bytes), words::blocks(count.blocks))
        };
        writeln!(out, "{}", count("still reachable", summary.reachable))?;
    }
    Ok(out.flush()?)
}
