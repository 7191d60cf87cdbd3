//! What a scenario says must come of it: the small language of `expect:` lines.
//!
//! Two sorts of clause: those about the process (exit status, output) and those
//! about one record of the report. Clauses such as `frame` belong to the record
//! clause before them.

use crate::build::manifest_dir;

/// How the process must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// One of these codes (more than one where the contract leaves a choice).
    Exit(Vec<i32>),
    Signal(i32),
}

/// One stack frame that must be there.
#[derive(Clone, Debug)]
pub struct FrameWanted {
    pub stack: StackOf,
    /// `None`: anywhere in the stack.
    pub index: Option<usize>,
    pub function: String,
    /// Where the marker comment stands, when one is named.
    pub place: Option<Place>,
}

/// The line that carries a marker comment.
#[derive(Clone, Debug)]
pub struct Place {
    /// The header of ours that it is in; `None`: the program itself.
    pub header: Option<String>,
    /// Counted from 1.
    pub line: u64,
}

/// What must stand at a path into the record: names and numbers with dots
/// between them.
#[derive(Clone, Debug)]
pub struct ValueWanted {
    pub path: String,
    pub value: Value,
}

/// See [`ValueWanted`].
#[derive(Clone, Debug)]
pub enum Value {
    /// This number or text.
    Is(String),
    /// A text that contains this.
    Contains(String),
    /// A number from here to there.
    Between(f64, f64),
    /// An object whose stack has this function.
    StackHas(String),
    /// Nothing.
    Absent,
}

/// Which of a record's stacks a frame is looked for in.
#[derive(Clone, Copy, Debug)]
pub enum StackOf {
    Record,
    Allocation,
    Release,
}

/// One record of the report that must be there.
#[derive(Clone, Debug, Default)]
pub struct RecordWanted {
    /// `leak`, `error`, `warning`, `exhaustion`, `hidden-leak`.
    pub kind_of_record: String,
    /// Accepted values of the record's `kind`; empty: any.
    pub kinds: Vec<String>,
    /// From another process than the first one.
    pub child: bool,
    pub numbers: Vec<(&'static str, i64)>,
    pub message: Vec<String>,
    pub frames: Vec<FrameWanted>,
    /// Values at paths into the record.
    pub values: Vec<ValueWanted>,
    /// The clause as written, for messages.
    pub text: String,
}

/// Everything a case expects.
#[derive(Clone, Debug, Default)]
pub struct Expectation {
    pub ending: Option<Ending>,
    pub silent: bool,
    pub records: Vec<RecordWanted>,
    /// Records of these types and kinds may come in any number.
    pub tolerated: Vec<(String, Option<String>)>,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
    pub absent_from_stderr: Vec<String>,
    /// No record at all may be there, not even the summary.
    pub no_report: bool,
}

impl Expectation {
    /// True iff nothing was said yet.
    pub fn is_empty(&self) -> bool {
        self.ending.is_none()
            && !self.silent
            && self.records.is_empty()
            && self.tolerated.is_empty()
            && self.stdout.is_empty()
            && self.stderr.is_empty()
            && !self.no_report
    }

    /// True iff a record must come.
    pub fn has_records(&self) -> bool {
        !self.records.is_empty()
    }

    /// True iff the case must stay without any finding.
    pub fn is_silent(&self) -> bool {
        self.silent && self.records.is_empty()
    }

    /// How the process must end: what was said, or what the exit codes of the
    /// contract make of the expected records (interface.md, 3).
    pub fn ending(&self) -> Ending {
        if let Some(ending) = &self.ending {
            return ending.clone();
        }
        let counts = |r: &RecordWanted| {
            !r.child
                && (r.kind_of_record == "error"
                    || (r.kind_of_record == "leak" && r.kinds != ["reachable"]))
        };
        Ending::Exit(vec![if self.records.iter().any(counts) { 23 } else { 0 }])
    }

    /// Adds an attribute clause to the first record.
    pub fn add_to_first(&mut self, clause: &str, source: &str) -> Result<(), String> {
        let words = split_words(clause)?;
        let first = self.records.first_mut().ok_or("no record to add to")?;
        attributes(first, &words, source)
    }

    /// Adds one clause.
    pub fn add(&mut self, clause: &str, source: &str) -> Result<(), String> {
        let mut words = split_words(clause)?;
        let child = words.first().is_some_and(|w| w == "child");
        if child {
            words.remove(0);
        }
        let head = words.first().cloned().unwrap_or_default();
        let text_of = |w: &[String]| w.get(1).cloned().ok_or(format!("`{head}` wants a text"));
        match head.as_str() {
            "silent" => self.silent = true,
            "no-report" => self.no_report = true,
            "exit" => {
                let codes =
                    text_of(&words)?.split('/').map(str::parse).collect::<Result<Vec<i32>, _>>();
                self.ending =
                    Some(Ending::Exit(codes.map_err(|_| format!("`{clause}`: no exit code"))?));
            }
            "signal" => self.ending = Some(Ending::Signal(signal(&text_of(&words)?)?)),
            "stdout" => self.stdout.push(text_of(&words)?),
            "stderr" => self.stderr.push(text_of(&words)?),
            "no-stderr" => self.absent_from_stderr.push(text_of(&words)?),
            "any" => self.tolerated.push((text_of(&words)?, words.get(2).cloned())),
            "abort" | "error" | "warning" | "leak" | "exhaustion" | "hidden-leak" => {
                self.add_record(child, &head, &words, clause, source)?;
            }
            _ => {
                let last = self.records.last_mut().ok_or(format!("unknown clause `{clause}`"))?;
                attributes(last, &words, source)?;
            }
        }
        Ok(())
    }

    fn add_record(
        &mut self,
        child: bool,
        head: &str,
        words: &[String],
        clause: &str,
        source: &str,
    ) -> Result<(), String> {
        let mut record = RecordWanted { child, text: clause.to_string(), ..Default::default() };
        record.kind_of_record = if head == "abort" { "error" } else { head }.to_string();
        let mut rest = &words[1..];
        if !matches!(head, "exhaustion" | "hidden-leak") {
            let kinds = rest.first().ok_or(format!("`{head}` wants a kind"))?;
            record.kinds = kinds.split('/').map(str::to_string).collect();
            rest = &rest[1..];
        }
        // How large a hidden leak is depends on how fast the machine is.
        let has_size = head == "leak"
            || head == "hidden-leak"
                && rest.first().is_some_and(|word| word.parse::<u64>().is_ok());
        if has_size && rest.len() >= 4 {
            for (at, unit, field) in
                [(0, ["block", "blocks"], "blocks"), (2, ["byte", "bytes"], "bytes")]
            {
                if !unit.contains(&rest[at + 1].as_str()) {
                    return Err(format!("`{clause}`: wants `N blocks M bytes`"));
                }
                record.numbers.push((field, number(rest, at)?));
            }
            rest = &rest[4..];
        }
        if head == "abort" && !child && self.ending.is_none() {
            self.ending = Some(Ending::Signal(libc::SIGABRT));
        }
        attributes(&mut record, rest, source)?;
        self.records.push(record);
        Ok(())
    }
}

/// Attributes of a record: `offset N`, `size N`, `frame N function [@marker]`, …
fn attributes(record: &mut RecordWanted, words: &[String], source: &str) -> Result<(), String> {
    let mut at = 0;
    while at < words.len() {
        let word = words[at].as_str();
        let numeric = ["offset", "size", "requested", "count", "blocks", "bytes", "limit"];
        if let Some(field) = numeric.iter().find(|f| **f == word) {
            record.numbers.push((field, number(words, at + 1)?));
            at += 2;
            continue;
        }
        let text = |i: usize| words.get(i).cloned().ok_or(format!("`{word}` wants more words"));
        match word {
            "message" => {
                record.message.push(text(at + 1)?);
                at += 2;
            }
            "has-frame" | "has-allocated" | "has-freed" => {
                let stack = match word {
                    "has-frame" => StackOf::Record,
                    "has-allocated" => StackOf::Allocation,
                    _ => StackOf::Release,
                };
                record.frames.push(FrameWanted {
                    stack,
                    index: None,
                    function: text(at + 1)?,
                    place: None,
                });
                at += 2;
            }
            "at" | "contains" | "stack-of" | "at-least" | "at-most" => {
                let bound = || text(at + 2)?.parse().map_err(|_| format!("{word}: no number"));
                let value = match word {
                    "at-least" => Value::Between(bound()?, f64::INFINITY),
                    "at-most" => Value::Between(f64::NEG_INFINITY, bound()?),
                    "at" => Value::Is(text(at + 2)?),
                    "contains" => Value::Contains(text(at + 2)?),
                    _ => Value::StackHas(text(at + 2)?),
                };
                record.values.push(ValueWanted { path: text(at + 1)?, value });
                at += 3;
            }
            "lacks" => {
                record.values.push(ValueWanted { path: text(at + 1)?, value: Value::Absent });
                at += 2;
            }
            "frame" | "allocated" | "freed" => {
                let stack = match word {
                    "frame" => StackOf::Record,
                    "allocated" => StackOf::Allocation,
                    _ => StackOf::Release,
                };
                let index = Some(number(words, at + 1)? as usize);
                let mut wanted = FrameWanted { stack, index, function: text(at + 2)?, place: None };
                at += 3;
                if let Some(marker) = words.get(at).filter(|w| w.starts_with('@')) {
                    wanted.place = Some(marked(source, marker)?);
                    at += 1;
                }
                record.frames.push(wanted);
            }
            other => return Err(format!("unknown word `{other}`")),
        }
    }
    Ok(())
}

/// The code line that carries `/* @marker */`, in the program itself or in what
/// it includes of ours.
fn marked(source: &str, marker: &str) -> Result<Place, String> {
    let tag = format!("/* {marker} */");
    let mut found = places_of(&tag, source, None);
    let included =
        |line: &str| Some(line.strip_prefix("#include \"")?.strip_suffix('"')?.to_owned());
    let support = manifest_dir().join("c_tests/support");
    for header in source.lines().filter_map(included) {
        if let Ok(text) = std::fs::read_to_string(support.join(&header)) {
            found.extend(places_of(&tag, &text, Some(header)));
        }
    }
    match found.len() {
        0 => Err(format!("no line carries {tag}")),
        1 => Ok(found.remove(0)),
        _ => Err(format!("more than one line carries {tag}")),
    }
}

fn places_of(tag: &str, text: &str, header: Option<String>) -> Vec<Place> {
    let lines = (1..).zip(text.lines()).filter(|(_, text)| text.contains(tag));
    lines.map(|(line, _)| Place { header: header.clone(), line }).collect()
}

fn number(words: &[String], at: usize) -> Result<i64, String> {
    let word = words.get(at).ok_or("a number is missing")?;
    word.parse().map_err(|_| format!("`{word}` is no number"))
}

fn signal(name: &str) -> Result<i32, String> {
    Ok(match name {
        "SIGABRT" => libc::SIGABRT,
        "SIGSEGV" => libc::SIGSEGV,
        "SIGBUS" => libc::SIGBUS,
        "SIGKILL" => libc::SIGKILL,
        "SIGTERM" => libc::SIGTERM,
        "SIGUSR1" => libc::SIGUSR1,
        other => return Err(format!("unknown signal `{other}`")),
    })
}

/// Splits at blanks; double quotes keep blanks together.
pub fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, tail) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted.split_once('"').ok_or("a quote is not closed")?
        } else {
            rest.split_once(char::is_whitespace).unwrap_or((rest, ""))
        };
        words.push(word.to_string());
        rest = tail.trim_start();
    }
    Ok(words)
}
