//! The stack check: a capture compared with libgcc's unwinder.
//!
//! Slow (microseconds a frame) and not async-signal-safe in every libgcc: for
//! tests, and for the option that samples a running program.

use super::{Completeness, Entry, StackId, frames};
use core::ffi::{c_int, c_void};

/// What a comparison came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// The same frames, to the same end.
    Equal,
    /// All frames that the capture has are right; it has fewer and says so.
    Shorter,
    /// A frame is wrong, or frames are missing without a word. The number of
    /// the first such frame, 0 being malloc's caller.
    Wrong(usize),
    /// The unwinder never came to the frame that called malloc.
    Unseen,
}

/// `_Unwind_Backtrace` (LSB core, 10.7): calls back for each frame until told
/// otherwise.
pub type Backtrace =
    unsafe extern "C" fn(extern "C" fn(*mut c_void, *mut c_void) -> c_int, *mut c_void) -> c_int;

/// `_Unwind_GetIPInfo`: the frame's address, and whether it is exact (set for
/// a function that a signal interrupted) rather than after a call.
pub type GetIpInfo = unsafe extern "C" fn(*mut c_void, *mut c_int) -> usize;

/// `_Unwind_GetCFA`: the frame's stack pointer.
pub type GetCfa = unsafe extern "C" fn(*mut c_void) -> usize;

/// Functions of libgcc_s; the caller knows where they are.
#[derive(Clone, Copy)]
pub struct Unwinder {
    /// `_Unwind_Backtrace`
    pub backtrace: Backtrace,
    /// `_Unwind_GetIPInfo`
    pub ip_info: GetIpInfo,
    /// `_Unwind_GetCFA`
    pub cfa: GetCfa,
}

const CONTINUE: c_int = 0;
const STOP: c_int = 4;
const MOST: usize = 512;

struct Walk {
    unwinder: Unwinder,
    entry: Entry,
    frames: [usize; MOST],
    count: usize,
    started: bool,
}

extern "C" fn visit(context: *mut c_void, walk: *mut c_void) -> c_int {
    // SAFETY: `walk` is the value passed by `check_against_unwinder` below.
    let walk = unsafe { &mut *walk.cast::<Walk>() };
    let mut exact = 0;
    // SAFETY: the unwinder passes a context good for its own functions.
    let (ip, cfa) =
        unsafe { ((walk.unwinder.ip_info)(context, &mut exact), (walk.unwinder.cfa)(context)) };
    walk.started |= cfa == walk.entry.sp + super::rule::WORD;
    if walk.started && ip != 0 {
        let Some(place) = walk.frames.get_mut(walk.count) else { return STOP };
        *place = ip + usize::from(exact != 0);
        walk.count += 1;
    }
    CONTINUE
}

/// Compares a stack with the same one taken by another way of ours.
pub fn compare(id: StackId, again: StackId) -> Comparison {
    let (mut ours, mut theirs) = ([0; MOST], [0; MOST]);
    let (count, end) = frames(id, &mut ours);
    let (other_count, other_end) = frames(again, &mut theirs);
    let most = count.min(other_count);
    let same = ours[..most].iter().zip(&theirs).take_while(|(a, b)| a == b).count();
    let whole = |end| end == Completeness::Complete;
    match same == most {
        false => Comparison::Wrong(same),
        true if whole(end) && whole(other_end) && count != other_count => Comparison::Wrong(same),
        true => Comparison::Equal,
    }
}

/// Compares the frames of `id`, just captured at `entry`, with what the
/// unwinder finds from here. Must be called below the frame of malloc.
/// The unwinder may allocate on its first call.
#[inline(never)]
pub fn check_against_unwinder(entry: Entry, id: StackId, unwinder: Unwinder) -> Comparison {
    let mut walk = Walk { unwinder, entry, frames: [0; MOST], count: 0, started: false };
    // SAFETY: the caller vouches that these are libgcc's functions; the
    // callback keeps nothing.
    unsafe { (unwinder.backtrace)(visit, (&raw mut walk).cast()) };
    if !walk.started {
        return Comparison::Unseen;
    }
    let mut ours = [0; MOST];
    let (count, end) = frames(id, &mut ours);
    let theirs = &walk.frames[..walk.count];
    let same = ours[..count].iter().zip(theirs).take_while(|(a, b)| a == b).count();
    if same < count {
        return Comparison::Wrong(same);
    }
    match (count == theirs.len(), end) {
        (true, _) => Comparison::Equal,
        (false, Completeness::Complete) => Comparison::Wrong(same),
        (false, _) => Comparison::Shorter,
    }
}
