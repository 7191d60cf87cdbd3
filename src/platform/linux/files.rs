//! Files by raw system calls: open, read, write, close, map.

use super::syscall::call;
use crate::platform::OsError;

/// A file descriptor that is closed when it goes out of scope.
pub struct File(i32);

impl File {
    /// Opens `path` (must end in a zero byte) with `flags` of open(2), always
    /// close-on-exec; `mode` is used when a file is made.
    pub fn open(path: &[u8], flags: i32, mode: u32) -> Result<File, OsError> {
        if path.last() != Some(&0) {
            return Err(OsError(libc::EINVAL));
        }
        let here = libc::AT_FDCWD as usize;
        let flags = (flags | libc::O_CLOEXEC) as usize;
        // SAFETY: the path is zero-terminated, checked above.
        unsafe {
            call(libc::SYS_openat, [here, path.as_ptr() as usize, flags, mode as usize, 0, 0])
        }
        .map(|descriptor| File(descriptor as i32))
    }

    /// The descriptor's number; stays owned by this value.
    pub fn descriptor(&self) -> i32 {
        self.0
    }

    /// Gives the descriptor away; the caller closes it, or nobody.
    pub fn into_descriptor(self) -> i32 {
        let descriptor = self.0;
        core::mem::forget(self);
        descriptor
    }

    /// Reads once into `buffer`; 0 is the end of the file.
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, OsError> {
        loop {
            // SAFETY: the kernel writes at most `buffer.len()` bytes into it.
            let result = unsafe {
                call(
                    libc::SYS_read,
                    [self.0 as usize, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0],
                )
            };
            match result {
                Err(OsError(libc::EINTR)) => continue,
                other => return other,
            }
        }
    }

    /// Reads until `buffer` is full or the file ends; the bytes read.
    pub fn read_all<'a>(&self, buffer: &'a mut [u8]) -> Result<&'a [u8], OsError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => break,
                bytes => filled += bytes,
            }
        }
        Ok(&buffer[..filled])
    }

    /// Calls `visit` with each line, without its end, until it returns `false`;
    /// lines of more than 8191 bytes end it.
    pub fn for_each_line(&self, mut visit: impl FnMut(&[u8]) -> bool) -> Result<(), OsError> {
        let mut buffer = [0u8; 8192];
        let mut filled = 0;
        loop {
            let bytes = self.read(&mut buffer[filled..])?;
            filled += bytes;
            let mut start = 0;
            while let Some(length) = buffer[start..filled].iter().position(|&byte| byte == b'\n') {
                if !visit(&buffer[start..start + length]) {
                    return Ok(());
                }
                start += length + 1;
            }
            buffer.copy_within(start..filled, 0);
            filled -= start;
            if bytes == 0 || filled == buffer.len() {
                return Ok(());
            }
        }
    }

    /// The file's length in bytes (lseek(2) to its end).
    pub fn length(&self) -> Result<usize, OsError> {
        let end = libc::SEEK_END as usize;
        // SAFETY: moves this descriptor's offset, which only we use.
        unsafe { call(libc::SYS_lseek, [self.0 as usize, 0, end, 0, 0, 0]) }
    }

    /// Maps the whole file for reading, for the life of the process.
    pub fn map(&self) -> Result<&'static [u8], OsError> {
        let length = self.length()?;
        if length == 0 {
            return Ok(&[]);
        }
        let (read, private) = (libc::PROT_READ as usize, libc::MAP_PRIVATE as usize);
        // SAFETY: a fresh read-only mapping that is never unmapped, so
        // `'static` holds; a file that shrinks meanwhile can raise SIGBUS,
        // which the symbol child is there to survive.
        unsafe {
            let address = call(libc::SYS_mmap, [0, length, read, private, self.0 as usize, 0])?;
            Ok(core::slice::from_raw_parts(address as *const u8, length))
        }
    }

    /// Maps the whole file for reading while `look` runs.
    pub fn look_at(&self, look: impl FnOnce(&[u8])) -> Result<(), OsError> {
        let bytes = self.map()?;
        look(bytes);
        if bytes.is_empty() {
            return Ok(());
        }
        let range = [bytes.as_ptr() as usize, bytes.len(), 0, 0, 0, 0];
        // SAFETY: the mapping made above, which nobody else knows and whose
        // last reader has returned: a borrow of it cannot leave `look`.
        unsafe { call(libc::SYS_munmap, range) }.map(drop)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and not used after this.
        let _ = unsafe { call(libc::SYS_close, [self.0 as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Writes once to `descriptor`, going on after a signal.
pub fn write(descriptor: i32, bytes: &[u8]) -> Result<usize, OsError> {
    loop {
        // SAFETY: the kernel reads `bytes.len()` bytes from `bytes`.
        let result = unsafe {
            call(
                libc::SYS_write,
                [descriptor as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0],
            )
        };
        match result {
            Err(OsError(libc::EINTR)) => continue,
            other => return other,
        }
    }
}

/// Gives the file at `from` the name `to`, replacing what is there in one step
/// (rename(2)); both zero-terminated.
pub fn rename(from: &[u8], to: &[u8]) -> Result<(), OsError> {
    if from.last() != Some(&0) || to.last() != Some(&0) {
        return Err(OsError(libc::EINVAL));
    }
    let here = libc::AT_FDCWD as usize;
    let (from, to) = (from.as_ptr() as usize, to.as_ptr() as usize);
    // SAFETY: both paths are zero-terminated, checked above.
    unsafe { call(libc::SYS_renameat2, [here, from, here, to, 0, 0]) }.map(drop)
}

/// Reads the file at `path` (zero-terminated) into `buffer`, as much as fits.
pub fn read_file<'a>(path: &[u8], buffer: &'a mut [u8]) -> Result<&'a [u8], OsError> {
    File::open(path, libc::O_RDONLY, 0)?.read_all(buffer)
}

/// The target of the symbolic link at `path` (zero-terminated), cut to the
/// buffer (readlink(2)).
pub fn link_target<'a>(path: &[u8], buffer: &'a mut [u8]) -> Result<&'a [u8], OsError> {
    if path.last() != Some(&0) {
        return Err(OsError(libc::EINVAL));
    }
    let here = libc::AT_FDCWD as usize;
    let (start, length) = (buffer.as_mut_ptr() as usize, buffer.len());
    // SAFETY: the path is zero-terminated, checked above; the kernel writes at
    // most `length` bytes into the buffer.
    let written =
        unsafe { call(libc::SYS_readlinkat, [here, path.as_ptr() as usize, start, length, 0, 0]) }?;
    Ok(&buffer[..written])
}
