//! Compiles scenarios: source to object, object to one program a link mode.
//!
//! Everything lands in `target/c_tests` under a name that carries the hash of
//! what it was made from (source, support headers, command line, and for linked
//! programs the stamp of the library), so an unchanged scenario costs nothing.

use crate::header::{Link, Program};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

/// Flags of every scenario: calls to malloc and free stay where they are written.
const COMMON_FLAGS: &[&str] = &[
    "-g",
    "-O1",
    "-pthread",
    "-fno-builtin",
    "-fno-optimize-sibling-calls",
    "-D_GNU_SOURCE",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Wno-unused-result",
    "-Wno-use-after-free",
    "-Wno-free-nonheap-object",
    "-Wno-alloc-size-larger-than",
];

/// Folder of this package.
pub fn manifest_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Folder of the built libraries.
pub fn library_dir() -> PathBuf {
    match std::env::var_os("HEAPWARDEN_LIB_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => manifest_dir().join("target/release"),
    }
}

/// The library for `LD_PRELOAD`, or the one line that says what is missing.
pub fn shared_library() -> Result<PathBuf, String> {
    present(library_dir().join("libheapwarden.so"))
}

/// The library for static links, or the one line that says what is missing.
pub fn static_library() -> Result<PathBuf, String> {
    present(library_dir().join("libheapwarden.a"))
}

fn present(path: PathBuf) -> Result<PathBuf, String> {
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("{} is missing: run make first", path.display()))
}

/// Where compiled scenarios and their scratch folders live.
pub fn output_dir() -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or(manifest_dir().join("target"), PathBuf::from);
        let dir = manifest_dir().join(target).join("c_tests");
        fs::create_dir_all(&dir).expect("target/c_tests can be made");
        dir
    })
    .clone()
}

/// A folder that holds the library under its SONAME, for programs linked to it.
pub fn soname_dir() -> Result<PathBuf, String> {
    let library = shared_library()?;
    let library = fs::canonicalize(&library).map_err(|e| e.to_string())?;
    let dir = output_dir().join(format!("lib-{:016x}", hash_of(&library)));
    fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
    for name in ["libheapwarden.so.1", "libheapwarden.so"] {
        // Another test of this run may have made the link already.
        let _ = std::os::unix::fs::symlink(&library, dir.join(name));
    }
    Ok(dir)
}

/// The compiler that the `cc` crate finds for this machine.
fn compiler(cxx: bool) -> Command {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut build = cc::Build::new();
    build.cpp(cxx).target(&target).host(&target).opt_level(1).cargo_metadata(false);
    let tool = build.try_get_compiler().ok();
    Command::new(tool.as_ref().map_or(Path::new(if cxx { "c++" } else { "cc" }), |t| t.path()))
}

/// Builds `program` for `link`; the error is the compiler's own message.
pub fn build(program: &Program, link: Link) -> Result<PathBuf, String> {
    let cxx = is_cxx(&program.path);
    let folder = output_dir().join(&program.group);
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let key = (contents(&program.path)?, support_stamp(), COMMON_FLAGS, &program.flags, cxx);
    let stem = format!("{}-{:016x}", program.name, hash_of(&key));

    let object = folder.join(format!("{stem}.o"));
    if !object.is_file() {
        let mut command = compiler(cxx);
        command
            .args(COMMON_FLAGS)
            .args(&program.flags)
            .arg("-I")
            .arg(manifest_dir().join("c_tests/support"));
        command.arg("-I").arg(manifest_dir().join("include")).arg("-c").arg(&program.path);
        finish(command, &object)?;
    }

    let stamp = match link {
        Link::Static | Link::FullStatic => stamp(&static_library()?),
        Link::Linked => stamp(&shared_library()?),
        Link::Preload | Link::None => 0,
    };
    let mode = if link == Link::None { Link::Preload.name() } else { link.name() };
    let executable = folder.join(format!("{stem}-{mode}-{stamp:x}"));
    if executable.is_file() {
        return Ok(executable);
    }
    let mut command = compiler(cxx);
    command.arg("-pthread").args(program.flags.iter().filter(|f| is_link_flag(f)));
    if link == Link::FullStatic {
        command.arg("-static");
    }
    command.arg(&object);
    match link {
        Link::Static | Link::FullStatic => {
            command.arg(static_library()?);
        }
        Link::Linked => {
            command.arg("-L").arg(soname_dir()?).arg("-lheapwarden");
        }
        Link::Preload | Link::None => {}
    }
    command.args(program.flags.iter().filter(|f| f.starts_with("-l")));
    command.args(["-lpthread", "-ldl", "-lm"]);
    finish(command, &executable)?;
    Ok(executable)
}

/// Builds the plugin `name` of `program` as a shared object.
pub fn build_plugins(program: &Program) -> Result<Vec<(String, PathBuf)>, String> {
    let mut built = Vec::new();
    for plugin in &program.plugins {
        let key = (contents(&plugin.source)?, support_stamp(), COMMON_FLAGS, &plugin.flags);
        let folder = output_dir().join(&program.group);
        fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let path =
            folder.join(format!("{}-{}-{:016x}.so", program.name, plugin.name, hash_of(&key)));
        if !path.is_file() {
            let mut command = compiler(is_cxx(&plugin.source));
            command.args(COMMON_FLAGS).args(["-shared", "-fPIC"]);
            command.arg("-I").arg(manifest_dir().join("c_tests/support")).arg(&plugin.source);
            command.args(&plugin.flags);
            finish(command, &path)?;
        }
        built.push((plugin.name.clone(), path));
    }
    Ok(built)
}

/// Runs a compiler into a private file and moves it to its place in one step,
/// so that a cancelled run never leaves half a program behind.
fn finish(mut command: Command, output: &Path) -> Result<(), String> {
    let partial = output.with_extension(format!("partial-{}", std::process::id()));
    command.arg("-o").arg(&partial);
    let result = command.output().map_err(|e| format!("no compiler: {e}"))?;
    if !result.status.success() {
        return Err(format!(
            "does not build\n{}",
            String::from_utf8_lossy(&result.stderr).trim_end()
        ));
    }
    fs::rename(&partial, output).map_err(|e| e.to_string())
}

fn is_cxx(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "cc")
}

fn is_link_flag(flag: &str) -> bool {
    flag.starts_with("-Wl,")
        || matches!(flag, "-rdynamic" | "-no-pie" | "-pie" | "-static-libstdc++" | "-static-libgcc")
}

fn contents(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// One number for all support headers.
fn support_stamp() -> u64 {
    static STAMP: OnceLock<u64> = OnceLock::new();
    *STAMP.get_or_init(|| {
        let folder = manifest_dir().join("c_tests/support");
        let mut files: Vec<PathBuf> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        files.sort();
        hash_of(&files.iter().map(|file| fs::read(file).unwrap_or_default()).collect::<Vec<_>>())
    })
}

/// Changes whenever the library was rebuilt.
fn stamp(path: &Path) -> u64 {
    let Ok(data) = fs::metadata(path) else { return 0 };
    let modified = data.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
    hash_of(&(path, data.len(), modified.map(|d| d.as_nanos())))
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
