//! Who wrote the line: `git blame` of each finding's place, where the source
//! is in a work tree.

use crate::sites::Sites;
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Fills `Site::blame` for every site whose source git knows.
pub fn add(sites: &mut Sites) {
    let mut known: HashMap<(String, u32), Option<String>> = HashMap::new();
    for site in &mut sites.list {
        let place = site.place().and_then(|frame| Some((frame.file.clone()?, frame.line?)));
        if let Some(key) = place {
            let found = known.entry(key).or_insert_with_key(|(file, line)| of_line(file, *line));
            site.blame.clone_from(found);
        }
    }
}

/// `1234abcd by Ada <ada@example.org>, 2026-01-02: Add names`.
fn of_line(file: &str, line: u32) -> Option<String> {
    let path = Path::new(file);
    let output = Command::new("git")
        .arg("-C")
        .arg(path.parent()?)
        .args(["blame", "--porcelain", "-L"])
        .arg(format!("{line},{line}"))
        .arg("--")
        .arg(path.file_name()?)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let commit = text.split(' ').next().filter(|commit| commit.len() >= 8)?;
    if commit.bytes().all(|byte| byte == b'0') {
        return Some("not committed yet".to_owned());
    }
    let date = field("author-time")
        .and_then(|seconds| seconds.parse().ok())
        .map_or_else(String::new, date);
    Some(format!(
        "{} by {} {}, {date}: {}",
        &commit[..8],
        field("author").unwrap_or("?"),
        field("author-mail").unwrap_or_default(),
        field("summary").unwrap_or_default()
    ))
}

/// A day as `2026-01-02` (Hinnant, "chrono-compatible low-level date
/// algorithms").
fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{:04}-{month:02}-{day:02}", year_of_era + era * 400 + u64::from(month <= 2))
}
