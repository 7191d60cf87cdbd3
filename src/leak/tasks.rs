//! Tasks: the kernel's list of the process's threads, and what it tells of
//! each without disturbing it (proc_pid_task(5), proc_pid_status(5),
//! proc_pid_syscall(5)).

use crate::platform::OsError;
use crate::platform::linux::files::{File, read_file};
use crate::platform::linux::process;
use crate::platform::linux::syscall::call;

/// What a thread is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TaskStatus {
    /// It has ended and only its number is left.
    pub is_dead: bool,
    /// Signals it blocks, bit `n - 1` for signal `n`.
    pub blocked: u64,
}

/// Calls `visit` with each thread's id.
pub fn for_each(mut visit: impl FnMut(u32)) -> Result<(), OsError> {
    #[cfg(feature = "interleave")]
    if let Some(tasks) = crate::sync::interleave::tasks() {
        tasks.into_iter().for_each(visit);
        return Ok(());
    }
    let visit = &mut visit;
    for_each_number(b"/proc/self/task\0", visit)
}

/// Calls `visit` with each entry of a directory whose name is a number.
pub fn for_each_number(path: &[u8], mut visit: impl FnMut(u32)) -> Result<(), OsError> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let directory = File::open(path, flags, 0)?;
    let mut buffer = [0u64; 512];
    loop {
        // SAFETY: the kernel writes at most the buffer's bytes into it.
        let bytes = unsafe {
            call(
                libc::SYS_getdents64,
                [
                    directory.descriptor() as usize,
                    buffer.as_mut_ptr() as usize,
                    size_of_val(&buffer),
                    0,
                    0,
                    0,
                ],
            )?
        };
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the buffer's own bytes, of which the kernel wrote `bytes`.
        let entries = unsafe { core::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), bytes) };
        let mut at = 0;
        // struct linux_dirent64: d_ino 8, d_off 8, d_reclen 2, d_type 1, name.
        while let Some(entry) = entries.get(at..).filter(|entry| entry.len() > 19) {
            let length = usize::from(u16::from_ne_bytes([entry[16], entry[17]]));
            if let Some(task) = entry.get(19..length).and_then(leading_number) {
                visit(task as u32);
            }
            if length == 0 {
                break;
            }
            at += length;
        }
    }
}

/// What the kernel says of a thread; `None` when it is gone.
pub fn status(task: u32) -> Option<TaskStatus> {
    #[cfg(feature = "interleave")]
    if let Some(blocked) = crate::sync::interleave::blocked_signals(task) {
        return blocked.map(|blocked| TaskStatus { is_dead: false, blocked });
    }
    let mut buffer = [0u8; 2048];
    let text = read(task, b"/status\0", &mut buffer)?;
    let mut status = TaskStatus::default();
    for line in text.split(|&byte| byte == b'\n') {
        if let Some(state) = line.strip_prefix(b"State:\t") {
            status.is_dead = matches!(state.first(), Some(b'Z' | b'X'));
        } else if let Some(set) = line.strip_prefix(b"SigBlk:\t") {
            status.blocked = hexadecimal(set)?;
        }
    }
    Some(status)
}

/// The stack pointer of a thread that is blocked in the kernel; `None` when it
/// runs, is gone, or the kernel does not tell.
pub fn blocked_stack_pointer(task: u32) -> Option<usize> {
    #[cfg(feature = "interleave")]
    if let Some(is_asleep) = crate::sync::interleave::is_asleep(task) {
        return is_asleep.then_some(0);
    }
    let mut buffer = [0u8; 256];
    let text = read(task, b"/syscall\0", &mut buffer)?;
    // "number arg0 … arg5 sp pc", or "-1 sp pc", or "running".
    let mut words = text.trim_ascii().rsplit(|&byte| byte == b' ');
    let _program_counter = words.next()?.strip_prefix(b"0x")?;
    hexadecimal(words.next()?.strip_prefix(b"0x")?).map(|sp| sp as usize)
}

/// Whether there is such a thread in this process.
pub fn exists(task: u32) -> bool {
    #[cfg(feature = "interleave")]
    if let Some(blocked) = crate::sync::interleave::blocked_signals(task) {
        return blocked.is_some();
    }
    let arguments = [process::id() as usize, task as usize, 0, 0, 0, 0];
    // SAFETY: signal 0 only asks (tgkill(2)).
    let result = unsafe { call(libc::SYS_tgkill, arguments) };
    result != Err(OsError(libc::ESRCH))
}

/// Sends `signal` with a word to a thread of this process.
///
/// # Errors
/// Of rt_tgsigqueueinfo(2); ESRCH: the thread has ended.
pub fn signal(task: u32, signal: i32, value: u64) -> Result<(), OsError> {
    #[cfg(feature = "interleave")]
    if let Some(is_sent) = crate::sync::interleave::send(task, value) {
        return if is_sent { Ok(()) } else { Err(OsError(libc::ESRCH)) };
    }
    // struct siginfo: signo 4, errno 4, code 4, pad 4, pid 4, uid 4, value 8.
    #[repr(C)]
    struct Info {
        signal: i32,
        error: i32,
        code: i32,
        padding: i32,
        process: u32,
        user: u32,
        value: u64,
        rest: [u64; 12],
    }
    let (process, code) = (process::id(), libc::SI_QUEUE);
    let info = Info { signal, error: 0, code, padding: 0, process, user: 0, value, rest: [0; 12] };
    let info = &raw const info as usize;
    let arguments = [process as usize, task as usize, signal as usize, info, 0, 0];
    // SAFETY: the structure has the kernel's layout and size (128 bytes) and
    // lives across the call (rt_tgsigqueueinfo(2)).
    unsafe { call(libc::SYS_rt_tgsigqueueinfo, arguments) }.map(drop)
}

fn read<'a>(task: u32, file: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut path = [0u8; 48];
    let mut length = 0;
    let mut append = |bytes: &[u8]| {
        path[length..length + bytes.len()].copy_from_slice(bytes);
        length += bytes.len();
    };
    append(b"/proc/self/task/");
    let mut digits = [0u8; 10];
    let mut first = digits.len();
    let mut rest = task;
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    append(&digits[first..]);
    append(file);
    read_file(&path[..length], buffer).ok()
}

fn leading_number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    text[..digits]
        .iter()
        .try_fold(0u64, |value, &digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.trim_ascii().iter().try_fold(0u64, |value, &digit| {
        (digit as char).to_digit(16).map(|digit| value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::platform::{Host, Platform};

    #[test]
    fn lists_this_thread_and_knows_a_sleeping_one() {
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            send.send(Host::thread_id()).unwrap();
            std::thread::park();
        });
        let other = receive.recv().unwrap();
        let (mut me, mut it) = (false, false);
        for_each(|task| {
            me |= task == Host::thread_id();
            it |= task == other;
        })
        .unwrap();
        assert!(me && it);
        let begun = std::time::Instant::now();
        while blocked_stack_pointer(other).is_none() {
            assert!(begun.elapsed().as_secs() < 60, "never seen asleep");
            std::thread::yield_now();
        }
        assert!(blocked_stack_pointer(Host::thread_id()).is_none_or(|sp| sp != 0));
        assert!(!status(other).unwrap().is_dead);
        thread.thread().unpark();
        thread.join().unwrap();
        assert_eq!(status(0x7fff_fff0), None);
    }

    #[test]
    fn a_blocked_signal_shows() {
        let old = crate::platform::linux::process::block_signals();
        let blocked = status(Host::thread_id()).unwrap().blocked;
        crate::platform::linux::process::restore_signals(old);
        assert_ne!(blocked & 1 << 40, 0);
    }
}
