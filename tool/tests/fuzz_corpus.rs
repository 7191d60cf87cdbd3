//! Replays the fuzz corpus of report files (fuzz/corpus/report): no file, and
//! no damaged copy of one, makes the command panic or hang.

mod common;

use common::heapwarden;
use std::fs;
use std::path::Path;

#[test]
fn report_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/report");
    let place = tempfile::tempdir().unwrap();
    let (mut count, mut records) = (0, 0);
    for file in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        let mut copies = vec![bytes.clone()];
        for at in (1..bytes.len()).step_by(bytes.len() / 6 + 1) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            copies.extend([damaged, bytes[..at].to_vec()]);
        }
        for copy in copies {
            let path = place.path().join("report.json");
            fs::write(&path, copy).unwrap();
            let output = heapwarden().arg("report").arg(&path).output().unwrap();
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(!complaint.contains("panicked") && output.status.code().is_some());
            records += usize::from(output.status.success());
        }
        count += 1;
    }
    assert!(count >= 2 && records > 0, "{count} files, {records} with records");
}
