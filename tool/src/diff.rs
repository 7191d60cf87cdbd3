//! `heapwarden diff OLD NEW`: which sites are new, gone, grown or shrunk.
//!
//! Sites are matched by fingerprint (kind and functions, not lines), so that
//! an edit above a site does not make it new. Sites with one fingerprint are
//! summed.

use crate::record::Count;
use crate::report::{read_sites, words};
use crate::sites::{Site, Sites};
use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code when a change of `--fail-on` was found.
const CHANGED: u8 = 23;

#[derive(clap::Args)]
pub struct Args {
    /// The report before
    old: PathBuf,
    /// The report after
    new: PathBuf,
    /// Exit with 23 if there are such sites
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CHANGES")]
    fail_on: Vec<Change>,
    /// Leave out sites that grew or shrank by less than this many percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    tolerance: u64,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Change {
    New,
    Grown,
    Shrunk,
    Gone,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Change::New => "new",
            Change::Grown => "grown",
            Change::Shrunk => "shrunk",
            Change::Gone => "gone",
        }
    }
}

/// A site in one report or both.
struct Pair<'a> {
    site: &'a Site,
    old: Count,
    new: Count,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let old = read_sites(std::slice::from_ref(&args.old))?;
    let new = read_sites(std::slice::from_ref(&args.new))?;
    let pairs = pairs(&old, &new);
    let mut changes: Vec<(Change, &Pair<'_>)> =
        pairs.values().filter_map(|pair| Some((change(pair, args.tolerance)?, pair))).collect();
    changes.sort_by_key(|(change, pair)| {
        (*change, std::cmp::Reverse(pair.new.bytes.max(pair.old.bytes)))
    });
    let mut out = std::io::BufWriter::new(anstream::stdout());
    for (change, pair) in &changes {
        write(*change, pair, args.json, &mut out)?;
    }
    if changes.is_empty() && !args.json {
        writeln!(out, "no change in {} site(s)", pairs.len())?;
    }
    out.flush()?;
    let is_failure = changes.iter().any(|(change, _)| args.fail_on.contains(change));
    Ok(if is_failure { ExitCode::from(CHANGED) } else { ExitCode::SUCCESS })
}

fn pairs<'a>(old: &'a Sites, new: &'a Sites) -> BTreeMap<String, Pair<'a>> {
    let mut pairs = BTreeMap::new();
    for (sites, is_new) in [(new, true), (old, false)] {
        for site in &sites.list {
            let zero = Count::default();
            let empty = Pair { site, old: zero, new: zero };
            let pair = pairs.entry(site.fingerprint()).or_insert(empty);
            if is_new { pair.new.add(site.count) } else { pair.old.add(site.count) }
        }
    }
    pairs
}

fn change(pair: &Pair<'_>, tolerance: u64) -> Option<Change> {
    let zero = Count::default();
    // Errors may be about no bytes at all: blocks decide first.
    let measure = |count: Count| if count.bytes > 0 { count.bytes } else { count.blocks };
    let (old, new) = (measure(pair.old), measure(pair.new));
    let apart = u128::from(old.abs_diff(new)) * 100 >= u128::from(old) * u128::from(tolerance);
    match (pair.old == zero, pair.new == zero) {
        (true, true) => None,
        (true, false) => Some(Change::New),
        (false, true) => Some(Change::Gone),
        (false, false) if new > old && apart => Some(Change::Grown),
        (false, false) if new < old && apart => Some(Change::Shrunk),
        (false, false) => None,
    }
}

fn write(change: Change, pair: &Pair<'_>, as_json: bool, out: &mut dyn Write) -> Result<()> {
    let Pair { site, old, new } = pair;
    if as_json {
        let value = json!({
            "change": change.name(), "kind": site.kind, "fingerprint": site.fingerprint(),
            "old": old, "new": new, "stack": site.stack,
        });
        serde_json::to_writer(&mut *out, &value)?;
        writeln!(out)?;
        return Ok(());
    }
    let amount = |count: &Count| {
        format!("{} in {}", words::amount(count.bytes), words::blocks(count.blocks))
    };
    let sizes = match change {
        Change::New => amount(new),
        Change::Gone => amount(old),
        Change::Grown | Change::Shrunk => format!("{} -> {}", amount(old), amount(new)),
    };
    writeln!(out, "{:6} {}: {sizes}", change.name(), site.kind)?;
    for frame in site.stack.iter().take(4) {
        let location = frame.location().map(|place| format!(" ({place})")).unwrap_or_default();
        writeln!(out, "         {}{location}", frame.name())?;
    }
    Ok(())
}
