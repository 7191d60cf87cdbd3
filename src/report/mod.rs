//! Report: what is found, said once, to a person or to a program.
//!
//! Invariant: nothing here allocates, and reporting changes nothing that the
//! program could notice: not its heap, its signals, its descriptors or errno.
//! A record is written whole or not at all.
//!
//! ```text
//!   finder ──Leak, ErrorReport, …──> Reporter ──> suppress ──> render ──> sink
//!                                       │                       │  │
//!                                Names (symbol)                 │  └ text, text_stack, words, advice
//!                                Stacks (trace)                 └ json
//! ```
//!
//! `event` and `totals` hold the records, `source` the traits by which stacks
//! and names come in. All but `reporter` and `sink` works without an OS:
//! a device calls [`render`] and sends the bytes itself.
//!
//! # How to report
//!
//! ```ignore
//! static REPORTER: Reporter = Reporter::new(&symbol::Depot, &symbol::NAMES);
//!
//! // once, after the options are known
//! REPORTER.configure(&options);
//! symbol::NAMES.configure(options.symbolize, options.symbolize_timeout_s);
//! REPORTER.add_suppressions(linked_in_text);
//!
//! // a misuse: in any thread, in a signal handler, with any lock held whose
//! // rank is below Report
//! if REPORTER.error(&ErrorReport { kind, address, message, stack, thread, block, neighbours })
//!     != Outcome::Suppressed && options.halt_on_error && !kind.is_harmless_alone() { abort() }
//!
//! // leaks: name all stacks in one go, then write them, largest first
//! REPORTER.prepare(&mut leaks.iter().map(|leak| leak.stack));
//! for leak in leaks {
//!     match REPORTER.leak(leak) {
//!         Outcome::Suppressed => summary.suppressed.add(leak.blocks, leak.bytes),
//!         _ => summary.count_mut(leak.kind).add(leak.blocks, leak.bytes),
//!     }
//! }
//! REPORTER.summary(&summary); // silent in text if nothing was found
//!
//! // options that were not understood, degraded checks
//! REPORTER.notice(format_args!("{warning}"));
//! ```

mod advice;
mod event;
mod json;
mod json_object;
mod render;
#[cfg(feature = "hosted")]
mod reporter;
#[cfg(feature = "hosted")]
mod sink;
mod source;
#[cfg(feature = "hosted")]
mod state;
mod suppress;
#[cfg(test)]
mod tests;
mod text;
mod text_leak;
mod text_stack;
mod time;
mod totals;
mod words;

pub use crate::units::ErrorKind;
pub use event::{
    BlockInfo, BlockRef, ErrorReport, Event, Evidence, FirstBlock, Held, HiddenLeak, Leak,
    LostBecause, Neighbour, Ordinals, Record, Side, ThreadRef, Warning, WarningKind,
};
pub use render::{Context, FRAMES_MAX, Form, ThreadName, render};
#[cfg(feature = "hosted")]
pub use reporter::{LOCK_PATIENCE_MS, Outcome, Reporter};
#[cfg(feature = "hosted")]
pub use sink::{PATIENCE_MS, Sink, expand_path};
pub use source::{Code, End, Frame, Names, Place, Stacks};
pub use suppress::{Finding, Site, Suppressions};
pub use time::Timestamp;
pub use totals::{Cost, Count, Dropped, Exhaustion, Holder, Level, Matched, Summary};
