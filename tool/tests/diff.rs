//! `heapwarden diff`.

mod common;

use common::{heapwarden, sample_files, stdout_of};
use std::fs;
use std::path::Path;

fn changed(directory: &Path, report: &Path) -> std::path::PathBuf {
    let text = fs::read_to_string(report).unwrap();
    let new: String = text
        .lines()
        .filter(|line| !line.contains("\"possible\""))
        .map(|line| match line.contains("\"kind\":\"definite\"") {
            true => line.replace("\"bytes\":300", "\"bytes\":330") + "\n",
            false => line.to_owned() + "\n",
        })
        .chain(
            text.lines()
                .filter(|line| line.contains("\"kind\":\"indirect\""))
                .map(|line| line.replace("copy_name", "another_name") + "\n"),
        )
        .collect();
    let path = directory.join("new.json");
    fs::write(&path, new).unwrap();
    path
}

#[test]
fn new_gone_and_grown_sites_are_told_apart() {
    let (directory, old, _) = sample_files();
    let new = changed(directory.path(), &old);
    let text = stdout_of(heapwarden().arg("diff").args([&old, &new]));
    for line in [
        "new    indirect: 40 bytes in 2 blocks",
        "grown  definite: 300 bytes in 2 blocks -> 330 bytes in 2 blocks",
        "gone   possible: 50 bytes in 2 blocks",
    ] {
        assert!(text.lines().any(|shown| shown == line), "no {line:?} in\n{text}");
    }
    let back = stdout_of(heapwarden().arg("diff").args([&new, &old]));
    assert!(back.contains("shrunk definite: 330") && back.contains("new    possible"), "{back}");
    let same = stdout_of(heapwarden().arg("diff").args([&old, &old]));
    assert_eq!(same, "no change in 8 site(s)\n");
}

#[test]
fn the_exit_code_is_23_only_for_the_changes_asked_for() {
    let (directory, old, _) = sample_files();
    let new = changed(directory.path(), &old);
    let code = |more: &[&str]| {
        heapwarden().arg("diff").args([&old, &new]).args(more).output().unwrap().status.code()
    };
    assert_eq!(code(&[]), Some(0));
    assert_eq!(code(&["--fail-on", "new,grown"]), Some(23));
    assert_eq!(code(&["--fail-on", "shrunk"]), Some(0));
    assert_eq!(code(&["--fail-on", "grown", "--tolerance", "20"]), Some(0), "10 % more");
    assert_eq!(code(&["--fail-on", "grown", "--tolerance", "5"]), Some(23));
}

#[test]
fn json_lines_hold_both_counts() {
    let (directory, old, _) = sample_files();
    let new = changed(directory.path(), &old);
    let text = stdout_of(heapwarden().args(["diff", "--json"]).args([&old, &new]));
    let grown: serde_json::Value = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find(|value| value["change"] == "grown")
        .unwrap();
    assert_eq!((&grown["old"]["bytes"], &grown["new"]["bytes"]), (&300.into(), &330.into()));
}
