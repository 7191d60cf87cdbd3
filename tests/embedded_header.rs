//! `include/heapwarden_arena.h` says what `src/arena` does: made from it by
//! cbindgen and compared. `HEAPWARDEN_UPDATE_HEADER=1` writes it anew.

use std::path::Path;

const TYPES: [(&str, &str); 16] = [
    ("ArenaViolation", "violation"),
    ("ArenaAnswer", "answer"),
    ("ArenaSite", "site"),
    ("ArenaBlock", "block"),
    ("ArenaEvent", "event"),
    ("ArenaConfig", "config"),
    ("ArenaCursor", "cursor"),
    ("ArenaLeakKind", "leak_kind"),
    ("ArenaRoot", "root"),
    ("ArenaLeak", "leak"),
    ("ArenaLeakCount", "leak_count"),
    ("ArenaLeakTotals", "leak_totals"),
    ("ArenaSiteTotal", "site_total"),
    ("ArenaStatistics", "statistics"),
    ("ArenaVisitor", "visitor"),
    ("ArenaPutc", "putc"),
];

fn generate() -> String {
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        cpp_compat: true,
        include_guard: Some("HEAPWARDEN_ARENA_H".into()),
        header: Some(
            "/* The fixed-arena heap for devices without an OS: docs/embedded.md.\n \
             * Made by cbindgen from src/arena; tests/embedded_header.rs keeps it so. */"
                .into(),
        ),
        no_includes: true,
        sys_includes: vec!["stdbool.h".into(), "stddef.h".into(), "stdint.h".into()],
        trailer: Some("#include \"heapwarden_arena_macros.h\"".into()),
        usize_is_size_t: false,
        style: cbindgen::Style::Type,
        documentation_style: cbindgen::DocumentationStyle::C,
        ..Default::default()
    };
    config.enumeration.rename_variants = cbindgen::RenameRule::QualifiedScreamingSnakeCase;
    config.export.include.push("ArenaSite".into());
    for (name, c_name) in TYPES {
        config.export.rename.insert(name.into(), format!("heapwarden_arena_{c_name}_t"));
    }
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in ["event", "region", "lost", "owners", "report", "c"] {
        builder = builder.with_src(format!("src/arena/{file}.rs"));
    }
    let mut text = Vec::new();
    builder.generate().expect("cbindgen reads src/arena").write(&mut text);
    // The type's `_t` is no part of its constants' names.
    String::from_utf8(text).expect("UTF-8").replace("_T_", "_")
}

#[test]
fn the_header_says_what_the_source_says() {
    let path = Path::new("include/heapwarden_arena.h");
    let fresh = generate();
    if std::env::var_os("HEAPWARDEN_UPDATE_HEADER").is_some() {
        std::fs::write(path, &fresh).expect("the header can be written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == fresh, "stale header: run with HEAPWARDEN_UPDATE_HEADER=1");
}
