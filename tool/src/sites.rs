//! Findings of any number of reports, merged by call site.
//!
//! Two findings are of one site when kind and call stack are equal. A frame is
//! equal by function, file and line where those are known, else by build-id
//! (or module) and offset: never by address, which differs from run to run.

use crate::record::{Count, Frame, Line, Record, Stack, Summary, base_name};
use sha2::{Digest, Sha256};
use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

/// Findings of one kind at one call site.
#[derive(Clone, Debug)]
pub struct Site {
    /// `definite`, `hidden`, `double-free`, `calloc-overflow`, …
    pub kind: String,
    /// What it belongs to.
    pub group: Group,
    /// The call stack, as the first finding has it.
    pub stack: Stack,
    /// Blocks and bytes, all together; errors count 1 block each.
    pub count: Count,
    /// Records merged into this one.
    pub findings: u64,
    /// Who wrote the line of its place, if that was asked for.
    pub blame: Option<String>,
    /// The first record.
    pub sample: Line,
}

impl Site {
    /// What was found, in one line.
    pub fn title(&self) -> String {
        let Count { blocks, bytes } = self.count;
        match &self.sample.record {
            Record::Leak(_) => match self.kind.as_str() {
                "definite" => format!("{bytes} bytes in {blocks} block(s) are lost"),
                "indirect" => format!("{bytes} bytes in {blocks} block(s) are held by lost blocks"),
                "possible" => format!("{bytes} bytes in {blocks} block(s) are possibly lost"),
                _ => format!("{bytes} bytes in {blocks} block(s) are still reachable"),
            },
            Record::HiddenLeak(_) => {
                format!("{bytes} bytes in {blocks} block(s) are reachable, but seem not needed")
            }
            Record::Error(error) => error.message.clone(),
            Record::Warning(warning) => {
                format!("{} was refused, {blocks} time(s)", warning.message)
            }
            Record::Exhaustion(out) => format!(
                "{}: {} bytes asked for, {} of {} in use",
                out.occasion(),
                out.requested,
                out.in_use,
                out.limit
            ),
            Record::Summary(_) | Record::Suppression(_) | Record::Notice(_) => String::new(),
        }
    }

    /// Whether it should fail a build: what is only reachable, refused,
    /// suspected, or a shortage that is near or was ordered, does not.
    pub fn is_failure(&self) -> bool {
        match self.group {
            Group::Error => true,
            Group::Exhaustion => self.kind == "exhaustion",
            Group::Leak => self.kind != "reachable",
            Group::HiddenLeak | Group::Warning => false,
        }
    }

    /// Its name in every run; see [`fingerprint`].
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.kind, &self.stack)
    }

    /// The first frame in code that the user has the source of, else the
    /// first.
    pub fn place(&self) -> Option<&Frame> {
        self.stack.iter().find(|frame| frame.is_users()).or(self.stack.first())
    }
}

/// Kinds of findings, as formats divide them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    Error,
    Leak,
    HiddenLeak,
    Warning,
    Exhaustion,
}

/// All sites of some reports, in the order they were met.
#[derive(Default)]
pub struct Sites {
    pub list: Vec<Site>,
    by_key: HashMap<u64, usize>,
    /// Sum of all summaries' suppressed blocks.
    pub suppressed: Count,
    /// The end of each check: time, process, counts.
    pub summaries: Vec<(String, u32, Box<Summary>)>,
    /// Lines about heapwarden itself.
    pub notices: Vec<String>,
}

impl Sites {
    /// Adds one record; summaries and notices are no findings.
    pub fn add(&mut self, mut line: Line) {
        let (group, kind, stack, count) = match &line.record {
            Record::Leak(leak) => {
                let count = Count { blocks: leak.blocks, bytes: leak.bytes };
                (Group::Leak, leak.kind.clone(), &leak.stack, count)
            }
            Record::HiddenLeak(leak) => {
                let count = Count { blocks: leak.blocks, bytes: leak.bytes };
                (Group::HiddenLeak, "hidden".to_owned(), &leak.stack, count)
            }
            Record::Error(error) => {
                let bytes = error.block.as_ref().map_or(0, |block| block.size);
                (Group::Error, error.kind.clone(), &error.stack, Count { blocks: 1, bytes })
            }
            Record::Warning(warning) => {
                let count = Count { blocks: warning.count, bytes: 0 };
                (Group::Warning, warning.kind.clone(), &warning.stack, count)
            }
            Record::Exhaustion(out) => {
                let count = Count { blocks: 1, bytes: out.requested };
                (Group::Exhaustion, out.kind(), &out.stack, count)
            }
            Record::Summary(summary) => {
                self.suppressed.add(summary.suppressed);
                self.summaries.push((line.time, line.pid, summary.clone()));
                return;
            }
            Record::Notice(notice) => {
                if !self.notices.contains(&notice.message) {
                    self.notices.push(notice.message.clone());
                }
                return;
            }
            Record::Suppression(_) => return,
        };
        let key = key(&kind, stack);
        match self.by_key.entry(key) {
            Entry::Occupied(place) => {
                let site = &mut self.list[*place.get()];
                site.count.add(count);
                site.findings += 1;
                let ordinals = line.record.ordinals();
                if let (Some(sum), Some(other)) = (site.sample.record.ordinals(), ordinals) {
                    sum.add(other);
                }
            }
            Entry::Vacant(place) => {
                place.insert(self.list.len());
                let stack = stack.clone();
                self.list.push(Site {
                    kind,
                    group,
                    stack,
                    count,
                    findings: 1,
                    blame: None,
                    sample: line,
                });
            }
        }
    }

    /// The sum of what was found, in one line.
    pub fn sum(&self) -> String {
        let errors: u64 =
            self.list.iter().filter(|site| site.group == Group::Error).map(|s| s.findings).sum();
        let mut leaked = Count::default();
        for kind in ["definite", "indirect", "possible"] {
            leaked.add(self.total(kind));
        }
        format!("{errors} error(s), {} byte(s) leaked in {} block(s)", leaked.bytes, leaked.blocks)
    }

    /// Leaves out the sites that `baseline` has too, by fingerprint.
    pub fn without(&mut self, baseline: &Sites) {
        let known: HashSet<String> = baseline.list.iter().map(Site::fingerprint).collect();
        self.list.retain(|site| !known.contains(&site.fingerprint()));
        self.by_key.clear();
    }

    /// Sorts by what to look at first: errors, then leaks by size.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|site| {
            (site.group, leak_rank(&site.kind), std::cmp::Reverse(site.count.bytes))
        });
        self.by_key.clear();
    }

    /// Blocks and bytes of all sites of `kind`.
    pub fn total(&self, kind: &str) -> Count {
        let mut total = Count::default();
        for site in self.list.iter().filter(|site| site.kind == kind) {
            total.add(site.count);
        }
        total
    }
}

/// Definite before indirect before possible before reachable.
fn leak_rank(kind: &str) -> usize {
    ["definite", "indirect", "possible", "reachable"]
        .iter()
        .position(|known| *known == kind)
        .unwrap_or(0)
}

/// A number that is the same for equal sites in every run.
pub fn key(kind: &str, stack: &[Frame]) -> u64 {
    // DefaultHasher::new() has fixed keys; the value is only compared within
    // one run of this tool.
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    for frame in stack {
        frame_identity(frame).hash(&mut hasher);
    }
    hasher.finish()
}

/// A name for a site that stays when lines move, machines differ and reports
/// are made anew: kind and functions, without lines. 32 hexadecimal digits.
pub fn fingerprint(kind: &str, stack: &[Frame]) -> String {
    const FRAMES: usize = 12;
    let mut hasher = Sha256::new();
    hasher.update(kind);
    for frame in stack.iter().take(FRAMES) {
        let place = match (&frame.function, &frame.file) {
            (Some(function), file) => {
                format!("\n{function} {}", base_name(file.as_deref().unwrap_or_default()))
            }
            (None, _) => {
                let file = frame.build_id.as_deref().or(frame.module.as_deref());
                format!("\n{}+{}", file.unwrap_or_default(), frame.offset.as_deref().unwrap_or("?"))
            }
        };
        hasher.update(place);
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What makes two frames the same place in different runs.
pub fn frame_identity(frame: &Frame) -> (Option<&str>, Option<&str>, Option<u32>, Option<&str>) {
    match &frame.function {
        Some(function) if frame.file.is_some() => {
            (Some(function), frame.file.as_deref(), frame.line, None)
        }
        function => (
            function.as_deref(),
            frame.build_id.as_deref().or(frame.module.as_deref()),
            None,
            frame.offset.as_deref().or(frame.address.as_deref()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ordinals::Ordinals;

    fn leak(address: &str, line: u32, kind: &str) -> Line {
        let text = format!(
            r#"{{"v":1,"type":"leak","pid":1,"time":"t","kind":"{kind}","blocks":2,"bytes":20,
            "stack":[{{"function":"f","file":"a.c","line":{line},"address":"{address}"}},
                     {{"module":"/lib/x.so","offset":"0x10","address":"{address}"}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn ordinals_of_one_run_stay_and_of_more_only_their_sum() {
        let with = |allocations| {
            let mut line = leak("0x1", 5, "definite");
            if let Record::Leak(leak) = &mut line.record {
                leak.site = Some(Ordinals { allocations, ordinals: vec![17, 402] });
            }
            line
        };
        let mut sites = Sites::default();
        sites.add(with(4000));
        let site = |sites: &mut Sites| sites.list[0].sample.record.ordinals().cloned().unwrap();
        assert_eq!(site(&mut sites), Ordinals { allocations: 4000, ordinals: vec![17, 402] });
        sites.add(with(50));
        assert_eq!(site(&mut sites), Ordinals { allocations: 4050, ordinals: vec![] });
        // A run without them leaves the others' alone.
        sites.add(leak("0x1", 5, "definite"));
        assert_eq!(site(&mut sites).allocations, 4050);
    }

    #[test]
    fn equal_sites_of_different_runs_are_one() {
        let mut sites = Sites::default();
        for line in [
            leak("0x1", 5, "definite"),
            leak("0x2", 5, "definite"),
            leak("0x1", 6, "definite"),
            leak("0x1", 5, "possible"),
        ] {
            sites.add(line);
        }
        sites.sort();
        let seen: Vec<_> =
            sites.list.iter().map(|site| (site.count.bytes, site.findings)).collect();
        assert_eq!(seen, [(40, 2), (20, 1), (20, 1)]);
        assert_eq!(sites.total("definite"), Count { blocks: 6, bytes: 60 });
    }
}
