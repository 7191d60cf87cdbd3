use super::samples::{leak, overflow};
use super::{TestNames, TestStacks};
use crate::config::{self, Options};
use crate::report::{Code, Count, Frame, Names, Outcome, Place, Reporter, Summary};
use crate::units::{LeakKind, StackId};
use std::path::PathBuf;
use std::string::String;
use std::vec::Vec;
use std::{boxed::Box, env, format, fs, process};

/// A reporter with these options and a file of its own, and that file.
fn reporter(name: &str, options: &str) -> (&'static Reporter, PathBuf) {
    let path = env::temp_dir().join(format!("heapwarden-reporter-{name}-{}", process::id()));
    let _ = fs::remove_file(&path);
    let mut parsed = Options::DEFAULT;
    let path_text = path.display().to_string().replace(&process::id().to_string(), "%p");
    let text = format!("log_path={path_text}:{options}");
    config::apply(&mut parsed, text.as_bytes(), &mut |warning| panic!("{warning}"));
    let reporter: &Reporter = Box::leak(Box::new(Reporter::new(&TestStacks, &TestNames)));
    reporter.configure(&parsed);
    (reporter, path)
}

fn taken(path: &PathBuf) -> String {
    let text = fs::read_to_string(path).unwrap();
    fs::remove_file(path).unwrap();
    text
}

use std::string::ToString;

#[test]
fn eight_threads_write_whole_lines() {
    let (reporter, path) = reporter("threads", "format=json");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    assert_eq!(reporter.leak(&leak()), Outcome::Written);
                    assert_eq!(reporter.error(&overflow(&[])), Outcome::Written);
                }
            });
        }
    });
    let text = taken(&path);
    assert_eq!(text.lines().count(), 400);
    for line in text.lines() {
        let parsed = serde_json::from_str::<serde_json::Value>(line);
        assert!(parsed.is_ok(), "{parsed:?} in {line}");
    }
}

#[test]
fn suppressed_findings_are_not_written_but_counted() {
    let rules = env::temp_dir().join(format!("heapwarden-rules-{}", process::id()));
    fs::write(&rules, "leak:^copy_name$\nerror:no_such_function\nrubbish\n").unwrap();
    let (reporter, path) = reporter("suppress", &format!("suppressions={}", rules.display()));
    assert_eq!(reporter.leak(&leak()), Outcome::Suppressed);
    assert_eq!(
        reporter.leak(&crate::report::Leak { stack: StackId(0), ..leak() }),
        Outcome::Written
    );
    reporter.add_suppressions(b"error:/src/a");
    assert_eq!(reporter.error(&overflow(&[])), Outcome::Suppressed);
    let one = Count { blocks: 1, bytes: 1 };
    reporter.summary(&Summary { definite: one, ..Summary::default() });
    let text = taken(&path);
    fs::remove_file(rules).unwrap();
    assert!(
        text.contains("1 line(s) of the suppressions are not understood; the first: 'rubbish'")
    );
    assert!(text.contains("Suppressed 42 byte(s) in 3 object(s) by: ^copy_name$\n"), "{text}");
    assert!(!text.contains("heap-buffer-overflow"));
    assert_eq!(text.matches("Direct leak").count(), 1);
    assert_eq!(text.matches("ERROR: heapwarden: detected memory leaks").count(), 1);
}

#[test]
fn an_unreadable_suppressions_file_is_one_clear_line() {
    let (reporter, path) = reporter("unreadable", "suppressions=/none/such");
    assert_eq!(reporter.leak(&leak()), Outcome::Written);
    let text = taken(&path);
    let line = "cannot read suppressions='/none/such' (error 2); nothing is suppressed";
    assert_eq!(text.lines().filter(|shown| shown.ends_with(line)).count(), 1, "{text}");
}

#[test]
fn kinds_and_numbers_that_options_exclude_are_left_out() {
    let (reporter, path) = reporter("kinds", "show_leak_kinds=definite:max_leaks=2");
    let outcomes: Vec<_> =
        [LeakKind::Reachable, LeakKind::Definite, LeakKind::Definite, LeakKind::Definite]
            .map(|kind| reporter.leak(&crate::report::Leak { kind, ..leak() }))
            .into();
    let (left_out, written) = (Outcome::LeftOut, Outcome::Written);
    assert_eq!(outcomes, [left_out, written, written, left_out]);
    assert_eq!(taken(&path).matches("Direct leak").count(), 2);
}

#[test]
fn a_ready_suppression_is_printed_on_request_and_works() {
    let (first, path) = reporter("generate", "gen_suppressions=1");
    first.leak(&leak());
    let text = taken(&path);
    let rule =
        text.lines().find_map(|line| line.split("suppress the above with: ").nth(1)).unwrap();
    assert_eq!(rule, "leak:^copy_name$");
    let (second, _) = reporter("generated", "");
    second.add_suppressions(rule.to_string().leak().as_bytes());
    assert_eq!(second.leak(&leak()), Outcome::Suppressed);
}

#[test]
fn a_forked_child_writes_its_own_file() {
    let (reporter, path) = reporter("fork", "");
    reporter.notice(format_args!("parent"));
    reporter.before_fork();
    // SAFETY: the child only calls the reporter, which allocates nothing, and
    // ends at once.
    let child = unsafe { libc::fork() };
    // SAFETY: taken above by this thread, or by the parent of this only thread.
    unsafe { reporter.after_fork() };
    if child == 0 {
        reporter.notice(format_args!("child"));
        crate::platform::linux::process::exit_now(0);
    }
    // SAFETY: waits for our own child and stores nothing.
    unsafe { libc::waitpid(child, core::ptr::null_mut(), 0) };
    let own = path.display().to_string().replace(&process::id().to_string(), &child.to_string());
    assert_eq!(taken(&path), format!("=={}==heapwarden: parent\n", process::id()));
    assert_eq!(taken(&own.into()), format!("=={child}==heapwarden: child\n"));
}

/// bash lost its SIGTERM: the lock's guard put the mask back that it had found
/// after the reporter had put back the program's.
#[test]
fn the_programs_signals_are_let_in_again() {
    let (reporter, path) = reporter("signals", "format=json");
    let mask = || {
        let now = crate::platform::linux::process::block_signals();
        crate::platform::linux::process::restore_signals(now);
        now
    };
    let before = mask();
    assert_eq!(reporter.leak(&leak()), Outcome::Written);
    assert_eq!(mask(), before);
    fs::remove_file(path).unwrap();
}

/// Every stack begins in libc's strdup and goes on in the program.
struct Wrapped;

impl Names for Wrapped {
    fn at(&self, code: Code, visit: &mut dyn FnMut(&Frame<'_>)) {
        let function: &[u8] = if code.address & 0xfff == 0 { b"strdup" } else { b"caller" };
        visit(&Frame { function: Some(function), ..Frame::default() });
    }
    fn place(&self, code: Code, visit: &mut dyn FnMut(&Place<'_>)) {
        let is_wrapper = code.address & 0xfff == 0;
        let module: &[u8] = if is_wrapper { b"/lib/libc.so.6" } else { b"/usr/bin/app" };
        visit(&Place { module, ..Place::default() });
    }
}

#[test]
fn a_suggestion_passes_over_wrappers_of_libc() {
    let path = env::temp_dir().join(format!("heapwarden-wrapped-{}", process::id()));
    let mut options = Options::DEFAULT;
    let text = format!("log_path={}:gen_suppressions=1", path.display());
    let text = text.replace(&process::id().to_string(), "%p");
    config::apply(&mut options, text.as_bytes(), &mut |warning| panic!("{warning}"));
    let reporter = Reporter::new(&TestStacks, &Wrapped);
    reporter.configure(&options);
    reporter.leak(&leak());
    assert!(taken(&path).ends_with("suppress the above with: leak:^caller$\n"));
}
