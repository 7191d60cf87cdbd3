//! The door to the kernel: one function, six words in, a value or an error out.

use crate::platform::OsError;

/// A system call with up to six arguments (syscall(2)); unused ones are 0.
///
/// # Safety
/// What the call does to memory and to the process must be sound for the
/// caller: this door checks nothing.
#[inline]
pub unsafe fn call(number: i64, arguments: [usize; 6]) -> Result<usize, OsError> {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the x86_64 system call convention (syscall(2)): arguments in
    // rdi rsi rdx r10 r8 r9, rcx and r11 clobbered, memory may change.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the aarch64 system call convention (syscall(2)).
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a as isize => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    if (-4095..0).contains(&result) { Err(OsError(-result as i32)) } else { Ok(result as usize) }
}
