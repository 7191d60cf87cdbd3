//! A number that is made once, by whoever comes first.
//!
//! ```text
//!   0 not made    1 being made    n + 2 made: n
//! ```
//!
//! Invariant: `make` runs in one thread at a time, and never again once it
//! succeeded; whoever comes meanwhile waits, but not for ever: it may be a
//! signal handler that has interrupted the very thread that makes.

use crate::platform::{Host, Platform};
use crate::sync::atomics::{
    AtomicU32,
    Ordering::{Acquire, Release},
};

const NOT_MADE: u32 = 0;
const BEING_MADE: u32 = 1;
/// Looks at a number that is being made, and the pause between two.
const LOOKS: u32 = 200;
const PAUSE_NS: u64 = 50_000;

/// A number below 2^32 - 2 that is made once; see the module's text.
pub struct Once(AtomicU32);

impl Once {
    /// Not made yet.
    pub const fn new() -> Self {
        Once(AtomicU32::new(NOT_MADE))
    }

    /// The number; makes it if nobody has. `None` if `make` fails, or if
    /// another thread is making it and does not come to an end.
    pub fn get_or_make(&self, make: impl FnOnce() -> Option<u32>) -> Option<u32> {
        let mut make = Some(make);
        for _ in 0..LOOKS {
            match self.0.load(Acquire) {
                NOT_MADE | BEING_MADE => {}
                made => return Some(made - 2),
            }
            // An exchange sees the newest value; a load may see an old one for long.
            match self.0.compare_exchange(NOT_MADE, BEING_MADE, Acquire, Acquire) {
                Ok(_) => {
                    let made = make.take().and_then(|make| make());
                    self.0.swap(made.map_or(NOT_MADE, |number| number + 2), Release);
                    Host::wake(&self.0, u32::MAX >> 1);
                    return made;
                }
                Err(BEING_MADE) => Host::wait(&self.0, BEING_MADE, PAUSE_NS),
                Err(made) => return Some(made - 2),
            }
        }
        None
    }
}

impl Default for Once {
    fn default() -> Self {
        Once::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_made_once_and_a_failure_is_tried_again() {
        let once = Once::new();
        assert_eq!(once.get_or_make(|| None), None);
        assert_eq!(once.get_or_make(|| Some(0)), Some(0));
        assert_eq!(once.get_or_make(|| panic!("made already")), Some(0));
    }

    #[test]
    fn a_handler_inside_the_making_goes_without() {
        let once = Once::new();
        let made = once.get_or_make(|| {
            assert_eq!(once.get_or_make(|| Some(4)), None);
            Some(3)
        });
        assert_eq!(made, Some(3));
    }
}
