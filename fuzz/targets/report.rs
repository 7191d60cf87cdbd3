//! The tool's own reader of report files, on any bytes.
#![no_main]
#![allow(dead_code)] // the tool uses more of its records

#[path = "../../tool/src/reader.rs"]
mod reader;
#[path = "../../tool/src/record.rs"]
mod record;

use std::path::PathBuf;
use std::sync::LazyLock;

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| PathBuf::from(format!("/dev/shm/heapwarden-fuzz-{}", std::process::id())));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).expect("room for one report");
    let lines = bytes.split(|&byte| byte == b'\n').count() as u64;
    let tally = reader::read_one(&FILE, &mut |line| {
        let _ = serde_json::to_string(&line);
        Ok(())
    })
    .expect("a readable file is read");
    assert!(tally.records + tally.foreign <= lines);
});
