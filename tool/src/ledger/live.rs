//! The memory of a running process: process_vm_readv(2), which neither stops
//! nor attaches, but asks for the same right as ptrace(2) would.

use super::memory::{Mapping, Memory, ReadError, Reading};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use procfs::process::{MMPermissions, MMapPath, Process};
use std::io::IoSliceMut;
use std::path::PathBuf;

/// Parts that one system call may have (UIO_MAXIOV).
const PARTS: usize = 1024;

/// A running process.
pub struct LiveMemory {
    /// Its id.
    pub pid: u32,
    mappings: Vec<Mapping>,
}

impl LiveMemory {
    /// Opens the process `pid`.
    pub fn open(pid: u32) -> Result<LiveMemory> {
        let mut this = LiveMemory { pid, mappings: Vec::new() };
        this.mappings = read_mappings(pid)?;
        Ok(this)
    }

    /// Whether the process is still there, and no zombie.
    pub fn is_alive(&self) -> bool {
        let stat = Process::new(self.pid as i32).and_then(|process| process.stat());
        stat.is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
    }

    /// The process's name, as the kernel has it.
    pub fn name(&self) -> String {
        let stat = Process::new(self.pid as i32).and_then(|process| process.stat());
        stat.map_or(String::new(), |stat| stat.comm)
    }

    fn error(&self, errno: Errno, address: u64) -> ReadError {
        match errno {
            Errno::ESRCH => ReadError::Gone,
            Errno::EPERM | Errno::EACCES => ReadError::Denied,
            _ if !self.is_alive() => ReadError::Gone,
            _ => ReadError::Unreadable(address),
        }
    }
}

fn read_mappings(pid: u32) -> Result<Vec<Mapping>> {
    let open = || format!("there is no process {pid}");
    let process = Process::new(i32::try_from(pid).with_context(open)?).with_context(open)?;
    if process.stat().with_context(open)?.state == 'Z' {
        bail!("process {pid} has ended");
    }
    let maps = match process.maps() {
        Ok(maps) => maps,
        Err(procfs::ProcError::PermissionDenied(_)) => {
            bail!("process {pid}: {}", ReadError::Denied)
        }
        Err(error) => return Err(error).with_context(|| format!("process {pid}")),
    };
    let mappings = maps.0.into_iter().map(|map| Mapping {
        start: map.address.0,
        end: map.address.1,
        readable: map.perms.contains(MMPermissions::READ),
        writable: map.perms.contains(MMPermissions::WRITE),
        is_shared: map.perms.contains(MMPermissions::SHARED),
        path: match map.pathname {
            MMapPath::Path(path) => Some(path),
            // What the kernel itself names is no file, but worth telling apart.
            MMapPath::Vdso | MMapPath::Vvar | MMapPath::Vsyscall => Some(PathBuf::from("[vdso]")),
            _ => None,
        },
        offset: map.offset,
    });
    Ok(mappings.collect())
}

impl Memory for LiveMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let pid = Pid::from_raw(self.pid as i32);
        let mut done = 0;
        while done < buffer.len() {
            let at = address.wrapping_add(done as u64);
            let rest = &mut buffer[done..];
            let remote = [RemoteIoVec { base: at as usize, len: rest.len() }];
            match process_vm_readv(pid, &mut [IoSliceMut::new(rest)], &remote) {
                Ok(0) => return Err(self.error(Errno::EFAULT, at)),
                Ok(bytes) => done += bytes,
                Err(errno) => return Err(self.error(errno, at)),
            }
        }
        Ok(())
    }

    fn read_many(&self, readings: &mut [Reading<'_>]) -> Result<(), ReadError> {
        let pid = Pid::from_raw(self.pid as i32);
        for batch in readings.chunks_mut(PARTS) {
            let wanted: usize = batch.iter().map(|reading| reading.buffer.len()).sum();
            let remote: Vec<_> = batch
                .iter()
                .map(|part| RemoteIoVec { base: part.address as usize, len: part.buffer.len() })
                .collect();
            let mut local: Vec<_> =
                batch.iter_mut().map(|part| IoSliceMut::new(part.buffer)).collect();
            if process_vm_readv(pid, &mut local, &remote) == Ok(wanted) {
                continue;
            }
            // One part is not there (any more): one by one.
            for part in batch {
                match self.read(part.address, part.buffer) {
                    Err(ReadError::Unreadable(_)) => part.buffer.clear(),
                    other => other?,
                }
            }
        }
        Ok(())
    }

    fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }
}
