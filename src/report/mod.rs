//! Report: what is found, said once, to a person or to a program.

mod event;
mod source;

pub use event::{
    BlockInfo, BlockRef, Cost, Count, Dropped, ErrorKind, ErrorReport, Event, Evidence, Exhaustion,
    FirstBlock, HiddenLeak, Holder, Leak, Level, LostBecause, Neighbour, Record, Side, Summary,
    ThreadRef, Warning, WarningKind,
};
pub use source::{Depth, Frame, Names, Place, Stacks};
