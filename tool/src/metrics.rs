//! `heapwarden metrics PID`: the heap's figures for Prometheus and its kin, in
//! OpenMetrics text (openmetrics.io, version 1.0).
//!
//! Sites are bounded (`--sites`): each is a set of time series, and series
//! cost their keeper memory for ever.

use crate::ledger::{Census, ReadError};
use crate::record::{Frame, base_name};
use crate::top::Order;
use crate::watch::{IMPOSSIBLE, Row, Watched};
use anyhow::{Context, Result};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// A process that runs under heapwarden
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pid: u32,
    /// Most call sites that get series of their own: those with the most bytes
    #[arg(long, value_name = "N", default_value_t = 20)]
    sites: usize,
    /// Write to FILE, put in place whole (for node_exporter's textfile collector)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What names a call site in a series.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SiteLabels {
    site: String,
    function: String,
    file: String,
    line: u32,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let text = match read(args) {
        Ok(text) => text,
        Err(error) => {
            match error.downcast_ref::<ReadError>() {
                Some(ReadError::Gone) => {
                    anstream::eprintln!("heapwarden: process {} has ended", args.pid);
                }
                _ => anstream::eprintln!("heapwarden: {error:#}"),
            }
            return Ok(ExitCode::from(IMPOSSIBLE));
        }
    };
    match &args.output {
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
        Some(path) => {
            let shown = || format!("cannot write {}", path.display());
            let mut beside = path.clone().into_os_string();
            beside.push(format!(".{}", std::process::id()));
            std::fs::write(&beside, text).with_context(shown)?;
            std::fs::rename(&beside, path).with_context(shown)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(args: &Args) -> Result<String> {
    let mut watched = Watched::open(args.pid)?;
    watched.look()?;
    let mut rows = watched.rows();
    crate::top::sort(&mut rows, Order::Bytes);
    let named =
        rows.iter().take(args.sites).map(|row| (labels(&watched.stack(row.stack)), row.clone()));
    let named: Vec<_> = named.collect();
    let census = watched.census().cloned().unwrap_or_default();
    Ok(text_of(&census, &named)?)
}

/// What a site is called: the digest of its stack tells apart sites of one line.
fn labels(stack: &[Frame]) -> SiteLabels {
    let place = stack.iter().find(|frame| frame.is_users()).or(stack.first());
    let place = place.cloned().unwrap_or_default();
    SiteLabels {
        site: crate::sites::fingerprint("site", stack)[..12].to_owned(),
        function: place.name(),
        file: place.file.as_deref().map_or(String::new(), |file| base_name(file).to_owned()),
        line: place.line.unwrap_or(0),
    }
}

fn text_of(census: &Census, sites: &[(SiteLabels, Row)]) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("heapwarden");
    let bytes = [
        ("live", "Bytes that the program asked for and has not freed", census.bytes),
        ("heap", "Bytes in slabs and spans", census.in_use),
        ("heap_peak", "The most bytes that slabs and spans ever took", census.peak),
        ("heap_limit", "Bytes of heap memory allowed; 0 is no limit", census.limit),
        ("quarantine", "Bytes of freed blocks held back from reuse", census.held),
        ("metadata", "Address space for the ledger itself", census.metadata),
    ];
    for (name, help, value) in bytes {
        registry.register_with_unit(name, help, Unit::Bytes, ConstGauge::new(value as i64));
    }
    for (name, help, value) in [
        ("live_blocks", "Blocks that the program has not freed", census.blocks),
        ("threads", "Threads that have allocated", census.threads),
        (
            "call_sites",
            "Call stacks that hold live blocks",
            census.sites.values().filter(|site| site.blocks > 0).count() as u64,
        ),
    ] {
        registry.register(name, help, ConstGauge::new(value as i64));
    }
    registry.register(
        "allocations",
        "Allocations made so far",
        ConstCounter::new(census.allocations),
    );
    let live = Family::<SiteLabels, Gauge>::default();
    let blocks = Family::<SiteLabels, Gauge>::default();
    let oldest = Family::<SiteLabels, Gauge>::default();
    for (labels, row) in sites {
        // Stacks that differ only in what the labels do not tell are one series.
        live.get_or_create(labels).inc_by(row.site.bytes as i64);
        blocks.get_or_create(labels).inc_by(row.site.blocks as i64);
        let age = oldest.get_or_create(labels);
        age.set(age.get().max((row.age_ms / 1000) as i64));
    }
    registry.register_with_unit("site_live", "Live bytes of a call site", Unit::Bytes, live);
    registry.register("site_live_blocks", "Live blocks of a call site", blocks);
    let help = "Age of the oldest live block of a call site";
    registry.register_with_unit("site_oldest", help, Unit::Seconds, oldest);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}
