use crate::config::FixedText;
use crate::platform::linux::process;
use crate::report::{PATIENCE_MS, Sink, expand_path};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::string::String;
use std::time::Instant;
use std::{env, format, fs};

fn scratch(name: &str) -> PathBuf {
    let directory = env::temp_dir().join(format!("heapwarden-sink-{}-{name}", process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    directory
}

fn sink_to(path: &str) -> Sink {
    let (mut sink, mut text) = (Sink::new(), FixedText::EMPTY);
    assert!(text.set(path.as_bytes()));
    sink.set_path(&text);
    sink
}

fn expanded(pattern: &str) -> String {
    let mut buffer = [0; 200];
    let length = expand_path(pattern.as_bytes(), 42, &mut buffer).unwrap();
    assert_eq!(buffer[length], 0);
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn placeholders_are_expanded_and_the_process_always_named() {
    assert_eq!(expanded("/tmp/log"), "/tmp/log.42");
    assert_eq!(expanded("/tmp/%p-log"), "/tmp/42-log");
    assert_eq!(expanded("a%%b%z%"), "a%b%z%.42");
    let home = env::var("HOME").unwrap_or_default();
    assert_eq!(expanded("%q{HOME}/x%q{NO_SUCH_VARIABLE}.%p"), format!("{home}/x.42"));
    assert!(expanded("%e").ends_with(".42") && expanded("%e").len() > 3);
    assert!(expanded("%t.%p").split('.').next().unwrap().parse::<u64>().unwrap() > 1_700_000_000);
    assert_eq!(expand_path(&[b'x'; 200], 42, &mut [0; 200]), None);
}

#[test]
fn a_file_is_made_for_its_owner_only_and_appended_to() {
    let directory = scratch("mode");
    let mut sink = sink_to(&format!("{}/log", directory.display()));
    assert!(sink.write(b"one\n") && sink.write(b"two\n"));
    let path = directory.join(format!("log.{}", process::id()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_link_in_place_of_the_file_is_not_followed() {
    let directory = scratch("link");
    let target = directory.join("target");
    fs::write(&target, "before").unwrap();
    symlink(&target, directory.join(format!("log.{}", process::id()))).unwrap();
    // It cannot be written, so the record goes to standard error.
    assert!(sink_to(&format!("{}/log", directory.display())).write(b"(to stderr)\n"));
    assert_eq!(fs::read_to_string(&target).unwrap(), "before");
    assert_eq!(fs::metadata(&target).unwrap().size(), 6);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_full_device_and_a_closed_descriptor_are_errors_not_hangs() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert!(Sink::new().write_all(full.as_raw_fd(), b"x").is_err());
    assert!(Sink::new().write_all(1_000_000, b"x").is_err());
}

#[test]
fn a_pipe_without_reader_raises_no_signal() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    // SIGPIPE would end the test: give it its default action back.
    process::reset_signal(libc::SIGPIPE);
    let masked = process::block_signals();
    assert!(Sink::new().write_all(writer.as_raw_fd(), b"x").is_err());
    crate::platform::linux::output::discard_signals(1 << (libc::SIGPIPE - 1));
    process::restore_signals(masked);
}

#[test]
fn a_reader_that_does_not_read_costs_patience_once() {
    let (_reader, writer) = std::io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    use std::os::unix::fs::OpenOptionsExt;
    let writer =
        fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap();
    let mut sink = Sink::new();
    let record = [b'x'; 100_000];
    let started = Instant::now();
    assert!(sink.write_all(writer.as_raw_fd(), &record).is_err());
    let patience = started.elapsed().as_millis() as u64;
    // A busy machine may let us wait longer; a second time there is no wait.
    assert!((PATIENCE_MS / 2..PATIENCE_MS * 30).contains(&patience), "{patience} ms");
    let started = Instant::now();
    assert!(sink.write_all(writer.as_raw_fd(), &record).is_err());
    assert!((started.elapsed().as_millis() as u64) < PATIENCE_MS);
}
