//! Text: findings like a compiler's diagnostics, with the lines of the source.
//!
//! ```text
//! error[definite]: 42 bytes in 3 blocks are lost
//!   --> app.c:12:18
//!    |
//! 12 |     char *copy = malloc(n);
//!    |                  ^ allocated here, in copy_name
//!    = called from main (app.c:30)
//!    = help: free it before its last pointer is gone
//! ```
//!
//! Where a source is not there, the same is said without the line.

use super::Settings;
use super::describe::{Place, describe};
use super::source::Sources;
use super::words::{amount, blocks};
use crate::record::Frame;
use crate::sites::Sites;
use annotate_snippets::renderer::DEFAULT_TERM_WIDTH;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use anyhow::Result;
use std::io::Write;

/// Callers listed below a place.
const CALLERS: usize = 4;

/// Writes every site, then the sum.
pub fn write(sites: &Sites, settings: &Settings<'_>, out: &mut dyn Write) -> Result<()> {
    let mut sources = Sources::new(settings.source_dirs);
    let width = terminal_size::terminal_size().map_or(DEFAULT_TERM_WIDTH, |(w, _)| w.0.into());
    let renderer = match settings.is_terminal {
        true => Renderer::styled().term_width(width.max(40)),
        false => Renderer::plain(),
    };
    for site in &sites.list {
        let (level, title, places, help) = describe(site);
        write_diagnostic(&renderer, level, &site.kind, &title, &places, &help, &mut sources, out)?;
    }
    write_sum(sites, out)
}

#[expect(clippy::too_many_arguments, reason = "one call, and each is a thing of its own")]
fn write_diagnostic(
    renderer: &Renderer,
    level: Level<'_>,
    kind: &str,
    title: &str,
    places: &[Place<'_>],
    help: &[String],
    sources: &mut Sources<'_>,
    out: &mut dyn Write,
) -> Result<()> {
    let (title, kind) = (printable(title), printable(kind));
    let mut group = Group::with_title(level.primary_title(title).id(kind));
    for place in places {
        let Some(shown) = first_with_source(place.stack, sources) else {
            let path: Vec<String> =
                up_to_main(place.stack).iter().take(CALLERS).map(described).collect();
            let path =
                if path.is_empty() { "an unknown place".to_owned() } else { path.join(" < ") };
            group =
                group.element(Level::NOTE.message(printable(&format!("{}: {path}", place.what))));
            continue;
        };
        let frame = &place.stack[shown.index];
        let label = printable(&format!("{}, in {}", place.what, frame.name()));
        let kind = if place.is_primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        group = group.element(
            Snippet::source(shown.line)
                .line_start(shown.number)
                .path(printable(frame.file.as_deref().unwrap_or_default()))
                .annotation(kind.span(shown.span).label(label)),
        );
        let inner = &place.stack[..shown.index];
        if !inner.is_empty() {
            let mut names: Vec<String> = inner.iter().take(CALLERS).map(Frame::name).collect();
            if inner.len() > CALLERS {
                names.push(format!("{} more", inner.len() - CALLERS));
            }
            let message = printable(&format!("through {}", names.join(" < ")));
            group = group.element(Level::NOTE.message(message));
        }
        let callers = up_to_main(&place.stack[shown.index..]).get(1..).unwrap_or_default();
        if !callers.is_empty() {
            let mut names: Vec<String> = callers.iter().take(CALLERS).map(described).collect();
            if callers.len() > CALLERS {
                names.push(format!("{} more", callers.len() - CALLERS));
            }
            let message = printable(&format!("called from {}", names.join(" < ")));
            group = group.element(Level::NOTE.message(message));
        }
    }
    for line in help {
        group = group.element(Level::HELP.message(printable(line)));
    }
    writeln!(out, "{}\n", renderer.render(&[group]))?;
    Ok(())
}

/// A stack without what called main: that is the same in every program.
fn up_to_main(stack: &[Frame]) -> &[Frame] {
    let main = stack.iter().rposition(|frame| frame.function.as_deref() == Some("main"));
    main.map_or(stack, |main| &stack[..=main])
}

/// A frame whose source line is there.
struct Shown {
    index: usize,
    line: String,
    number: usize,
    span: std::ops::Range<usize>,
}

fn first_with_source(stack: &[Frame], sources: &mut Sources<'_>) -> Option<Shown> {
    let mut with_source = |is_wanted: fn(&Frame) -> bool| {
        let mut frames = stack.iter().enumerate().filter(|(_, frame)| is_wanted(frame));
        frames.find_map(|(index, frame)| shown(index, frame, sources))
    };
    with_source(Frame::is_users).or_else(|| with_source(|_| true))
}

fn shown(index: usize, frame: &Frame, sources: &mut Sources<'_>) -> Option<Shown> {
    let number = frame.line?;
    let line = printable(sources.line(frame.file.as_deref()?, number)?);
    let indent = line.len() - line.trim_start().len();
    let column = frame.column.map_or(indent, |column| column.saturating_sub(1) as usize);
    let start = if line.is_char_boundary(column) { column.min(line.len()) } else { indent };
    let word = line[start..].find(|c: char| !c.is_alphanumeric() && c != '_');
    let end = start + word.unwrap_or(line.len() - start).max(usize::from(start < line.len()));
    let end = (end..=line.len()).find(|&end| line.is_char_boundary(end))?;
    Some(Shown { index, line, number: number as usize, span: start..end })
}

/// `main (app.c:30)`.
fn described(frame: &Frame) -> String {
    match frame.location() {
        Some(location) => format!("{} ({location})", frame.name()),
        None => frame.name(),
    }
}

/// Without what could drive a terminal; tabs as blanks.
fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\t' => ' ',
            letter if letter.is_control() => '\u{fffd}',
            letter => letter,
        })
        .collect()
}

fn write_sum(sites: &Sites, out: &mut dyn Write) -> Result<()> {
    for notice in &sites.notices {
        writeln!(out, "heapwarden: {}", printable(notice))?;
    }
    let rows = [
        ("definitely lost", "definite"),
        ("indirectly lost", "indirect"),
        ("possibly lost", "possible"),
        ("suspected hidden", "hidden"),
        ("still reachable", "reachable"),
    ];
    for (name, kind) in rows {
        let total = sites.total(kind);
        if total.blocks > 0 {
            writeln!(out, "{name:>17}: {} in {}", amount(total.bytes), blocks(total.blocks))?;
        }
    }
    if sites.suppressed.blocks > 0 {
        let count = sites.suppressed;
        writeln!(out, "{:>17}: {} in {}", "suppressed", amount(count.bytes), blocks(count.blocks))?;
    }
    let errors: u64 = sites
        .list
        .iter()
        .filter(|site| site.group == crate::sites::Group::Error)
        .map(|site| site.findings)
        .sum();
    if errors > 0 {
        writeln!(out, "{:>17}: {errors}", "errors")?;
    }
    if sites.list.is_empty() {
        writeln!(out, "nothing was found")?;
    }
    Ok(())
}
