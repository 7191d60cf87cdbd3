//! Crimes: finding out what was damaged, and telling whoever listens.
//!
//! The heap knows no reports; a handler set from above renders them. Whatever
//! it does, the heap stays consistent: damaged guards and poison are written
//! again, and a wrong free changes nothing.

use super::allocate::arm;
use super::judge::Block;
use super::span;
use crate::guard::{self, Pattern, Tier, Violation, ViolationKind};
use crate::memory::{Granule, Window};
use crate::units::{Family, StackId};
use core::ptr::null_mut;
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Release},
};

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

/// A freed slot or span was written to.
///
/// # Safety
/// `start` and `bytes` are a slot or span of the heap, not handed out.
#[cold]
#[inline(never)]
pub(super) unsafe fn write_after_free(
    _granule: *const Granule,
    _index: u32,
    start: usize,
    bytes: usize,
    pattern: Pattern,
    tier: Tier,
) {
    // SAFETY: the caller's promise.
    if let Some((address, changed)) =
        unsafe { guard::first_difference(start, bytes, pattern, tier) }
    {
        report(&Violation {
            kind: ViolationKind::UseAfterFree,
            address,
            block: start,
            changed,
            family: Family::Malloc,
            given: 0,
            stack: StackId::UNKNOWN,
        });
    }
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
pub(super) fn check_guards(block: &Block, stack: StackId) -> bool {
    let guards = guards(block);
    let (from, to) = guards.behind;
    let mut whole = true;
    // SAFETY: guards lie within the block's slot or span, or the pad or slot
    // before it, which the heap owns.
    unsafe {
        if let Some((start, pattern)) = guards.before
            && let Some((address, changed)) =
                guard::first_guard_difference(start, 0, block.start - start, pattern)
        {
            arm(start, block.start, pattern);
            whole = false;
            tell(ViolationKind::Underflow, block, address, changed, stack);
        }
        if let Some((address, changed)) =
            guard::first_guard_difference(from, 0, to - from, guards.pattern)
        {
            arm(from, to, guards.pattern);
            whole = false;
            tell(ViolationKind::Overflow, block, address, changed, stack);
        }
    }
    whole
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
