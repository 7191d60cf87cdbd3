//! Folded stacks: `definite;main;parse;copy_name 300`, outermost first, the
//! kind as root, as flamegraph.pl, inferno and speedscope read them.

use super::By;
use crate::record::Record;
use crate::sites::{Site, Sites};
use anyhow::Result;
use std::io::Write;

/// Writes a line for each site that holds memory.
pub fn write(sites: &Sites, by: By, out: &mut dyn Write) -> Result<()> {
    for site in sites.list.iter().filter(|site| holds_memory(site)) {
        write!(out, "{}", site.kind)?;
        for frame in site.stack.iter().rev() {
            // The grammar has no escapes: ';' divides frames.
            let name = frame.name().replace(';', ":").replace(['\n', '\r'], " ");
            write!(out, ";{name}")?;
        }
        let value = match by {
            By::Bytes => site.count.bytes,
            By::Blocks => site.count.blocks,
        };
        writeln!(out, " {value}")?;
    }
    Ok(())
}

/// Whether the site is one of blocks that exist.
pub fn holds_memory(site: &Site) -> bool {
    matches!(site.sample.record, Record::Leak(_) | Record::HiddenLeak(_))
}
