//! One pointer of thread-local storage, two instructions away.
//!
//! ```text
//!   mov  r, [rip + heapwarden_thread@GOTTPOFF]     offset from the thread pointer
//!   mov  r, fs:[r]                                 the word
//! ```
//!
//! Initial-exec access (ELF Handling For Thread-Local Storage, 4.1.6): never
//! `__tls_get_addr`, which may allocate. The price: a library that is loaded
//! by dlopen after start may find no room; the abi refuses that clearly.

use core::arch::global_asm;

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".section .tbss.heapwarden_thread,\"awT\",@nobits",
    ".balign 8",
    ".hidden heapwarden_thread",
    ".weak heapwarden_thread",
    ".type heapwarden_thread, @object",
    ".size heapwarden_thread, 8",
    "heapwarden_thread: .zero 8",
    ".text",
);

/// This thread's word; 0 until set.
#[inline(always)]
pub fn get() -> usize {
    #[cfg(feature = "interleave")]
    if let Some(word) = crate::sync::interleave::local_word() {
        return word;
    }
    let value: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads the eight bytes defined above in this thread's TLS block.
    unsafe {
        core::arch::asm!(
            "mov {value}, qword ptr [rip + heapwarden_thread@GOTTPOFF]",
            "mov {value}, qword ptr fs:[{value}]",
            value = out(reg) value,
            options(nostack, readonly, preserves_flags, pure),
        );
    }
    value
}

/// Sets this thread's word.
#[inline(always)]
pub fn set(value: usize) {
    #[cfg(feature = "interleave")]
    if crate::sync::interleave::set_local_word(value) {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: writes the eight bytes defined above in this thread's TLS block.
    unsafe {
        core::arch::asm!(
            "mov {offset}, qword ptr [rip + heapwarden_thread@GOTTPOFF]",
            "mov qword ptr fs:[{offset}], {value}",
            offset = out(reg) _,
            value = in(reg) value,
            options(nostack, preserves_flags),
        );
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn each_thread_has_its_own_word() {
        let before = get();
        set(7);
        std::thread::spawn(|| {
            assert_eq!(get(), 0);
            set(8);
            assert_eq!(get(), 8);
        })
        .join()
        .unwrap();
        assert_eq!(get(), 7);
        set(before);
    }
}
