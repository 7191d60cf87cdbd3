//! `heapwarden report --format text|json`, and how it meets bad files.

mod common;

use common::{complaint_of, heapwarden, sample_files, stdout_of};
use serde_json::Value;
use std::fs;

#[test]
fn text_shows_the_source_lines_and_what_happened_there() {
    let (_directory, report, _) = sample_files();
    let text = stdout_of(heapwarden().arg("report").arg(&report));
    for part in [
        "error[heap-use-after-free]: a freed block was written",
        "void *lost = malloc(14);",
        "freed here by thread 1, in copy_name",
        "16 bytes allocated here by thread 1, in copy_name",
        "error[definite]: 300 bytes in 2 blocks: lost, no pointer to it is left",
        "called from main",
        "lost with it: 8 bytes in 1 block",
        "warning[hidden]: 900 bytes in 9 blocks: reachable, but nobody seems to need it",
        "held by global list",
        "out of memory: 976.6 KiB asked for",
        "heapwarden: unknown option 'x'",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours where no terminal is");
    let error = text.find("error[heap-use").unwrap();
    assert!(error < text.find("error[definite]").unwrap(), "misuse first");
}

#[test]
fn without_the_source_the_same_is_said_in_words() {
    let (directory, report, _) = sample_files();
    let source = directory.path().join("name.c");
    let moved = directory.path().join("elsewhere/src");
    fs::create_dir_all(&moved).unwrap();
    fs::rename(&source, moved.join("name.c")).unwrap();
    let text = stdout_of(heapwarden().arg("report").arg(&report));
    assert!(!text.contains("malloc(14)"));
    assert!(text.contains("allocated here: copy_name ("), "{text}");
    let found = stdout_of(heapwarden().arg("report").arg(&report).arg("--source-dir").arg(&moved));
    assert!(found.contains("malloc(14)"), "the twin: told where the source is");
}

#[test]
fn json_of_two_processes_is_one_record_a_site_that_the_schema_accepts() {
    let (_directory, report, other) = sample_files();
    let mut command = heapwarden();
    let text = stdout_of(command.args(["report", "--format", "json"]).args([&report, &other]));
    let schema = include_str!("../../docs/report.schema.json");
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let mut definite = Vec::new();
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} {line}");
        if value["kind"] == "definite" {
            definite.push((value["blocks"].clone(), value["bytes"].clone()));
        }
        if value["type"] == "summary" {
            assert_eq!(value["definite"]["bytes"], 600);
            assert_eq!(value["errors"], 2);
        }
    }
    assert_eq!(definite, [(4.into(), 600.into())]);
}

#[test]
fn bad_files_get_a_clear_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let complaint = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        complaint_of(heapwarden().arg("report").arg(&path))
    };
    assert!(complaint(b"").contains("no heapwarden records in 0 line(s)"));
    assert!(complaint(b"==1==ERROR: LeakSanitizer\nhello\n").contains("in 2 line(s)"));
    assert!(complaint(&[0xff; 1000]).contains("JSON is expected"));
    assert!(complaint(&[b'['; 100_000]).contains("JSON is expected"), "deep nesting");
    let text = complaint_of(heapwarden().args(["report", "/no/such/file"]));
    assert_eq!(
        text,
        "heapwarden: cannot read /no/such/file: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_report_that_breaks_off_is_shown_as_far_as_it_goes() {
    let (_directory, report, _) = sample_files();
    let text = fs::read_to_string(&report).unwrap();
    let first = text.find('\n').unwrap();
    fs::write(&report, &text[..first + 200]).unwrap();
    let output = heapwarden().arg("report").arg(&report).output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("the last record breaks off"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("error[definite]"));
}

#[test]
fn a_baseline_hides_what_was_there_before() {
    let (_directory, report, other) = sample_files();
    let run = |baseline: &std::path::Path| {
        stdout_of(heapwarden().arg("report").arg(&report).arg("--baseline").arg(baseline))
    };
    assert!(run(&other).contains("nothing was found"), "the same sites of another process");
    let text = fs::read_to_string(&other).unwrap();
    let less: String =
        text.lines().filter(|line| !line.contains("definite\"")).collect::<Vec<_>>().join("\n");
    fs::write(&other, less).unwrap();
    let left = run(&other);
    assert!(left.contains("error[definite]") && !left.contains("warning[possible]"), "{left}");
}

#[test]
fn man_pages_and_completions_are_made() {
    let directory = tempfile::tempdir().unwrap();
    stdout_of(heapwarden().arg("generate").arg(directory.path()));
    let page = fs::read_to_string(directory.path().join("man/heapwarden-run.1")).unwrap();
    assert!(page.contains("heapwarden") && page.contains("suppressions"), "{page}");
    let completions = fs::read_to_string(directory.path().join("completions/heapwarden.bash"));
    assert!(completions.unwrap().contains("symbolize"));
}

#[test]
fn blame_names_commit_and_author_of_the_allocating_line() {
    let (directory, report, _) = sample_files();
    let git = |arguments: &[&str]| {
        let status = std::process::Command::new("git")
            .current_dir(directory.path())
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(arguments)
            .env("GIT_AUTHOR_DATE", "2024-02-29T12:00:00Z")
            .status();
        assert!(status.unwrap().success());
    };
    let run = || stdout_of(heapwarden().args(["report", "--blame"]).arg(&report));
    assert!(!run().contains("the line is from"), "the twin: no work tree");
    git(&["init", "-q"]);
    git(&["add", "name.c"]);
    git(&["commit", "-q", "-m", "Copy names"]);
    let text = run();
    let line = text.lines().find(|line| line.contains("the line is from")).expect(&text);
    assert!(line.ends_with("by Ada <ada@example.org>, 2024-02-29: Copy names"), "{line}");
}
