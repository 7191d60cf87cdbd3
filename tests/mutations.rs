//! Every deliberate fault of scripts/mutations.txt still fits the sources, so
//! that `make mutate` checks what it says.

use std::process::Command;

#[test]
fn every_rule_of_the_mutation_check_applies() {
    let output = Command::new("python3")
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/mutate.py"), "--check"])
        .output()
        .expect("python3 is there (scripts/setup.sh)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    let rules = text.lines().last().and_then(|line| line.split(' ').nth(1)?.parse::<u32>().ok());
    assert!(rules.is_some_and(|rules| rules >= 30), "{text}");
}
