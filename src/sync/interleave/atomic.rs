//! The atomics: core's, with the checkers in between.

use super::place::{Copied, Kind, copied, loomed};
use super::{Mode, mode, switch};
use core::sync::atomic::Ordering;

/// What all atomics can do. `$to` and `$from` turn a value into the word that
/// [`Copied`] holds and back.
macro_rules! shared {
    ($(#[$text:meta])* $name:ident $(<$generic:ident>)?, $value:ty, $shadow:ident,
     $to:expr, $from:expr, $loomed:expr, $plain:expr) => {
        $(#[$text])*
        #[repr(transparent)]
        pub struct $name$(<$generic>)?(core::sync::atomic::$name$(<$generic>)?);

        impl$(<$generic>)? core::fmt::Debug for $name$(<$generic>)? {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl$(<$generic>)? From<$value> for $name$(<$generic>)? {
            fn from(value: $value) -> Self {
                Self::new(value)
            }
        }

        impl$(<$generic>)? $name$(<$generic>)? {
            /// As core's.
            pub const fn new(value: $value) -> Self {
                Self(core::sync::atomic::$name::new(value))
            }

            /// As core's.
            pub const fn as_ptr(&self) -> *mut $value {
                self.0.as_ptr()
            }

            /// As core's; only sensible outside an exploration by loom.
            pub fn get_mut(&mut self) -> &mut $value {
                self.0.get_mut()
            }

            fn copied(&self) -> Copied {
                let initial = $to(self.0.load(Ordering::Relaxed));
                copied(Kind::$shadow, self.place(), initial)
            }

            fn place(&self) -> usize {
                &raw const *self as usize
            }

            /// As core's.
            pub fn load(&self, order: Ordering) -> $value {
                match mode() {
                    Mode::Plain => self.0.load(order),
                    Mode::Shuttle => {
                        switch();
                        self.0.load(order)
                    }
                    Mode::Discover => $from(self.copied().get()),
                    Mode::Loom => $plain(loomed::$shadow(self.place()).load(order)),
                }
            }

            /// As core's.
            pub fn store(&self, value: $value, order: Ordering) {
                match mode() {
                    Mode::Plain => self.0.store(value, order),
                    Mode::Shuttle => {
                        switch();
                        self.0.store(value, order);
                    }
                    Mode::Discover => self.copied().set($to(value)),
                    Mode::Loom => loomed::$shadow(self.place()).store($loomed(value), order),
                }
            }

            /// As core's.
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                match mode() {
                    Mode::Plain => self.0.swap(value, order),
                    Mode::Shuttle => {
                        switch();
                        self.0.swap(value, order)
                    }
                    Mode::Discover => $from(self.copied().replace($to(value))),
                    Mode::Loom => {
                        $plain(loomed::$shadow(self.place()).swap($loomed(value), order))
                    }
                }
            }

            /// As core's.
            ///
            /// # Errors
            /// The value found, if it was not `old`.
            pub fn compare_exchange(
                &self,
                old: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                match mode() {
                    Mode::Plain => self.0.compare_exchange(old, new, success, failure),
                    Mode::Shuttle => {
                        switch();
                        self.0.compare_exchange(old, new, success, failure)
                    }
                    Mode::Discover => {
                        let copied = self.copied();
                        let found = $from(copied.get());
                        if found != old {
                            return Err(found);
                        }
                        copied.set($to(new));
                        Ok(found)
                    }
                    Mode::Loom => loomed::$shadow(self.place())
                        .compare_exchange($loomed(old), $loomed(new), success, failure)
                        .map($plain)
                        .map_err($plain),
                }
            }

            /// As core's, but never fails for no reason.
            ///
            /// # Errors
            /// The value found, if it was not `old`.
            pub fn compare_exchange_weak(
                &self,
                old: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(old, new, success, failure)
            }
        }
    };
}

/// What only whole numbers can do.
macro_rules! arithmetic {
    ($name:ident, $value:ty, $shadow:ident, $($method:ident: $compute:expr),*) => {
        impl $name {
            $(
                /// As core's.
                pub fn $method(&self, value: $value, order: Ordering) -> $value {
                    match mode() {
                        Mode::Plain => self.0.$method(value, order),
                        Mode::Shuttle => {
                            switch();
                            self.0.$method(value, order)
                        }
                        Mode::Discover => {
                            let copied = self.copied();
                            let found = copied.get() as $value;
                            let compute: fn($value, $value) -> $value = $compute;
                            copied.set(compute(found, value) as u64);
                            found
                        }
                        Mode::Loom => loomed::$shadow(self.place()).$method(value, order),
                    }
                }
            )*
        }
    };
}

macro_rules! number {
    ($(#[$text:meta])* $name:ident, $value:ty) => {
        shared!($(#[$text])* $name, $value, $name,
            |value: $value| value as u64, |word: u64| word as $value,
            |value: $value| value, |value: $value| value);
        arithmetic!($name, $value, $name,
            fetch_add: |a, b| a.wrapping_add(b), fetch_sub: |a, b| a.wrapping_sub(b),
            fetch_and: |a, b| a & b, fetch_or: |a, b| a | b, fetch_xor: |a, b| a ^ b,
            fetch_max: |a, b| a.max(b), fetch_min: |a, b| a.min(b));
    };
}

number!(
    /// As core's.
    AtomicU8, u8
);
number!(
    /// As core's.
    AtomicU32, u32
);
number!(
    /// As core's.
    AtomicI32, i32
);
number!(
    /// As core's.
    AtomicU64, u64
);
number!(
    /// As core's.
    AtomicUsize, usize
);
shared!(
    /// As core's.
    AtomicBool, bool, AtomicBool,
    |value: bool| u64::from(value), |word: u64| word != 0,
    |value: bool| value, |value: bool| value
);
shared!(
    /// As core's.
    AtomicPtr<T>, *mut T, AtomicUsize,
    |value: *mut T| value as usize as u64, |word: u64| word as usize as *mut T,
    |value: *mut T| value as usize, |value: usize| value as *mut T
);

impl AtomicBool {
    /// As core's.
    pub fn fetch_or(&self, value: bool, order: Ordering) -> bool {
        match mode() {
            Mode::Plain => self.0.fetch_or(value, order),
            Mode::Shuttle => {
                switch();
                self.0.fetch_or(value, order)
            }
            Mode::Discover => {
                let copied = self.copied();
                copied.replace(copied.get() | u64::from(value)) != 0
            }
            Mode::Loom => loomed::AtomicBool(self.place()).fetch_or(value, order),
        }
    }
}
