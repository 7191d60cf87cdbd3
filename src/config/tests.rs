use super::*;
use crate::units::LeakKind;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, fs, println};

fn parsed(text: &str) -> (Options, Vec<String>) {
    let (mut options, mut warnings) = (Options::DEFAULT, Vec::new());
    apply(&mut options, text.as_bytes(), &mut |warning| warnings.push(warning.to_string()));
    (options, warnings)
}

fn shown(row: &Row, options: &mut Options) -> String {
    let mut text = String::new();
    row.write_value(options, &mut text).unwrap();
    text
}

/// For each kind: values with what they read back as, and values refused.
fn samples(kind: &Kind) -> (Vec<(String, String)>, Vec<&'static str>) {
    let same = |values: &[&str]| values.iter().map(|v| (v.to_string(), v.to_string())).collect();
    match kind {
        Kind::Switch(_) => (
            [("0", "0"), ("1", "1"), ("false", "0"), ("true", "1"), ("no", "0"), ("yes", "1")]
                .map(|(a, b)| (a.to_string(), b.to_string()))
                .to_vec(),
            ["", "2", "-1", "maybe", "TRUE ", "on"].to_vec(),
        ),
        Kind::Number(_, lowest, highest) => (
            same(&[&lowest.to_string(), &highest.to_string()]),
            if *highest == u64::MAX {
                ["", "-1", "x", "1.5", "18446744073709551616", "1kk"].to_vec()
            } else {
                ["", "-1", "x", "1.5", "99999", "1g"].to_vec()
            },
        ),
        Kind::NumberOrAuto(..) => {
            (same(&["auto", "0", "64"]), ["", "-1", "none", "Auto", "1000000000"].to_vec())
        }
        Kind::Signal(_) => (
            [("USR2", "12"), ("SIGUSR1", "10"), ("RTMIN+3", "37"), ("none", "none"), ("40", "40")]
                .map(|(a, b)| (a.to_string(), b.to_string()))
                .to_vec(),
            ["", "KILL", "9", "19", "65", "RTMIN+31", "SIGNOPE", "1k"].to_vec(),
        ),
        Kind::Mask(_) => (
            [
                ("0", "0x0"),
                ("0xffffffffffff", "0xffffffffffff"),
                ("0Xfff8", "0xfff8"),
                ("10", "0xa"),
            ]
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .to_vec(),
            ["", "0x", "0xg", "0x10000000000000000", "-1", "ff"].to_vec(),
        ),
        Kind::Kinds(_) => (
            [
                ("all", "definite,indirect,possible,reachable,hidden"),
                ("none", "none"),
                ("hidden", "hidden"),
                ("possible,definite", "definite,possible"),
            ]
            .map(|(a, b)| (a.to_string(), b.to_string()))
            .to_vec(),
            ["", "definit", "definite,", "definite;hidden"].to_vec(),
        ),
        Kind::Format(_) => (same(&["text", "json"]), ["", "xml", "JSON"].to_vec()),
        Kind::Poison(_) => (same(&["tiered", "full", "none"]), ["", "half", "0"].to_vec()),
        Kind::Path(_) | Kind::Name(_) => (same(&["/tmp/x", "a-b.c"]), Vec::new()),
    }
}

#[test]
fn every_option_takes_its_good_values_and_refuses_bad_ones() {
    let mut tried = (0, 0);
    for row in TABLE {
        let (good, bad) = samples(&row.kind);
        tried = (tried.0 + good.len(), tried.1 + bad.len());
        for (value, reads_back) in good {
            let (mut options, warnings) = parsed(&format!("{}={value}", row.name));
            assert_eq!(warnings, Vec::<String>::new(), "{}={value}", row.name);
            assert_eq!(shown(row, &mut options), reads_back, "{}={value}", row.name);
        }
        for value in bad {
            let (mut options, warnings) = parsed(&format!("{}='{value}'", row.name));
            assert_eq!(warnings.len(), 1, "{}={value}: {warnings:?}", row.name);
            assert!(warnings[0].contains(row.name) && warnings[0].contains("it takes"));
            let mut builtin = Options::DEFAULT;
            assert_eq!(shown(row, &mut options), shown(row, &mut builtin), "{} moved", row.name);
        }
    }
    #[cfg(feature = "harness")]
    crate::harness::told(
        &format!("{} options", TABLE.len()),
        &format!("{} good values, {} bad ones", tried.0, tried.1),
    );
}

#[test]
fn names_are_unique_and_every_field_has_a_row() {
    let mut names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
    let fields = include_str!("options.rs")
        .lines()
        .skip_while(|line| !line.starts_with("pub struct Options"))
        .take_while(|line| *line != "}")
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": ").map(|(name, _)| name))
        .collect::<Vec<_>>();
    assert_eq!(names, fields);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), TABLE.len());
}

#[test]
fn a_misspelt_key_names_the_nearest_one() {
    for (key, meant) in [
        ("exit_code", "exitcode"),
        ("detect_leak", "detect_leaks"),
        ("quarantine", "quarantine_mb"),
    ] {
        let (_, warnings) = parsed(&format!("{key}=1"));
        assert_eq!(warnings, [format!("unknown option '{key}'; did you mean '{meant}'?")]);
    }
    let (_, warnings) = parsed("zzzzzzzzzzzz=1");
    assert_eq!(warnings, ["unknown option 'zzzzzzzzzzzz'; help=1 lists all"]);
}

#[test]
fn quotes_hold_colons_and_spaces_and_must_close() {
    let (options, warnings) = parsed("log_path=\"/tmp/a b:c\":suppressions='x:y' exitcode=7");
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(options.log_path.as_bytes(), b"/tmp/a b:c");
    assert_eq!(options.suppressions.as_bytes(), b"x:y");
    assert_eq!(options.exitcode, 7);
    let (options, warnings) = parsed("exitcode=7:log_path=\"/tmp");
    assert_eq!(options.exitcode, 7);
    assert_eq!(warnings, ["no closing quote in 'log_path=\\\"/tmp'"]);
}

#[test]
fn nonsense_is_survived_with_one_warning_a_word() {
    let (_, warnings) = parsed(":::=:detect_leaks::quiet=:\u{1}\u{ff}=\u{7f}:");
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert!(warnings.iter().all(|line| line.is_ascii() || line.contains('…')));
    let long = "x".repeat(5000);
    let (options, warnings) = parsed(&format!("log_path={long}:{long}"));
    assert!(options.log_path.is_empty());
    assert!(warnings.len() == 2 && warnings.iter().all(|line| line.len() < 200), "{warnings:?}");
}

#[test]
fn later_sources_win_and_files_stand_between_program_and_environment() {
    let path = std::env::temp_dir().join(format!("heapwarden-options-{}", std::process::id()));
    fs::write(&path, "# a comment: not=an_option\nexitcode=2\nstack_depth=2\n").unwrap();
    let environment = format!("stack_depth=3:include={}:include=/none/x", path.display());
    let mut options = Options::DEFAULT;
    let mut warnings = Vec::new();
    let sources = Sources {
        program: b"exitcode=1:stack_depth=1:poison=full",
        environment: environment.as_bytes(),
        secure: false,
    };
    load(&mut options, sources, &mut |warning| warnings.push(warning.to_string()));
    assert_eq!((options.exitcode, options.stack_depth, options.poison), (2, 3, Poison::Full));
    assert_eq!(warnings, ["cannot read the options of include='/none/x' (error 2)"]);

    let mut options = Options::DEFAULT;
    load(&mut options, Sources { secure: true, ..sources }, &mut |_| panic!("nothing to warn of"));
    assert_eq!((options.exitcode, options.stack_depth), (1, 1), "secure ignores the rest");
    fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_includes_itself_ends() {
    let path = std::env::temp_dir().join(format!("heapwarden-loop-{}", std::process::id()));
    let text = format!("include={}:exitcode=9", path.display());
    fs::write(&path, &text).unwrap();
    let (mut options, mut warnings) = (Options::DEFAULT, 0);
    let sources = Sources { environment: text.as_bytes(), ..Sources::default() };
    load(&mut options, sources, &mut |_| warnings += 1);
    assert_eq!((options.exitcode, warnings), (9, 1));
    fs::remove_file(path).unwrap();
}

#[test]
fn help_lists_every_option_with_default_and_value() {
    let mut text = String::new();
    write_help(&parsed("exitcode=5").0, &mut text).unwrap();
    println!("{text}");
    assert!(TABLE.iter().all(|row| text.contains(&format!("\n  {}=", row.name))));
    assert!(text.contains("exitcode=5  (default 23)"));
}

#[test]
fn the_kernel_knows_the_environment_this_process_started_with() {
    let mut buffer = [0; 8192];
    let path = std::env::var_os("PATH").unwrap();
    assert_eq!(from_kernel(b"PATH", &mut buffer).unwrap(), path.as_encoded_bytes());
    assert_eq!(from_kernel(b"PAT", &mut buffer), None);
    assert_eq!(from_kernel(b"PATH", &mut [0; 1]), None, "too long for the buffer");
}

#[test]
fn a_vector_of_strings_is_searched_by_whole_names() {
    let vector = [c"AB=1".as_ptr().cast(), c"A=2".as_ptr().cast(), core::ptr::null()];
    // SAFETY: static zero-terminated strings and a null pointer at the end.
    unsafe {
        assert_eq!(from_vector(vector.as_ptr(), b"A"), Some(&b"2"[..]));
        assert_eq!(from_vector(vector.as_ptr(), b"B"), None);
        assert_eq!(from_vector(core::ptr::null(), b"B"), None);
    }
}

#[test]
fn kinds_combine() {
    let (options, _) = parsed("show_leak_kinds=definite,hidden");
    assert!(options.show_leak_kinds.contains(LeakKind::Hidden));
    assert!(!options.show_leak_kinds.contains(LeakKind::Possible));
}
