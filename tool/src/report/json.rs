//! JSON lines again: one record a site, counts summed over all files, and a
//! summary of them all.

use crate::record::{Line, Record, Summary};
use crate::sites::{Group, Sites};
use anyhow::Result;
use std::io::Write;

/// Writes every site as a record, then a summary.
pub fn write(sites: &Sites, out: &mut dyn Write) -> Result<()> {
    let mut time = String::new();
    let mut errors = 0;
    for site in &sites.list {
        let mut line = site.sample.clone();
        match &mut line.record {
            Record::Leak(leak) => {
                (leak.blocks, leak.bytes) = (site.count.blocks, site.count.bytes);
            }
            Record::HiddenLeak(leak) => {
                (leak.blocks, leak.bytes) = (site.count.blocks, site.count.bytes);
            }
            Record::Warning(warning) => warning.count = site.count.blocks,
            _ => {}
        }
        if site.group == Group::Error {
            errors += site.findings;
        }
        if line.time > time {
            time.clone_from(&line.time);
        }
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)?;
    }
    let summary = Summary {
        definite: sites.total("definite"),
        indirect: sites.total("indirect"),
        possible: sites.total("possible"),
        reachable: sites.total("reachable"),
        hidden: sites.total("hidden"),
        errors,
        suppressed: sites.suppressed,
        ..Summary::default()
    };
    let line = Line { v: 1, pid: 0, time, record: Record::Summary(Box::new(summary)) };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)?;
    Ok(())
}
