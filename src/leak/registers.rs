//! Registers: what a thread holds outside memory, and how a signal shows it.
//!
//! The one file of this floor that knows the processor.

/// The registers of a held thread that may hold a pointer.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    /// General registers, in the kernel's order.
    pub general: [usize; GENERAL],
    /// Vector registers' bytes, as words: compilers keep pairs of pointers
    /// in them.
    pub vector: [usize; VECTOR],
    /// Stack pointer.
    pub stack_pointer: usize,
    /// Thread pointer: where thread-local storage hangs.
    pub thread_pointer: usize,
    /// The thread's alternate signal stack, first address; 0 = none.
    pub alternate_start: usize,
    /// First address after the alternate signal stack.
    pub alternate_end: usize,
}

#[cfg(target_arch = "x86_64")]
const GENERAL: usize = 17;
#[cfg(target_arch = "x86_64")]
const VECTOR: usize = 32;
#[cfg(target_arch = "aarch64")]
const GENERAL: usize = 33;
#[cfg(target_arch = "aarch64")]
const VECTOR: usize = 0;

/// Bytes below the stack pointer that a leaf function may use
/// (System V ABI for x86_64, 3.2.2).
pub const RED_ZONE: usize = 128;

impl Registers {
    /// No registers.
    pub const NONE: Registers = Registers {
        general: [0; GENERAL],
        vector: [0; VECTOR],
        stack_pointer: 0,
        thread_pointer: 0,
        alternate_start: 0,
        alternate_end: 0,
    };

    /// The caller's own registers, as far as its callers may need them again.
    #[inline(always)]
    pub fn here() -> Registers {
        let mut registers = Registers::NONE;
        let stack_pointer: usize;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: stores the callee-saved registers (System V ABI, 3.2.1) to
        // the array and reads the stack pointer.
        unsafe {
            core::arch::asm!(
                "mov [{to}], rbx", "mov [{to} + 8], rbp", "mov [{to} + 16], r12",
                "mov [{to} + 24], r13", "mov [{to} + 32], r14", "mov [{to} + 40], r15",
                "mov {sp}, rsp",
                to = in(reg) registers.general.as_mut_ptr(), sp = out(reg) stack_pointer,
                options(nostack, preserves_flags),
            );
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: stores the callee-saved registers (AAPCS64, 6.1.1) to the
        // array and reads the stack pointer.
        unsafe {
            core::arch::asm!(
                "stp x19, x20, [{to}]", "stp x21, x22, [{to}, 16]", "stp x23, x24, [{to}, 32]",
                "stp x25, x26, [{to}, 48]", "stp x27, x28, [{to}, 64]", "mov {sp}, sp",
                to = in(reg) registers.general.as_mut_ptr(), sp = out(reg) stack_pointer,
                options(nostack, preserves_flags),
            );
        }
        registers.stack_pointer = stack_pointer;
        registers.thread_pointer = thread_pointer();
        registers
    }

    /// What the kernel saved when it delivered a signal.
    ///
    /// # Safety
    /// `context` is the third argument of a signal handler that is running.
    pub unsafe fn interrupted(&mut self, context: *const libc::ucontext_t) {
        // SAFETY: the kernel wrote a whole context there; on x86_64 fpregs is
        // null or points to an FXSAVE area of 512 bytes, xmm at 160.
        unsafe {
            let machine = &(*context).uc_mcontext;
            #[cfg(target_arch = "x86_64")]
            {
                for (slot, register) in self.general.iter_mut().zip(machine.gregs.iter()) {
                    *slot = *register as usize;
                }
                self.stack_pointer = machine.gregs[libc::REG_RSP as usize] as usize;
                if !machine.fpregs.is_null() {
                    let vector = machine.fpregs.cast::<u8>().add(160).cast::<usize>();
                    for (i, slot) in self.vector.iter_mut().enumerate() {
                        *slot = vector.add(i).read_unaligned();
                    }
                }
            }
            #[cfg(target_arch = "aarch64")]
            {
                for (slot, register) in self.general.iter_mut().zip(machine.regs.iter()) {
                    *slot = *register as usize;
                }
                self.stack_pointer = machine.sp as usize;
            }
            let alternate = &(*context).uc_stack;
            if alternate.ss_flags & libc::SS_DISABLE == 0 {
                self.alternate_start = alternate.ss_sp as usize;
                self.alternate_end = self.alternate_start.saturating_add(alternate.ss_size);
            }
        }
        self.thread_pointer = thread_pointer();
    }

    /// Where the register values lie: first address and first after them.
    pub fn range(&self) -> (usize, usize) {
        let start = &raw const self.general as usize;
        (start, start + (GENERAL + VECTOR) * size_of::<usize>())
    }
}

/// The calling thread's thread pointer, read without thread-local storage.
#[inline(always)]
pub fn thread_pointer() -> usize {
    let value: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: glibc and musl keep the thread pointer in its own first word
    // (x86_64 psABI, 3.4.6: %fs:0 is the thread pointer).
    unsafe {
        core::arch::asm!("mov {}, fs:[0]", out(reg) value, options(nostack, readonly, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reads a register.
    unsafe {
        core::arch::asm!("mrs {}, tpidr_el0", out(reg) value, options(nostack, preserves_flags));
    }
    value
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".text",
    ".balign 16",
    ".local heapwarden_return_from_signal",
    ".type heapwarden_return_from_signal, @function",
    "heapwarden_return_from_signal:",
    "mov eax, 15",
    "syscall",
    ".size heapwarden_return_from_signal, . - heapwarden_return_from_signal",
);

/// The address that a signal handler returns to (`SA_RESTORER`); 0 where the
/// kernel has its own.
pub fn restorer() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let address: usize;
        // SAFETY: takes the address of the code above.
        unsafe {
            core::arch::asm!(
                "lea {}, [rip + heapwarden_return_from_signal]",
                out(reg) address,
                options(nomem, nostack, preserves_flags),
            );
        }
        address
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}
