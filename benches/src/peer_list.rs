//! The other allocators: where each comes from, how it is built and started.
//!
//! Invariant: versions are exact, so that figures of different days can be
//! compared.

/// A peer, and how its library is had.
pub struct Peer {
    pub name: &'static str,
    pub environment: &'static [(&'static str, &'static str)],
    pub wrapper: &'static [&'static str],
    /// Whether it is measured when `--allocators` does not name it.
    pub by_default: bool,
    /// One of our own libraries to preload after it.
    pub companion: Option<&'static str>,
    pub source: Source,
}

pub enum Source {
    /// glibc's own malloc: nothing to preload.
    Program,
    /// Built by `recipe` from a vendored crate's folder; compiler and arguments.
    Crate { folder: &'static str, library: &'static str, recipe: &'static [&'static str] },
    /// Unpacked from a Debian package.
    Debian { package: &'static str, file: &'static str },
    /// Built from our own `benches/peers`.
    Own { file: &'static str },
    /// On the machine already, or else a package that must be installed.
    Installed { file: &'static str, package: &'static str },
}

/// Exact versions, so that figures of different days can be compared.
pub const CRATES: &str = r#"
libmimalloc-sys = "=0.1.49"
snmalloc-sys = "=0.7.6"
scudo-sys = "=0.2.2"
hardened-malloc-sys = "=16.0.2026071503"
"#;

const MIMALLOC: &str = "-O3 -DNDEBUG -fPIC -shared -ftls-model=initial-exec -fno-builtin-malloc \
    -fvisibility=hidden -DMI_SHARED_LIB -DMI_SHARED_LIB_EXPORT -DMI_MALLOC_OVERRIDE=1 \
    -I c_src/mimalloc/v3/include c_src/mimalloc/v3/src/static.c -lpthread";
const SNMALLOC: &str = "-std=c++20 -O3 -DNDEBUG -DSNMALLOC_USE_WAIT_ON_ADDRESS=1 -fPIC -shared -mcx16 \
    -ftls-model=initial-exec -fvisibility=hidden -I upstream/src \
    upstream/src/snmalloc/override/malloc.cc upstream/src/snmalloc/override/new.cc -latomic";
/// gcc 12 lacks C23's keywords, which three headers and a macro supply.
const HARDENED: &str = "-std=c2x -include stdalign.h -include stdbool.h -include assert.h \
    -Dthread_local=_Thread_local -D_GNU_SOURCE -O3 -DNDEBUG -fPIC -shared \
    -ftls-model=initial-exec -fvisibility=hidden -DCONFIG_SEAL_METADATA=false \
    -DZERO_ON_FREE=true -DSLAB_CANARY=true -DCONFIG_EXTENDED_SIZE_CLASSES=true \
    -DCONFIG_LARGE_SIZE_CLASSES=true -DGUARD_SIZE_DIVISOR=2 \
    -DREGION_QUARANTINE_RANDOM_LENGTH=256 -DREGION_QUARANTINE_QUEUE_LENGTH=1024 \
    -DREGION_QUARANTINE_SKIP_THRESHOLD=33554432 -DFREE_SLABS_QUARANTINE_RANDOM_LENGTH=32 \
    -DCONFIG_CLASS_REGION_SIZE=34359738368 -DN_ARENA=4 -DCONFIG_STATS=false \
    -DCONFIG_SELF_INIT=true -I vendor/hardened-malloc -I vendor/hardened-malloc/include \
    vendor/hardened-malloc/chacha.c vendor/hardened-malloc/h_malloc.c \
    vendor/hardened-malloc/memory.c vendor/hardened-malloc/pages.c \
    vendor/hardened-malloc/random.c vendor/hardened-malloc/util.c -lpthread";
/// The two settings that the project brings (`config/light.mk`, `default.mk`).
const HARDENED_LIGHT: &str = "-DWRITE_AFTER_FREE_CHECK=false -DSLOT_RANDOMIZE=false \
    -DSLAB_QUARANTINE_RANDOM_LENGTH=0 -DSLAB_QUARANTINE_QUEUE_LENGTH=0 \
    -DGUARD_SLABS_INTERVAL=8";
const HARDENED_FULL: &str = "-DWRITE_AFTER_FREE_CHECK=true -DSLOT_RANDOMIZE=true \
    -DSLAB_QUARANTINE_RANDOM_LENGTH=1 -DSLAB_QUARANTINE_QUEUE_LENGTH=1 \
    -DGUARD_SLABS_INTERVAL=1";
const SCUDO_19: &str =
    "usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.scudo_standalone-x86_64.so";
const HEAPTRACK: &str = "/usr/lib/heaptrack/libheaptrack_preload.so";

pub const PEERS: &[Peer] = &[
    Peer::plain("glibc", Source::Program),
    Peer::plain(
        "mi3",
        Source::Crate {
            folder: "libmimalloc-sys",
            library: "libmimalloc3.so",
            recipe: &["gcc", MIMALLOC],
        },
    ),
    Peer::plain(
        "mi3-secure",
        Source::Crate {
            folder: "libmimalloc-sys",
            library: "libmimalloc3-secure.so",
            recipe: &["gcc", "-DMI_SECURE=4", MIMALLOC],
        },
    ),
    Peer::plain(
        "hardened-light",
        Source::Crate {
            folder: "hardened-malloc-sys",
            library: "libhardened_malloc-light.so",
            recipe: &["gcc", HARDENED_LIGHT, HARDENED],
        },
    ),
    Peer {
        by_default: false,
        ..Peer::plain(
            "hardened",
            Source::Crate {
                folder: "hardened-malloc-sys",
                library: "libhardened_malloc.so",
                recipe: &["gcc", HARDENED_FULL, HARDENED],
            },
        )
    },
    Peer::plain("scudo", Source::Debian { package: "libclang-rt-19-dev", file: SCUDO_19 }),
    Peer::plain(
        "jemalloc",
        Source::Debian {
            package: "libjemalloc2",
            file: "usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
        },
    ),
    Peer::plain(
        "tcmalloc",
        Source::Debian {
            package: "libtcmalloc-minimal4",
            file: "usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4",
        },
    ),
    Peer::plain(
        "snmalloc",
        Source::Crate {
            folder: "snmalloc-sys",
            library: "libsnmalloc.so",
            recipe: &["g++", SNMALLOC],
        },
    ),
    // Unwinds by frame pointers, so in code built without them it keeps one or
    // two frames a block: a kind figure for LeakSanitizer.
    Peer {
        environment: &[("LSAN_OPTIONS", "detect_leaks=0")],
        companion: Some("first_malloc.c"),
        ..Peer::plain(
            "lsan",
            Source::Debian { package: "liblsan0", file: "usr/lib/x86_64-linux-gnu/liblsan.so.0" },
        )
    },
    // Unwinds by CFI, as heapwarden does.
    Peer {
        environment: &[("LSAN_OPTIONS", "detect_leaks=0:fast_unwind_on_malloc=0")],
        companion: Some("first_malloc.c"),
        by_default: false,
        ..Peer::plain(
            "lsan-cfi",
            Source::Debian { package: "liblsan0", file: "usr/lib/x86_64-linux-gnu/liblsan.so.0" },
        )
    },
    Peer {
        by_default: false,
        ..Peer::plain(
            "snmalloc-checks",
            Source::Crate {
                folder: "snmalloc-sys",
                library: "libsnmalloc-checks.so",
                recipe: &["g++", "-DSNMALLOC_CHECK_CLIENT", SNMALLOC],
            },
        )
    },
    // The recording half alone: what its helper process costs is left out.
    Peer {
        environment: &[("DUMP_HEAPTRACK_OUTPUT", "/dev/null")],
        by_default: false,
        ..Peer::plain("heaptrack", Source::Installed { file: HEAPTRACK, package: "heaptrack" })
    },
    Peer {
        wrapper: &["valgrind", "-q", "--leak-check=full", "--log-file=/dev/null"],
        by_default: false,
        ..Peer::plain("valgrind", Source::Program)
    },
    // Only a yardstick for --instructions.
    Peer { by_default: false, ..Peer::plain("bump", Source::Own { file: "bump.c" }) },
];

impl Peer {
    const fn plain(name: &'static str, source: Source) -> Peer {
        Peer { name, environment: &[], wrapper: &[], by_default: true, companion: None, source }
    }
}

/// Settings of heapwarden that are columns of their own: name, options, by default.
pub const SETTINGS: &[(&str, &str, bool)] = &[
    ("heapwarden", "exitcode=0:detect_leaks=0", true),
    ("heapwarden-leakcheck", "exitcode=0", true),
    ("heapwarden-nostack", "exitcode=0:detect_leaks=0:stack_depth=0", true),
    ("heapwarden-off", "exitcode=0:detect_leaks=0:stack_depth=0:poison=none:quarantine_mb=0", true),
];
