//! The figures as Markdown: ratios to glibc by workload, peak memory, scaling,
//! start-up, and at the end what was aimed at beside what was measured.

use std::fmt::Write as _;

use crate::results::{Cell, Figure, Row, geomean};
use crate::workloads::Set;

/// Peaks below this are fixed start-up memory and tell nothing (KiB).
const PEAK_COUNTS_FROM: f64 = 10.0 * 1024.0;

/// All tables of a session.
#[must_use]
pub fn markdown(rows: &[Row], columns: &[&'static str]) -> String {
    let mut text = String::new();
    let of = |set: Set| rows.iter().filter(move |row| row.set == set).collect::<Vec<_>>();
    for (set, title) in [
        (Set::Programs, "Programs"),
        (Set::Loops, "Loops bound by malloc"),
        (Set::Growth, "Growing by realloc, large blocks"),
    ] {
        let rows = of(set);
        if !rows.is_empty() {
            let _ = writeln!(text, "### {title}: user + system time, ratio to glibc\n");
            times(&mut text, &rows, columns);
        }
    }
    let large: Vec<&Row> = rows
        .iter()
        .filter(|row| {
            row.lowest("glibc", Figure::Peak).is_some_and(|peak| peak >= PEAK_COUNTS_FROM)
        })
        .collect();
    if !large.is_empty() {
        let _ = writeln!(
            text,
            "### Peak resident memory, ratio to glibc (workloads of 10 MiB and more)\n"
        );
        peaks(&mut text, &large, columns);
    }
    scaling(&mut text, rows, columns);
    start_up(&mut text, &of(Set::Startup), columns);
    broken(&mut text, rows);
    targets(&mut text, rows);
    text
}

fn head(text: &mut String, first: &str, unit: &str, columns: &[&str]) {
    let _ = writeln!(text, "| {first} | {unit} | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(columns.len()));
}

fn cell(row: &Row, column: &str, value: Option<f64>) -> String {
    match (row.cells.get(column), value) {
        (Some(Cell::TooSlow(times)), _) => format!(" >{times:.0} |"),
        (Some(Cell::Broken(_)), _) => " BROKEN |".to_owned(),
        (_, Some(value)) => format!(" {value:.2} |"),
        _ => " - |".to_owned(),
    }
}

fn without_glibc<'a>(columns: &[&'a str]) -> Vec<&'a str> {
    columns.iter().copied().filter(|name| *name != "glibc").collect()
}

fn times(text: &mut String, rows: &[&Row], columns: &[&str]) {
    let columns = without_glibc(columns);
    head(text, "workload", "glibc, s", &columns);
    for row in rows {
        let glibc = row.lowest("glibc", Figure::Processor).unwrap_or(f64::NAN);
        let _ = write!(text, "| {} | {glibc:.2} |", row.workload);
        for column in &columns {
            text.push_str(&cell(row, column, row.ratio(column, "glibc", Figure::Processor)));
        }
        text.push('\n');
    }
    let mut summary = |name: &str, ratio: &dyn Fn(&Row, &str) -> Option<f64>| {
        let _ = write!(text, "| **{name}** | |");
        for column in &columns {
            let ratios: Vec<f64> = rows.iter().filter_map(|row| ratio(row, column)).collect();
            let short = if ratios.len() < rows.len() {
                format!(" ({} of {})", ratios.len(), rows.len())
            } else {
                String::new()
            };
            let _ = write!(
                text,
                " {} |",
                geomean(ratios).map_or("-".to_owned(), |mean| format!("**{mean:.2}**{short}"))
            );
        }
        text.push('\n');
    };
    summary("geomean", &|row, column| row.ratio(column, "glibc", Figure::Processor));
    summary("geomean of medians", &|row, column| {
        Some(row.median(column, Figure::Processor)? / row.median("glibc", Figure::Processor)?)
    });
    text.push('\n');
}

fn peaks(text: &mut String, rows: &[&Row], columns: &[&str]) {
    let columns = without_glibc(columns);
    head(text, "workload", "glibc, MiB", &columns);
    for row in rows {
        let glibc = row.lowest("glibc", Figure::Peak).unwrap_or(f64::NAN);
        let _ = write!(text, "| {} | {:.1} |", row.workload, glibc / 1024.0);
        for column in &columns {
            text.push_str(&cell(row, column, row.ratio(column, "glibc", Figure::Peak)));
        }
        text.push('\n');
    }
    let _ = write!(text, "| **geomean** | |");
    for column in &columns {
        let mean = geomean(rows.iter().filter_map(|row| row.ratio(column, "glibc", Figure::Peak)));
        let _ = write!(text, " {} |", mean.map_or("-".to_owned(), |mean| format!("**{mean:.2}**")));
    }
    text.push_str("\n\n");
}

/// An allocator's own ratio of wall times between two of the threads workloads.
fn own_ratio(rows: &[Row], column: &str, more: &str, fewer: &str) -> Option<f64> {
    let wall =
        |name: &str| rows.iter().find(|row| row.workload == name)?.lowest(column, Figure::Wall);
    Some(wall(more)? / wall(fewer)?)
}

fn scaling(text: &mut String, rows: &[Row], columns: &[&str]) {
    let pairs = [
        ("threads-2", "threads-1", "2 threads, twice the work, over 1 (1.0 is perfect)"),
        ("threads-64", "threads-2", "64 threads over 2, the same work"),
    ];
    if pairs.iter().all(|(more, fewer, _)| own_ratio(rows, "glibc", more, fewer).is_none()) {
        return;
    }
    let _ = writeln!(text, "### Scaling: an allocator's own ratio of wall times\n");
    let _ = writeln!(text, "| threads | {} |", columns.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(columns.len()));
    for (more, fewer, title) in pairs {
        let _ = write!(text, "| {title} |");
        for column in columns {
            let ratio = own_ratio(rows, column, more, fewer);
            let _ =
                write!(text, " {} |", ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")));
        }
        text.push('\n');
    }
    text.push('\n');
}

fn milliseconds_over_glibc(row: &Row, column: &str) -> Option<f64> {
    let one =
        |name: &str| Some(row.lowest(name, Figure::Processor)? * 1000.0 / f64::from(row.repeats));
    Some(one(column)? - one("glibc")?)
}

fn start_up(text: &mut String, rows: &[&Row], columns: &[&str]) {
    let columns = without_glibc(columns);
    for row in rows {
        let _ = writeln!(
            text,
            "### Start-up: milliseconds of processor time `{}` takes more than under glibc\n",
            row.workload
        );
        head(text, "program", "glibc, ms", &columns);
        let glibc = row.lowest("glibc", Figure::Processor).unwrap_or(f64::NAN) * 1000.0
            / f64::from(row.repeats);
        let _ = write!(text, "| {} | {glibc:.2} |", row.workload);
        for column in &columns {
            text.push_str(&cell(row, column, milliseconds_over_glibc(row, column)));
        }
        text.push_str("\n\n");
    }
}

fn broken(text: &mut String, rows: &[Row]) {
    let mut first = true;
    for row in rows {
        for (name, cell) in &row.cells {
            if let Cell::Broken(reason) = cell {
                if std::mem::take(&mut first) {
                    let _ =
                        writeln!(text, "### Broken: output or exit code other than with glibc\n");
                }
                let _ = writeln!(text, "- {} under {name}: {reason}", row.workload);
            }
        }
    }
    if !first {
        text.push('\n');
    }
}

/// One line of the table of targets: what, measured, the limit.
fn target(text: &mut String, what: &str, measured: Option<f64>, limit: f64) {
    if let Some(measured) = measured {
        let verdict = if measured <= limit { "met" } else { "missed" };
        let _ = writeln!(text, "| {what} | {limit} | {measured:.2} | {verdict} |");
    }
}

fn targets(text: &mut String, rows: &[Row]) {
    let sets = |sets: &'static [Set]| rows.iter().filter(move |row| sets.contains(&row.set));
    let mean = |wanted: &'static [Set], ours: &'static str, peer: &'static str| {
        geomean(sets(wanted).filter_map(|row| row.ratio(ours, peer, Figure::Processor)))
    };
    let worst = |wanted: &'static [Set], peer: &'static str| {
        sets(wanted)
            .filter_map(|row| row.ratio("heapwarden", peer, Figure::Processor))
            .max_by(f64::total_cmp)
    };
    const PROGRAMS: &[Set] = &[Set::Programs];
    const LOOPS: &[Set] = &[Set::Loops];
    const BOTH: &[Set] = &[Set::Programs, Set::Loops, Set::Growth];
    let mut lines = String::new();
    target(&mut lines, "programs, over mi3", mean(PROGRAMS, "heapwarden", "mi3"), 1.3);
    target(&mut lines, "the worst program, over mi3", worst(PROGRAMS, "mi3"), 1.6);
    target(&mut lines, "programs, over glibc", mean(PROGRAMS, "heapwarden", "glibc"), 1.05);
    target(
        &mut lines,
        "programs and leak check, over glibc",
        mean(PROGRAMS, "heapwarden-leakcheck", "glibc"),
        1.05,
    );
    target(&mut lines, "loops, over mi3", mean(LOOPS, "heapwarden", "mi3"), 2.2);
    target(&mut lines, "loops, over scudo", mean(LOOPS, "heapwarden", "scudo"), 0.7);
    target(&mut lines, "loops, over mi3-secure", mean(LOOPS, "heapwarden", "mi3-secure"), 0.7);
    target(&mut lines, "all, over lsan", mean(BOTH, "heapwarden", "lsan"), 0.3);
    target(&mut lines, "all, over lsan-cfi", mean(BOTH, "heapwarden", "lsan-cfi"), 0.3);
    for row in rows.iter().filter(|row| row.set == Set::Growth) {
        let best = ["glibc", "jemalloc", "mi3"]
            .iter()
            .filter_map(|peer| row.ratio("heapwarden", peer, Figure::Processor))
            .max_by(f64::total_cmp);
        target(
            &mut lines,
            &format!("{}, over the best of glibc, jemalloc, mi3", row.workload),
            best,
            1.2,
        );
    }
    let large = rows.iter().filter(|row| {
        row.lowest("glibc", Figure::Peak).is_some_and(|peak| peak >= PEAK_COUNTS_FROM)
    });
    target(
        &mut lines,
        "peak memory, over glibc",
        geomean(large.filter_map(|row| row.ratio("heapwarden", "glibc", Figure::Peak))),
        1.3,
    );
    for (more, fewer, what) in
        [("threads-2", "threads-1", "1 to 2 threads"), ("threads-64", "threads-2", "64 threads")]
    {
        let relative =
            own_ratio(rows, "heapwarden", more, fewer).zip(own_ratio(rows, "mi3", more, fewer));
        target(
            &mut lines,
            &format!("scaling, {what}, own ratio over mi3's"),
            relative.map(|(ours, theirs)| ours / theirs),
            1.5,
        );
    }
    for row in rows.iter().filter(|row| row.set == Set::Startup) {
        target(
            &mut lines,
            "start-up, ms more than glibc",
            milliseconds_over_glibc(row, "heapwarden"),
            1.5,
        );
    }
    target(&mut lines, "options off: loops, over mi3", mean(LOOPS, "heapwarden-off", "mi3"), 1.35);
    target(
        &mut lines,
        "options off: programs, over mi3",
        mean(PROGRAMS, "heapwarden-off", "mi3"),
        1.05,
    );
    if !lines.is_empty() {
        let _ = writeln!(
            text,
            "### Targets\n\n| what | at most | measured | |\n|---|---|---|---|\n{lines}"
        );
    }
}
