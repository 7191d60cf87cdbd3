//! The table that the program and its symbol child share.
//!
//! ```text
//!   questions   [address 64 | module 16 | … | answer 32] × capacity
//!   index       [question number + 1] × 2 × capacity     (hash, open)
//!   answers     bytes, appended:
//!               count 8, then for each frame
//!               flags 8 | function length 16, bytes | file length 16, bytes | line 32 | column 32
//! ```
//!
//! Invariant: the program writes questions and index, the child answers only.
//! An answer's place is stored (release) after its last byte; 0 = none yet.
//! The program trusts no byte that the child wrote: lengths are checked.

use crate::platform::linux::shared;
use crate::report::{Code, Frame};
use crate::sync::atomics::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use core::ops::Range;
use core::ptr::NonNull;
use core::slice;

/// Questions in a table, largest first: what the address space allows.
const CAPACITIES: [usize; 3] = [1 << 15, 1 << 12, 1 << 9];
/// Bytes of answers for each question.
const ANSWER_BYTES: usize = 512;
/// Longest function or file name kept.
const NAME_MAX: usize = 2048;

const HAS_FUNCTION: u8 = 1;
const HAS_FILE: u8 = 2;
const IS_INLINED: u8 = 4;

/// One address to be named.
#[repr(C)]
struct Question {
    address: AtomicU64,
    module: AtomicU32,
    /// Place of the answer in `answers`, plus one.
    answer: AtomicU32,
}

/// Questions and answers in a shared mapping.
pub struct Table {
    start: NonNull<u8>,
    capacity: usize,
    asked: usize,
    taken: usize,
}

// SAFETY: the mapping belongs to the table and is only accessed through it.
unsafe impl Send for Table {}

impl Table {
    /// Maps an empty table, as large as can be had.
    pub fn map() -> Option<Table> {
        CAPACITIES.into_iter().find_map(|capacity| {
            let start = shared::map(Self::bytes(capacity)).ok()?;
            Some(Table { start, capacity, asked: 0, taken: 0 })
        })
    }

    fn bytes(capacity: usize) -> usize {
        Self::answers_offset(capacity) + 8 + capacity * ANSWER_BYTES
    }

    fn answers_offset(capacity: usize) -> usize {
        capacity * (size_of::<Question>() + 2 * size_of::<AtomicU32>())
    }

    fn questions(&self) -> &[Question] {
        // SAFETY: the mapping begins with `capacity` questions; all fields are
        // atomic, and all bits are valid.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.capacity) }
    }

    fn index(&self) -> &[AtomicU32] {
        // SAFETY: behind the questions lie 2 × `capacity` atomic words, aligned
        // because a question has 16 bytes.
        unsafe {
            let index = self.start.as_ptr().add(self.capacity * size_of::<Question>());
            slice::from_raw_parts(index.cast(), 2 * self.capacity)
        }
    }

    /// Bytes of answers used so far; written by the child.
    fn used(&self) -> &AtomicU64 {
        // SAFETY: the word lies behind the index, at a multiple of 8.
        unsafe { &*self.start.as_ptr().add(Self::answers_offset(self.capacity)).cast() }
    }

    fn answers(&self) -> *mut u8 {
        // SAFETY: the answers lie behind the word of `used`, in the mapping.
        unsafe { self.start.as_ptr().add(Self::answers_offset(self.capacity) + 8) }
    }

    /// The question about `code`, or the empty place in the index for it.
    fn find(&self, code: Code) -> Result<&Question, Option<&AtomicU32>> {
        let mask = 2 * self.capacity - 1;
        let hash = (code.address as u64 ^ u64::from(code.module) << 48)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            >> 32;
        for step in 0..=mask {
            let Some(place) = self.index().get((hash as usize).wrapping_add(step) & mask) else {
                break;
            };
            let number = place.load(Relaxed) as usize;
            let Some(number) = number.checked_sub(1) else { return Err(Some(place)) };
            let Some(question) = self.questions().get(number) else { break };
            if question.address.load(Relaxed) == code.address as u64
                && question.module.load(Relaxed) == u32::from(code.module)
            {
                return Ok(question);
            }
        }
        Err(None)
    }

    /// Notes a question, unless it was asked before or the table is full.
    pub fn ask(&mut self, code: Code) {
        let number = self.asked;
        if let Err(Some(place)) = self.find(code)
            && let Some(question) = self.questions().get(number)
        {
            question.address.store(code.address as u64, Relaxed);
            question.module.store(u32::from(code.module), Relaxed);
            place.store(number as u32 + 1, Relaxed);
            self.asked += 1;
        }
    }

    /// The questions asked since this was called last.
    pub fn take_questions(&mut self) -> Range<usize> {
        let new = self.taken..self.asked;
        self.taken = self.asked;
        new
    }

    /// What question `number` is about.
    pub fn question(&self, number: usize) -> Option<Code> {
        let question = self.questions().get(number)?;
        Some(Code {
            address: question.address.load(Relaxed) as usize,
            module: question.module.load(Relaxed) as u16,
        })
    }

    /// In the child: answers question `number`. `false` if it does not fit.
    pub fn publish<'f>(
        &self,
        number: usize,
        frames: impl ExactSizeIterator<Item = Frame<'f>>,
    ) -> bool {
        let start = self.used().load(Relaxed) as usize;
        let room = self.capacity * ANSWER_BYTES;
        let Some(free) = room.checked_sub(start) else { return false };
        // SAFETY: the mapping has `room` bytes of answers; only the child
        // writes them, and it has one thread.
        let bytes = unsafe { slice::from_raw_parts_mut(self.answers().add(start), free) };
        let mut writer = Writer { bytes, at: 0 };
        let count = frames.len().min(usize::from(u8::MAX));
        let mut is_whole = writer.put(&[count as u8]);
        for frame in frames.take(count) {
            is_whole = is_whole && writer.frame(&frame);
        }
        let length = writer.at;
        if let (true, Some(question)) = (is_whole, self.questions().get(number)) {
            self.used().store((start + length) as u64, Relaxed);
            question.answer.store(start as u32 + 1, Release);
        }
        is_whole
    }

    /// Calls `visit` for each function at `code`, if the child answered.
    pub fn answer_of(&self, code: Code, visit: &mut dyn FnMut(&Frame<'_>)) {
        let Ok(question) = self.find(code) else { return };
        let place = question.answer.load(Acquire) as usize;
        let Some(start) = place.checked_sub(1) else { return };
        let room = self.capacity * ANSWER_BYTES;
        let Some(length) = room.checked_sub(start) else { return };
        // SAFETY: in the mapping; the child that wrote it has been reaped, and
        // later ones write behind it.
        let mut bytes =
            unsafe { slice::from_raw_parts(self.answers().add(start).cast_const(), length) };
        let count = take(&mut bytes, 1).map_or(0, |count| count[0]);
        for _ in 0..count {
            match read_frame(&mut bytes) {
                Some(frame) => visit(&frame),
                None => return,
            }
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrows from it any more.
        unsafe { shared::unmap(self.start, Self::bytes(self.capacity)) }
    }
}

struct Writer<'b> {
    bytes: &'b mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> bool {
        match self.bytes.get_mut(self.at..self.at + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.at += bytes.len();
                true
            }
            None => false,
        }
    }

    fn name(&mut self, name: Option<&[u8]>) -> bool {
        let name = name.unwrap_or_default();
        let name = &name[..name.len().min(NAME_MAX)];
        self.put(&(name.len() as u16).to_ne_bytes()) && self.put(name)
    }

    fn frame(&mut self, frame: &Frame<'_>) -> bool {
        let mut flags = 0;
        for (flag, is_set) in [
            (HAS_FUNCTION, frame.function.is_some()),
            (HAS_FILE, frame.file.is_some()),
            (IS_INLINED, frame.inlined),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        self.put(&[flags])
            && self.name(frame.function)
            && self.name(frame.file)
            && self.put(&frame.line.unwrap_or(0).to_ne_bytes())
            && self.put(&frame.column.unwrap_or(0).to_ne_bytes())
    }
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn take_name<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = u16::from_ne_bytes(take(bytes, 2)?.try_into().ok()?);
    take(bytes, usize::from(length))
}

fn take_number(bytes: &mut &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(take(bytes, 4)?.try_into().ok()?))
}

fn read_frame<'b>(bytes: &mut &'b [u8]) -> Option<Frame<'b>> {
    let flags = take(bytes, 1)?[0];
    let (function, file) = (take_name(bytes)?, take_name(bytes)?);
    let (line, column) = (take_number(bytes)?, take_number(bytes)?);
    Some(Frame {
        function: (flags & HAS_FUNCTION != 0).then_some(function),
        file: (flags & HAS_FILE != 0).then_some(file),
        line: (line != 0).then_some(line),
        column: (column != 0).then_some(column),
        inlined: flags & IS_INLINED != 0,
    })
}
