use super::*;
use std::string::String;
use std::vec::Vec;

const STACK: [Site<'static>; 3] = [
    Site { function: b"parse_name", file: b"/src/parser.c", module: b"/usr/bin/app" },
    Site { function: b"std::vector<int>::grow", file: b"", module: b"/usr/lib/libstdc++.so.6" },
    Site { function: b"main", file: b"/src/main.c", module: b"/usr/bin/app" },
];

fn suppressed(text: &'static str, finding: Finding) -> bool {
    let mut rules = Suppressions::new();
    rules.add(text.as_bytes(), |line| panic!("no rule: {}", line.escape_ascii()));
    rules.matches(finding, Count { blocks: 1, bytes: 8 }, |each| STACK.iter().for_each(each))
}

const LEAK: Finding = Finding::Leak(LeakKind::Definite);

#[test]
fn patterns_match_function_file_and_module_as_leak_sanitizer_does() {
    for (rule, expected) in [
        ("leak:parse", true),
        ("leak:^parse", true),
        ("leak:^arse", false),
        ("leak:parse_name$", true),
        ("leak:parse$", false),
        ("leak:^main$", true),
        ("leak:p*e_*e", true),
        ("leak:^p*x$", false),
        ("leak:parser.c", true),
        ("leak:libstdc++.so", true),
        ("leak:vector<int>", true),
        ("leak:*", true),
        ("leak:nothing_like_it", false),
        ("# leak:parse\nleak:zzz\n\n  leak:main  \n", true),
        ("error:parse", false),
        ("hidden:parse", false),
    ] {
        assert_eq!(suppressed(rule, LEAK), expected, "{rule}");
    }
    assert!(suppressed("error:parse", Finding::Error));
    assert!(suppressed("hidden:^main$", Finding::Hidden));
    assert!(!suppressed("leak:parse", Finding::Error));
}

#[test]
fn valgrind_blocks_match_frames_in_order() {
    for (body, expected) in [
        ("Memcheck:Leak\nfun:malloc\nfun:parse_name", true),
        ("Memcheck:Leak\nfun:parse_name\nobj:*/libstdc++.so.*\nfun:main", true),
        ("Memcheck:Leak\n...\nfun:main", true),
        ("Memcheck:Leak\nfun:main", false),
        ("Memcheck:Leak\nfun:parse_name\nfun:main", false),
        ("Memcheck:Leak\nfun:parse_name\n...\nsrc:main.c:12", true),
        ("Memcheck:Leak\nmatch-leak-kinds: possible\nfun:parse_name", false),
        ("Memcheck:Leak\nmatch-leak-kinds: definite, possible\nfun:par?e_*", true),
        ("Memcheck:Cond\nfun:parse_name", false),
        ("Memcheck:Leak\n...\nfun:main\n...\nfun:_start", false),
    ] {
        let text = std::format!("{{\n   a_name\n{body}\n}}\n").leak();
        assert_eq!(suppressed(text, LEAK), expected, "{body}");
    }
}

#[test]
fn matches_are_counted_by_rule() {
    let mut rules = Suppressions::new();
    rules.add(b"leak:zzz\nleak:main\n{\nblock\nMemcheck:Leak\nfun:x\n}", |_| panic!());
    rules.add(b"leak:parse", |_| panic!());
    for _ in 0..3 {
        let size = Count { blocks: 2, bytes: 10 };
        assert!(rules.matches(LEAK, size, |each| STACK.iter().for_each(each)));
    }
    let mut seen = Vec::new();
    rules.for_each_matched(|name, count| {
        seen.push((String::from_utf8_lossy(name).into_owned(), count.blocks, count.bytes));
    });
    assert_eq!(seen, [("main".into(), 6, 30)]);
}

#[test]
fn what_is_no_rule_is_named_and_the_rest_still_works() {
    let (mut rules, mut bad) = (Suppressions::new(), Vec::new());
    let text = b"nonsense\nleak:\nrace:foo\nleak:main\n{\nopen\nMemcheck:Leak\n";
    rules.add(text, |line| bad.push(String::from_utf8_lossy(line).into_owned()));
    assert_eq!(bad, ["nonsense", "leak:", "race", "open"]);
    let one = Count { blocks: 1, bytes: 1 };
    assert!(rules.matches(LEAK, one, |each| STACK.iter().for_each(each)));
}

#[test]
fn many_stars_do_not_take_for_ever() {
    let pattern = [b'*', b'a'].repeat(200);
    let text = [b'a'; 4000];
    assert!(!matches_template(&[&pattern[..], b"b"].concat(), &text));
}
