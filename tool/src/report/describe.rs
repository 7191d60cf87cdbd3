//! What there is to say about a finding: how serious it is, its title, the
//! places in the program that belong to it, and what helps.

use super::words::{age, amount, blocks};
use crate::record::{Error, Exhaustion, Frame, HiddenLeak, Leak, Record, Warning};
use crate::sites::Site;
use annotate_snippets::Level;

/// One place in a diagnostic: a stack, what happened there, and how strongly
/// it is marked.
pub struct Place<'a> {
    pub stack: &'a [Frame],
    pub what: String,
    pub is_primary: bool,
}

/// How serious, the title, the places, and what helps.
pub type Description<'a> = (Level<'static>, String, Vec<Place<'a>>, Vec<String>);

/// What there is to say about a site.
pub fn describe(site: &Site) -> Description<'_> {
    let mut description = match &site.sample.record {
        Record::Leak(leak) => describe_leak(site, leak),
        Record::HiddenLeak(leak) => describe_hidden(site, leak),
        Record::Error(error) => describe_error(site, error),
        Record::Warning(warning) => describe_warning(site, warning),
        Record::Exhaustion(out) => describe_exhaustion(out),
        Record::Summary(_) | Record::Suppression(_) | Record::Notice(_) => {
            (Level::NOTE, String::new(), Vec::new(), Vec::new())
        }
    };
    description.3.extend(site.blame.iter().map(|blame| format!("the line is from {blame}")));
    description
}

fn describe_leak<'a>(site: &Site, leak: &'a Leak) -> Description<'a> {
    let sum = format!("{} in {}", amount(site.count.bytes), blocks(site.count.blocks));
    let (level, title, help) = match site.kind.as_str() {
        "indirect" => (
            Level::WARNING,
            format!("{sum}: held only by lost blocks"),
            "release the block that holds it properly, and this one goes with it",
        ),
        "possible" => (
            Level::WARNING,
            format!("{sum}: perhaps lost, only pointers into the middle are left"),
            "keep a pointer to the block's start until it is freed",
        ),
        "reachable" => (
            Level::NOTE,
            format!("{sum}: still reachable at the end"),
            "harmless if it is needed until the end",
        ),
        _ => (
            Level::ERROR,
            format!("{sum}: lost, no pointer to it is left"),
            "free it before its last pointer is overwritten or goes out of scope",
        ),
    };
    let mut help = vec![help.to_owned()];
    if leak.first.size > 0 {
        let which = match leak.first.sequence {
            0 => String::new(),
            number => format!("allocation {number}, "),
        };
        let (size, old) = (amount(leak.first.size), age(leak.first.age_ms));
        help.push(format!("the first: {size}, {which}{old} old"));
    }
    help.extend(leak.site.as_ref().map(|ordinals| ordinals.told(site.count.blocks)));
    if let Some(held) = leak.holds {
        help.push(format!("lost with it: {} in {}", amount(held.bytes), blocks(held.blocks)));
    }
    for held in &leak.tree {
        let margin = 2 * held.depth as usize;
        let holding = held.holds.as_ref().map_or(String::new(), |holds| {
            format!(", holding {} in {}", amount(holds.bytes), blocks(holds.blocks))
        });
        let functions: Vec<&str> = held
            .stack
            .iter()
            .take(3)
            .map(|frame| frame.function.as_deref().unwrap_or("?"))
            .collect();
        let (size, number) = (amount(held.bytes), blocks(held.blocks));
        let from = functions.join(" < ");
        help.push(format!("{:margin$}{size} in {number}{holding}, from {from}", ""));
    }
    if let Some(holder) = &leak.held_by {
        help.push(format!("held by {holder}"));
    }
    let mut places = vec![place(&leak.stack, "allocated here".to_owned(), true)];
    if let Some(parent) = &leak.parent {
        let what = format!("the block that holds it ({}) was allocated here", amount(parent.size));
        places.push(place(&parent.stack, what, false));
    }
    if let Some(because) = &leak.lost_because {
        let what = "lost because the block that held its address was freed here".to_owned();
        places.push(place(&because.freed.stack, what, false));
    }
    (level, title, places, help)
}

fn describe_hidden<'a>(site: &Site, leak: &'a HiddenLeak) -> Description<'a> {
    let evidence = &leak.evidence;
    let mut help = vec![format!(
        "evidence: grows by {} a second, the oldest block is {} old, {:.0} % were ever freed",
        amount(evidence.growth_bytes_per_s.unsigned_abs()),
        age(evidence.oldest_ms),
        evidence.freed_share * 100.0
    )];
    if let Some(checks) = evidence.snapshots {
        help.push(format!("that it grows was seen by {checks} checks of the process"));
    }
    if let Some(idle) = evidence.idle_share {
        let ms =
            evidence.idle_ms.map_or_else(|| "lately".to_owned(), |ms| format!("for {}", age(ms)));
        help.push(format!("{:.0} % of its older memory was not touched {ms}", idle * 100.0));
    }
    help.extend(leak.site.as_ref().map(|ordinals| ordinals.told(site.count.blocks)));
    if let Some(holder) = &evidence.held_by {
        help.push(format!("held by {holder}"));
    }
    let title = format!(
        "{} in {}: reachable, but nobody seems to need it",
        amount(site.count.bytes),
        blocks(site.count.blocks)
    );
    (Level::WARNING, title, vec![place(&leak.stack, "allocated here".to_owned(), true)], help)
}

fn describe_error<'a>(site: &Site, error: &'a Error) -> Description<'a> {
    let mut title = error.message.clone();
    if site.findings > 1 {
        title.push_str(&format!(" ({} times)", site.findings));
    }
    // A check from outside is nowhere in the program.
    let mut places = match error.stack.is_empty() {
        true => Vec::new(),
        false => vec![place(&error.stack, "found here".to_owned(), true)],
    };
    let mut help = Vec::new();
    if let Some(block) = &error.block {
        let by =
            |number: u64| if number == 0 { String::new() } else { format!(" by thread {number}") };
        let what =
            format!("{} allocated here{}", amount(block.size), by(block.allocated.thread.number));
        places.push(place(&block.allocated.stack, what, false));
        if let Some(freed) = &block.freed {
            let what = format!("freed here{}", by(freed.thread.number));
            places.push(place(&freed.stack, what, false));
        }
        let size = i64::try_from(block.size).unwrap_or(i64::MAX);
        help.push(match block.offset {
            offset if offset < 0 => format!("{} bytes before the block", offset.unsigned_abs()),
            offset if offset >= size => format!("{} bytes after the block", offset - size),
            offset => format!("{offset} bytes into the block"),
        });
    }
    for neighbour in error.neighbours.iter().filter(|neighbour| neighbour.damaged) {
        let what = format!("the block {} it is damaged too", neighbour.side);
        places.push(place(&neighbour.stack, what, false));
    }
    (Level::ERROR, title, places, help)
}

fn describe_warning<'a>(site: &Site, warning: &'a Warning) -> Description<'a> {
    let title = format!("{} was refused, {} time(s)", warning.message, site.count.blocks);
    (
        Level::WARNING,
        title,
        vec![place(&warning.stack, "asked for here".to_owned(), true)],
        Vec::new(),
    )
}

fn describe_exhaustion(out: &Exhaustion) -> Description<'_> {
    let title = format!(
        "{}: {} asked for, {} of {} in use (limit by {})",
        out.occasion(),
        amount(out.requested),
        amount(out.in_use),
        amount(out.limit),
        out.limit_from
    );
    let mut places = vec![place(&out.stack, "asked for here".to_owned(), true)];
    for holder in out.top.iter().take(5) {
        let what = format!(
            "{:.0} % of it: {} in {}",
            holder.share * 100.0,
            amount(holder.bytes),
            blocks(holder.blocks)
        );
        places.push(place(&holder.stack, what, false));
    }
    let level = if out.kind() == "exhaustion" { Level::ERROR } else { Level::WARNING };
    (level, title, places, exhaustion_help(out))
}

/// What the figures mean, and what to look at next.
fn exhaustion_help(out: &Exhaustion) -> Vec<String> {
    let mut help = Vec::new();
    if out.heap > 0 {
        let held = match out.held {
            0 => String::new(),
            held => format!(", {} of it freed blocks held back (quarantine_mb)", amount(held)),
        };
        help.push(format!("the heap takes {}{held}", amount(out.heap)));
    }
    if out.requested > out.largest_free && out.largest_free > 0 {
        help.push(format!("the largest free run is {}", amount(out.largest_free)));
    }
    match (out.lost_bytes, out.hidden_bytes) {
        (Some(lost), _) if lost > 0 => {
            help.push(format!("{} of it is lost: fix the leaks first", amount(lost)));
        }
        (_, Some(hidden)) if hidden > 0 => {
            help.push(format!("{} of it seems not needed any more", amount(hidden)));
        }
        (None, _) if out.kind() == "exhaustion" => {
            help.push(how_to_see_what_is_lost(out).to_owned());
        }
        _ => {}
    }
    if let Some(count) = out.left_out {
        help.push(format!("{} are in none of the sites above", blocks(count)));
    }
    help
}

/// A device's arena has no options: its program asks.
fn how_to_see_what_is_lost(out: &Exhaustion) -> &'static str {
    match out.limit_from.as_str() {
        "arena" => "heapwarden_arena_report_lost() tells how much of it is lost",
        _ => "exhaustion_scan=1 tells how much of it is lost",
    }
}

fn place(stack: &[Frame], what: String, is_primary: bool) -> Place<'_> {
    Place { stack, what, is_primary }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help_under_a_limit_by(limit_from: &str) -> String {
        let out = Exhaustion { limit_from: limit_from.to_owned(), ..Exhaustion::default() };
        exhaustion_help(&out).join("\n")
    }

    #[test]
    fn a_device_is_not_told_of_options_it_does_not_have() {
        assert!(help_under_a_limit_by("arena").contains("heapwarden_arena_report_lost()"));
        assert!(help_under_a_limit_by("RLIMIT_AS").contains("exhaustion_scan=1"));
    }
}
