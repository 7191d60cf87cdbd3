//! CSV: one row a call site (RFC 4180).

use crate::sites::Sites;
use anyhow::Result;
use std::io::Write;

const COLUMNS: [&str; 12] = [
    "kind",
    "blocks",
    "bytes",
    "records",
    "function",
    "file",
    "line",
    "module",
    "offset",
    "build_id",
    "stack",
    "fingerprint",
];

/// Writes a header and a row for each site.
pub fn write(sites: &Sites, out: &mut dyn Write) -> Result<()> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS)?;
    for site in &sites.list {
        let frame = site.place().cloned().unwrap_or_default();
        let names: Vec<String> = site.stack.iter().map(|frame| frame.name()).collect();
        table.write_record([
            site.kind.as_str(),
            &site.count.blocks.to_string(),
            &site.count.bytes.to_string(),
            &site.findings.to_string(),
            &frame.function.unwrap_or_default(),
            &frame.file.unwrap_or_default(),
            &frame.line.map(|line| line.to_string()).unwrap_or_default(),
            &frame.module.unwrap_or_default(),
            &frame.offset.unwrap_or_default(),
            &frame.build_id.unwrap_or_default(),
            &names.join(" < "),
            &site.fingerprint(),
        ])?;
    }
    table.flush()?;
    Ok(())
}
