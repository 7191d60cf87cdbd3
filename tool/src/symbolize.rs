//! `heapwarden symbolize`: fills functions, files and lines into the frames of
//! a JSON report, where the debug files are.
//!
//! Frames name their place by module, offset and build-id; a module whose
//! build-id differs is not used. Lines that are no records go through
//! unchanged, so the log of a program or a device can be filtered.

use crate::reader::for_each_line;
use crate::record::hexadecimal;
use anyhow::{Context, Result, bail};
use heapwarden_symbols::{Files, Module, ModuleId, Symbolizer};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// JSON report; standard input without one
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Write here instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Directory with separate debug files (.build-id/xx/….debug)
    #[arg(long, value_name = "DIR")]
    debug_dir: Vec<PathBuf>,
    /// Look for modules below this directory first
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
    /// Use the file PATH for the module NAME (its last part is enough)
    #[arg(long, value_name = "NAME=PATH", value_parser = parse_module)]
    module: Vec<(String, PathBuf)>,
    /// The ELF file of a device: names frames that have only an address
    #[arg(long, value_name = "FILE")]
    elf: Option<PathBuf>,
    /// Look known functions up again too
    #[arg(long)]
    again: bool,
}

fn parse_module(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("NAME=PATH is expected")?;
    Ok((name.to_owned(), path.into()))
}

/// Files mapped for as long as the tool runs.
pub struct MappedFiles;

impl Files for MappedFiles {
    fn map(&self, path: &[u8]) -> Option<&'static [u8]> {
        let file = File::open(OsStr::from_bytes(path)).ok()?;
        let data = file.metadata().ok()?;
        if !data.is_file() || data.len() == 0 {
            return None;
        }
        // SAFETY: read-only and never unmapped; a file that shrinks meanwhile
        // ends this tool by SIGBUS, and nothing is lost but its output.
        let map = unsafe { memmap2::Mmap::map(&file) }.ok()?;
        Some(Box::leak(Box::new(map)))
    }
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let mut naming = Naming::new(args)?;
    let mut out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(BufWriter::new(
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
        )),
        None => Box::new(BufWriter::new(std::io::stdout().lock())),
    };
    for_each_line(&args.file, |line, _| {
        match serde_json::from_slice::<Value>(line) {
            Ok(mut value) if value.get("type").is_some() => {
                naming.fill(&mut value);
                serde_json::to_writer(&mut out, &value)?;
            }
            _ => out.write_all(line)?,
        }
        out.write_all(b"\n")?;
        Ok(())
    })?;
    out.flush()?;
    if naming.named == 0 && naming.unnamed > 0 {
        anstream::eprintln!(
            "heapwarden: none of {} frame(s) could be named: are the files of the report here, \
             with the same build-ids? (--debug-dir, --sysroot, --module)",
            naming.unnamed
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Names frames, module by module.
pub struct Naming<'a> {
    args: &'a Args,
    symbolizer: Symbolizer<MappedFiles>,
    modules: HashMap<(String, String), ModuleId>,
    elf: Option<ModuleId>,
    named: u64,
    unnamed: u64,
}

impl<'a> Naming<'a> {
    fn new(args: &'a Args) -> Result<Self> {
        let directories: Vec<&[u8]> =
            args.debug_dir.iter().map(|path| path.as_os_str().as_bytes()).collect();
        let mut symbolizer = Symbolizer::new(MappedFiles, &directories);
        let mut elf = None;
        if let Some(path) = &args.elf {
            let path = std::path::absolute(path)?;
            if MappedFiles.map(path.as_os_str().as_bytes()).is_none() {
                bail!("cannot read {}", path.display());
            }
            let path = path.as_os_str().as_bytes();
            elf = Some(symbolizer.add_module(Module { path, end: u64::MAX, ..Module::default() }));
        }
        Ok(Naming { args, symbolizer, modules: HashMap::new(), elf, named: 0, unnamed: 0 })
    }

    /// Names the frames of every `stack` in `value`, at any depth.
    fn fill(&mut self, value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (key, inner) in object.iter_mut() {
                    match inner {
                        Value::Array(frames) if key == "stack" => self.fill_stack(frames),
                        inner => self.fill(inner),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill(item)),
            _ => {}
        }
    }

    fn fill_stack(&mut self, frames: &mut Vec<Value>) {
        let mut filled = Vec::with_capacity(frames.len());
        for frame in frames.drain(..) {
            match frame {
                Value::Object(object) => self.fill_frame(object, &mut filled),
                other => filled.push(other),
            }
        }
        *frames = filled;
    }

    fn fill_frame(&mut self, frame: Map<String, Value>, filled: &mut Vec<Value>) {
        let is_known = frame.contains_key("function");
        if is_known && !self.args.again {
            return filled.push(Value::Object(frame));
        }
        let text = |key: &str| frame.get(key).and_then(Value::as_str).unwrap_or_default();
        let place = match (text("module"), hexadecimal(text("offset"))) {
            ("", _) | (_, None) => self.elf.zip(hexadecimal(text("address"))),
            (module, Some(offset)) => Some((self.module(module, text("build_id")), offset)),
        };
        let found = place.map_or(&[][..], |(id, svma)| self.symbolizer.resolve(id, svma));
        if found.is_empty() {
            self.unnamed += 1;
            return filled.push(Value::Object(frame));
        }
        self.named += 1;
        if is_known && frame.get("inlined") == Some(&Value::Bool(true)) {
            return; // comes back with the frame that it is inlined into
        }
        for function in found {
            let mut named = Map::new();
            let mut put = |key: &str, value: Option<Value>| {
                if let Some(value) = value {
                    named.insert(key.to_owned(), value);
                }
            };
            put("function", function.function.map(Value::from));
            put("file", function.file.map(Value::from));
            put("line", function.line.map(Value::from));
            put("column", function.column.map(Value::from));
            for (key, value) in &frame {
                if !["function", "file", "line", "column", "inlined"].contains(&key.as_str()) {
                    put(key, Some(value.clone()));
                }
            }
            put("inlined", function.inlined.then_some(Value::Bool(true)));
            filled.push(Value::Object(named));
        }
    }

    /// The module of a report, in the file that stands for it here.
    fn module(&mut self, name: &str, build_id: &str) -> ModuleId {
        let key = (name.to_owned(), build_id.to_owned());
        if let Some(id) = self.modules.get(&key) {
            return *id;
        }
        let given =
            self.args.module.iter().find(|(given, _)| {
                given == name || name.rsplit('/').next() == Some(given.as_str())
            });
        let below = self.args.sysroot.as_ref().map(|root| root.join(name.trim_start_matches('/')));
        let path = match (given, below) {
            (Some((_, path)), _) => std::path::absolute(path).unwrap_or_else(|_| path.clone()),
            (None, Some(path)) if path.exists() => path,
            _ => PathBuf::from(name),
        };
        let bytes = bytes_of(build_id);
        let id = self.symbolizer.add_module(Module {
            path: path.as_os_str().as_bytes(),
            build_id: bytes.as_deref(),
            end: u64::MAX,
            ..Module::default()
        });
        self.modules.insert(key, id);
        id
    }
}

/// A build-id from its digits.
pub fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}
