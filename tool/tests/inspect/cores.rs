//! Cores: by gdb's gcore and by the kernel.

use crate::subject::{Program, answer, leaks, parse};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn a_core_tells_what_the_process_told_itself() {
    for source in ["crimes.c", "idioms.cc"] {
        let program = Program::compile(source);
        let subject = program.start("check", "format=json:log_path=own:show_leak_kinds=all");
        let core = program.gcore(&subject);
        let (core, path) = (core.to_str().unwrap(), program.path.to_str().unwrap());
        let text = answer(23, &["check", "--core", core, path, "--format", "json", "--reachable"]);
        let mut seen = leaks(&parse(&text));
        seen.retain(|(_, stack), _| !stack.contains("_IO_file_doallocate"));
        assert_eq!(seen, leaks(&program.records()), "{source}");
    }
}

#[test]
fn a_core_shows_damage_and_its_records_keep_the_schema() {
    let program = Program::compile("crimes.c");
    let subject = program.start("crime", "");
    let core = program.gcore(&subject);
    let (core, path) = (core.to_str().unwrap(), program.path.to_str().unwrap());
    let text = answer(23, &["check", "--core", core, path, "--format", "json"]);
    let records = parse(&text);
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/report.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for record in &records {
        let problems: Vec<String> = validator.iter_errors(record).map(|e| e.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?} in {record}");
    }
    let error = |kind: &str| {
        let is_it = |record: &&Value| record["type"] == "error" && record["kind"] == kind;
        records.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} in {text}"))
    };
    let overflow = error("heap-buffer-overflow");
    assert_eq!(
        (&overflow["block"]["size"], &overflow["block"]["offset"]),
        (&30.into(), &30.into())
    );
    assert_eq!(overflow["block"]["allocated"]["stack"][0]["function"], "overflow");
    let freed = error("heap-use-after-free");
    assert_eq!(freed["block"]["offset"], 8);
    assert_eq!(freed["block"]["freed"]["stack"][0]["function"], "write_freed");
    assert_eq!(records.iter().filter(|record| record["type"] == "error").count(), 2);
    // The report command reads it.
    let file = program.directory.path().join("core.json");
    fs::write(&file, &text).unwrap();
    let text = answer(0, &["report", file.to_str().unwrap()]);
    assert!(text.contains("overflow") && text.contains("lose_chain"), "{text}");
}

#[test]
fn addresses_and_sums_are_in_the_core_too() {
    let program = Program::compile("crimes.c");
    let subject = program.start("crime", "");
    let core = program.gcore(&subject);
    let (core, path) = (core.to_str().unwrap(), program.path.to_str().unwrap());
    let [list, gone, _] = &subject.words[..] else { panic!("{:?}", subject.words) };
    let text = answer(0, &["check", "--core", core, path, "--block", list]);
    assert!(text.contains("live block of 48 bytes") && text.contains("hold "), "{text}");
    let text = answer(0, &["check", "--core", core, path, "--block", gone, "--format", "json"]);
    let block: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(block["block"]["freed"]["stack"][0]["function"], "write_freed");
    let text = answer(0, &["check", "--core", core, path, "--stats"]);
    assert!(text.contains("lose crimes.c:") && text.contains("333 bytes"), "{text}");
}

#[test]
fn a_core_by_the_kernel_is_read() {
    let program = Program::compile("crimes.c");
    let command = program.command("check crime die", "handle_segv=0:format=json:log_path=own");
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -c unlimited && exec \"$0\" \"$@\""]).arg(command.get_program());
    limited.args(command.get_args()).current_dir(program.directory.path());
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap());
    }
    let output = limited.output().unwrap();
    assert!(output.status.code().is_none(), "{output:?}");
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let entries = fs::read_dir(program.directory.path()).unwrap().flatten();
    let core = entries
        .map(|it| it.path())
        .find(|it| it.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core")));
    let Some(core) = core else {
        eprintln!("skipped: this kernel writes cores elsewhere ({})", pattern.trim());
        return;
    };
    let path = program.path.to_str().unwrap();
    let text = answer(23, &["check", "--core", core.to_str().unwrap(), path, "--format", "json"]);
    let mut seen = leaks(&parse(&text));
    seen.retain(|(_, stack), _| !stack.contains("overflow"));
    assert_eq!(seen, leaks(&program.records()));
    assert!(text.contains("heap-buffer-overflow"));
}
