//! The forms of a report that other programs read, each read back by a reader
//! that is not ours.

mod common;

use common::{heapwarden, sample_files, stdout_of};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

fn formatted(format: &str, files: &[&Path], more: &[&str]) -> String {
    stdout_of(heapwarden().args(["report", "--format", format]).args(more).args(files))
}

#[test]
fn csv_has_a_row_a_site_that_a_csv_reader_takes_apart() {
    let (_directory, report, other) = sample_files();
    let text = formatted("csv", &[&report, &other], &[]);
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let columns = table.headers().unwrap().clone();
    let rows: Vec<HashMap<String, String>> = table
        .records()
        .map(|row| {
            let row = row.unwrap();
            columns.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect()
        })
        .collect();
    let definite = rows.iter().find(|row| row["kind"] == "definite").unwrap();
    assert_eq!((definite["bytes"].as_str(), definite["records"].as_str()), ("600", "2"));
    assert_eq!((definite["function"].as_str(), definite["line"].as_str()), ("copy_name", "3"));
    assert_eq!(definite["stack"], "copy_name < main < libc.so.6+0x1234");
    assert_eq!(rows.len(), 8);
}

#[test]
fn folded_stacks_make_a_flame_graph() {
    let (_directory, report, _) = sample_files();
    let text = formatted("folded", &[&report], &[]);
    assert!(text.contains("definite;libc.so.6+0x1234;main;copy_name 300\n"), "{text}");
    let blocks = formatted("folded", &[&report], &["--by", "blocks"]);
    assert!(blocks.contains("definite;libc.so.6+0x1234;main;copy_name 2\n"), "{blocks}");
    let mut image = Vec::new();
    let mut options = inferno::flamegraph::Options::default();
    inferno::flamegraph::from_lines(&mut options, text.lines(), &mut image).unwrap();
    let image = String::from_utf8(image).unwrap();
    assert!(image.contains("copy_name (300 "), "the graph has our frame and its bytes");
}

#[test]
fn junit_is_well_formed_and_counts_what_failed() {
    let (directory, report, _) = sample_files();
    let text = formatted("junit", &[&report], &[]);
    let document = roxmltree::Document::parse(&text).unwrap();
    let failures: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("failure"))
        .map(|node| node.attribute("type").unwrap().to_owned())
        .collect();
    let failing = ["heap-use-after-free", "definite", "indirect", "possible", "exhaustion"];
    assert_eq!(failures, failing);
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase")).count();
    assert_eq!(cases, 8);
    assert_eq!(document.root_element().attribute("failures"), Some("5"));

    let clean = directory.path().join("clean.json");
    let summary = fs::read_to_string(&report).unwrap().lines().last().unwrap().to_owned();
    fs::write(&clean, summary).unwrap();
    let text = formatted("junit", &[&clean], &[]);
    let document = roxmltree::Document::parse(&text).unwrap();
    assert_eq!(document.root_element().attribute("failures"), Some("0"), "the twin");
    assert_eq!(document.root_element().attribute("tests"), Some("1"));
}

#[test]
fn sarif_is_read_by_types_made_from_its_schema() {
    let (directory, report, _) = sample_files();
    let root = directory.path().to_string_lossy().into_owned();
    let text = formatted("sarif", &[&report], &["--source-root", &root]);
    let log: serde_sarif::sarif::Sarif = serde_json::from_str(&text).unwrap();
    let run = &log.runs[0];
    let results = run.results.as_ref().unwrap();
    assert_eq!(results.len(), 8);
    let rules = run.tool.driver.rules.as_ref().unwrap();
    for result in results {
        let index = usize::try_from(result.rule_index.unwrap()).unwrap();
        assert_eq!(Some(&rules[index].id), result.rule_id.as_ref());
        assert!(!result.partial_fingerprints.as_ref().unwrap().is_empty());
        assert!(result.stacks.as_ref().is_some_and(|stacks| !stacks.is_empty()));
    }
    let error = results.iter().find(|r| r.rule_id.as_deref() == Some("HW103")).unwrap();
    let location = error.locations.as_ref().unwrap()[0].physical_location.as_ref().unwrap();
    let artifact = location.artifact_location.as_ref().unwrap();
    assert_eq!(artifact.uri.as_deref(), Some("name.c"));
    assert_eq!(artifact.uri_base_id.as_deref(), Some("SRCROOT"));
    assert_eq!(location.region.as_ref().unwrap().start_line, Some(8));
    assert_eq!(error.related_locations.as_ref().unwrap().len(), 2, "allocated and freed");
}

#[test]
fn fingerprints_stay_when_lines_move() {
    let (directory, report, _) = sample_files();
    let text = fs::read_to_string(&report).unwrap();
    let moved = directory.path().join("moved.json");
    let digits: Vec<String> = (1..10).rev().map(|n| n.to_string()).collect();
    let text = digits
        .iter()
        .fold(text, |text, n| text.replace(&format!("\"line\":{n},"), &format!("\"line\":{n}00,")));
    fs::write(&moved, text).unwrap();
    let prints = |path: &Path| -> Vec<String> {
        let text = formatted("sarif", &[path], &[]);
        let log: serde_json::Value = serde_json::from_str(&text).unwrap();
        log["runs"][0]["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| result["partialFingerprints"]["heapwardenSite/v1"].to_string())
            .collect()
    };
    assert_eq!(prints(&report), prints(&moved));
}

#[test]
fn pprof_is_read_by_another_programs_messages() {
    use pprof::protos::{Message, Profile};
    let (directory, report, _) = sample_files();
    let path = directory.path().join("heap.pb.gz");
    let mut command = heapwarden();
    command.args(["report", "--format", "pprof", "-o"]).args([&path, &report]);
    assert_eq!(stdout_of(&mut command), "");
    // gzip(1) unpacks it, pprof-rs decodes it.
    let output = Command::new("gzip").arg("-dc").arg(&path).output().unwrap();
    assert!(output.status.success());
    let profile = Profile::decode(&output.stdout[..]).unwrap();
    let text = |number: i64| profile.string_table[number as usize].as_str();
    assert_eq!(text(0), "");
    let types: Vec<_> = profile.sample_type.iter().map(|value| text(value.ty)).collect();
    assert_eq!(types[..4], ["inuse_objects", "inuse_space", "lost_objects", "lost_space"]);
    let total =
        |index: usize| -> i64 { profile.sample.iter().map(|sample| sample.value[index]).sum() };
    assert_eq!((total(1), total(3), total(5)), (450, 390, 900), "in use, lost, hidden bytes");
    let first = &profile.sample[0];
    let names: Vec<_> = first
        .location_id
        .iter()
        .map(|id| {
            let location = profile.location.iter().find(|location| location.id == *id).unwrap();
            let function = location.line[0].function_id;
            text(profile.function.iter().find(|f| f.id == function).unwrap().name)
        })
        .collect();
    assert_eq!(names, ["copy_name", "main", "libc.so.6+0x1234"]);
    let builds: Vec<_> = profile.mapping.iter().map(|mapping| text(mapping.build_id)).collect();
    assert_eq!(builds, ["ab12", "cd34"]);
}

/// Where `go tool pprof` is installed; Debian's packages leave no `go` in the path.
fn go() -> Option<&'static str> {
    let places = ["go", "/usr/lib/go-1.19/bin/go", "/usr/lib/go/bin/go"];
    let has_pprof = |go: &&str| {
        Command::new(go).args(["tool", "-n", "pprof"]).output().is_ok_and(|o| o.status.success())
    };
    places.into_iter().find(has_pprof)
}

#[test]
fn pprof_is_read_by_go_tool_pprof_where_go_is_installed() {
    let Some(go) = go() else {
        eprintln!("SKIPPED: go is not installed (apt-get install golang-go)");
        return;
    };
    let (directory, report, _) = sample_files();
    let path = directory.path().join("heap.pb.gz");
    let mut command = heapwarden();
    command.args(["report", "--format", "pprof", "-o"]).args([&path, &report]);
    assert_eq!(stdout_of(&mut command), "");
    let top = |kind: &str| {
        let mut command = Command::new(go);
        command.args(["tool", "pprof", "-top", "-unit=bytes", "-sample_index", kind]);
        stdout_of(command.arg(&path).env("HOME", directory.path()))
    };
    for (kind, bytes) in [("inuse_space", 450), ("lost_space", 390), ("hidden_space", 900)] {
        let page = top(kind);
        assert!(page.contains(&format!("100% of {bytes}B total")), "{kind}: {page}");
    }
    assert!(top("lost_space").contains("copy_name"));
}
