//! Report: what is found, said once, to a person or to a program.

mod advice;
mod event;
mod json;
mod render;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod text_stack;
mod time;
mod totals;
mod words;

pub use event::{
    BlockInfo, BlockRef, ErrorKind, ErrorReport, Event, Evidence, FirstBlock, HiddenLeak, Leak,
    LostBecause, Neighbour, Record, Side, ThreadRef, Warning, WarningKind,
};
pub use render::{Context, FRAMES_MAX, Form, ThreadName, render};
pub use source::{Code, End, Frame, Names, Place, Stacks};
pub use time::Timestamp;
pub use totals::{Cost, Count, Dropped, Exhaustion, Holder, Level, Matched, Summary};
