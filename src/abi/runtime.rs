//! What a library without std owes the compiler, and the one reporter.

use crate::config::Options;
use crate::platform::linux::{files, process};
use crate::report::{Code, End, Frame, Names, Place, Reporter, Stacks};
use crate::trace::{self, Completeness};
use crate::units::{StackId, Text};
use core::cell::UnsafeCell;
use core::fmt::Write;

/// The process's reporter.
pub static REPORTER: Reporter = Reporter::new(&Depot, &NoNames);

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

/// The stack depot, as the report wants it.
struct Depot;

impl Stacks for Depot {
    fn frames(&self, stack: StackId, out: &mut [Code]) -> (usize, End) {
        let mut frames = [trace::Frame::default(); trace::DEEPEST as usize];
        let wanted = out.len().min(frames.len());
        let (count, completeness) = trace::frames_with_modules(stack, &mut frames[..wanted]);
        for (place, frame) in out.iter_mut().zip(&frames[..count]) {
            *place = Code { address: frame.address, module: frame.module.0 };
        }
        let end = match completeness {
            Completeness::Complete => End::Complete,
            Completeness::Truncated => End::Truncated,
            _ => End::Broken,
        };
        (count, end)
    }
}

/// Places without names.
struct NoNames;

impl Names for NoNames {
    fn at(&self, _code: Code, _visit: &mut dyn FnMut(&Frame<'_>)) {}
    fn place(&self, code: Code, visit: &mut dyn FnMut(&Place<'_>)) {
        if let Some(module) = trace::module(trace::ModuleId(code.module)) {
            visit(&Place {
                module: module.path(),
                offset: (code.address - module.bias()) as u64,
                build_id: module.build_id(),
            });
        }
    }
}

/// A bug of ours: one line, then abort. Nothing here unwinds.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let mut buffer = [0; 512];
    let mut text = Text::new(&mut buffer);
    let _ = writeln!(text, "heapwarden: internal error: {info}");
    let _ = files::write(2, text.as_bytes());
    process::abort()
}

/// Until names are resolved in process: the symbols crate wants a heap.
struct NoHeap;
// SAFETY: refusing every request is allowed.
unsafe impl core::alloc::GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _layout: core::alloc::Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _pointer: *mut u8, _layout: core::alloc::Layout) {}
}
#[global_allocator]
static NO_HEAP: NoHeap = NoHeap;
