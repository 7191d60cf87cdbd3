//! The copies of atomics (and of plain words that are witnessed) on which an
//! exploration by loom works, by address.
//!
//! loom wants every atomic to be made before the threads that share it. So all
//! places known are copied as an iteration begins, by its first task; a place
//! met later is noted, and the exploration begins anew with it.
//!
//! Memory that a task maps is another matter: its places are copied by that
//! task, and whoever sees them without having been told by a release is found.

use super::{Mode, mode};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// What lies at a place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// An atomic of this type; a pointer is a usize.
    AtomicBool,
    /// See above.
    AtomicU8,
    /// See above.
    AtomicU32,
    /// See above.
    AtomicI32,
    /// See above.
    AtomicU64,
    /// See above.
    AtomicUsize,
    /// Plain memory whose uses are witnessed.
    Witness,
}

/// A plain copy of a place, while places are discovered.
pub type Copied = Rc<Cell<u64>>;

std::thread_local! {
    static KNOWN: RefCell<BTreeMap<(usize, bool), Kind>> = const { RefCell::new(BTreeMap::new()) };
    static COPIED: RefCell<HashMap<usize, Copied>> = RefCell::new(HashMap::new());
    static FORGOTTEN: Cell<bool> = const { Cell::new(false) };
}

/// Forgets every place: a new exploration begins.
pub fn forget_all() {
    KNOWN.with_borrow_mut(BTreeMap::clear);
    COPIED.with_borrow_mut(HashMap::clear);
    FORGOTTEN.set(false);
}

/// How many places are known.
pub fn known() -> usize {
    KNOWN.with_borrow(BTreeMap::len)
}

/// Whether a place was met that had not been known, since the last question.
pub fn was_forgotten() -> bool {
    FORGOTTEN.replace(false)
}

/// The plain copy of the place, made at its first use.
pub fn copied(kind: Kind, place: usize, initial: u64) -> Copied {
    know(kind, place);
    COPIED.with_borrow_mut(|copied| {
        copied.entry(place).or_insert_with(|| Rc::new(Cell::new(initial))).clone()
    })
}

fn know(kind: Kind, place: usize) {
    KNOWN.with_borrow_mut(|known| known.insert((place, kind == Kind::Witness), kind));
}

/// Tells the checkers that plain memory is read here: loom then proves that
/// every write to it came before, or comes after.
pub fn reads<T>(place: *const T) {
    match mode() {
        Mode::Discover => know(Kind::Witness, place as usize),
        Mode::Loom => loomed::witness(place as usize).with(|_| ()),
        Mode::Plain | Mode::Shuttle => {}
    }
}

/// Tells the checkers that plain memory is written here.
pub fn writes<T>(place: *const T) {
    match mode() {
        Mode::Discover => know(Kind::Witness, place as usize),
        Mode::Loom => loomed::witness(place as usize).with_mut(|_| ()),
        Mode::Plain | Mode::Shuttle => {}
    }
}

/// loom's copies.
#[allow(non_snake_case)] // named as the types they give
pub mod loomed {
    use super::{FORGOTTEN, KNOWN, Kind};
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::rc::Rc;

    macro_rules! copies {
        ($($name:ident: $value:ty),*) => {
            #[derive(Default)]
            struct Copies {
                $($name: HashMap<usize, Rc<loom::sync::atomic::$name>>,)*
                witness: HashMap<usize, Rc<loom::cell::UnsafeCell<()>>>,
            }

            $(
                /// The copy of this place.
                #[allow(clippy::needless_pass_by_value)]
                pub fn $name(place: usize) -> Rc<loom::sync::atomic::$name> {
                    let found = COPIES.with_borrow(|copies| copies.$name.get(&place).cloned());
                    found.unwrap_or_else(|| forgotten(Kind::$name, place))
                }
            )*

            fn copy(copies: &mut Copies, kind: Kind, place: usize) {
                match kind {
                    $(Kind::$name => {
                        // SAFETY: the place was an atomic of this type as it was met, and
                        // an exploration's memory lives as long as the exploration.
                        let value = unsafe { (place as *const core::sync::atomic::$name).as_ref() }
                            .map_or(<$value>::default(), |atomic| {
                                atomic.load(core::sync::atomic::Ordering::Relaxed)
                            });
                        copies.$name.insert(place, Rc::new(loom::sync::atomic::$name::new(value)));
                    })*
                    Kind::Witness => {
                        copies.witness.insert(place, Rc::new(loom::cell::UnsafeCell::new(())));
                    }
                }
            }
        };
    }

    copies!(AtomicBool: bool, AtomicU8: u8, AtomicU32: u32, AtomicI32: i32, AtomicU64: u64,
        AtomicUsize: usize);

    std::thread_local! {
        static COPIES: RefCell<Copies> = RefCell::new(Copies::default());
    }

    /// The witness of this place.
    pub fn witness(place: usize) -> Rc<loom::cell::UnsafeCell<()>> {
        let found = COPIES.with_borrow(|copies| copies.witness.get(&place).cloned());
        found.unwrap_or_else(|| forgotten(Kind::Witness, place))
    }

    /// Notes the place and ends this attempt.
    fn forgotten<T>(kind: Kind, place: usize) -> T {
        super::know(kind, place);
        FORGOTTEN.set(true);
        std::panic::resume_unwind(std::boxed::Box::new("a place that was not known"));
    }

    /// Copies every place that is known, as an iteration begins.
    pub fn begin() {
        let mut copies = Copies::default();
        KNOWN.with_borrow(|known| {
            for (&(place, _), &kind) in known {
                copy(&mut copies, kind, place);
            }
        });
        COPIES.set(copies);
    }

    /// Copies the places of memory that the calling task has just mapped.
    pub fn add(kind: Kind, place: usize) {
        COPIES.with_borrow_mut(|copies| copy(copies, kind, place));
    }
}
