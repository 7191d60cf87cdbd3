//! What `heapwarden run` says last: all that was found on one screen, and
//! where the whole reports are.

use crate::report::Output;
use crate::sites::{Site, Sites};
use std::fmt::Write;

/// Sites with a line of their own: the rest of a screen is for the program.
const SHOWN: usize = 12;
const WIDTH: usize = 100;

/// The summary, of at most `SHOWN + 3` lines, each ended by a newline.
pub fn summary(sites: &Sites, outputs: &[Output]) -> String {
    let mut text = format!("heapwarden: {}\n", sites.sum());
    let worst: Vec<&Site> = sites.list.iter().filter(|site| site.is_failure()).collect();
    for site in worst.iter().take(SHOWN) {
        let _ = writeln!(text, "{}", line(site));
    }
    if worst.len() > SHOWN {
        let _ = writeln!(text, "  … and {} more site(s)", worst.len() - SHOWN);
    }
    let files: Vec<String> = outputs.iter().filter_map(Output::file_name).collect();
    if !files.is_empty() {
        let _ = writeln!(text, "  written: {}", files.join(", "));
    }
    text
}

/// Kind, amount and place of a site, cut to the width.
fn line(site: &Site) -> String {
    let place = site
        .stack
        .iter()
        .find(|frame| frame.is_users())
        .or(site.stack.first())
        .map(|frame| match frame.location() {
            Some(location) => format!("{} {location}", frame.name()),
            None => frame.name(),
        })
        .unwrap_or_default();
    let text = format!("  {}: {} [{place}]", site.kind, site.title());
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Format, read_sites};
    use std::path::PathBuf;

    fn sites(count: usize) -> Sites {
        if count == 0 {
            return Sites::default();
        }
        let path = std::env::temp_dir()
            .join(format!("heapwarden-closing-{}-{count}.json", std::process::id()));
        let mut text = String::new();
        for number in 0..count {
            let _ = writeln!(
                text,
                r#"{{"v":1,"type":"leak","pid":1,"time":"2026-01-01T00:00:00Z","kind":"definite","blocks":1,"bytes":{},"stack":[{{"function":"{}{number}","file":"/home/me/a.c","line":{number}}}]}}"#,
                100 + number,
                "make".repeat(40),
            );
        }
        std::fs::write(&path, text).unwrap();
        let sites = read_sites(std::slice::from_ref(&path)).unwrap();
        std::fs::remove_file(path).unwrap();
        sites
    }

    #[test]
    fn any_number_of_sites_fits_a_screen() {
        let outputs = [Output::new(Format::Html, PathBuf::from("a.html"))];
        for count in [0, 1, SHOWN, SHOWN + 1, 500] {
            let text = summary(&sites(count), &outputs);
            assert!(text.lines().count() <= SHOWN + 3, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= WIDTH + 1), "{text}");
            assert!(text.ends_with("  written: a.html\n"), "{text}");
            assert_eq!(text.contains(" more site(s)"), count > SHOWN, "{text}");
        }
    }
}
