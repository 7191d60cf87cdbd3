//! What a library without std owes the compiler, and the one reporter.

use crate::config::Options;
use crate::report::Reporter;
use crate::symbol::{Depot, NAMES};
use core::cell::UnsafeCell;

/// The process's reporter.
pub static REPORTER: Reporter = Reporter::new(&Depot, &NAMES);

/// The options in force: written once, while the process starts.
pub struct OptionsBuffer(UnsafeCell<Options>);
// SAFETY: written by one thread before anybody reads (`lifecycle`).
unsafe impl Sync for OptionsBuffer {}

/// See [`OptionsBuffer`].
pub static OPTIONS_BUFFER: OptionsBuffer = OptionsBuffer(UnsafeCell::new(Options::DEFAULT));

impl OptionsBuffer {
    /// The options.
    pub fn get(&self) -> &Options {
        // SAFETY: no writer exists once the process has started.
        unsafe { &*self.0.get() }
    }

    /// The options, to be filled in.
    ///
    /// # Safety
    /// Only while the process starts, by the one thread that starts it.
    #[allow(clippy::mut_from_ref)] // the caller is alone
    pub unsafe fn fill(&self) -> &mut Options {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.0.get() }
    }
}

/// What std brings in a Rust program.
#[cfg(not(feature = "global"))]
mod without_std {
    use crate::platform::linux::{files, process};
    use crate::units::Text;
    use core::fmt::Write;

    /// A bug of ours: one line, then abort. Nothing here unwinds.
    #[panic_handler]
    fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
        let mut buffer = [0; 512];
        let mut text = Text::new(&mut buffer);
        let _ = writeln!(text, "heapwarden: internal error: {info}");
        let _ = files::write(2, text.as_bytes());
        process::abort()
    }

    // Precompiled parts of core name Rust's unwinding personality. Nothing here
    // unwinds (panic = "abort"), so it is never called.
    core::arch::global_asm!(
        ".text",
        ".weak rust_eh_personality",
        ".hidden rust_eh_personality",
        ".type rust_eh_personality, @function",
        "rust_eh_personality: ud2",
    );
}
