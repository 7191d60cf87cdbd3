//! Crimes: finding out what was damaged, and telling whoever listens.
//!
//! The heap knows no reports; a handler set from above renders them. Whatever
//! it does, the heap stays consistent: damaged guards and poison are written
//! again, and a wrong free changes nothing.

use super::allocate::arm;
use super::judge::{self, Block, Found};
use super::settings::mode;
use super::{check, guard_page, span};
use crate::guard::{self, EDGE, GUARD_BYTES, Pattern, Tier, Violation, ViolationKind};
use crate::ledger::State;
use crate::memory::Window;
use crate::sync::atomics::{
    AtomicPtr,
    Ordering::{Acquire, Release},
};
use crate::units::{Family, StackId, align_down, align_up};
use core::ptr::null_mut;

/// What is called with each crime; it may end the process.
pub type Handler = fn(&Violation);

static HANDLER: AtomicPtr<()> = AtomicPtr::new(null_mut());

/// Sets what is called with each crime from now on.
pub fn set_violation_handler(handler: Handler) {
    HANDLER.store(handler as *mut (), Release);
}

/// Tells the handler; `true` when the program is to go on.
pub fn on_violation(violation: &Violation) -> bool {
    let handler = HANDLER.load(Acquire);
    if !handler.is_null() {
        // SAFETY: only `set_violation_handler` stores here, and it takes a
        // `Handler`.
        let handler: Handler = unsafe { core::mem::transmute(handler) };
        handler(violation);
    }
    true
}

pub(super) use on_violation as report;

/// A freed slot or span was written to, or somebody ran into it from the block
/// before or behind it: names whoever it was.
///
/// # Safety
/// `start` and `bytes` are a slot or span of the heap, not handed out.
#[cold]
#[inline(never)]
pub(super) unsafe fn write_after_free(
    start: usize,
    bytes: usize,
    pattern: Pattern,
    tier: Tier,
    finder: StackId,
) {
    // SAFETY: the caller's promise.
    let found = unsafe { guard::first_difference(start, bytes, pattern, tier) };
    let Some((mut address, mut changed)) = found else { return };
    let block = match judge::locate(start) {
        Found::Inside(block, true) => Some(block),
        _ => None,
    };
    // A held block's own end is watched closer than the middle of its memory.
    if let Some(block) = &block
        && block.record.state() == State::Held
        && let Some((first, more)) = first_change_in_end(start, block.size, pattern)
        && first < address
    {
        (address, changed) = (first, more.max(changed));
    }
    if let Some(block) = block.filter(|block| !block.is_span()) {
        if address == start
            && let Some(origin) = run_over_from(&block)
        {
            tell_overflow(&origin, finder);
            return;
        }
        // The last guard bytes never were a block's: whoever changed only
        // them ran out of the live block behind.
        if address >= start + bytes - GUARD_BYTES
            && let Some(behind) = block.neighbour(true)
            && behind.is_live()
        {
            let at = behind.start - 1;
            // SAFETY: the last byte of the slot.
            if unsafe { (at as *const u8).read_volatile() } != pattern.byte(at) {
                tell(ViolationKind::Underflow, &behind, address, changed, finder);
                return;
            }
        }
    }
    tell_write(start, address, changed, finder);
}

/// The last [`EDGE`] bytes of a block, as far as whole units of 16 go.
fn end_of(start: usize, size: usize) -> (usize, usize) {
    let from = align_down(start + size.saturating_sub(EDGE), 16).max(start);
    (from, align_up(start + size, 16))
}

/// Fills the end of a freed block in a slot that is larger than the block: what
/// the slot's own edge does not reach.
///
/// # Safety
/// The block's slot is the caller's, and not the program's any more.
#[inline(never)]
pub(super) unsafe fn fill_end(start: usize, size: usize, pattern: Pattern) {
    let (from, to) = end_of(start, size);
    // SAFETY: within the slot, which has at least 8 bytes behind the block and
    // whose size is a multiple of 16.
    unsafe { arm(from, to, pattern) };
}

/// Whether the end of a held block still holds the pattern.
///
/// # Safety
/// As [`fill_end`], which was called with the same values.
pub(super) unsafe fn end_holds(start: usize, size: usize) -> bool {
    let (from, to) = end_of(start, size);
    let pattern = Pattern::at(start - Window::base());
    // SAFETY: the caller's promise.
    unsafe { guard::first_guard_difference(from, 0, to - from, pattern).is_none() }
}

/// The first changed byte in the end of a held block, and how many there are.
fn first_change_in_end(start: usize, size: usize, pattern: Pattern) -> Option<(usize, usize)> {
    let (from, to) = end_of(start, size);
    // SAFETY: within the block's slot, which the heap owns.
    unsafe { guard::first_guard_difference(from, 0, to - from, pattern) }
}

/// Verifies the end of a block that leaves the quarantine.
///
/// # Safety
/// As [`end_holds`].
#[inline(never)]
pub(super) unsafe fn check_end(start: usize, size: usize, modes: u8, finder: StackId) {
    // SAFETY: the caller's promise.
    unsafe {
        if modes & mode::POISON_NONE != 0 || end_holds(start, size) {
            return;
        }
        let (from, to) = end_of(start, size);
        let pattern = Pattern::at(start - Window::base());
        if let Some((address, changed)) = guard::first_guard_difference(from, 0, to - from, pattern)
        {
            tell_write(start, address, changed, finder);
        }
        arm(from, to, pattern);
    }
}

fn tell_write(block: usize, address: usize, changed: usize, finder: StackId) {
    report(&Violation {
        kind: ViolationKind::UseAfterFree,
        address,
        block,
        changed,
        family: Family::Malloc,
        given: 0,
        stack: finder,
    });
}

/// The live block whose overflow ran up to the start of `block`: each guard on
/// the way is damaged from its first byte to its last. Blocks further down
/// count as long as that holds.
fn run_over_from(block: &Block) -> Option<Block> {
    let mut origin = None;
    let mut next = *block;
    for _ in 0..MOST_RUN_OVER {
        let Some(before) = next.neighbour(false) else { break };
        if !before.is_live() || before.is_span() {
            break;
        }
        let (from, to) = guards(&before).behind;
        if !(is_changed(from, &before) && is_changed(to - 1, &before)) {
            break;
        }
        origin = Some(before);
        next = before;
    }
    origin
}

/// Blocks that an overflow is followed back through.
const MOST_RUN_OVER: usize = 1024;

/// Whether the guard byte at `address` behind `block` is not the pattern's.
fn is_changed(address: usize, block: &Block) -> bool {
    let pattern = Pattern::at(block.start - Window::base());
    // SAFETY: the caller names a byte of the block's slot behind the block.
    unsafe { (address as *const u8).read_volatile() != pattern.byte(address) }
}

/// Reports an overflow of `block` found from elsewhere, and mends its guard.
fn tell_overflow(block: &Block, finder: StackId) {
    let (from, to) = guards(block).behind;
    let pattern = Pattern::at(block.start - Window::base());
    // SAFETY: the guard lies in the block's slot, which the heap owns.
    unsafe {
        let found = guard::first_guard_difference(from, 0, to - from, pattern);
        let (address, changed) = found.unwrap_or((from, 0));
        tell(ViolationKind::Overflow, block, address, changed, finder);
        arm(from, to, pattern);
    }
    mend_behind(block);
}

/// The bytes around a live block that must hold its pattern.
struct Guards {
    /// From the byte after the block to the end of its guard.
    behind: (usize, usize),
    /// The bytes before it, and whose pattern they hold.
    before: Option<(usize, Pattern)>,
    pattern: Pattern,
}

fn guards(block: &Block) -> Guards {
    let pattern = Pattern::at(block.start - Window::base());
    let end = block.start + block.slot;
    // SAFETY: the block's granule describes it while the caller holds it.
    let granule = unsafe { &*block.granule };
    if block.is_guarded() {
        return Guards {
            behind: (block.start + block.size, guard_page::data_end(block.start, block.size)),
            before: guard_page::has_front(block.start).then_some((block.start - 16, pattern)),
            pattern,
        };
    }
    if block.is_span() {
        let has_front = block.start != Window::address_of(granule.head);
        return Guards {
            behind: (block.start + block.size, span::guard_end(block.start, block.size, end)),
            before: has_front.then_some((block.start - 16, pattern)),
            pattern,
        };
    }
    let before = match block.index {
        0 => super::refill::before_slot_zero(granule),
        _ => Pattern::at(block.start - block.slot - Window::base()),
    };
    Guards {
        behind: (block.start + block.size, end),
        before: Some((block.start - 8, before)),
        pattern,
    }
}

/// Looks at the guards of a live block; names the damage and mends it.
/// Whether they were whole.
///
/// The 8 bytes between two blocks guard both. Who changed them is told by the
/// first byte: the one right behind a block is its overflow, the one right
/// before a block its underflow; if both changed, it was the overflow.
pub(super) fn check_guards(block: &Block, stack: StackId) -> bool {
    let guards = guards(block);
    let (from, to) = guards.behind;
    // SAFETY: guards lie within the block's slot or span, or the pad or slot
    // before it, which the heap owns.
    let (before, behind) = unsafe {
        (
            guards.before.and_then(|(start, pattern)| {
                guard::first_guard_difference(start, 0, block.start - start, pattern)
            }),
            guard::first_guard_difference(from, 0, to - from, guards.pattern),
        )
    };
    if let (Some((address, changed)), Some((start, pattern))) = (before, guards.before) {
        match origin_of_damage_before(block) {
            Some(origin) => tell_overflow(&origin, stack),
            None => {
                tell(ViolationKind::Underflow, block, address, changed, stack);
                // SAFETY: as above.
                unsafe { arm(start, block.start, pattern) };
            }
        }
    }
    // What ran over this block from an earlier one was named and mended above.
    // SAFETY: as above.
    let behind = behind
        .and_then(|_| unsafe { guard::first_guard_difference(from, 0, to - from, guards.pattern) });
    if let Some((address, changed)) = behind {
        match underflow_behind(block, address) {
            Some(next) => tell(ViolationKind::Underflow, &next, address, changed, stack),
            None => tell(ViolationKind::Overflow, block, address, changed, stack),
        }
        // SAFETY: as above.
        unsafe { arm(from, to, guards.pattern) };
        mend_behind(block);
    }
    before.is_none() && behind.is_none()
}

/// The live block whose overflow damaged the bytes before `block`, if it was
/// one: its guard is damaged from its first byte.
fn origin_of_damage_before(block: &Block) -> Option<Block> {
    let previous = block.neighbour(false).filter(|previous| !previous.is_span())?;
    if !previous.is_live() {
        return None;
    }
    let (from, _) = guards(&previous).behind;
    is_changed(from, &previous).then(|| run_over_from(&previous).unwrap_or(previous))
}

/// The live block behind `block` if the damage, which begins at `address`, is
/// its underflow: not the first byte behind this one, but the last before it.
fn underflow_behind(block: &Block, address: usize) -> Option<Block> {
    let (from, to) = guards(block).behind;
    if block.is_span() || address == from || address + GUARD_BYTES < to {
        return None;
    }
    let next = block.neighbour(true).filter(Block::is_live)?;
    is_changed(to - 1, block).then_some(next)
}

/// After an overflow was reported: mends what it did to the guards and the
/// poison behind the block, so that no victim is accused of it later.
fn mend_behind(block: &Block) {
    let mut next = block.neighbour(true).filter(|next| !next.is_span());
    for _ in 0..MOST_RUN_OVER {
        let Some(victim) = next else { return };
        if check::is_whole(&victim) {
            return;
        }
        check::mend(&victim);
        next = victim.neighbour(true);
    }
}

/// Writes the guard behind a live block again.
pub(super) fn mend_guard(block: &Block) {
    let guards = guards(block);
    let (from, to) = guards.behind;
    // SAFETY: the guard lies in the block's slot or span.
    unsafe { arm(from, to, guards.pattern) };
}

fn tell(kind: ViolationKind, block: &Block, address: usize, changed: usize, stack: StackId) {
    report(&Violation {
        kind,
        address,
        block: block.start,
        changed,
        family: block.record.family(),
        given: 0,
        stack,
    });
}

/// Whether the guards of a live block are whole, without touching anything.
pub(super) fn guards_hold(block: &Block) -> bool {
    let guards = guards(block);
    let (from, to) = guards.behind;
    // SAFETY: as in `check_guards`.
    unsafe {
        guard::first_guard_difference(from, 0, to - from, guards.pattern).is_none()
            && guards.before.is_none_or(|(start, pattern)| {
                guard::first_guard_difference(start, 0, block.start - start, pattern).is_none()
            })
    }
}
