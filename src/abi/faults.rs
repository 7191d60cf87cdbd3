//! A fault that one of our blocks explains: a pointer read from freed or fresh
//! memory was followed, or a guard page was touched.
//!
//! Freed memory holds words that are no addresses and name their block
//! ([`Pattern`]); following one is a general protection fault, for which the
//! kernel gives no address, so the operand of the instruction tells. A guard
//! page gives its address.
//!
//! Invariant: a fault is ours only if the address that the instruction used
//! says so; what cannot be told is passed on without a word.

use super::runtime::OPTIONS_BUFFER;
use super::violations::{self, Fault};
use super::{signals, warnings};
use crate::guard::Pattern;
use crate::guard::instruction::{self, Operand, Registers, Unclear};
use crate::heap::{self, Block, FILL_BYTE, Found};
use crate::memory::Window;
use crate::platform::linux::process;
use crate::platform::{Host, Platform};
use crate::report::ErrorKind;
use crate::sync::atomics::{
    AtomicU32,
    Ordering::{AcqRel, Acquire},
};
use crate::units::{KIB, Text};
use core::ffi::c_void;
use core::fmt::Write;

/// Bytes of stack for the report: the program may have left us little.
const STACK_BYTES: usize = 512 * KIB;
/// How far from the pointer that was read its fields may lie.
const FIELDS: i64 = 4096;
/// Longest instruction (Intel SDM vol. 2, 2.3.11).
const LONGEST_INSTRUCTION: usize = 15;
/// si_code of a fault without an address: general protection, stack segment.
const SI_KERNEL: i32 = 0x80;

/// The thread that reports a fault; 0 = none.
static REPORTING: AtomicU32 = AtomicU32::new(0);

/// Starts to look at faults, if the options want it.
pub(super) fn install() {
    if OPTIONS_BUFFER.get().handle_segv {
        signals::install();
    }
}

/// What was found out about a fault.
struct Explanation {
    kind: ErrorKind,
    /// The address it is about.
    address: usize,
    /// The word that was followed, or 0.
    word: u64,
    block: Option<Block>,
}

/// Reports the fault if it is ours; whether the process is to die of it now,
/// without asking the program's handler.
pub(super) fn explain(signal: i32, info: &libc::siginfo_t, context: &libc::ucontext_t) -> bool {
    let found = match info.si_code {
        SI_KERNEL => from_instruction(context),
        code if code > 0 && signal == libc::SIGSEGV => {
            // SAFETY: faults carry an address (sigaction(2)).
            let address = unsafe { info.si_addr() } as usize;
            from_guard(address)
        }
        _ => None,
    };
    let Some(found) = found else { return false };
    let thread = Host::thread_id();
    if let Err(reporter) = REPORTING.compare_exchange(0, thread, AcqRel, Acquire) {
        if reporter == thread {
            // A fault while reporting one: the end.
            return true;
        }
        // The process is about to die of another thread's fault.
        Host::wait(&REPORTING, reporter, 10_000_000_000);
        return true;
    }
    let registers = &context.uc_mcontext.gregs;
    let register = |number: i32| registers[number as usize] as usize;
    let mut work = Work {
        stack: heap::capture_interrupted(
            register(libc::REG_RIP),
            register(libc::REG_RSP),
            register(libc::REG_RBP),
            heap::settings().stack_depth,
        ),
        found,
    };
    on_own_stack(report, (&raw mut work).cast());
    REPORTING.store(0, crate::sync::atomics::Ordering::Release);
    OPTIONS_BUFFER.get().halt_on_error
}

struct Work {
    stack: crate::units::StackId,
    found: Explanation,
}

extern "C" fn report(work: *mut c_void) {
    // SAFETY: `explain` passes its own `Work` and waits for us.
    let work = unsafe { &*work.cast::<Work>() };
    let found = &work.found;
    let mut buffer = [0; 256];
    let mut message = Text::new(&mut buffer);
    describe(&mut message, found);
    violations::report_fault(&Fault {
        kind: found.kind,
        address: found.address,
        message: message.as_str(),
        stack: work.stack,
        block: found.block,
    });
    warnings::flush();
}

fn describe(text: &mut Text<'_>, found: &Explanation) {
    let word = found.word;
    let _ = match (found.kind, &found.block) {
        (ErrorKind::HeapBufferOverflow, Some(block)) => {
            let past = found.address - block.start - block.size;
            write!(text, "a guard page {past} byte(s) past the end of the block was touched")
        }
        (ErrorKind::HeapBufferUnderflow, Some(block)) => {
            let before = block.start - found.address;
            write!(text, "a guard page {before} byte(s) before the block was touched")
        }
        (ErrorKind::HeapUseAfterFree, _) if word == 0 => {
            write!(text, "a freed block was touched")
        }
        (ErrorKind::HeapUseAfterFree, Some(_)) => {
            write!(text, "the pointer {word:#x} was read from a freed block and followed")
        }
        (ErrorKind::HeapUseAfterFree, None) => {
            write!(text, "the pointer {word:#x} was read from freed memory and followed")
        }
        (_, Some(_)) => write!(
            text,
            "the pointer {word:#x} was read from a block before anything was written there, \
             and followed"
        ),
        (_, None) => write!(
            text,
            "the pointer {word:#x} was read from memory before anything was written there, \
             and followed"
        ),
    };
}

/// A touch of a guard page, or of a freed block that has them.
fn from_guard(address: usize) -> Option<Explanation> {
    let block = heap::guarded_at(address)?;
    let kind = match block.is_live() {
        false => ErrorKind::HeapUseAfterFree,
        true if address < block.start => ErrorKind::HeapBufferUnderflow,
        true if address >= block.start + block.size => ErrorKind::HeapBufferOverflow,
        true => return None,
    };
    Some(Explanation { kind, address, word: 0, block: Some(block) })
}

/// A use of a word that is no address.
fn from_instruction(context: &libc::ucontext_t) -> Option<Explanation> {
    let saved = &context.uc_mcontext.gregs;
    let order = [
        libc::REG_RAX,
        libc::REG_RCX,
        libc::REG_RDX,
        libc::REG_RBX,
        libc::REG_RSP,
        libc::REG_RBP,
        libc::REG_RSI,
        libc::REG_RDI,
        libc::REG_R8,
        libc::REG_R9,
        libc::REG_R10,
        libc::REG_R11,
        libc::REG_R12,
        libc::REG_R13,
        libc::REG_R14,
        libc::REG_R15,
    ];
    let registers: Registers = order.map(|number| saved[number as usize] as u64);
    let pc = saved[libc::REG_RIP as usize] as usize;
    let operand_in = |length| {
        // SAFETY: the processor fetched the instruction that faulted from
        // there: as many bytes as it has.
        let code = unsafe { core::slice::from_raw_parts(pc as *const u8, length) };
        instruction::operand(code, &registers)
    };
    // Past the page's end only if the instruction goes on there.
    let on_page = LONGEST_INSTRUCTION.min(4096 - pc % 4096);
    let operand = match operand_in(on_page) {
        Err(Unclear::CutOff) => operand_in(LONGEST_INSTRUCTION),
        result => result,
    };
    match operand.ok()? {
        Operand::JumpTo(word) => from_word(word),
        Operand::String(source, destination) => {
            from_word(source).or_else(|| from_word(destination))
        }
        Operand::Return(place) => from_word(read(place)?),
        Operand::Memory { address, jumps: true, .. } if is_canonical(address) => {
            from_word(read(address)?)
        }
        Operand::Memory { address, .. } if is_canonical(address) => None,
        Operand::Memory { address, base, index, .. } => {
            let words = [base, index];
            let exact = || words.into_iter().flatten().filter_map(from_word);
            // A pattern with an offset added may look like another slot's.
            let known = exact().find(|found| found.block.is_some());
            known.or_else(|| near_word(address)).or_else(|| exact().next())
        }
    }
}

fn is_canonical(address: u64) -> bool {
    let top = address as i64 >> 47;
    top == 0 || top == -1
}

/// The word that an instruction has just read at `place`.
fn read(place: u64) -> Option<u64> {
    // SAFETY: the processor read the word before it found it no address; a
    // jump faults only then.
    is_canonical(place).then(|| unsafe { (place as *const u64).read_unaligned() })
}

/// A word that is the pattern of a slot, whole or read askew.
fn from_word(word: u64) -> Option<Explanation> {
    if word == u64::from_ne_bytes([FILL_BYTE; 8]) {
        let kind = ErrorKind::UseOfUninitializedValue;
        return Some(Explanation { kind, address: word as usize, word, block: None });
    }
    (0..8).find_map(|bytes| {
        let offset = Pattern::decode(word.rotate_left(bytes * 8))?;
        Some(from_slot(Window::base() + offset, word, bytes == 0))
    })?
}

/// A pattern, or a fill, with a field's offset added.
fn near_word(address: u64) -> Option<Explanation> {
    let fill = u64::from_ne_bytes([FILL_BYTE; 8]);
    if (address.wrapping_sub(fill) as i64).abs() <= FIELDS {
        return from_word(fill);
    }
    (1..=FIELDS).find_map(|distance| {
        [distance, -distance].into_iter().find_map(|distance| {
            let word = address.wrapping_sub(distance as u64);
            let offset = Pattern::decode(word)?;
            from_slot(Window::base() + offset, word, true).filter(|found| found.block.is_some())
        })
    })
}

/// The block that has, or had, its slot at `start`. Without one only a whole
/// word counts.
fn from_slot(start: usize, word: u64, whole: bool) -> Option<Explanation> {
    let block = match heap::locate(start) {
        Found::Inside(block, true) => Some(block),
        _ if whole => None,
        _ => return None,
    };
    let kind = match &block {
        Some(block) if block.is_live() => ErrorKind::UseOfUninitializedValue,
        Some(block) if block.record.stack().is_unknown() => ErrorKind::UseOfUninitializedValue,
        _ => ErrorKind::HeapUseAfterFree,
    };
    let block = block.filter(|block| !block.record.stack().is_unknown());
    Some(Explanation { kind, address: start, word, block })
}

/// Has the process die of the fault: with the default in place the
/// instruction faults again when we return, where a core dump shows it. A
/// signal that somebody sent is sent again.
pub(super) fn die_of(signal: i32, info: &libc::siginfo_t) {
    warnings::flush();
    process::reset_signal(signal);
    if info.si_code <= 0 {
        process::raise(signal);
    }
}

/// Calls `function` on a fresh stack; on the present one without memory.
pub(super) fn on_own_stack(function: extern "C" fn(*mut c_void), argument: *mut c_void) {
    let Ok(stack) = Host::map(STACK_BYTES) else { return function(argument) };
    // A walk of this stack finds zeros at its end, and stops.
    let top = stack.as_ptr() as usize + STACK_BYTES - 256;
    // SAFETY: the new stack is ours and aligned to 16 at the call; r12 is
    // preserved by the function (System V psABI) and brings the old one back.
    unsafe {
        core::arch::asm!(
            "xchg rsp, r12",
            "call r13",
            "mov rsp, r12",
            inout("r12") top => _,
            inout("r13") function => _,
            inout("rdi") argument => _,
            clobber_abi("C"),
        );
        // The stack is ours, and nobody is on it any more.
        let _ = Host::unmap(stack.as_ptr() as usize, STACK_BYTES);
    }
}
