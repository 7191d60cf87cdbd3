//! Runs one case of one built program and gathers everything it left behind.
//!
//! The program gets a scratch folder of its own, no core dump, no inherited
//! heapwarden settings, and a deadline: a hang is a result like any other.

use crate::build;
use crate::header::{Case, Link, Program, ReportFrom};
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long one program may take before it counts as hung, unless its header
/// says otherwise (`timeout:`, seconds).
pub const DEADLINE_SECONDS: u64 = 20;

/// What a run left behind.
#[derive(Debug)]
pub struct Outcome {
    pub pid: u32,
    /// `None`: it hung and was killed.
    pub status: Option<ExitStatus>,
    pub stdout: String,
    pub stderr: String,
    /// Every report line, of all processes.
    pub records: Vec<Value>,
    /// Lines that were not one JSON record each.
    pub broken_lines: Vec<String>,
}

impl Outcome {
    /// "exit 23", "signal 6" or "hung".
    pub fn ending(&self) -> String {
        match self.status {
            None => "a hang (killed at its deadline)".into(),
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit {code}"),
                (_, Some(signal)) => format!("signal {signal}"),
                _ => "an unknown end".into(),
            },
        }
    }
}

/// Runs `case`; the error says why it could not even be started.
pub fn run(
    program: &Program,
    case: &Case,
    link: Link,
    executable: &Path,
    plugins: &[(String, PathBuf)],
) -> Result<Outcome, String> {
    let scratch = scratch_folder(program, case, link)?;
    let library = match link {
        Link::None => build::shared_library().unwrap_or_default(),
        _ => build::shared_library()?,
    };
    let fill = |text: &str| {
        let mut text = text
            .replace("{dir}", &scratch.to_string_lossy())
            .replace("{lib}", &library.to_string_lossy())
            .replace("{c_tests}", &build::manifest_dir().join("c_tests").to_string_lossy());
        for (name, path) in plugins {
            text = text.replace(&format!("{{{name}}}"), &path.to_string_lossy());
        }
        text
    };

    let mut command = Command::new(executable);
    command.args(case.args.iter().map(|a| fill(a))).current_dir(&scratch).process_group(0);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HEAPWARDEN_")
            || name == "LD_PRELOAD"
            || name == "LD_LIBRARY_PATH"
        {
            command.env_remove(name);
        }
    }
    command.env("C_TEST_LINK", link.name());
    if link == Link::Preload {
        let mut preload = library.display().to_string();
        if let Some(after) = &program.preload_after {
            preload = format!("{preload}:{}", fill(after));
        }
        command.env("LD_PRELOAD", preload);
    }
    if link == Link::Linked {
        command.env("LD_LIBRARY_PATH", build::soname_dir()?);
    }
    command.env("HEAPWARDEN_OPTIONS", options(case, &scratch, &fill));
    for (name, value) in &case.env {
        command.env(name, fill(value));
    }
    let input = match &case.stdin {
        Some(text) => {
            let path = scratch.join("stdin");
            fs::write(&path, text).map_err(|e| e.to_string())?;
            path
        }
        None => PathBuf::from("/dev/null"),
    };
    let open = |name: &str| File::create(scratch.join(name)).map_err(|e| e.to_string());
    command.stdin(File::open(input).map_err(|e| e.to_string())?);
    command.stdout(Stdio::from(open("stdout")?)).stderr(Stdio::from(open("stderr")?));
    // SAFETY: the closure only calls setrlimit, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &none);
            Ok(())
        });
    }
    let (pid, status) = wait(command, Duration::from_secs(program.timeout_seconds))?;

    let text = |name: &str| {
        String::from_utf8_lossy(&fs::read(scratch.join(name)).unwrap_or_default()).into_owned()
    };
    let mut outcome = Outcome {
        pid,
        status,
        stdout: text("stdout"),
        stderr: text("stderr"),
        records: Vec::new(),
        broken_lines: Vec::new(),
    };
    match case.report {
        ReportFrom::Off => {}
        ReportFrom::Stderr => {
            let lines = outcome
                .stderr
                .lines()
                .filter(|l| l.starts_with('{'))
                .map(str::to_string)
                .collect::<Vec<_>>();
            lines.iter().for_each(|line| take_line(&mut outcome, line));
        }
        ReportFrom::File => {
            for file in report_files(&scratch) {
                let text =
                    String::from_utf8_lossy(&fs::read(&file).unwrap_or_default()).into_owned();
                text.lines().for_each(|line| take_line(&mut outcome, line));
            }
        }
    }
    Ok(outcome)
}

/// The text of `HEAPWARDEN_OPTIONS` for a case.
fn options(case: &Case, scratch: &Path, fill: &dyn Fn(&str) -> String) -> String {
    let mut parts = Vec::new();
    match case.report {
        ReportFrom::File => {
            parts.push(format!("format=json:log_path={}/report", scratch.display()))
        }
        ReportFrom::Stderr => parts.push("format=json".to_string()),
        ReportFrom::Off => {}
    }
    parts.extend(case.options.iter().map(|o| fill(o)));
    parts.join(":")
}

fn take_line(outcome: &mut Outcome, line: &str) {
    match serde_json::from_str::<Value>(line) {
        Ok(value) if value.is_object() => outcome.records.push(value),
        _ => outcome.broken_lines.push(line.to_string()),
    }
}

/// All report files of the scratch folder, in the order of their names.
pub fn report_files(scratch: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(scratch)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("report.")))
        .collect();
    files.sort();
    files
}

/// A fresh folder for this case.
fn scratch_folder(program: &Program, case: &Case, link: Link) -> Result<PathBuf, String> {
    let plain: String =
        case.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let dir = build::output_dir().join("run").join(&program.group).join(format!(
        "{}-{}-{}",
        program.name,
        plain,
        link.name()
    ));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    Ok(dir)
}

/// Waits until the program ended or the deadline passed; then its whole process
/// group is killed, so that no straggler outlives the test.
fn wait(mut command: Command, deadline: Duration) -> Result<(u32, Option<ExitStatus>), String> {
    let mut child = command.spawn().map_err(|e| format!("cannot start: {e}"))?;
    let pid = child.id();
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            break Some(status);
        }
        if start.elapsed() > deadline {
            break None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    // SAFETY: kill takes no pointers; the group was made for this child alone.
    unsafe { libc::kill(-(pid as i32), libc::SIGKILL) };
    if status.is_none() {
        let _ = child.wait();
    }
    Ok((pid, status))
}
