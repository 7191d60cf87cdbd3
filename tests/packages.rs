//! What `make install` and `make deb` give, used as a user would: installed
//! below a directory of its own, compiled against, run, and taken away again.
//!
//! Needs `make` first (`HEAPWARDEN_LIB_DIR`).

#[path = "common/built.rs"]
mod built;

use built::built;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of everything that `make` built.
fn build_folder() -> PathBuf {
    built("heapwarden").parent().unwrap().to_owned()
}

/// A directory that is gone when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = format!(
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output, said)
}

fn succeed(command: &mut Command) -> String {
    let (output, said) = run(command);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Compiles the first example and expects its leak to be named.
fn finds_the_leak(scratch: &Scratch, command: &mut Command, compiled: &[String]) {
    let program = scratch.path("leaking");
    let source = root().join("examples/1_lost_address.c");
    succeed(
        Command::new("cc")
            .args(["-g", "-O0", "-fno-builtin", "-o", &program])
            .arg(source)
            .args(compiled),
    );
    let (output, said) = run(command.arg(&program));
    assert_eq!(output.status.code(), Some(23), "{said}");
    assert!(said.contains("1_lost_address.c:10"), "{said}");
}

#[test]
fn the_debian_package_installs_finds_a_leak_and_goes_without_a_trace() {
    if !Path::new("/usr/bin/dpkg-deb").exists() {
        eprintln!("SKIPPED: dpkg is not installed");
        return;
    }
    let scratch = Scratch::new("deb");
    let (output, system) = (scratch.path("output"), scratch.path("system"));
    let package = succeed(
        Command::new("sh")
            .arg(root().join("scripts/deb.sh"))
            .arg(build_folder())
            .args([&version(), &output]),
    );
    // A system with nothing but dpkg's own books.
    for directory in ["info", "updates", "triggers"] {
        fs::create_dir_all(Path::new(&system).join("var/lib/dpkg").join(directory)).unwrap();
    }
    fs::write(Path::new(&system).join("var/lib/dpkg/status"), "").unwrap();
    let dpkg = |arguments: &[&str]| {
        let root = format!("--root={system}");
        let log = format!("--log={}", scratch.path("dpkg.log"));
        let forced = "--force-depends,not-root,script-chrootless,bad-path".to_owned();
        succeed(Command::new("dpkg").args([root, log, forced]).args(arguments))
    };
    dpkg(&["-i", &package]);
    assert!(dpkg(&["-s", "heapwarden"]).contains("Status: install ok installed"));
    let files = dpkg(&["-L", "heapwarden"]);
    for file in [
        "/usr/bin/heapwarden",
        "/usr/include/heapwarden.h",
        "man1/heapwarden-run.1.gz",
        "copyright",
    ] {
        assert!(files.contains(file), "no {file} in\n{files}");
    }
    let tool = format!("{system}/usr/bin/heapwarden");
    // It finds the library of the package by itself.
    let mut command = Command::new(&tool);
    finds_the_leak(&scratch, command.env_remove("HEAPWARDEN_LIB").args(["run", "--"]), &[]);
    dpkg(&["--purge", "heapwarden"]);
    assert!(!Path::new(&tool).exists());
    assert!(!Path::new(&system).join("usr/include").exists(), "empty directories go too");
}

/// Cargo puts its own archive in place at each build, also where nothing was to
/// be built: a second `make` had left that one.
#[test]
fn an_archive_that_cargo_has_put_back_becomes_ours_again() {
    let scratch = Scratch::new("archive");
    for (name, age) in [("libheapwarden.so", 20), ("libheapwarden.a", 20), ("heapwarden.o", 0)] {
        fs::copy(build_folder().join(name), scratch.path(name)).unwrap();
        // As after their making: the script compares times.
        let file = fs::File::options().write(true).open(scratch.path(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    let members = || succeed(Command::new("ar").arg("t").arg(scratch.path("libheapwarden.a")));
    for added in [false, true] {
        if added {
            fs::write(scratch.path("other.o"), "").unwrap();
            let archive = scratch.path("libheapwarden.a");
            succeed(Command::new("ar").args(["q", &archive, &scratch.path("other.o")]));
            assert_eq!(members().lines().count(), 2);
        }
        succeed(Command::new("sh").arg(root().join("scripts/archive.sh")).arg(&scratch.0));
        assert_eq!(members().trim(), "heapwarden.o", "{added}");
    }
}

#[test]
fn what_is_installed_serves_the_command_pkg_config_and_cmake() {
    let scratch = Scratch::new("installed");
    let prefix = scratch.path("prefix");
    let library = format!("{prefix}/lib");
    succeed(Command::new("sh").arg(root().join("scripts/install.sh")).arg(build_folder()).args([
        "",
        &prefix,
        &library,
        &version(),
    ]));
    // The command finds the library that was installed beside it.
    let tool = format!("{prefix}/bin/heapwarden");
    finds_the_leak(
        &scratch,
        Command::new(&tool).env_remove("HEAPWARDEN_LIB").args(["run", "--"]),
        &[],
    );
    for file in ["man/man1/heapwarden.1", "bash-completion/completions/heapwarden"] {
        let path = format!("{prefix}/share/{file}");
        assert!(fs::metadata(&path).is_ok_and(|data| data.len() > 500), "{path}");
    }
    if Command::new("pkg-config").arg("--version").output().is_ok_and(|o| o.status.success()) {
        let flags = succeed(
            Command::new("pkg-config")
                .args(["--cflags", "--libs", "heapwarden"])
                .env("PKG_CONFIG_PATH", format!("{library}/pkgconfig")),
        );
        let flags: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
        let mut command = Command::new("env");
        finds_the_leak(&scratch, command.env("LD_LIBRARY_PATH", &library), &flags);
    } else {
        eprintln!("SKIPPED: pkg-config is not installed");
    }
    if !Command::new("cmake").arg("--version").output().is_ok_and(|o| o.status.success()) {
        eprintln!("SKIPPED: CMake is not installed");
        return;
    }
    let project = r#"cmake_minimum_required(VERSION 3.16)
project(user C)
find_package(heapwarden REQUIRED)
foreach(kind heapwarden static)
  add_executable(user_${kind} user.c)
  target_link_libraries(user_${kind} PRIVATE heapwarden::${kind})
endforeach()
"#;
    fs::write(scratch.0.join("CMakeLists.txt"), project).unwrap();
    let user = "#include <heapwarden.h>\n#include <stdlib.h>\n\
        int main(void) {\n    void *volatile lost = malloc(123);\n    lost = 0;\n    \
        return heapwarden_mark() ? 0 : 1;\n}\n";
    fs::write(scratch.0.join("user.c"), user).unwrap();
    let build = scratch.path("build");
    let source = scratch.path(".");
    let place = format!("-DCMAKE_PREFIX_PATH={prefix}");
    succeed(Command::new("cmake").args(["-S", &source, "-B", &build, &place]));
    succeed(Command::new("cmake").args(["--build", &build]));
    for kind in ["heapwarden", "static"] {
        let (output, said) = run(&mut Command::new(format!("{build}/user_{kind}")));
        assert_eq!(output.status.code(), Some(23), "{said}");
        assert!(said.contains("Direct leak of 123 byte(s)"), "{said}");
    }
}
