//! Brings the other allocators in, and knows how each is put under a program.
//!
//! Everything comes from package registries by their ordinary clients: crates
//! through `cargo vendor` of a throw-away manifest, Debian packages through
//! `apt-get download`, unpacked beside it and not installed. What cannot be had
//! on this machine is skipped with one line that says why.
//!
//! Invariant: a library under `target/peers/lib` is complete (it is built under
//! another name and renamed), so a second run only looks whether it is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// One column of the table: an allocator, or one setting of it.
#[derive(Clone, Debug)]
pub struct Allocator {
    pub name: &'static str,
    /// Libraries for `LD_PRELOAD`; none is the program's own malloc, glibc's.
    pub preload: Vec<PathBuf>,
    pub environment: Vec<(&'static str, String)>,
    /// Command put before the program's (Valgrind).
    pub wrapper: Vec<String>,
}

impl Allocator {
    /// The value of `LD_PRELOAD`; empty when nothing is preloaded.
    #[must_use]
    pub fn preload_list(&self) -> String {
        let paths: Vec<String> =
            self.preload.iter().map(|path| path.display().to_string()).collect();
        paths.join(":")
    }
}

/// A peer, and how its library is had.
struct Peer {
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
    wrapper: &'static [&'static str],
    /// Whether it is measured when `--allocators` does not name it.
    by_default: bool,
    /// One of our own libraries to preload after it.
    companion: Option<&'static str>,
    source: Source,
}

enum Source {
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
const CRATES: &str = r#"
libmimalloc-sys = "=0.1.49"
snmalloc-sys = "=0.7.6"
scudo-sys = "=0.2.2"
"#;

const MIMALLOC: &str = "-O3 -DNDEBUG -fPIC -shared -ftls-model=initial-exec -fno-builtin-malloc \
    -fvisibility=hidden -DMI_SHARED_LIB -DMI_SHARED_LIB_EXPORT -DMI_MALLOC_OVERRIDE=1 \
    -I c_src/mimalloc/v3/include c_src/mimalloc/v3/src/static.c -lpthread";
const SNMALLOC: &str = "-std=c++20 -O3 -DNDEBUG -DSNMALLOC_USE_WAIT_ON_ADDRESS=1 -fPIC -shared -mcx16 \
    -ftls-model=initial-exec -fvisibility=hidden -I upstream/src \
    upstream/src/snmalloc/override/malloc.cc upstream/src/snmalloc/override/new.cc -latomic";
const SCUDO_19: &str =
    "usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.scudo_standalone-x86_64.so";
const HEAPTRACK: &str = "/usr/lib/heaptrack/libheaptrack_preload.so";

const PEERS: &[Peer] = &[
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
const SETTINGS: &[(&str, &str, bool)] = &[
    ("heapwarden", "exitcode=0:detect_leaks=0", true),
    ("heapwarden-leakcheck", "exitcode=0", true),
    ("heapwarden-nostack", "exitcode=0:detect_leaks=0:stack_depth=0", true),
    ("heapwarden-off", "exitcode=0:detect_leaks=0:stack_depth=0:poison=none:quarantine_mb=0", true),
];

/// The columns asked for, in the order of the tables above; builds or fetches
/// what is not there yet. An empty `wanted` means the usual ones.
///
/// # Errors
/// When a name is unknown, or heapwarden's own library is asked for and missing.
pub fn allocators(target: &Path, heapwarden: &Path, wanted: &[String]) -> Result<Vec<Allocator>> {
    let known =
        || PEERS.iter().map(|peer| peer.name).chain(SETTINGS.iter().map(|setting| setting.0));
    if let Some(stranger) = wanted.iter().find(|name| !known().any(|known| known == name.as_str()))
    {
        bail!("no allocator {stranger:?}; known: {}", known().collect::<Vec<_>>().join(" "));
    }
    let asked = |name: &str, by_default: bool| match wanted {
        [] => by_default,
        names => names.iter().any(|wanted| wanted == name),
    };
    let shed = Shed::open(target)?;
    let mut columns = Vec::new();
    for peer in
        PEERS.iter().filter(|peer| asked(peer.name, peer.by_default) || peer.name == "glibc")
    {
        match shed.column(peer) {
            Ok(column) => columns.push(column),
            Err(reason) => eprintln!("skipped {}: {reason:#}", peer.name),
        }
        if peer.name == "glibc" {
            for (name, options, _) in
                SETTINGS.iter().filter(|(name, _, by_default)| asked(name, *by_default))
            {
                ensure!(
                    heapwarden.is_file(),
                    "{} is not there: run make first",
                    heapwarden.display()
                );
                columns.push(Allocator {
                    name,
                    preload: vec![heapwarden.to_owned()],
                    environment: vec![("HEAPWARDEN_OPTIONS", (*options).to_owned())],
                    wrapper: Vec::new(),
                });
            }
        }
    }
    Ok(columns)
}

/// Fetches and builds every peer, whether measured by default or not.
///
/// # Errors
/// When `target` cannot be written.
pub fn bring_in_all(target: &Path) -> Result<()> {
    let shed = Shed::open(target)?;
    for peer in PEERS {
        match shed.column(peer) {
            Ok(column) => println!("{:16} {}", peer.name, column.preload_list()),
            Err(reason) => println!("{:16} skipped: {reason:#}", peer.name),
        }
    }
    Ok(())
}

/// `target/peers`, where the peers are fetched to and built.
struct Shed {
    root: PathBuf,
}

impl Shed {
    fn open(target: &Path) -> Result<Shed> {
        let root = target.join("peers");
        fs::create_dir_all(root.join("lib"))
            .with_context(|| format!("cannot make {}", root.display()))?;
        Ok(Shed { root })
    }

    fn column(&self, peer: &Peer) -> Result<Allocator> {
        let library = match &peer.source {
            Source::Program => None,
            Source::Crate { folder, library, recipe } => {
                Some(self.build_crate(folder, library, recipe)?)
            }
            Source::Debian { package, file } => Some(self.unpack(package, file)?),
            Source::Own { file } => Some(self.build_own(file)?),
            Source::Installed { file, package } => {
                if !Path::new(file).exists() {
                    install(package)?;
                }
                Some(PathBuf::from(file))
            }
        };
        if let Some(program) = peer.wrapper.first().filter(|program| !on_path(program)) {
            install(program)?;
        }
        let mut preload: Vec<PathBuf> = library.into_iter().collect();
        if let Some(file) = peer.companion {
            preload.push(self.build_own(file)?);
        }
        Ok(Allocator {
            name: peer.name,
            preload,
            environment: peer
                .environment
                .iter()
                .map(|(key, value)| (*key, (*value).to_owned()))
                .collect(),
            wrapper: peer.wrapper.iter().map(|word| (*word).to_owned()).collect(),
        })
    }

    fn vendored(&self) -> Result<PathBuf> {
        let manifest = self.root.join("crates");
        let vendor = manifest.join("vendor");
        if vendor.is_dir() {
            return Ok(vendor);
        }
        fs::create_dir_all(&manifest)?;
        fs::write(manifest.join("lib.rs"), "")?;
        fs::write(
            manifest.join("Cargo.toml"),
            format!(
                "[package]\nname = \"peers\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
                 [lib]\npath = \"lib.rs\"\n[workspace]\n[dependencies]{CRATES}"
            ),
        )?;
        let fresh = manifest.join("vendor.part");
        let _ = fs::remove_dir_all(&fresh);
        run(Command::new("cargo").args(["vendor", "-q", "vendor.part"]).current_dir(&manifest))
            .context("cargo vendor")?;
        fs::rename(fresh, &vendor)?;
        Ok(vendor)
    }

    fn build_crate(&self, folder: &str, library: &str, recipe: &[&str]) -> Result<PathBuf> {
        let done = self.root.join("lib").join(library);
        if done.is_file() {
            return Ok(done);
        }
        let source = self.vendored()?.join(folder);
        eprintln!("building {library}");
        let part = self.root.join("lib").join(format!("{library}.part"));
        run(Command::new(recipe[0])
            .args(recipe[1..].iter().flat_map(|words| words.split_whitespace()))
            .arg("-o")
            .arg(&part)
            .current_dir(source))?;
        fs::rename(part, &done)?;
        Ok(done)
    }

    fn build_own(&self, file: &str) -> Result<PathBuf> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(file);
        let done = self.root.join("lib").join(Path::new(file).with_extension("so"));
        run(Command::new("gcc")
            .args(["-O2", "-fno-builtin", "-fPIC", "-ftls-model=initial-exec", "-shared", "-o"])
            .arg(&done)
            .arg(source))?;
        Ok(done)
    }

    fn unpack(&self, package: &str, file: &str) -> Result<PathBuf> {
        let folder = self.root.join("debian").join(package);
        let done = folder.join(file);
        if done.exists() {
            return Ok(done);
        }
        fs::create_dir_all(&folder)?;
        let download =
            || run(Command::new("apt-get").args(["download", "-q", package]).current_dir(&folder));
        if download().is_err() {
            run(Command::new("apt-get").args(["update", "-q"]))?;
            download()?;
        }
        let package_file = fs::read_dir(&folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .context("apt-get download left no package")?;
        run(Command::new("dpkg-deb").arg("-x").arg(&package_file).arg(&folder))?;
        fs::remove_file(package_file)?;
        ensure!(done.exists(), "package {package} has no {file}");
        Ok(done)
    }
}

/// Installs a Debian package, quietly.
fn install(package: &str) -> Result<()> {
    let apt_get = |arguments: &[&str]| {
        run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt_get(&["install", "-q", "-y", "--no-install-recommends", package]).or_else(|_| {
        apt_get(&["update", "-q"])
            .and_then(|()| apt_get(&["install", "-q", "-y", "--no-install-recommends", package]))
    })
}

/// Whether a program of this name can be started.
#[must_use]
pub fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

/// Runs a command to its end; its last words are the error.
pub fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let mut last: Vec<&str> =
        words.lines().filter(|line| !line.trim().is_empty()).rev().take(3).collect();
    last.reverse();
    bail!("{name}: {}: {}", output.status, last.join(" | "));
}
