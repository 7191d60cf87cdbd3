//! One look, printed: as a table, or as one JSON object.

use super::draw::signed;
use super::view::{Order, place_of, sort};
use crate::record::Stack;
use crate::report::words::{age, amount};
use crate::watch::Watched;
use anyhow::Result;
use serde::Serialize;
use std::io::Write;

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

/// Writes the last look as JSON.
pub fn write_json(watched: &mut Watched, order: Order, limit: usize) -> Result<()> {
    let mut rows = watched.rows();
    sort(&mut rows, order);
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
            stack: watched.stack(row.stack),
        })
        .collect();
    let census = watched.census().cloned().unwrap_or_default();
    let look = Look {
        v: 1,
        kind: "top",
        pid: watched.memory.pid,
        time: humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string(),
        name: watched.name.clone(),
        blocks: census.blocks,
        bytes: census.bytes,
        growth_bytes_per_s: watched.growth_rate(),
        allocations: census.allocations,
        allocations_per_s: watched.allocation_rate(),
        in_use_bytes: census.in_use,
        peak_bytes: census.peak,
        quarantine_bytes: census.held,
        metadata_bytes: census.metadata,
        limit_bytes: (census.limit > 0).then_some(census.limit),
        threads: census.threads,
        sites_left_out,
        sites,
    };
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &look)?;
    writeln!(out)?;
    Ok(())
}

/// Writes the last look as a table.
pub fn write_text(watched: &mut Watched, order: Order, limit: usize) -> Result<()> {
    let mut rows = watched.rows();
    sort(&mut rows, order);
    let mut out = std::io::stdout().lock();
    let census = watched.census().cloned().unwrap_or_default();
    writeln!(
        out,
        "{} ({}): {} live in {} block(s), {} allocation(s) so far, {} thread(s)",
        watched.name,
        watched.memory.pid,
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
            place_of(&watched.stack(row.stack))
        )?;
    }
    if rows.len() > limit {
        writeln!(out, "… and {} more site(s)", rows.len() - limit)?;
    }
    Ok(())
}
