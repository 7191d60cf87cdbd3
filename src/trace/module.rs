//! The module table: every object in which a frame was ever met, kept after
//! it was closed, so that old stacks can still be named.
//!
//! Invariant: records are appended and never change, but for being closed and
//! opened again. A
//! writer takes the table only if it is free; who finds it taken goes on with
//! [`ModuleId::UNKNOWN`] and remembers nothing.

use super::cfi::UnwindSections;
use super::object::{self, Object};
use super::{headerless, tables};
use crate::outside::{Address, ModuleFields};
use crate::sync::atomics::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use core::mem::offset_of;

/// A module's place in the table; 0 is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct ModuleId(pub u16);

impl ModuleId {
    /// No module, or one that could not be recorded.
    pub const UNKNOWN: ModuleId = ModuleId(0);
}

/// The longest build id that is kept (SHA-1 has 20 bytes, BLAKE3 32).
pub const BUILD_ID_BYTES: usize = 32;

/// One loaded object, as it was when a frame in it was first met.
pub struct ModuleRecord {
    object: Object,
    /// What tells the loader's records apart; another one after a reopening.
    loader_record: AtomicUsize,
    path: &'static [u8],
    build_id: [u8; BUILD_ID_BYTES],
    build_id_length: usize,
    sections: Option<UnwindSections<'static>>,
    closed: AtomicBool,
}

impl ModuleRecord {
    /// First and last-plus-one address of its segments.
    pub fn range(&self) -> core::ops::Range<usize> {
        self.object.start..self.object.end
    }
    /// Load bias: address in memory = address in the file + bias.
    pub fn bias(&self) -> usize {
        self.object.bias
    }
    /// Path of the file as the loader knew it; for the program, the target of
    /// `/proc/self/exe`; `linux-vdso.so.1` for the kernel's.
    pub fn path(&self) -> &'static [u8] {
        self.path
    }
    /// GNU build id; empty when the file has none.
    pub fn build_id(&self) -> &[u8] {
        &self.build_id[..self.build_id_length]
    }
    /// Whether it has been unmapped since.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }
}

const SEGMENT: usize = 128;
const SEGMENTS: usize = (u16::MAX as usize + 1) / SEGMENT;

static RECORDS: [AtomicPtr<ModuleRecord>; SEGMENTS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; SEGMENTS];
/// Records in the table; number `n` lies at place `n`, place 0 stays empty.
static LAST: AtomicU32 = AtomicU32::new(0);
/// 0, or the thread word of the writer.
static WRITER: AtomicUsize = AtomicUsize::new(0);
/// Whether frames were met in a module that could not be recorded.
static UNRECORDED: AtomicBool = AtomicBool::new(false);
static PATHS: AtomicUsize = AtomicUsize::new(0);
static PATHS_END: AtomicUsize = AtomicUsize::new(0);

/// Address of the table and of the last record's number.
pub const OUTSIDE: [Address; 2] = [Address::of(&raw const RECORDS), Address::of(&raw const LAST)];
/// Records in a segment.
pub const OUTSIDE_SEGMENT: u64 = SEGMENT as u64;
/// Where a record's fields are.
pub const OUTSIDE_FIELDS: ModuleFields = ModuleFields {
    bytes: size_of::<ModuleRecord>() as u32,
    start: (offset_of!(ModuleRecord, object) + offset_of!(Object, start)) as u32,
    end: (offset_of!(ModuleRecord, object) + offset_of!(Object, end)) as u32,
    bias: (offset_of!(ModuleRecord, object) + offset_of!(Object, bias)) as u32,
    path: offset_of!(ModuleRecord, path) as u32,
    build_id: offset_of!(ModuleRecord, build_id) as u32,
    build_id_length: offset_of!(ModuleRecord, build_id_length) as u32,
    closed: offset_of!(ModuleRecord, closed) as u32,
};

/// The record of a module.
pub fn record(id: ModuleId) -> Option<&'static ModuleRecord> {
    let index = usize::from(id.0);
    if index == 0 || index > LAST.load(Acquire) as usize {
        return None;
    }
    let segment = RECORDS[index / SEGMENT].load(Acquire);
    // SAFETY: `LAST` counts only records that were written completely before
    // it was raised, in segments that stay mapped.
    (!segment.is_null()).then(|| unsafe { &*segment.add(index % SEGMENT) })
}

fn newest_first() -> impl Iterator<Item = (ModuleId, &'static ModuleRecord)> {
    let last = LAST.load(Acquire) as u16;
    (1..=last).rev().filter_map(|index| Some((ModuleId(index), record(ModuleId(index))?)))
}

/// The newest module that lies, or lay, at `address`.
pub fn at(address: usize) -> Option<(ModuleId, &'static ModuleRecord)> {
    newest_first().find(|(_, record)| record.range().contains(&address))
}

/// The module at `address` and its unwind tables (`None`: it has none).
/// `None` when no object is loaded there.
pub fn sections_for(address: usize) -> Option<(ModuleId, Option<UnwindSections<'static>>)> {
    let object = object::find(address)?;
    let known = newest_first().find(|(_, record)| record.is(&object));
    let id = known.map(|(id, _)| id).or_else(|| append(object));
    match id {
        Some(id) => Some((id, record(id)?.sections)),
        None => {
            UNRECORDED.store(true, Relaxed);
            Some((ModuleId::UNKNOWN, object.unwind_sections()))
        }
    }
}

impl ModuleRecord {
    /// Whether this is the record of `object`, which is loaded now.
    fn is(&self, object: &Object) -> bool {
        !self.is_closed()
            && self.object.lies_like(object)
            && self.loader_record.load(Relaxed) == object.loader_record()
    }

    /// Whether `object` is this module, closed meanwhile, loaded again in its place.
    fn is_again(&self, object: &Object) -> bool {
        let mut build_id = [0; BUILD_ID_BYTES];
        self.is_closed()
            && self.object.lies_like(object)
            && self.build_id_length != 0
            && self.build_id() == object.build_id(&mut build_id)
            && self.path == object.name()
    }
}

/// Marks the records whose objects are gone; whether code in which a frame was
/// met is gone. (Closing a module that is still in use, or that never led to
/// an allocation, closes nothing here.)
pub fn mark_closed() -> bool {
    let mut any = UNRECORDED.swap(false, Relaxed);
    for (_, record) in newest_first() {
        if !record.is_closed() {
            let there = object::find(record.object.start);
            let gone = !there.is_some_and(|object| record.is(&object));
            record.closed.store(gone, Relaxed);
            any |= gone;
        }
    }
    any
}

#[cold]
fn append(object: Object) -> Option<ModuleId> {
    let me = crate::platform::linux::tls::get() | 1;
    WRITER.compare_exchange(0, me, Acquire, Relaxed).ok()?;
    let id = append_locked(object);
    WRITER.store(0, Release);
    id
}

fn append_locked(object: Object) -> Option<ModuleId> {
    if let Some((id, record)) = newest_first().find(|(_, record)| record.is_again(&object)) {
        record.loader_record.store(object.loader_record(), Relaxed);
        record.closed.store(false, Relaxed);
        return Some(id);
    }
    let index = LAST.load(Relaxed) as usize + 1;
    let place = RECORDS.get(index / SEGMENT)?;
    if place.load(Relaxed).is_null() {
        let segment = tables::map(SEGMENT * size_of::<ModuleRecord>())?;
        place.store(segment.as_ptr().cast(), Release);
    }
    let mut build_id = [0; BUILD_ID_BYTES];
    let build_id_length = object.build_id(&mut build_id).len();
    let is_program = object.name().is_empty();
    let new = ModuleRecord {
        object,
        loader_record: AtomicUsize::new(object.loader_record()),
        path: path_of(&object),
        sections: object
            .unwind_sections()
            .or_else(|| is_program.then(|| headerless::sections_of(&object))?),
        build_id,
        build_id_length,
        closed: AtomicBool::new(false),
    };
    // SAFETY: the place lies in a mapped segment above `LAST`, so only the
    // writer, which we are, touches it.
    unsafe { place.load(Relaxed).add(index % SEGMENT).write(new) };
    LAST.store(index as u32, Release);
    Some(ModuleId(index as u16))
}

/// Bytes of text mapped at a time.
const PATH_BYTES: usize = 1 << 16;
/// The longest path that is kept (`PATH_MAX` of Linux).
const LONGEST_PATH: usize = 4096;

fn path_of(object: &Object) -> &'static [u8] {
    if PATHS_END.load(Relaxed) - PATHS.load(Relaxed) < LONGEST_PATH {
        let Some(memory) = tables::map(PATH_BYTES) else { return &[] };
        PATHS.store(memory.as_ptr() as usize, Relaxed);
        PATHS_END.store(memory.as_ptr() as usize + PATH_BYTES, Relaxed);
    }
    let start = PATHS.load(Relaxed);
    // SAFETY: the unused rest of a mapping only the writer, which we are, knows.
    let room = unsafe { core::slice::from_raw_parts_mut(start as *mut u8, LONGEST_PATH) };
    let length = match object.name() {
        [] => own_path(room),
        name => {
            let length = name.len().min(LONGEST_PATH);
            room[..length].copy_from_slice(&name[..length]);
            length
        }
    };
    PATHS.store(start + length, Relaxed);
    &room[..length]
}

fn own_path(room: &mut [u8]) -> usize {
    let path = c"/proc/self/exe".as_ptr() as usize;
    let here = libc::AT_FDCWD as usize;
    let arguments = [here, path, room.as_mut_ptr() as usize, room.len(), 0, 0];
    // SAFETY: readlinkat(2) reads a constant string and writes into `room`.
    unsafe { crate::platform::linux::syscall::call(libc::SYS_readlinkat, arguments) }.unwrap_or(0)
}

/// In a forked child: a writer that was another thread will never end.
pub fn after_fork_in_child() {
    let me = crate::platform::linux::tls::get() | 1;
    let holder = WRITER.load(Relaxed);
    if holder != 0 && holder != me {
        WRITER.store(0, Relaxed);
    }
}
