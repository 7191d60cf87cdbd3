//! Reads heapwarden's JSON records (`docs/report.schema.json`) as verdicts.

use super::leaks::LeakSum;
use super::verdict::{Crime, Seen, SeenBlock};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

/// What one run reported.
#[derive(Default)]
pub(super) struct Report {
    /// In the order of their records.
    pub errors: Vec<Seen>,
    /// Kind, site, blocks, bytes of each leak from one of our sites.
    leaks: Vec<(String, u8, LeakSum)>,
}

impl Report {
    /// The files that begin with the run's name.
    pub fn files(run: &Path) -> Vec<PathBuf> {
        let (Some(folder), Some(name)) = (run.parent(), run.file_name()) else {
            return Vec::new();
        };
        let name = std::format!("{}.", name.to_string_lossy());
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| {
                path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&name))
            })
            .collect()
    }

    /// Reads the reports of a run, and of its children after its own.
    pub fn read(run: &Path) -> Result<Report, String> {
        let mut report = Report::default();
        let mut files = Report::files(run);
        files.retain(|file| {
            file.file_name().is_some_and(|name| name.to_string_lossy().contains(".log"))
        });
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
            for line in text.lines() {
                let record: Value = serde_json::from_str(line)
                    .map_err(|error| std::format!("no JSON: {error}: {line}"))?;
                report.add(&record)?;
            }
        }
        Ok(report)
    }

    /// The sum of the leaks of a kind from a site.
    pub fn leaks(&self, kind: &str, site: u8) -> LeakSum {
        let mut sum = LeakSum::default();
        for (_, _, leak) in self.leaks.iter().filter(|leak| leak.0 == kind && leak.1 == site) {
            sum.blocks += leak.blocks;
            sum.bytes += leak.bytes;
        }
        sum
    }

    fn add(&mut self, record: &Value) -> Result<(), String> {
        let kind = record["kind"].as_str().unwrap_or_default();
        match record["type"].as_str() {
            Some("error") => {
                let crime = Crime::named(kind)
                    .ok_or_else(|| std::format!("an error of kind {kind}: {record}"))?;
                let block = record.get("block").filter(|block| !block.is_null()).map(seen_block);
                self.errors.push(Seen { crime, block, site: site_of(&record["stack"]) });
            }
            Some("leak") => {
                let number = |name: &str| record[name].as_u64().unwrap_or_default() as usize;
                if let Some(site) = site_of(&record["stack"]) {
                    let sum = LeakSum { blocks: number("blocks"), bytes: number("bytes") };
                    self.leaks.push((kind.to_string(), site, sum));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn seen_block(block: &Value) -> SeenBlock {
    SeenBlock {
        address: address(&block["address"]),
        size: block["size"].as_u64().map(|size| size as usize),
        offset: block["offset"].as_i64(),
        allocated: site_of(&block["allocated"]["stack"]),
        freed: site_of(&block["freed"]["stack"]),
    }
}

/// Addresses are hexadecimal texts.
fn address(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    usize::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_default()
}

/// The site whose function is in the stack.
fn site_of(stack: &Value) -> Option<u8> {
    stack
        .as_array()?
        .iter()
        .find_map(|frame| frame["function"].as_str()?.strip_prefix("site_")?.parse().ok())
}
