//! `fail_site=function`: is this function in an allocation's call stack?
//!
//! Names are looked up by the symbol child, once for each address that was
//! not met before; the answers are kept in a table:
//!
//! ```text
//!   word = address << 1 | the function is there        0 = empty
//! ```
//!
//! Invariant: a full table costs look-ups, never wrong answers.

use crate::config::{FixedText, NAME_MAX};
use crate::report::{Code, End, Names, Stacks};
use crate::symbol::{Depot, NAMES};
use crate::sync::atomics::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Lock, Rank};
use crate::units::StackId;

const PLACES: usize = 1 << 13;
/// Places looked at before an address is not kept.
const STEPS: usize = 32;
const FRAMES: usize = 64;

static NAME: Lock<FixedText<NAME_MAX>> = Lock::new(Rank::Depot, FixedText::EMPTY);
static KNOWN: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];

/// Sets the function's name; answers about another one are forgotten.
pub(super) fn set(name: &[u8]) -> bool {
    let mut current = NAME.lock();
    KNOWN.iter().for_each(|place| place.store(0, Relaxed));
    current.set(name)
}

/// Whether the function is in `stack`, inlined or not.
pub(super) fn is_in(stack: StackId) -> bool {
    let mut codes = [Code::default(); FRAMES];
    let (count, _end): (usize, End) = Depot.frames(stack, &mut codes);
    let codes = &codes[..count.min(FRAMES)];
    let mut unknown = false;
    for code in codes {
        match known(code.address) {
            Some(true) => return true,
            Some(false) => {}
            None => {
                NAMES.want(code.call());
                unknown = true;
            }
        }
    }
    if !unknown {
        return false;
    }
    let name = *NAME.lock();
    let is_answered = NAMES.resolve().is_ok();
    let mut found = false;
    for code in codes.iter().filter(|code| known(code.address).is_none()) {
        let mut is_there = false;
        NAMES.at(code.call(), &mut |frame| {
            is_there |= frame.function.is_some_and(|function| fits(function, name.as_bytes()));
        });
        if is_answered {
            keep(code.address, is_there);
        }
        found |= is_there;
    }
    found
}

/// `function` as the program's file names it: whole, or up to the arguments
/// (`ns::f(int)` fits `ns::f`).
fn fits(function: &[u8], name: &[u8]) -> bool {
    function == name
        || function.strip_prefix(name).is_some_and(|rest| matches!(rest, [b'(' | b'<' | b'[', ..]))
}

fn places(address: usize) -> impl Iterator<Item = &'static AtomicU64> {
    let hash = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (0..STEPS).map(move |step| &KNOWN[(hash as usize + step) % PLACES])
}

fn known(address: usize) -> Option<bool> {
    places(address)
        .map(|place| place.load(Relaxed))
        .take_while(|&word| word != 0)
        .find(|word| word >> 1 == address as u64)
        .map(|word| word & 1 != 0)
}

fn keep(address: usize, is_there: bool) {
    let word = (address as u64) << 1 | u64::from(is_there);
    for place in places(address) {
        if place.compare_exchange(0, word, Relaxed, Relaxed).is_ok() {
            return;
        }
    }
}
