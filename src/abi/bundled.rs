//! Operators new and delete of a libstdc++ that is linked into the program
//! itself while we are preloaded: they call our malloc and free.
//!
//! At start the program's symbol table tells where they lie. Then allocations
//! and frees leave the fast path, and those that come from such an operator
//! count as new's and delete's. They end in jumps (`operator delete` to free,
//! `operator new[]` to operator new), so a return address is not enough: the
//! call before it tells where the caller meant to go.
//!
//! ```text
//!   caller:  call _ZdaPv ───> _ZdaPv: jmp _ZdlPv ───> _ZdlPv: jmp free
//!            (return address) <──────────── the innermost frame that free sees
//! ```
//!
//! Invariant: what cannot be told for certain is taken to fit. Operators that
//! the program wrote itself are not looked at: they may be pools.

use super::operators::family_of_name;
use crate::heap;
use crate::platform::linux::auxv;
use crate::platform::linux::files::File;
use crate::sync::atomics::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::trace::{self, Entry};
use crate::units::{Family, OS_PAGE};

/// libstdc++ has 8 operators new and 12 operators delete.
const ROOM: usize = 32;
/// The object file of libstdc++ with operator new (and its `STT_FILE` symbol).
const ORIGIN: &[u8] = b"new_op.";

struct Operator {
    start: AtomicUsize,
    end: AtomicUsize,
    family: AtomicUsize,
}

static OPERATORS: [Operator; ROOM] = [const {
    Operator { start: AtomicUsize::new(0), end: AtomicUsize::new(0), family: AtomicUsize::new(0) }
}; ROOM];
/// How many there are; stored last.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Looks whether the program has such operators. Called once, by the
/// constructor.
pub(super) fn find() {
    let Some(entry) = auxv::auxiliary(libc::AT_ENTRY) else { return };
    let Ok(program) = File::open(b"/proc/self/exe\0", libc::O_RDONLY | libc::O_CLOEXEC, 0) else {
        return;
    };
    let mut count = 0;
    let _ = program.look_at(|bytes| {
        // Where the program starts, in memory and as the file states it
        // (getauxval(3); elf(5), `e_entry`), tells where it was loaded.
        let Some(Ok(stated)) = bytes.get(24..32).map(<[u8; 8]>::try_from) else { return };
        let bias = (entry as usize).wrapping_sub(usize::from_ne_bytes(stated));
        let beginnings = [b"_Znw".as_slice(), b"_Zna", b"_Zdl", b"_Zda"];
        heapwarden_symbols::for_each_bundled_function(
            bytes,
            ORIGIN,
            &beginnings,
            &mut |name, address, length| {
                if let (Some(family), Some(operator)) = (family_of_name(name), OPERATORS.get(count))
                {
                    let start = bias.wrapping_add(address as usize);
                    operator.start.store(start, Relaxed);
                    operator.end.store(start.wrapping_add(length as usize), Relaxed);
                    operator.family.store(family as usize, Relaxed);
                    count += 1;
                }
            },
        );
    });
    if count > 0 {
        COUNT.store(count, Release);
        heap::watch_operators();
    }
}

/// Whether there are any: then [`making`] and [`freeing`] are worth asking.
#[inline]
pub(super) fn are_there() -> bool {
    COUNT.load(Relaxed) > 0
}

/// The family of the operator that an allocation came through, if it did.
pub(super) fn making(entry: Entry) -> Option<Family> {
    outermost(entry)
}

/// The family of the function that a free came through; `None` = not known.
pub(super) fn freeing(entry: Entry) -> Option<Family> {
    outermost(entry).or_else(|| {
        // SAFETY: free's caller pushed its return address at `entry.sp`
        // (System V psABI x86-64, 3.2.2), so the word is there.
        let after = unsafe { (entry.sp as *const usize).read_volatile() };
        (callee(after)? == super::malloc::address_of_free()).then_some(Family::Malloc)
    })
}

/// The operators on the stack call one another, the outermost is the one that
/// the program called: in a frame of its own, or as the target of the call.
fn outermost(entry: Entry) -> Option<Family> {
    let mut frames = [0; 4];
    let (count, _) = trace::frames(heap::capture(entry), &mut frames);
    let mut family = None;
    for &after in &frames[..count] {
        match family_at(after - 1) {
            Some(outer) => family = Some(outer),
            None => return callee(after).and_then(family_at).or(family),
        }
    }
    family
}

fn family_at(address: usize) -> Option<Family> {
    let operators = &OPERATORS[..COUNT.load(Acquire)];
    operators
        .iter()
        .find(|one| (one.start.load(Relaxed)..one.end.load(Relaxed)).contains(&address))
        .map(|one| Family::from_bits(one.family.load(Relaxed) as u8))
}

/// Where the call went that returns to `after`: directly, through the
/// procedure linkage table, or through a word of the global offset table.
fn callee(after: usize) -> Option<usize> {
    const CALL: u8 = 0xe8;
    const CALL_THROUGH: [u8; 2] = [0xff, 0x15];
    // A shorter call may begin its page, and nothing need lie before that.
    if after % OS_PAGE < 6 {
        return None;
    }
    // SAFETY: the thread returns to this address, so its page, which holds the
    // bytes before it too, is there to be read.
    let bytes = unsafe { (after as *const u8).sub(6).cast::<[u8; 6]>().read() };
    let distance = i32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]) as isize;
    let target = after.wrapping_add_signed(distance);
    if bytes[1] == CALL {
        return Some(through_linkage_table(target).unwrap_or(target));
    }
    if bytes[..2] == CALL_THROUGH {
        // SAFETY: the call read this word to know where to go.
        return Some(unsafe { (target as *const usize).read_unaligned() });
    }
    None
}

/// Where an entry of the procedure linkage table at `stub` jumps to, if it is
/// one: `endbr64`? `bnd`? `jmp [rip + distance]`.
fn through_linkage_table(stub: usize) -> Option<usize> {
    const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
    const BND: u8 = 0xf2;
    const JUMP_THROUGH: [u8; 2] = [0xff, 0x25];
    if stub % OS_PAGE > OS_PAGE - 16 {
        return None;
    }
    // SAFETY: a call went there, so there is code, on one page.
    let bytes = unsafe { (stub as *const [u8; 16]).read_unaligned() };
    let mut at = if bytes[..4] == ENDBR64 { 4 } else { 0 };
    at += usize::from(bytes[at] == BND);
    if bytes[at..at + 2] != JUMP_THROUGH {
        return None;
    }
    let distance = i32::from_le_bytes(bytes[at + 2..at + 6].try_into().ok()?) as isize;
    let word = stub.wrapping_add(at + 6).wrapping_add_signed(distance);
    // SAFETY: the jump read this word to know where to go.
    Some(unsafe { (word as *const usize).read_unaligned() })
}
