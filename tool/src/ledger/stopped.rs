//! The image of a running process: its threads are stopped by ptrace(2) for as
//! long as it takes to copy its memory, and go on before anything is searched.
//!
//! ```text
//!   seize, interrupt every thread ─> registers ─> copy touched pages ─> let go
//! ```
//!
//! A stop is no signal, but a few system calls give EINTR after one even so
//! (signal(7): epoll_wait, semop, sigtimedwait and some others).
//!
//! Invariant: every thread that was stopped is let go, with the signal that it
//! was about to get; whatever happens to this tool, the kernel lets them go.

use super::image::{Image, Segment, Thread};
use super::live::LiveMemory;
use super::memory::{Mapping, Memory, ReadError, Reading};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use procfs::Current;
use procfs::process::{MemoryPageFlags, PageInfo, Process};
use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

/// Longest time for which a thread is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Mappings up to this size are copied whole.
const SMALL: u64 = 1 << 20;
/// Bytes of a file's mapping that are copied: its headers.
const HEADERS: u64 = 64 << 10;
const PAGE: u64 = 4096;

/// Copies the process. `whole` are addresses of which every page is wanted.
/// Also for how long its threads were stopped.
pub fn copy(memory: &LiveMemory, whole: std::ops::Range<u64>) -> Result<(Image, Duration)> {
    let pid = memory.pid;
    let process = Process::new(pid as i32).with_context(|| format!("there is no process {pid}"))?;
    check_room(&process)?;
    let kernel_values = kernel_values(pid);
    let begun = Instant::now();
    let stopped = Stopped::all(pid)?;
    // As it is now that nothing changes any more.
    let memory = LiveMemory::open(pid)?;
    let segments = segments_of(&memory, &process, &whole)?;
    let now_ms = super::census::monotonic_ms();
    let threads = stopped.threads.iter().map(|(thread, _)| thread.clone()).collect();
    let silent = stopped.silent;
    drop(stopped);
    let pause = begun.elapsed();
    let mut image = Image::new(memory.mappings().to_vec(), segments);
    image.pid = pid;
    image.name = memory.name();
    image.time = SystemTime::now();
    image.now_ms = Some(now_ms);
    image.threads = threads;
    image.kernel_values = kernel_values;
    let is_sparse = |map: &&Mapping| map.readable && map.writable && map.end - map.start > SMALL;
    let sparse = memory.mappings().iter().filter(is_sparse);
    image.sparse = sparse.map(|map| map.start..map.end).collect();
    if silent > 0 {
        image.gaps.push(format!(
            "{silent} thread(s) could not be stopped: what only their registers hold is missing"
        ));
    }
    Ok((image, pause))
}

/// Whether this machine has the memory for a copy.
fn check_room(process: &Process) -> Result<()> {
    let resident = process.status().ok().and_then(|status| status.vmrss).unwrap_or(0) * 1024;
    let available = procfs::Meminfo::current().ok().and_then(|info| info.mem_available);
    if available.is_some_and(|available| resident > available / 10 * 9) {
        bail!(
            "the process is too large to be copied here ({}): write a core with gcore and use --core",
            crate::report::words::amount(resident)
        );
    }
    Ok(())
}

/// The threads of a process, stopped until this is dropped.
struct Stopped {
    threads: Vec<(Thread, Option<Signal>)>,
    silent: usize,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for (thread, signal) in &self.threads {
            let _ = ptrace::detach(Pid::from_raw(thread.task as i32), *signal);
        }
    }
}

impl Stopped {
    fn all(pid: u32) -> Result<Stopped> {
        let mut stopped = Stopped { threads: Vec::new(), silent: 0 };
        let mut seen = Vec::new();
        // Threads may be born until all that could bear one are stopped.
        loop {
            let process = Process::new(pid as i32).context("the process has ended")?;
            let tasks = process.tasks().context("the process has ended")?;
            let fresh: Vec<i32> =
                tasks.flatten().map(|task| task.tid).filter(|task| !seen.contains(task)).collect();
            if fresh.is_empty() {
                break;
            }
            for &task in &fresh {
                stopped.seize(pid, task)?;
            }
            seen.extend(fresh);
        }
        if stopped.threads.is_empty() {
            bail!("process {pid} has ended, or none of its threads could be stopped");
        }
        Ok(stopped)
    }

    fn seize(&mut self, pid: u32, task: i32) -> Result<()> {
        let id = Pid::from_raw(task);
        match ptrace::seize(id, ptrace::Options::empty()) {
            Ok(()) => {}
            Err(Errno::ESRCH) => return Ok(()),
            Err(Errno::EPERM) => {
                let tracer = Process::new(task).and_then(|process| process.status());
                match tracer {
                    Ok(status) if status.tracerpid != 0 => bail!(
                        "process {pid} is traced already (by process {}): write a core with gcore \
                         and use --core",
                        status.tracerpid
                    ),
                    _ => bail!("process {pid}: {}", ReadError::Denied),
                }
            }
            Err(error) => bail!("process {pid} cannot be stopped: {error}"),
        }
        if ptrace::interrupt(id).is_err() {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
        loop {
            let signal = match waitpid(id, Some(flags)) {
                Ok(WaitStatus::StillAlive) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_micros(50));
                    continue;
                }
                Ok(WaitStatus::Stopped(_, signal)) => Some(signal),
                Ok(WaitStatus::PtraceEvent(..)) => None,
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_) => return Ok(()),
                Ok(_) => {
                    self.silent += 1;
                    return Ok(());
                }
            };
            self.threads.push((registers_of(id).unwrap_or_default(), signal));
            return Ok(());
        }
    }
}

fn registers_of(id: Pid) -> Result<Thread, Errno> {
    let general = ptrace::getregs(id)?;
    let task = id.as_raw() as u32;
    let mut registers = vec![
        general.r15,
        general.r14,
        general.r13,
        general.r12,
        general.rbp,
        general.rbx,
        general.r11,
        general.r10,
        general.r9,
        general.r8,
        general.rax,
        general.rcx,
        general.rdx,
        general.rsi,
        general.rdi,
        general.orig_rax,
    ];
    if let Ok(vectors) = ptrace::getregset::<ptrace::regset::NT_PRFPREG>(id) {
        let halves = vectors.xmm_space.chunks_exact(2);
        registers.extend(halves.map(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 32));
    }
    Ok(Thread { task, registers, stack_pointer: general.rsp, thread_pointer: general.fs_base })
}

/// Copies what a check reads.
fn segments_of(
    memory: &LiveMemory,
    process: &Process,
    whole: &std::ops::Range<u64>,
) -> Result<Vec<Segment>, ReadError> {
    let mut parts: Vec<(u64, u64, bool)> = Vec::new();
    for map in memory.mappings().iter().filter(|map| map.readable) {
        match (map.writable, &map.path) {
            // Another process's as well: not this one's heap or data.
            (true, Some(_)) if map.is_shared => {}
            (true, _) if map.end - map.start <= SMALL || whole.contains(&map.start) => {
                parts.push((map.start, map.end, true));
            }
            (true, _) => touched(process, map, false, &mut parts),
            (false, Some(_)) if map.offset == 0 => {
                parts.push((map.start, map.end.min(map.start + HEADERS), false));
            }
            // Data that was made read-only once it was relocated.
            (false, Some(_)) if !map.is_shared => touched(process, map, true, &mut parts),
            _ => {}
        }
    }
    let mut buffers: Vec<Vec<u8>> =
        parts.iter().map(|(start, end, _)| vec![0; (end - start) as usize]).collect();
    let mut readings: Vec<_> = parts
        .iter()
        .zip(&mut buffers)
        .map(|((start, ..), buffer)| Reading { address: *start, buffer })
        .collect();
    memory.read_many(&mut readings)?;
    let segments = parts.into_iter().zip(buffers);
    Ok(segments
        .map(|((start, end, is_saved), bytes)| Segment {
            start,
            end,
            bytes: Cow::Owned(bytes),
            is_saved,
        })
        .collect())
}

/// Adds the parts of a mapping that were ever touched, or of a file's only what
/// was written (proc_pid_pagemap(5)); all of it where the kernel does not tell.
fn touched(
    process: &Process,
    map: &Mapping,
    only_written: bool,
    parts: &mut Vec<(u64, u64, bool)>,
) {
    let pages = (map.start / PAGE) as usize..(map.end / PAGE) as usize;
    let infos = process.pagemap().and_then(|mut pagemap| pagemap.get_range_info(pages));
    let Ok(infos) = infos else {
        return parts.push((map.start, map.end, true));
    };
    let mut run: Option<u64> = None;
    for (index, info) in infos.iter().map(Some).chain([None]).enumerate() {
        let address = map.start + index as u64 * PAGE;
        let is_there = match info {
            Some(PageInfo::MemoryPage(flags)) => {
                flags.contains(MemoryPageFlags::PRESENT)
                    && !(only_written && flags.contains(MemoryPageFlags::FILE))
            }
            Some(PageInfo::SwapPage(_)) => true,
            None => false,
        };
        match (is_there, run) {
            (true, None) => run = Some(address),
            (false, Some(from)) => {
                parts.push((from, address, true));
                run = None;
            }
            _ => {}
        }
    }
}

/// What the kernel holds for the program: data of events that epoll watches,
/// values that timers deliver.
fn kernel_values(pid: u32) -> Vec<u64> {
    let mut values = Vec::new();
    let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    let timers = read(format!("/proc/{pid}/timers"));
    let signals =
        timers.lines().filter_map(|line| line.strip_prefix("signal: ")?.split('/').nth(1));
    values.extend(signals.filter_map(hexadecimal));
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let is_epoll = std::fs::read_link(entry.path())
            .is_ok_and(|target| target.as_os_str() == "anon_inode:[eventpoll]");
        if is_epoll {
            let name = entry.file_name();
            let info = read(format!("/proc/{pid}/fdinfo/{}", name.to_string_lossy()));
            let data = info.lines().filter_map(|line| line.split("data:").nth(1));
            values.extend(data.filter_map(hexadecimal));
        }
    }
    values
}

fn hexadecimal(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let end = text.find(|it: char| !it.is_ascii_hexdigit()).unwrap_or(text.len());
    u64::from_str_radix(&text[..end], 16).ok()
}
