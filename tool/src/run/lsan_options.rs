//! What of `LSAN_OPTIONS` has the same meaning here, for build systems that
//! know LeakSanitizer and not us.
//!
//! The grammar is that of sanitizer_common's flags: `key=value` divided by
//! colons, commas or white space; a value may stand in quotes of either kind.

/// Options that mean the same to both.
const SHARED: [&str; 3] = ["log_path", "suppressions", "exitcode"];

/// The options of `text` that are known here; what does not parse ends it.
pub fn known(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(divides);
        let Some((key, after)) = rest.split_once('=') else { return found };
        let quote = after.chars().next().filter(|first| matches!(first, '"' | '\''));
        let (value, behind) = match quote {
            Some(quote) => match after[1..].split_once(quote) {
                Some(parts) => parts,
                None => return found,
            },
            None => after.split_at(after.find(divides).unwrap_or(after.len())),
        };
        if SHARED.contains(&key) {
            found.push((key, value));
        }
        rest = behind;
    }
}

fn divides(letter: char) -> bool {
    letter == ':' || letter == ',' || letter.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use super::known;

    #[test]
    fn what_is_shared_is_taken_and_the_rest_is_not() {
        assert_eq!(known(""), []);
        assert_eq!(known("verbosity=1:exitcode=7"), [("exitcode", "7")]);
        assert_eq!(
            known("log_path='/tmp/a b:c/log'  suppressions=\"x.supp\",report_objects=1"),
            [("log_path", "/tmp/a b:c/log"), ("suppressions", "x.supp")]
        );
    }

    #[test]
    fn a_broken_text_gives_what_came_before() {
        assert_eq!(known("exitcode=1:log_path='/tmp/never ends"), [("exitcode", "1")]);
        assert_eq!(known("no equals sign"), []);
        assert_eq!(known(":::,, "), []);
    }
}
