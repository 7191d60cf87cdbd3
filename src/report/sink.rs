//! The sink: bytes of a report to where the user wants them.
//!
//! Invariant: the program goes on as if nobody had written. No signal reaches
//! it (SIGPIPE, SIGXFSZ), no write waits for ever (a reader that does not read
//! costs [`PATIENCE_MS`] once), no descriptor stays open that the program
//! could miss or inherit. What cannot be written to a file goes to standard
//! error instead, after one line that says why.

use crate::config::{FixedText, PATH_MAX, from_kernel};
use crate::platform::OsError;
use crate::platform::linux::files::{self, File, read_file};
use crate::platform::linux::{output, process};
use crate::units::Text;
use core::fmt::Write;

/// Longest time that all writing of one record may take, milliseconds.
pub const PATIENCE_MS: u64 = 3000;

const STDOUT: i32 = 1;
const STDERR: i32 = 2;

/// Where reports go.
pub struct Sink {
    /// `log_path` as the user wrote it.
    path: FixedText<PATH_MAX>,
    /// The open file of process `owner`.
    file: Option<(File, u32)>,
    /// The file could not be opened or written; standard error serves.
    has_given_up: bool,
    /// A reader did not read in time; later records do not wait for it.
    is_stuck: bool,
}

impl Sink {
    /// Standard error.
    pub const fn new() -> Self {
        Sink { path: FixedText::EMPTY, file: None, has_given_up: false, is_stuck: false }
    }

    /// Sends reports to `path` (placeholders as in [`expand_path`]); empty or
    /// `stderr` is standard error, `stdout` standard output.
    pub fn set_path(&mut self, path: &FixedText<PATH_MAX>) {
        *self = Sink { path: *path, ..Sink::new() };
    }

    /// The descriptor that bytes go to; -1 if the file was not opened yet.
    pub fn descriptor(&self) -> i32 {
        match (self.path.as_bytes(), &self.file) {
            _ if self.has_given_up => STDERR,
            (b"" | b"stderr", _) => STDERR,
            (b"stdout", _) => STDOUT,
            (_, Some((file, owner))) if *owner == process::id() => file.descriptor(),
            _ => -1,
        }
    }

    /// Writes one whole record; whether all of it arrived somewhere.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        let masked = process::block_signals();
        let waited = output::pending_signals();
        let arrived = self.write_masked(bytes);
        let raised =
            output::pending_signals() & !waited & (bit(libc::SIGPIPE) | bit(libc::SIGXFSZ));
        if raised != 0 {
            output::discard_signals(raised);
        }
        process::restore_signals(masked);
        arrived
    }

    fn write_masked(&mut self, bytes: &[u8]) -> bool {
        let standard = match self.path.as_bytes() {
            _ if self.has_given_up => Some(STDERR),
            b"" | b"stderr" => Some(STDERR),
            b"stdout" => Some(STDOUT),
            _ => None,
        };
        if let Some(descriptor) = standard {
            return self.write_standard(descriptor, bytes);
        }
        let written = match self.open() {
            Ok(descriptor) => self.write_all(descriptor, bytes),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => true,
            Err(error) => {
                self.has_given_up = true;
                self.file = None;
                let mut buffer = [0; 256];
                let mut line = Text::new(&mut buffer);
                let path = self.path;
                let shown = path.as_bytes();
                let shown = &shown[..shown.len().min(128)];
                let _ = writeln!(
                    line,
                    "=={}==heapwarden: cannot write log_path='{}' (error {}); going on here",
                    process::id(),
                    shown.escape_ascii(),
                    error.0
                );
                self.write_standard(STDERR, line.as_bytes());
                self.write_standard(STDERR, bytes)
            }
        }
    }

    /// The descriptor of this process's own file. A forked child opens
    /// another and leaves its parent's alone.
    fn open(&mut self) -> Result<i32, OsError> {
        let pid = process::id();
        if let Some((file, owner)) = &self.file
            && *owner == pid
        {
            return Ok(file.descriptor());
        }
        let mut buffer = [0; PATH_MAX + 1];
        let length = expand_path(self.path.as_bytes(), pid, &mut buffer[..PATH_MAX])
            .ok_or(OsError(libc::ENAMETOOLONG))?;
        let flags =
            libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = File::open(&buffer[..=length], flags, 0o600)?;
        let descriptor = file.descriptor();
        self.file = Some((file, pid));
        Ok(descriptor)
    }

    fn write_standard(&mut self, descriptor: i32, bytes: &[u8]) -> bool {
        // A pipe is opened again, so that we can refuse to wait for its reader
        // without making it non-blocking for the program; and closed again, so
        // that its reader still sees the end when the program closes it.
        let path = if descriptor == STDOUT { b"/proc/self/fd/1\0" } else { b"/proc/self/fd/2\0" };
        let again = match is_pipe(descriptor) {
            true => File::open(path, libc::O_WRONLY | libc::O_NONBLOCK, 0).ok(),
            false => None,
        };
        let descriptor = again.as_ref().map_or(descriptor, File::descriptor);
        self.write_all(descriptor, bytes).is_ok()
    }

    /// Writes everything, in one write(2) wherever the kernel takes it whole.
    pub(super) fn write_all(&mut self, descriptor: i32, mut bytes: &[u8]) -> Result<(), OsError> {
        let mut patience = if self.is_stuck { 0 } else { PATIENCE_MS };
        while !bytes.is_empty() {
            match files::write(descriptor, bytes) {
                Ok(0) => return Err(OsError(libc::EIO)),
                Ok(written) => bytes = &bytes[written..],
                Err(OsError(libc::EAGAIN)) => {
                    if patience == 0 {
                        self.is_stuck = true;
                        return Err(OsError(libc::EAGAIN));
                    }
                    let step = patience.min(100);
                    output::wait_writable(descriptor, step);
                    patience -= step;
                }
                Err(error) => return Err(error),
            }
        }
        self.is_stuck = false;
        Ok(())
    }
}

impl Default for Sink {
    fn default() -> Self {
        Sink::new()
    }
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

fn is_pipe(descriptor: i32) -> bool {
    let mut path = [0u8; 32];
    let mut text = Text::new(&mut path);
    let _ = write!(text, "/proc/self/fd/{descriptor}\0");
    let length = text.as_bytes().len();
    files::link_target(&path[..length], &mut [0; 16])
        .is_ok_and(|target| target.starts_with(b"pipe:"))
}

/// Expands `%p` (process id), `%e` (its name), `%t` (seconds since 1970),
/// `%q{VAR}` (a variable of the environment) and `%%`; appends `.PID` if there
/// is no `%p`. The length, with a zero byte behind it, or `None` if it is too
/// long.
pub fn expand_path(pattern: &[u8], pid: u32, buffer: &mut [u8]) -> Option<usize> {
    let mut path = Text::new(buffer);
    let (mut rest, mut has_pid) = (pattern, false);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            path.push_bytes(&[byte]);
            continue;
        }
        let (&letter, after) = rest.split_first().unwrap_or((&b'%', &[]));
        rest = after;
        match letter {
            b'p' => {
                has_pid = true;
                let _ = write!(path, "{pid}");
            }
            b't' => {
                let _ = write!(path, "{}", output::realtime().0);
            }
            b'e' => {
                let mut name = [0; 16];
                let name = read_file(b"/proc/self/comm\0", &mut name).unwrap_or(b"unknown");
                push_name(&mut path, name.trim_ascii_end());
            }
            b'q' if rest.first() == Some(&b'{') && rest.contains(&b'}') => {
                let end = rest.iter().position(|&byte| byte == b'}')?;
                let mut value = [0; 1024];
                path.push_bytes(from_kernel(&rest[1..end], &mut value).unwrap_or_default());
                rest = &rest[end + 1..];
            }
            b'%' => path.push_bytes(b"%"),
            other => path.push_bytes(&[b'%', other]),
        }
    }
    if !has_pid {
        let _ = write!(path, ".{pid}");
    }
    let length = path.as_bytes().len();
    path.push_bytes(b"\0");
    (!path.truncated()).then_some(length)
}

/// A process names itself; it may not lead the path elsewhere.
fn push_name(path: &mut Text<'_>, name: &[u8]) {
    for &byte in name {
        path.push_bytes(&[if byte == b'/' { b'_' } else { byte }]);
    }
}
