//! What both forms of a report share: the pen that writes one record.
//!
//! Invariant: a record is rendered as a whole into one fixed buffer. If it
//! does not fit, it is rendered again with half as many frames a stack, and
//! says how many it left out; so a record is never cut in its middle.

use super::event::{Record, ThreadRef};
use super::source::{Code, End, Frame, Names, Place, Stacks};
use super::time::Timestamp;
use super::{json, text};
use crate::units::{StackId, Text};
use core::ops::Range;

/// Most functions shown of one stack.
pub const FRAMES_MAX: usize = 256;

/// Reads a live thread's name into the buffer, by its kernel id; its length.
pub type ThreadName = fn(u32, &mut [u8; 16]) -> usize;

/// What a record does not hold itself.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The process.
    pub pid: u32,
    /// Now.
    pub time: Timestamp,
    /// Call stacks.
    pub stacks: &'a dyn Stacks,
    /// Names of addresses.
    pub names: &'a dyn Names,
    /// Names of threads.
    pub thread_name: ThreadName,
    /// The allocator's own code: frames in it are left out at a stack's top.
    pub own_code: (usize, usize),
    /// Whether the program ends after an error's report.
    pub is_fatal: bool,
}

/// Which form a record takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// For a person.
    Text,
    /// One line of JSON.
    Json,
}

/// Writes one record into a buffer.
pub struct Pen<'a, 'b> {
    /// The record so far.
    pub out: Text<'b>,
    /// What the record does not hold itself.
    pub context: &'a Context<'a>,
    codes: &'a mut [Code; FRAMES_MAX],
    frame_limit: usize,
}

/// Renders `record` into `buffer`; the bytes that are to be written, or
/// `None` if the record does not fit even with one frame a stack.
pub fn render<'b>(
    record: Record<'_>,
    form: Form,
    context: &Context<'_>,
    codes: &mut [Code; FRAMES_MAX],
    buffer: &'b mut [u8],
) -> Option<&'b [u8]> {
    let mut frame_limit = FRAMES_MAX;
    let length = loop {
        let mut pen = Pen { out: Text::new(buffer), context, codes, frame_limit };
        match form {
            Form::Text => text::write(&mut pen, record),
            Form::Json => json::write(&mut pen, record),
        }
        if !pen.out.truncated() {
            break pen.out.as_bytes().len();
        }
        frame_limit /= 2;
        if frame_limit == 0 {
            return None;
        }
    };
    Some(&buffer[..length])
}

/// One function of a stack, with all that is known about it.
pub struct Shown<'a> {
    /// Address in the call, not the return address.
    pub address: usize,
    /// The function, if anything is known.
    pub frame: Frame<'a>,
    /// The file it lies in, if known.
    pub place: Option<Place<'a>>,
}

/// What was left out of a stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LeftOut {
    /// Outer frames that did not fit.
    pub frames: usize,
    /// How the stack itself ended.
    pub end: End,
}

impl Pen<'_, '_> {
    /// Calls `each` for every function of `stack`, innermost first, at most
    /// about `limit`; says what is missing.
    pub fn for_each_frame(
        &mut self,
        stack: StackId,
        limit: usize,
        mut each: impl FnMut(&mut Text<'_>, &Shown<'_>),
    ) -> LeftOut {
        if stack == StackId::UNKNOWN {
            return LeftOut { frames: 0, end: End::Broken };
        }
        let (frames, end) = self.context.stacks.frames(stack, self.codes);
        let own: Range<usize> = self.context.own_code.0..self.context.own_code.1;
        let codes = outside_of(&own, &self.codes[..frames.min(FRAMES_MAX)]);
        let limit = limit.min(self.frame_limit);
        let (mut shown, mut left_out) = (0, 0);
        for &code in codes {
            if shown >= limit {
                left_out += 1;
                continue;
            }
            let (names, out) = (self.context.names, &mut self.out);
            shown += functions_at(names, code.call(), &mut |frame| each(out, frame));
        }
        LeftOut { frames: left_out, end }
    }

    /// The thread's name, if it is alive and has one.
    pub fn thread_name<'n>(&self, thread: ThreadRef, buffer: &'n mut [u8; 16]) -> &'n [u8] {
        if thread.os_id == 0 {
            return &[];
        }
        let length = (self.context.thread_name)(thread.os_id, buffer);
        &buffer[..length.min(16)]
    }
}

/// The part of a stack that begins outside of the allocator's own code.
pub fn outside_of<'c>(own: &Range<usize>, codes: &'c [Code]) -> &'c [Code] {
    let own_frames = codes.iter().take_while(|code| own.contains(&code.address)).count();
    &codes[own_frames..]
}

/// Calls `each` for every function at `code`, once if none is known; how
/// many it were.
pub fn functions_at(names: &dyn Names, code: Code, each: &mut dyn FnMut(&Shown<'_>)) -> usize {
    let mut count = 0;
    let mut visit = |place: Option<Place<'_>>| {
        names.at(code, &mut |frame| {
            count += 1;
            each(&Shown { address: code.address, frame: *frame, place });
        });
        if count == 0 {
            count = 1;
            each(&Shown { address: code.address, frame: Frame::default(), place });
        }
    };
    let mut is_placed = false;
    names.place(code, &mut |place| {
        is_placed = true;
        visit(Some(*place));
    });
    if !is_placed {
        visit(None);
    }
    count
}
