//! The last picture before a kill.

use crate::support::{built, compile, folder};
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn the_peak_file_is_whole_after_two_hundred_kills() {
    let folder = folder("peak");
    let program = compile("tests/exhaustion/hog.c", &folder);
    let (mut with_picture, mut largest) = (0, 0);
    // From the first round on: how long a whole run takes on this machine now.
    let mut longest = Duration::ZERO;
    for round in 0..200u64 {
        let peak = folder.join(format!("peak.{round}"));
        let options = format!(
            "heap_limit_mb=256:format=json:detect_leaks=0:warn_at_percent=0:peak_file={}.%p",
            peak.display()
        );
        let mut child = Command::new(&program)
            .args(["30000", "0", "6000"])
            .env("LD_PRELOAD", built("libheapwarden.so"))
            .env("HEAPWARDEN_OPTIONS", options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        if round % 10 == 0 {
            child.wait().unwrap();
            longest = start.elapsed();
        } else {
            // Moments spread over the run by the golden ratio, from start to end.
            let moment = longest * ((round * 618_034) % 1_000_000) as u32 / 1_000_000;
            while start.elapsed() < moment {
                std::thread::sleep(Duration::from_micros(100));
            }
            let _ = child.kill();
            child.wait().unwrap();
        }
        let file = folder.join(format!("peak.{round}.{}", child.id()));
        let Ok(text) = fs::read_to_string(&file) else { continue };
        assert!(text.ends_with('\n'), "round {round}: {text:?}");
        let record: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(record["type"], "exhaustion");
        assert_eq!(record["level"], "peak");
        assert!(record["top"][0]["share"].as_f64().unwrap() > 0.9, "{record:#}");
        with_picture += 1;
        largest = largest.max(record["in_use"].as_u64().unwrap());
        let _ = fs::remove_file(file);
    }
    println!("{with_picture} of 200 had a picture, the largest of {largest} bytes");
    assert!(with_picture > 50, "{with_picture}");
    assert!(largest > 50 << 20, "{largest}");
    fs::remove_dir_all(folder).unwrap();
}
