//! Suppressions: which findings the user does not want to hear of.
//!
//! ```text
//! leak:pattern      LeakSanitizer's: a leak with a matching frame
//! hidden:pattern    a suspected hidden leak
//! error:pattern     a misuse
//! # comment
//! { name            Valgrind's block: frames in order, innermost first
//!   Memcheck:Leak
//!   fun:pattern  obj:pattern  src:pattern  ... (any frames)
//! }
//! ```
//!
//! A pattern is matched against each frame's function, file and module; `*`
//! stands for any text, `^` and `$` for the start and the end, and without
//! them it may match anywhere (as LeakSanitizer has it). Valgrind's patterns
//! match whole names, with `*` and `?`.
//!
//! Invariant: the texts are never copied, and matching never allocates; the
//! rules are parsed again for each finding, which there are few of.

use super::totals::Count;
use crate::units::LeakKind;

/// What is being suppressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// A leak.
    Leak(LeakKind),
    /// A suspected hidden leak.
    Hidden,
    /// A misuse.
    Error,
}

/// One function of a finding's stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Site<'a> {
    /// The function; empty = unknown.
    pub function: &'a [u8],
    /// The source file; empty = unknown.
    pub file: &'a [u8],
    /// The module's path; empty = unknown.
    pub module: &'a [u8],
}

/// Rules whose matches are counted; rules beyond still match.
const COUNTED: usize = 512;
/// Texts that rules may come from: a file, and what the program links in.
const TEXTS: usize = 4;

/// All suppressions of the process.
pub struct Suppressions {
    texts: [&'static [u8]; TEXTS],
    used: usize,
    matched: [Count; COUNTED],
}

/// One rule, borrowed from its text.
#[derive(Clone, Copy, Debug)]
enum Rule<'a> {
    /// Kind and pattern.
    Line { kind: &'a [u8], pattern: &'a [u8] },
    /// Name and body (lines after the name).
    Block { name: &'a [u8], body: &'a [u8] },
}

impl Default for Suppressions {
    fn default() -> Self {
        Self::new()
    }
}

/// Calls its argument for each function of a stack, innermost first.
type Walk<'w> = dyn FnMut(&mut dyn FnMut(&Site<'_>)) + 'w;

impl Suppressions {
    /// No suppressions.
    pub const fn new() -> Self {
        Suppressions {
            texts: [&[]; TEXTS],
            used: 0,
            matched: [Count { blocks: 0, bytes: 0 }; COUNTED],
        }
    }

    /// Adds the rules in `text`; calls `warn` with each line that is none.
    pub fn add(&mut self, text: &'static [u8], mut warn: impl FnMut(&[u8])) {
        for_each_rule(text, |rule| {
            match rule {
                Ok(
                    Rule::Line { kind: b"leak" | b"hidden" | b"error", .. } | Rule::Block { .. },
                ) => {}
                Ok(Rule::Line { kind, .. }) => warn(kind),
                Err(line) => warn(line),
            }
            false
        });
        if let Some(place) = self.texts.get_mut(self.used) {
            *place = text;
            self.used += 1;
        }
    }

    /// Whether there are no rules at all.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Whether a rule matches; its count grows by `size`. `walk` calls its
    /// argument for each function of the stack, innermost first.
    pub fn matches(
        &mut self,
        finding: Finding,
        size: Count,
        mut walk: impl FnMut(&mut dyn FnMut(&Site<'_>)),
    ) -> bool {
        let mut number = 0;
        for text in &self.texts[..self.used] {
            let found = for_each_rule(text, |rule| {
                number += 1;
                rule.is_ok_and(|rule| rule.matches(finding, &mut walk))
            });
            if found {
                if let Some(count) = self.matched.get_mut(number - 1) {
                    count.add(size.blocks, size.bytes);
                }
                return true;
            }
        }
        false
    }

    /// Calls `visit` for each rule that matched, with its count.
    pub fn for_each_matched(&self, mut visit: impl FnMut(&[u8], Count)) {
        let mut number = 0;
        for text in &self.texts[..self.used] {
            for_each_rule(text, |rule| {
                let count = self.matched.get(number).copied().unwrap_or_default();
                number += 1;
                if count.blocks > 0
                    && let Ok(Rule::Line { pattern: name, .. } | Rule::Block { name, .. }) = rule
                {
                    visit(name, count);
                }
                false
            });
        }
    }
}

/// Calls `visit` for each rule, or with the line that is none, until it
/// returns `true`; whether it did.
fn for_each_rule<'t>(
    text: &'t [u8],
    mut visit: impl FnMut(Result<Rule<'t>, &'t [u8]>) -> bool,
) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let line = take_line(&mut rest);
        let rule = match line {
            b"" | [b'#', ..] => continue,
            b"{" => {
                let name = take_line(&mut rest);
                let body = rest;
                let mut is_closed = false;
                while !rest.is_empty() && !is_closed {
                    is_closed = take_line(&mut rest) == b"}";
                }
                let length = body.len() - rest.len();
                if is_closed { Ok(Rule::Block { name, body: &body[..length] }) } else { Err(name) }
            }
            _ => match line.iter().position(|&byte| byte == b':') {
                Some(colon) if colon + 1 < line.len() => {
                    Ok(Rule::Line { kind: &line[..colon], pattern: &line[colon + 1..] })
                }
                _ => Err(line),
            },
        };
        if visit(rule) {
            return true;
        }
    }
    false
}

/// Cuts the first line off `rest`, without white space around it.
fn take_line<'t>(rest: &mut &'t [u8]) -> &'t [u8] {
    let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    let line = rest[..end].trim_ascii();
    *rest = rest.get(end + 1..).unwrap_or_default();
    line
}

impl Rule<'_> {
    fn matches(&self, finding: Finding, walk: &mut Walk<'_>) -> bool {
        match *self {
            Rule::Line { kind, pattern } => {
                let wanted: &[u8] = match finding {
                    Finding::Leak(_) => b"leak",
                    Finding::Hidden => b"hidden",
                    Finding::Error => b"error",
                };
                let mut is_found = false;
                if kind == wanted {
                    walk(&mut |site| {
                        is_found |= [site.function, site.file, site.module]
                            .into_iter()
                            .any(|text| !text.is_empty() && matches_template(pattern, text));
                    });
                }
                is_found
            }
            Rule::Block { body, .. } => {
                let Finding::Leak(kind) = finding else { return false };
                matches_block(body, kind, walk)
            }
        }
    }
}

/// Runs a Valgrind block over a stack as a set of states: bit N is set while
/// the first N frame lines match the frames so far (at most 31 lines).
fn matches_block(body: &[u8], kind: LeakKind, walk: &mut Walk<'_>) -> bool {
    const LINES: usize = 31;
    let mut lines: [&[u8]; LINES] = [b""; LINES];
    let (mut count, mut is_leak) = (0, false);
    let mut rest = body;
    while !rest.is_empty() {
        let line = take_line(&mut rest);
        if line == b"Memcheck:Leak" || line == b"*:Leak" {
            is_leak = true;
        } else if let Some(kinds) = line.strip_prefix(b"match-leak-kinds:") {
            let mut words = kinds.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            if !words.any(|word| word == b"all" || word == kind.name().as_bytes()) {
                return false;
            }
        } else if count < LINES && is_frame_line(line) && !(count == 0 && is_allocator(line)) {
            lines[count] = line;
            count += 1;
        }
    }
    if !is_leak || count == 0 {
        return false;
    }
    let lines = &lines[..count];
    let end = 1u32 << count;
    let skip = |mut states: u32| {
        for (index, line) in lines.iter().enumerate() {
            if *line == b"..." && states & 1 << index != 0 {
                states |= 1 << (index + 1);
            }
        }
        states
    };
    let mut states = skip(1);
    walk(&mut |site| {
        if states & end != 0 {
            return; // the block matched; frames further out do not matter
        }
        let mut next = 0;
        for (index, line) in lines.iter().enumerate() {
            if states & 1 << index != 0 {
                if *line == b"..." {
                    next |= 1 << index;
                } else if matches_frame_line(line, site) {
                    next |= 1 << (index + 1);
                }
            }
        }
        states = skip(next);
    });
    states & end != 0
}

fn is_frame_line(line: &[u8]) -> bool {
    line == b"..." || [&b"fun:"[..], b"obj:", b"src:"].iter().any(|kind| line.starts_with(kind))
}

/// Valgrind's stacks begin with the allocator itself, ours with its caller.
fn is_allocator(line: &[u8]) -> bool {
    let names: [&[u8]; 10] = [
        b"malloc",
        b"calloc",
        b"realloc",
        b"memalign",
        b"posix_memalign",
        b"aligned_alloc",
        b"_Znwm",
        b"_Znam",
        b"_Znw*",
        b"_Zna*",
    ];
    let operators = [&b"*alloc"[..], b"operator new*"];
    line.strip_prefix(b"fun:").is_some_and(|name| {
        names.contains(&name) || operators.contains(&name) || name.starts_with(b"operator new")
    })
}

fn matches_frame_line(line: &[u8], site: &Site<'_>) -> bool {
    let (kind, pattern) = line.split_at(4);
    match kind {
        b"fun:" => matches_whole(pattern, site.function),
        b"obj:" => matches_whole(pattern, site.module),
        _ => {
            let name = site.file.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
            let pattern = pattern.split(|&byte| byte == b':').next().unwrap_or_default();
            matches_whole(pattern, name)
        }
    }
}

/// LeakSanitizer's pattern: anywhere in `text`, unless `^` or `$` say where.
pub fn matches_template(pattern: &[u8], text: &[u8]) -> bool {
    let (pattern, at_start) = match pattern.strip_prefix(b"^") {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let (pattern, at_end) = match pattern.strip_suffix(b"$") {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let starts = if at_start { 0..=0 } else { 0..=text.len() };
    starts.into_iter().any(|start| matches_from(pattern, &text[start..], at_end, false))
}

fn matches_whole(pattern: &[u8], text: &[u8]) -> bool {
    matches_from(pattern, text, true, true)
}

/// Whether `pattern` matches the start of `text`, or all of it (`to_end`).
/// `*` is any text, `?` any byte if `question` says so. Linear in each
/// attempt: after a mismatch only the last star grows.
fn matches_from(pattern: &[u8], text: &[u8], to_end: bool, question: bool) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    loop {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                last_star = Some((at, from));
                continue;
            }
            None if !to_end || from == text.len() => return true,
            Some(&wanted)
                if text
                    .get(from)
                    .is_some_and(|&byte| byte == wanted || (question && wanted == b'?')) =>
            {
                at += 1;
                from += 1;
                continue;
            }
            _ => {}
        }
        match last_star {
            Some((after, start)) if start < text.len() => {
                last_star = Some((after, start + 1));
                (at, from) = (after, start + 1);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests;
