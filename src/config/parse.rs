//! The text of options: `key=value:key="a value"`, and where it comes from.
//!
//! Invariant: whatever the text holds, parsing ends, changes only the options
//! it names correctly, and warns about each of the others exactly once.

use super::options::Options;
use super::table;
use crate::platform::linux::files::read_file;
use core::fmt;

/// One thing in the text that was not understood. Displays as one line.
#[derive(Clone, Copy, Debug)]
pub enum Warning<'a> {
    /// There is no such option.
    UnknownKey(&'a [u8]),
    /// The option does not take this value.
    BadValue(&'a [u8], &'a [u8]),
    /// A word without `=`.
    NoValue(&'a [u8]),
    /// A quote that is not closed.
    OpenQuote(&'a [u8]),
    /// A file of `include=` that cannot be read, with the error number.
    Unreadable(&'a [u8], i32),
    /// A file of `include=` that is too long or includes too deep.
    TooMuch(&'a [u8]),
}

impl fmt::Display for Warning<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::UnknownKey(key) => {
                write!(out, "unknown option '{}'", Shown(key))?;
                match table::nearest(key) {
                    Some(name) => write!(out, "; did you mean '{name}'?"),
                    None => out.write_str("; help=1 lists all"),
                }
            }
            Warning::BadValue(key, value) => {
                write!(out, "bad value '{}' for option '{}'", Shown(value), Shown(key))?;
                match table::find(key) {
                    Some(row) => {
                        out.write_str("; it takes ")?;
                        row.write_expected(out)
                    }
                    None => Ok(()),
                }
            }
            Warning::NoValue(word) => {
                write!(out, "'{}' is no option: key=value is expected", Shown(word))?;
                match table::nearest(word) {
                    Some(name) => write!(out, "; did you mean '{name}=…'?"),
                    None => Ok(()),
                }
            }
            Warning::OpenQuote(word) => write!(out, "no closing quote in '{}'", Shown(word)),
            Warning::Unreadable(path, error) => {
                write!(out, "cannot read the options of include='{}' (error {error})", Shown(path))
            }
            Warning::TooMuch(path) => {
                write!(
                    out,
                    "the options of include='{}' are too long or nest too deep",
                    Shown(path)
                )
            }
        }
    }
}

/// Foreign bytes in a one-line message: printable, and not too long.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 64;
        let (shown, more) = match self.0.get(..LONGEST) {
            Some(start) if self.0.len() > LONGEST => (start, "…"),
            _ => (self.0, ""),
        };
        write!(out, "{}{more}", shown.escape_ascii())
    }
}

/// Where options come from, weakest first.
#[derive(Clone, Copy, Default)]
pub struct Sources<'a> {
    /// What the program's `heapwarden_default_options()` returned.
    pub program: &'a [u8],
    /// The value of `HEAPWARDEN_OPTIONS`.
    pub environment: &'a [u8],
    /// The process has more rights than its caller (`AT_SECURE`): the
    /// environment is ignored and no file is opened.
    pub secure: bool,
}

/// Longest options file, in bytes, and deepest nesting of `include=`.
const FILE_MAX: usize = 8192;
const DEPTH_MAX: u32 = 4;

/// Sets `options` from all sources: program < included files < environment.
pub fn load(options: &mut Options, sources: Sources<'_>, warn: &mut dyn FnMut(Warning<'_>)) {
    apply(options, sources.program, warn);
    if sources.secure {
        return;
    }
    include(options, sources.program, 1, warn);
    include(options, sources.environment, 1, warn);
    apply(options, sources.environment, warn);
}

/// Sets `options` from one text, without its `include=`.
pub fn apply(options: &mut Options, text: &[u8], warn: &mut dyn FnMut(Warning<'_>)) {
    for_each_pair(text, |pair| match pair {
        Ok((b"include" | b"include_if_exists", _)) => {}
        Ok((key, value)) => match table::find(key) {
            None => warn(Warning::UnknownKey(key)),
            Some(row) => {
                if !row.set(options, value) {
                    warn(Warning::BadValue(key, value));
                }
            }
        },
        Err(warning) => warn(warning),
    });
}

/// Sets `options` from the files that `text` includes.
fn include(options: &mut Options, text: &[u8], depth: u32, warn: &mut dyn FnMut(Warning<'_>)) {
    for_each_pair(text, |pair| {
        let Ok((key @ (b"include" | b"include_if_exists"), path)) = pair else { return };
        let mut name = [0u8; super::options::PATH_MAX + 1];
        if path.len() >= name.len() || depth > DEPTH_MAX {
            return warn(Warning::TooMuch(path));
        }
        name[..path.len()].copy_from_slice(path);
        let mut buffer = [0u8; FILE_MAX];
        match read_file(&name[..=path.len()], &mut buffer) {
            Ok(text) if text.len() == FILE_MAX => warn(Warning::TooMuch(path)),
            Ok(text) => {
                include(options, text, depth + 1, warn);
                apply(options, text, warn);
            }
            Err(_) if key == b"include_if_exists" => {}
            Err(error) => warn(Warning::Unreadable(path, error.0)),
        }
    });
}

/// Calls `visit` for each `key=value`. Pairs are divided by colons or white
/// space; a value in single or double quotes may hold both; `#` at the start
/// of a word makes the rest of its line a comment.
fn for_each_pair<'a>(
    text: &'a [u8],
    mut visit: impl FnMut(Result<(&'a [u8], &'a [u8]), Warning<'a>>),
) {
    let divides = |byte: &u8| *byte == b':' || byte.is_ascii_whitespace();
    let mut rest = text;
    loop {
        let start = rest.iter().position(|byte| !divides(byte)).unwrap_or(rest.len());
        rest = &rest[start..];
        if rest.is_empty() {
            return;
        }
        if rest[0] == b'#' {
            let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            rest = &rest[end..];
            continue;
        }
        let end = rest.iter().position(divides).unwrap_or(rest.len());
        let Some(equals) = rest[..end].iter().position(|&byte| byte == b'=') else {
            visit(Err(Warning::NoValue(&rest[..end])));
            rest = &rest[end..];
            continue;
        };
        let (key, value) = (&rest[..equals], &rest[equals + 1..]);
        if let Some(&quote @ (b'"' | b'\'')) = value.first() {
            let Some(close) = value[1..].iter().position(|&byte| byte == quote) else {
                return visit(Err(Warning::OpenQuote(rest)));
            };
            visit(Ok((key, &value[1..1 + close])));
            rest = &value[close + 2..];
        } else {
            visit(Ok((key, &rest[equals + 1..end])));
            rest = &rest[end..];
        }
    }
}

/// Writes every option with its value and default, one a line.
pub fn write_help(options: &Options, out: &mut dyn fmt::Write) -> fmt::Result {
    let (mut current, mut builtin) = (*options, Options::DEFAULT);
    writeln!(out, "heapwarden options (HEAPWARDEN_OPTIONS=key=value:key=value):")?;
    for row in table::TABLE {
        write!(out, "  {}=", row.name)?;
        row.write_value(&mut current, out)?;
        out.write_str("  (default ")?;
        row.write_value(&mut builtin, out)?;
        writeln!(out, ")\n      {}", row.meaning)?;
    }
    writeln!(out, "  include=FILE, include_if_exists=FILE\n      more options from a file")
}
