//! Which program is meant, and whether it can be watched at all.
//!
//! Preloading works for dynamically linked programs of this machine's kind
//! that run with the rights of their caller. For any other, nothing would be
//! checked and nobody told; so it is refused here, with the reason.

use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, ReadRef};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{env, fmt, io};

/// Why a program is not run.
#[derive(Debug)]
pub enum Refusal {
    NotFound(OsString),
    NotExecutable(PathBuf, String),
    Static(PathBuf),
    Privileged(PathBuf),
    OtherKind(PathBuf, &'static str),
}

impl Refusal {
    /// What a shell would exit with, or 24: the check could not be done.
    pub fn exit_code(&self) -> u8 {
        match self {
            Refusal::NotFound(_) => 127,
            Refusal::NotExecutable(..) => 126,
            Refusal::Static(_) | Refusal::Privileged(_) | Refusal::OtherKind(..) => {
                super::CANNOT_CHECK
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotFound(name) => write!(out, "{}: no such program", name.display()),
            Refusal::NotExecutable(path, why) => {
                write!(out, "{}: cannot be run: {why}", path.display())
            }
            Refusal::Static(path) => write!(
                out,
                "{} is statically linked, so nothing can be preloaded into it; link it with \
                 libheapwarden.a instead (cc … libheapwarden.a -lpthread -ldl -lm)",
                path.display()
            ),
            Refusal::Privileged(path) => write!(
                out,
                "{} runs with other rights than yours (setuid, setgid or capabilities), so the \
                 loader would ignore the preload; run it as its owner",
                path.display()
            ),
            Refusal::OtherKind(path, kind) => {
                write!(
                    out,
                    "{} is {kind}; only 64-bit programs for glibc can be watched",
                    path.display()
                )
            }
        }
    }
}

/// The file that `name` means to a shell, if it can be watched.
pub fn find(name: &OsStr) -> Result<PathBuf, Refusal> {
    let path = search(name)?;
    inspect(&path, 0)?;
    Ok(path)
}

/// Finds `name` as execvp(3) does.
fn search(name: &OsStr) -> Result<PathBuf, Refusal> {
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match fs::metadata(&path) {
            Ok(data) if data.is_dir() => {
                Err(Refusal::NotExecutable(path, "it is a directory".to_owned()))
            }
            Ok(data) if data.permissions().mode() & 0o111 == 0 => {
                Err(Refusal::NotExecutable(path, "it is not executable".to_owned()))
            }
            Ok(_) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Refusal::NotFound(name.to_owned()))
            }
            Err(error) => Err(Refusal::NotExecutable(path, error.to_string())),
        };
    }
    let directories = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    env::split_paths(&directories)
        .map(|directory| directory.join(name))
        .find(|path| {
            fs::metadata(path)
                .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        })
        .ok_or_else(|| Refusal::NotFound(name.to_owned()))
}

/// Whether the loader would take a preload for `path`; scripts are followed
/// to their interpreter.
fn inspect(path: &Path, depth: u32) -> Result<(), Refusal> {
    const DEEPEST: u32 = 4; // the kernel's own limit
    let cannot = |error: io::Error| Refusal::NotExecutable(path.to_owned(), error.to_string());
    if is_privileged(path).map_err(cannot)? {
        return Err(Refusal::Privileged(path.to_owned()));
    }
    let mut start = Vec::new();
    File::open(path).map_err(cannot)?.take(512).read_to_end(&mut start).map_err(cannot)?;
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
        let interpreter = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        let interpreter = PathBuf::from(OsString::from_vec(interpreter.to_vec()));
        if depth >= DEEPEST || !interpreter.exists() {
            let why = format!("its interpreter {} is missing", interpreter.display());
            return Err(Refusal::NotExecutable(path.to_owned(), why));
        }
        return inspect(&interpreter, depth + 1);
    }
    if !start.starts_with(&elf::ELFMAG) {
        return Ok(()); // the kernel (binfmt_misc) or the shell will know
    }
    if start.get(4) != Some(&elf::ELFCLASS64.0) {
        return Err(Refusal::OtherKind(path.to_owned(), "a 32-bit program"));
    }
    let file = File::open(path).map_err(cannot)?;
    // SAFETY: read-only; a file that shrinks meanwhile raises SIGBUS here, in
    // a tool that has nothing to lose yet.
    let bytes = unsafe { memmap2::Mmap::map(&file) }.map_err(cannot)?;
    match interpreter_of(&bytes[..]) {
        Some(None) => Err(Refusal::Static(path.to_owned())),
        Some(Some(loader)) if loader.windows(8).any(|part| part == b"/ld-musl") => {
            Err(Refusal::OtherKind(path.to_owned(), "linked to musl"))
        }
        _ => Ok(()),
    }
}

/// The loader that an ELF file asks for; `Some(None)` if it asks for none,
/// `None` if the file cannot be understood (the kernel will say so).
fn interpreter_of<'data>(bytes: impl ReadRef<'data>) -> Option<Option<&'data [u8]>> {
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, bytes).ok()?;
    for segment in segments {
        if segment.p_type(endian) == elf::PT_INTERP {
            return Some(segment.data(endian, bytes).ok());
        }
    }
    Some(None)
}

/// Whether the kernel would set AT_SECURE for `path`.
fn is_privileged(path: &Path) -> io::Result<bool> {
    let (file, own) = (fs::metadata(path)?, fs::metadata("/proc/self")?);
    let setuid = file.mode() & 0o4000 != 0 && file.uid() != own.uid();
    let setgid = file.mode() & 0o2010 == 0o2010 && file.gid() != own.gid();
    Ok(setuid || setgid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, bytes: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn the_shell_and_scripts_for_it_can_be_watched() {
        assert!(find(OsStr::new("sh")).is_ok());
        let (_directory, script) = made("s", b"#!/bin/sh -e\ntrue\n", 0o755);
        assert!(find(script.as_os_str()).is_ok());
    }

    #[test]
    fn what_cannot_be_run_is_refused_as_a_shell_does() {
        let code = |name: &OsStr| find(name).unwrap_err().exit_code();
        assert_eq!(code(OsStr::new("no-such-program-anywhere")), 127);
        assert_eq!(code(OsStr::new("/no/such")), 127);
        assert_eq!(code(OsStr::new("/")), 126);
        let (_directory, plain) = made("plain", b"text", 0o644);
        assert_eq!(code(plain.as_os_str()), 126);
        let (_directory, script) = made("s", b"#!/no/such/interpreter\n", 0o755);
        assert_eq!(code(script.as_os_str()), 126);
    }

    #[test]
    fn static_and_foreign_programs_are_named() {
        let mut header = fs::read("/proc/self/exe").unwrap();
        let (directory, path) = made("dynamic", &header, 0o755);
        assert!(find(path.as_os_str()).is_ok(), "the twin");
        let (offset, size, count) = (
            usize::from_ne_bytes(header[32..40].try_into().unwrap()),
            usize::from(u16::from_ne_bytes(header[54..56].try_into().unwrap())),
            usize::from(u16::from_ne_bytes(header[56..58].try_into().unwrap())),
        );
        for segment in 0..count {
            let at = offset + segment * size;
            if header[at..at + 4] == elf::PT_INTERP.0.to_ne_bytes() {
                header[at..at + 4].copy_from_slice(&elf::PT_NOTE.0.to_ne_bytes());
            }
        }
        fs::write(&path, &header).unwrap();
        assert!(matches!(find(path.as_os_str()), Err(Refusal::Static(_))));
        header[4] = elf::ELFCLASS32.0;
        fs::write(&path, &header).unwrap();
        assert!(matches!(find(path.as_os_str()), Err(Refusal::OtherKind(..))));
        drop(directory);
    }
}
