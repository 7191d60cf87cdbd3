//! One look, printed: as a table, or as one JSON object.

use super::draw::signed;
use super::view::{Order, place_of, sort};
use crate::ledger::Census;
use crate::record::Stack;
use crate::report::words::{age, amount};
use crate::watch::{Row, Watched};
use anyhow::Result;
use serde::Serialize;
use std::io::Write;
use std::time::SystemTime;

#[derive(Serialize)]
struct Look {
    v: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    pid: u32,
    time: String,
    name: String,
    blocks: u64,
    bytes: u64,
    growth_bytes_per_s: f64,
    allocations: u64,
    allocations_per_s: f64,
    in_use_bytes: u64,
    peak_bytes: u64,
    quarantine_bytes: u64,
    metadata_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_bytes: Option<u64>,
    threads: u64,
    sites_left_out: usize,
    sites: Vec<SiteLook>,
}

#[derive(Serialize)]
struct SiteLook {
    blocks: u64,
    bytes: u64,
    rate_bytes_per_s: f64,
    growth_bytes: i64,
    oldest_ms: u64,
    freed_share: f64,
    stack: Stack,
}

/// One look at a process, or at what is left of one.
pub struct Shown<'a> {
    pub pid: u32,
    pub name: String,
    pub time: SystemTime,
    pub census: Census,
    pub growth_rate: f64,
    pub allocation_rate: f64,
    pub rows: Vec<Row>,
    /// Names a stack.
    pub stack: &'a mut dyn FnMut(u32) -> Stack,
}

/// Calls `write` with the last look at a process.
pub fn with_last(
    watched: &mut Watched,
    order: Order,
    write: impl FnOnce(&mut Shown<'_>) -> Result<()>,
) -> Result<()> {
    let mut rows = watched.rows();
    sort(&mut rows, order);
    let mut shown = Shown {
        pid: watched.memory.pid,
        name: watched.name.clone(),
        time: SystemTime::now(),
        census: watched.census().cloned().unwrap_or_default(),
        growth_rate: watched.growth_rate(),
        allocation_rate: watched.allocation_rate(),
        rows,
        stack: &mut |stack| watched.stack(stack),
    };
    write(&mut shown)
}

/// Writes a look as JSON.
pub fn write_json(shown: &mut Shown<'_>, limit: usize, out: &mut dyn Write) -> Result<()> {
    let rows = &shown.rows;
    let sites_left_out = rows.len().saturating_sub(limit);
    let sites = rows
        .iter()
        .take(limit)
        .map(|row| SiteLook {
            blocks: row.site.blocks,
            bytes: row.site.bytes,
            rate_bytes_per_s: row.rate,
            growth_bytes: row.growth,
            oldest_ms: row.age_ms,
            freed_share: row.site.freed_share(),
            stack: (shown.stack)(row.stack),
        })
        .collect();
    let census = &shown.census;
    let look = Look {
        v: 1,
        kind: "top",
        pid: shown.pid,
        time: humantime::format_rfc3339_millis(shown.time).to_string(),
        name: shown.name.clone(),
        blocks: census.blocks,
        bytes: census.bytes,
        growth_bytes_per_s: shown.growth_rate,
        allocations: census.allocations,
        allocations_per_s: shown.allocation_rate,
        in_use_bytes: census.in_use,
        peak_bytes: census.peak,
        quarantine_bytes: census.held,
        metadata_bytes: census.metadata,
        limit_bytes: (census.limit > 0).then_some(census.limit),
        threads: census.threads,
        sites_left_out,
        sites,
    };
    serde_json::to_writer(&mut *out, &look)?;
    writeln!(out)?;
    Ok(())
}

/// Writes a look as a table.
pub fn write_text(shown: &mut Shown<'_>, limit: usize, out: &mut dyn Write) -> Result<()> {
    let (rows, census) = (&shown.rows, &shown.census);
    writeln!(
        out,
        "{} ({}): {} live in {} block(s), {} allocation(s) so far, {} thread(s)",
        shown.name,
        shown.pid,
        amount(census.bytes),
        census.blocks,
        census.allocations,
        census.threads
    )?;
    writeln!(
        out,
        "{:>11} {:>9} {:>11} {:>11} {:>8} {:>6}  SITE",
        "BYTES", "BLOCKS", "RATE/s", "GROWTH", "AGE", "FREED"
    )?;
    for row in rows.iter().take(limit) {
        writeln!(
            out,
            "{:>11} {:>9} {:>11} {:>11} {:>8} {:>4.0} %  {}",
            amount(row.site.bytes),
            row.site.blocks,
            signed(row.rate as i64),
            signed(row.growth),
            age(row.age_ms),
            row.site.freed_share() * 100.0,
            place_of(&(shown.stack)(row.stack))
        )?;
    }
    if rows.len() > limit {
        writeln!(out, "… and {} more site(s)", rows.len() - limit)?;
    }
    Ok(())
}
