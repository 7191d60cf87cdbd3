//! C++: every form of operator new and delete ([new.delete]).
//!
//! operator new that fails calls the new_handler and tries again; without one
//! it throws std::bad_alloc. Both live in libstdc++ and are reached by weak
//! symbols; exceptions pass only through the assembly below, whose frames
//! unwind by their CFI, never through Rust.

use super::lifecycle::ensure_started;
use super::malloc::release;
use super::shim::shim;
use super::warnings::{self, Call};
use crate::heap::{self, Request};
use crate::trace::Entry;
use crate::units::Family;
use core::arch::global_asm;

const NEW: u8 = Family::New as u8;
const NEW_ARRAY: u8 = Family::NewArray as u8;
const NEW_ALIGNED: u8 = Family::NewAligned as u8;
const NEW_ARRAY_ALIGNED: u8 = Family::NewArrayAligned as u8;

/// Exports one operator new: `$inner` allocates or returns null; on null
/// `$fail` decides whether to try again. The shim keeps the arguments in two
/// saved registers, so the return address lies 24 bytes up.
macro_rules! operator_new {
    ($($name:literal($sp:literal, $fp:literal) => $inner:path, $fail:literal;)*) => { $(
        const _: () = {
            #[unsafe(naked)]
            #[unsafe(export_name = $name)]
            unsafe extern "C" fn shim() {
                core::arch::naked_asm!(
                    ".cfi_startproc",
                    "push rbx", ".cfi_adjust_cfa_offset 8", ".cfi_rel_offset rbx, 0",
                    "push r12", ".cfi_adjust_cfa_offset 8", ".cfi_rel_offset r12, 0",
                    "sub rsp, 8", ".cfi_adjust_cfa_offset 8",
                    "mov rbx, rdi", "mov r12, rsi",
                    "2: mov rdi, rbx", "mov rsi, r12",
                    concat!("lea ", $sp, ", [rsp + 24]"), concat!("mov ", $fp, ", rbp"),
                    "call {inner}",
                    "test rax, rax", "jz 3f",
                    "4: add rsp, 8", ".cfi_adjust_cfa_offset -8",
                    "pop r12", ".cfi_adjust_cfa_offset -8", ".cfi_restore r12",
                    "pop rbx", ".cfi_adjust_cfa_offset -8", ".cfi_restore rbx",
                    "ret",
                    ".cfi_adjust_cfa_offset 24", ".cfi_rel_offset rbx, 16",
                    ".cfi_rel_offset r12, 8",
                    concat!("3: call ", $fail),
                    "test eax, eax", "jnz 2b",
                    "xor eax, eax", "jmp 4b",
                    ".cfi_endproc",
                    inner = sym $inner,
                )
            }
        };
    )* };
}

operator_new! {
    "_Znwm"("rsi", "rdx") => new::<NEW>, "heapwarden_new_failed";
    "_Znam"("rsi", "rdx") => new::<NEW_ARRAY>, "heapwarden_new_failed";
    "_ZnwmRKSt9nothrow_t"("rsi", "rdx") => new::<NEW>, "heapwarden_new_nothrow_failed";
    "_ZnamRKSt9nothrow_t"("rsi", "rdx") => new::<NEW_ARRAY>, "heapwarden_new_nothrow_failed";
    "_ZnwmSt11align_val_t"("rdx", "rcx") => new_aligned::<NEW_ALIGNED>, "heapwarden_new_failed";
    "_ZnamSt11align_val_t"("rdx", "rcx") => new_aligned::<NEW_ARRAY_ALIGNED>, "heapwarden_new_failed";
    "_ZnwmSt11align_val_tRKSt9nothrow_t"("rdx", "rcx") => new_aligned::<NEW_ALIGNED>, "heapwarden_new_nothrow_failed";
    "_ZnamSt11align_val_tRKSt9nothrow_t"("rdx", "rcx") => new_aligned::<NEW_ARRAY_ALIGNED>, "heapwarden_new_nothrow_failed";
}

// Calls the new_handler: 1 = try again. Without a handler the first throws
// std::bad_alloc, the second returns 0.
global_asm!(
    ".text",
    ".balign 16",
    ".weak _ZSt15get_new_handlerv",
    ".weak _ZSt17__throw_bad_allocv",
    ".hidden heapwarden_new_failed",
    ".globl heapwarden_new_failed",
    "heapwarden_new_failed:",
    ".cfi_startproc",
    "sub rsp, 8",
    ".cfi_adjust_cfa_offset 8",
    "mov rax, qword ptr [rip + _ZSt15get_new_handlerv@GOTPCREL]",
    "test rax, rax",
    "jz 2f",
    "call rax",
    "test rax, rax",
    "jz 2f",
    "call rax",
    "mov eax, 1",
    "add rsp, 8",
    ".cfi_adjust_cfa_offset -8",
    "ret",
    ".cfi_adjust_cfa_offset 8",
    "2: mov rax, qword ptr [rip + _ZSt17__throw_bad_allocv@GOTPCREL]",
    "test rax, rax",
    "jz 3f",
    "call rax",
    "3: ud2",
    ".cfi_endproc",
    // A handler that throws makes nothrow new return null ([new.delete.single]
    // 8): the exception is caught here, as `catch (...)` would. The tables are
    // those of the Itanium C++ ABI, "Exception Handling Tables"; a program
    // without libstdc++ has no personality and nothing to catch.
    ".weak __gxx_personality_v0",
    ".weak __cxa_begin_catch",
    ".weak __cxa_end_catch",
    ".hidden heapwarden_new_nothrow_failed",
    ".globl heapwarden_new_nothrow_failed",
    "heapwarden_new_nothrow_failed:",
    ".cfi_startproc",
    ".cfi_personality 0x9b, .Lheapwarden_personality",
    ".cfi_lsda 0x1b, .Lheapwarden_nothrow_table",
    "sub rsp, 8",
    ".cfi_adjust_cfa_offset 8",
    "mov rax, qword ptr [rip + _ZSt15get_new_handlerv@GOTPCREL]",
    "test rax, rax",
    "jz 2f",
    "call rax",
    "test rax, rax",
    "jz 2f",
    ".Lheapwarden_handler_begins:",
    "call rax",
    ".Lheapwarden_handler_ends:",
    "mov eax, 1",
    "2: add rsp, 8",
    ".cfi_adjust_cfa_offset -8",
    "ret",
    ".cfi_adjust_cfa_offset 8",
    ".Lheapwarden_handler_threw:",
    "mov rdi, rax",
    "call qword ptr [rip + __cxa_begin_catch@GOTPCREL]",
    "call qword ptr [rip + __cxa_end_catch@GOTPCREL]",
    "xor eax, eax",
    "jmp 2b",
    ".Lheapwarden_nothrow_end:",
    ".cfi_endproc",
    ".section .gcc_except_table,\"a\",@progbits",
    ".balign 4",
    ".Lheapwarden_nothrow_table:",
    ".byte 0xff",
    ".byte 0x9b",
    ".uleb128 .Lheapwarden_types - .Lheapwarden_types_from",
    ".Lheapwarden_types_from:",
    ".byte 0x01",
    ".uleb128 .Lheapwarden_calls_end - .Lheapwarden_calls",
    ".Lheapwarden_calls:",
    ".uleb128 .Lheapwarden_handler_begins - heapwarden_new_nothrow_failed",
    ".uleb128 .Lheapwarden_handler_ends - .Lheapwarden_handler_begins",
    ".uleb128 .Lheapwarden_handler_threw - heapwarden_new_nothrow_failed",
    ".uleb128 1",
    ".uleb128 .Lheapwarden_handler_threw - heapwarden_new_nothrow_failed",
    ".uleb128 .Lheapwarden_nothrow_end - .Lheapwarden_handler_threw",
    ".uleb128 0",
    ".uleb128 0",
    ".Lheapwarden_calls_end:",
    ".byte 1",
    ".byte 0",
    ".balign 4",
    ".long 0",
    ".Lheapwarden_types:",
    ".section .data.rel,\"aw\",@progbits",
    ".balign 8",
    ".Lheapwarden_personality:",
    ".quad __gxx_personality_v0",
    ".text",
);

#[cold]
#[inline(never)]
fn general(size: usize, alignment: usize, family: Family, entry: Entry) -> *mut u8 {
    ensure_started();
    let block = heap::allocate_general(&Request { size, alignment, family, zeroed: false }, entry);
    if block.is_null() {
        let call = match family {
            Family::NewArray | Family::NewArrayAligned => Call::NewArray(size),
            _ => Call::New(size),
        };
        warnings::check_size(size, call, entry);
    }
    block
}

unsafe extern "C" fn new<const FAMILY: u8>(size: usize, sp: usize, fp: usize) -> *mut u8 {
    heap::allocate::<FAMILY>(size, Entry { sp, fp }, |size, entry| {
        general(size, 16, Family::from_bits(FAMILY), entry)
    })
}

unsafe extern "C" fn new_aligned<const FAMILY: u8>(
    size: usize,
    alignment: usize,
    sp: usize,
    fp: usize,
) -> *mut u8 {
    general(size, alignment, Family::from_bits(FAMILY), Entry { sp, fp })
}

shim! {
    "_ZdlPv"("rsi", "rdx") => delete::<NEW>;
    "_ZdaPv"("rsi", "rdx") => delete::<NEW_ARRAY>;
    "_ZdlPvRKSt9nothrow_t"("rsi", "rdx") => delete::<NEW>;
    "_ZdaPvRKSt9nothrow_t"("rsi", "rdx") => delete::<NEW_ARRAY>;
    "_ZdlPvm"("rdx", "rcx") => delete_sized::<NEW>;
    "_ZdaPvm"("rdx", "rcx") => delete_sized::<NEW_ARRAY>;
    "_ZdlPvSt11align_val_t"("rdx", "rcx") => delete_aligned::<NEW_ALIGNED>;
    "_ZdaPvSt11align_val_t"("rdx", "rcx") => delete_aligned::<NEW_ARRAY_ALIGNED>;
    "_ZdlPvSt11align_val_tRKSt9nothrow_t"("rdx", "rcx") => delete_aligned::<NEW_ALIGNED>;
    "_ZdaPvSt11align_val_tRKSt9nothrow_t"("rdx", "rcx") => delete_aligned::<NEW_ARRAY_ALIGNED>;
    "_ZdlPvmSt11align_val_t"("rcx", "r8") => delete_sized_aligned::<NEW_ALIGNED>;
    "_ZdaPvmSt11align_val_t"("rcx", "r8") => delete_sized_aligned::<NEW_ARRAY_ALIGNED>;
}

unsafe extern "C" fn delete<const FAMILY: u8>(pointer: usize, sp: usize, fp: usize) {
    heap::free::<FAMILY, false>(pointer, 0, Entry { sp, fp }, |pointer, _, entry| {
        if pointer != 0 {
            release(pointer, entry, Family::from_bits(FAMILY));
        }
    });
}

unsafe extern "C" fn delete_sized<const FAMILY: u8>(
    pointer: usize,
    size: usize,
    sp: usize,
    fp: usize,
) {
    heap::free::<FAMILY, true>(pointer, size, Entry { sp, fp }, |pointer, size, entry| {
        if pointer != 0 {
            super::violations::check_sized_delete(pointer, size, entry);
            release(pointer, entry, Family::from_bits(FAMILY));
        }
    });
}

unsafe extern "C" fn delete_aligned<const FAMILY: u8>(
    pointer: usize,
    alignment: usize,
    sp: usize,
    fp: usize,
) {
    let entry = Entry { sp, fp };
    if pointer != 0 {
        super::violations::check_aligned_delete(pointer, None, alignment, entry);
        release(pointer, entry, Family::from_bits(FAMILY));
    }
}

unsafe extern "C" fn delete_sized_aligned<const FAMILY: u8>(
    pointer: usize,
    size: usize,
    alignment: usize,
    sp: usize,
    fp: usize,
) {
    let entry = Entry { sp, fp };
    if pointer != 0 {
        super::violations::check_aligned_delete(pointer, Some(size), alignment, entry);
        release(pointer, entry, Family::from_bits(FAMILY));
    }
}
