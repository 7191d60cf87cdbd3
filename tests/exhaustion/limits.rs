//! The endless loop under every kind of limit.

use crate::support::{Outcome, Run, compile, folder, names_the_hog};
use std::fs;
use std::path::Path;

/// One run of the hog; it must be told early and at the end, and go on.
fn hog(test: &str, options: &str, before: &str, source: &str) -> Outcome {
    let folder = folder(test);
    let program = compile("tests/exhaustion/hog.c", &folder);
    let run = Run { program: &program, arguments: &["1000000", "7"], options, before };
    let outcome = run.go(&folder);
    assert_eq!(outcome.code, 7, "{}", outcome.stderr);
    let refused = outcome.exhaustion("refused");
    assert!(!refused.is_empty(), "{:#?}", outcome.records);
    names_the_hog(refused[0]);
    assert_eq!(refused[0]["requested"], 1_000_000);
    assert_eq!(refused[0]["limit_from"], source);
    assert_eq!(refused[0]["stack"][0]["function"], "grow");
    // The hog frees all and fills up again: on a machine so busy that this takes
    // more than a second, it is warned a second time.
    assert!((1..=2).contains(&outcome.exhaustion("early").len()), "{:#?}", outcome.records);
    fs::remove_dir_all(folder).unwrap();
    outcome
}

#[test]
fn under_heap_limit_mb() {
    let outcome = hog("heap-limit", "heap_limit_mb=64", "", "heap_limit_mb");
    let blocks: u64 = outcome.stdout.trim().parse().unwrap();
    assert!((50..=67).contains(&blocks), "{blocks}");
}

#[test]
fn under_a_limited_address_space() {
    hog("address-space", "", "ulimit -v 300000", "RLIMIT_AS");
}

#[test]
fn under_a_limited_data_segment() {
    hog("data", "", "ulimit -d 200000", "RLIMIT_DATA");
}

/// A memory control group of 64 MiB, if this machine lets us make one.
fn control_group(name: &str) -> Option<(String, String)> {
    let places =
        [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
    places.into_iter().find_map(|(top, file)| {
        let group = format!("{top}/{name}-{}", std::process::id());
        fs::create_dir(&group).ok()?;
        let limit = format!("{group}/{file}");
        if fs::write(&limit, "67108864").is_err() {
            let _ = fs::remove_dir(&group);
            return None;
        }
        Some((group, limit))
    })
}

#[test]
fn in_a_control_group() {
    let Some((group, _)) = control_group("heapwarden-test") else {
        eprintln!("no memory control group can be made here: not tested");
        return;
    };
    let enter = format!("echo $$ > {group}/cgroup.procs");
    hog("control-group", "", &enter, "cgroup memory.max");
    let _ = fs::remove_dir(Path::new(&group));
}

#[test]
fn small_blocks_to_the_last_byte_and_the_program_s_own_exit_code() {
    let folder = folder("small");
    let program = compile("tests/exhaustion/hog.c", &folder);
    for (options, before) in [("heap_limit_mb=32", ""), ("", "ulimit -v 60000")] {
        let run = Run { program: &program, arguments: &["40", "0"], options, before };
        let outcome = run.go(&folder);
        assert_eq!(outcome.code, 0, "{before}: {}", outcome.stderr);
        names_the_hog(outcome.exhaustion("refused")[0]);
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn enough_memory_is_silent_and_a_warning_can_be_turned_off() {
    let folder = folder("silent");
    let program = compile("tests/exhaustion/hog.c", &folder);
    let run = Run {
        program: &program,
        arguments: &["1000000", "7", "50"],
        options: "heap_limit_mb=64",
        before: "",
    };
    let outcome = run.go(&folder);
    assert_eq!(outcome.code, 7);
    assert!(outcome.exhaustion("early").is_empty() && outcome.exhaustion("refused").is_empty());
    let off =
        Run { arguments: &["1000000", "7"], options: "heap_limit_mb=64:warn_at_percent=0", ..run };
    let outcome = off.go(&folder);
    assert!(outcome.exhaustion("early").is_empty());
    assert_eq!(outcome.exhaustion("refused").len(), 1, "once, not at every refusal");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn it_aborts_where_that_is_wanted() {
    let folder = folder("abort");
    let program = compile("tests/exhaustion/hog.c", &folder);
    let run = Run {
        program: &program,
        arguments: &["1000000", "0"],
        options: "heap_limit_mb=64:abort_on_exhaustion=1",
        before: "ulimit -c 0",
    };
    let outcome = run.go(&folder);
    assert!([134, -6].contains(&outcome.code), "{}", outcome.code);
    names_the_hog(outcome.exhaustion("refused")[0]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_scan_says_that_reachable_memory_is_not_lost() {
    let folder = folder("scan");
    let program = compile("tests/exhaustion/hog.c", &folder);
    let run = Run {
        program: &program,
        arguments: &["1000000", "7"],
        options: "heap_limit_mb=64:exhaustion_scan=1",
        before: "",
    };
    let outcome = run.go(&folder);
    assert_eq!(outcome.code, 7);
    assert_eq!(outcome.exhaustion("refused")[0]["lost_bytes"], 0);
    fs::remove_dir_all(folder).unwrap();
}

/// A list that only grows is not lost, and not needed either by all that can be
/// seen: the report of its end says so. The twin fills a table at once.
#[test]
fn the_scan_tells_hidden_bytes_from_lost_ones() {
    let folder = folder("hidden");
    let program = compile("tests/exhaustion/grower.c", &folder);
    for (shape, is_hidden) in [("grow", true), ("table", false)] {
        let run = Run {
            program: &program,
            arguments: &[shape],
            options: "heap_limit_mb=64:exhaustion_scan=1:warn_at_percent=0:detect_leaks=0",
            before: "",
        };
        let outcome = run.go(&folder);
        assert_eq!(outcome.code, 0, "{shape}");
        let record = outcome.exhaustion("refused")[0];
        let hidden = record["hidden_bytes"].as_u64().expect("hidden_bytes");
        assert_eq!(hidden > 8 << 20, is_hidden, "{shape}: {record}");
        // Every eighth block is lost in both.
        let lost = record["lost_bytes"].as_u64().expect("lost_bytes");
        assert!((1 << 20..=4 << 20).contains(&lost), "{shape}: {record}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// Where a copy of the process might not fit into its control group, it is not
/// made: the check is done in place and says so. The twin has room.
#[test]
fn a_copy_that_the_control_group_may_not_hold_is_not_made() {
    let Some((group, _)) = control_group("heapwarden-copy") else {
        eprintln!("no memory control group can be made here: not tested");
        return;
    };
    let folder = folder("copy");
    let program = compile("tests/exhaustion/live_check.c", &folder);
    for (mebibytes, is_copied) in [("44", false), ("12", true)] {
        let enter = format!("echo $$ > {group}/cgroup.procs");
        let arguments = [mebibytes];
        let run = Run { program: &program, arguments: &arguments, options: "", before: &enter };
        let outcome = run.go(&folder);
        assert_eq!(outcome.code, 0, "{mebibytes}: {}", outcome.stderr);
        let told = |record: &serde_json::Value| {
            record["message"].as_str().is_some_and(|it| it.contains("no copy of the process"))
        };
        assert_eq!(!outcome.records.iter().any(told), is_copied, "{mebibytes}");
    }
    fs::remove_dir_all(folder).unwrap();
    let _ = fs::remove_dir(group);
}
