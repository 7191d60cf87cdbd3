//! Reads the header of a scenario: the `//` lines a program opens with.
//!
//! A header line `// word: text` is a directive and an unknown word is an error,
//! so that a slip of the pen never turns an expectation into prose.

use crate::expectation::{Expectation, split_words};
use crate::run::DEADLINE_SECONDS;
use std::fs;
use std::path::{Path, PathBuf};

/// How a program meets the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ordinary program, `LD_PRELOAD=libheapwarden.so`.
    Preload,
    /// Linked against `libheapwarden.so`, found through `LD_LIBRARY_PATH`.
    Linked,
    /// Dynamic program with `libheapwarden.a` inside.
    Static,
    /// The same, with libc inside too (`-static`).
    FullStatic,
    /// No heapwarden at all: the harness's own tests and the baseline.
    None,
}

impl Link {
    /// The word used in headers and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Link::Preload => "preload",
            Link::Linked => "linked",
            Link::Static => "static",
            Link::FullStatic => "full-static",
            Link::None => "none",
        }
    }

    fn parse(word: &str) -> Result<Vec<Link>, String> {
        Ok(match word {
            "both" => vec![Link::Preload, Link::Static],
            "preload" => vec![Link::Preload],
            "linked" => vec![Link::Linked],
            "static" => vec![Link::Static],
            "full-static" => vec![Link::FullStatic],
            "none" => vec![Link::None],
            other => return Err(format!("unknown link mode `{other}`")),
        })
    }
}

/// Where the JSON report is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFrom {
    /// `log_path` in the scratch directory (default).
    File,
    /// Lines of standard error.
    Stderr,
    /// Nowhere: only status and output are judged.
    Off,
}

/// A shared object that a scenario opens or preloads beside the library.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub name: String,
    pub source: PathBuf,
    pub flags: Vec<String>,
}

/// One run of a program: its arguments and what must come of it.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub args: Vec<String>,
    pub options: Vec<String>,
    pub env: Vec<(String, String)>,
    pub stdin: Option<String>,
    pub report: ReportFrom,
    pub expectation: Expectation,
}

/// A scenario file.
#[derive(Clone, Debug)]
pub struct Program {
    pub path: PathBuf,
    pub group: String,
    pub name: String,
    /// True iff the header says `crime:` rather than `innocent:`.
    pub crime: bool,
    pub twin: Option<String>,
    /// False iff the program cannot pass on the plain libc.
    pub baseline: bool,
    pub timeout_seconds: u64,
    pub flags: Vec<String>,
    pub links: Vec<Link>,
    pub plugins: Vec<Plugin>,
    /// Objects preloaded after the library (`preload-after:`).
    pub preload_after: Option<String>,
    pub cases: Vec<Case>,
}

impl Program {
    /// Reads the header of `path`; the error is one line naming file and fault.
    pub fn read(path: &Path) -> Result<Program, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut reader = Reader::new(path, &text);
        for (index, line) in text.lines().enumerate() {
            let Some(comment) = line.strip_prefix("//") else { break };
            let Some((word, value)) = directive(comment) else { continue };
            reader
                .take(word, value)
                .map_err(|e| format!("{}:{}: {e}", path.display(), index + 1))?;
        }
        reader.finish().map_err(|e| format!("{}: {e}", path.display()))
    }

    /// True iff the file holds its own innocent twin: a case that stays silent,
    /// or is called innocent where silence cannot be read from records.
    pub fn has_silent_case(&self) -> bool {
        self.cases
            .iter()
            .any(|case| case.expectation.is_silent() || case.name.starts_with("innocent"))
    }
}

/// `" word: value"` to its parts; prose gives `None`.
fn directive(comment: &str) -> Option<(&str, &str)> {
    let (word, value) = comment.trim_start().split_once(':')?;
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    (plain && (value.is_empty() || value.starts_with(' '))).then(|| (word, value.trim()))
}

/// State of the reading of one header.
struct Reader<'a> {
    text: &'a str,
    program: Program,
    titled: bool,
    /// What stands before the first `case:` and so belongs to each of them.
    common: Case,
    /// Attributes that each case's first record must have (`each:`).
    each: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(path: &Path, text: &'a str) -> Self {
        let part =
            |p: Option<&std::ffi::OsStr>| p.unwrap_or_default().to_string_lossy().into_owned();
        Reader {
            text,
            titled: false,
            each: Vec::new(),
            common: Case {
                name: String::new(),
                args: Vec::new(),
                options: Vec::new(),
                env: Vec::new(),
                stdin: None,
                report: ReportFrom::File,
                expectation: Expectation::default(),
            },
            program: Program {
                path: path.to_path_buf(),
                group: part(path.parent().and_then(Path::file_name)),
                name: part(path.file_stem()),
                crime: false,
                twin: None,
                baseline: true,
                timeout_seconds: DEADLINE_SECONDS,
                flags: Vec::new(),
                links: vec![Link::Preload, Link::Static],
                plugins: Vec::new(),
                preload_after: None,
                cases: Vec::new(),
            },
        }
    }

    fn case(&mut self) -> &mut Case {
        self.program.cases.last_mut().unwrap_or(&mut self.common)
    }

    fn take(&mut self, word: &str, value: &str) -> Result<(), String> {
        match word {
            "crime" | "innocent" => {
                self.program.crime = word == "crime";
                self.titled = true;
            }
            "origin" | "note" => {}
            "innocent-twin" => self.program.twin = Some(value.to_string()),
            "timeout" => {
                let seconds =
                    value.parse().map_err(|_| format!("`{value}` is no number of seconds"))?;
                self.program.timeout_seconds = seconds;
            }
            "baseline" => self.program.baseline = value != "no",
            "flags" => self.program.flags.extend(split_words(value)?),
            "preload-after" => self.program.preload_after = Some(value.to_string()),
            "plugin" => {
                let mut words = split_words(value)?.into_iter();
                let (Some(name), Some(source)) = (words.next(), words.next()) else {
                    return Err("plugin: wants a name and a source".into());
                };
                let folder = self.program.path.parent().unwrap_or(Path::new("."));
                let plugin = Plugin { name, source: folder.join(source), flags: words.collect() };
                self.program.plugins.push(plugin);
            }
            "link" => {
                self.program.links.clear();
                for mode in split_words(value)? {
                    self.program.links.extend(Link::parse(&mode)?);
                }
            }
            "options" => self.case().options.push(value.to_string()),
            "args" => {
                let words = split_words(value)?;
                self.case().args.extend(words);
            }
            "env" => {
                let (name, value) = value.split_once('=').ok_or("env: wants NAME=value")?;
                let pair = (name.to_string(), value.to_string());
                self.case().env.push(pair);
            }
            "stdin" => self.case().stdin = Some(value.to_string()),
            "report" => {
                self.case().report = match value {
                    "file" => ReportFrom::File,
                    "stderr" => ReportFrom::Stderr,
                    "off" => ReportFrom::Off,
                    other => return Err(format!("unknown report place `{other}`")),
                }
            }
            "each" => self.each.push(value.to_string()),
            "expect" => {
                let text = self.text;
                self.case().expectation.add(value, text)?;
            }
            "case" => return self.start_case(value),
            other => return Err(format!("unknown header word `{other}:`")),
        }
        Ok(())
    }

    /// `// case: name | arguments | expectation; expectation`
    fn start_case(&mut self, value: &str) -> Result<(), String> {
        let mut fields = value.splitn(3, '|').map(str::trim);
        let mut case = self.common.clone();
        case.name = fields.next().unwrap_or_default().to_string();
        case.args.extend(split_words(fields.next().unwrap_or_default())?);
        for clause in fields.next().unwrap_or_default().split(';') {
            if !clause.trim().is_empty() {
                case.expectation.add(clause.trim(), self.text)?;
            }
        }
        self.program.cases.push(case);
        Ok(())
    }

    fn finish(mut self) -> Result<Program, String> {
        if !self.titled {
            return Err("no `crime:` or `innocent:` line".into());
        }
        if self.program.cases.is_empty() {
            self.program.cases.push(self.common);
        }
        for case in &mut self.program.cases {
            for attribute in &self.each {
                if case.expectation.has_records() {
                    case.expectation.add_to_first(attribute, self.text)?;
                }
            }
            if case.expectation.is_empty() {
                return Err(format!("case `{}` expects nothing: say `expect: silent`", case.name));
            }
        }
        Ok(self.program)
    }
}
