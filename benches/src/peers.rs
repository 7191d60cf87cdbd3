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

use crate::peer_list::{CRATES, PEERS, Peer, SETTINGS, Source};

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
        let wanted = format!(
            "[package]\nname = \"peers\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [lib]\npath = \"lib.rs\"\n[workspace]\n[dependencies]{CRATES}"
        );
        let list = manifest.join("Cargo.toml");
        if vendor.is_dir() {
            if fs::read_to_string(&list).is_ok_and(|had| had == wanted) {
                return Ok(vendor);
            }
            fs::remove_dir_all(&vendor)?;
        }
        fs::create_dir_all(&manifest)?;
        fs::write(manifest.join("lib.rs"), "")?;
        fs::write(list, wanted)?;
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
