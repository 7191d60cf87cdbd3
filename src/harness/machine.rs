//! Machines of this process: they do a program's actions on an [`Allocator`],
//! each in the thread and from the call site that it names.
//!
//! Invariant: one action at a time; the thread that asks waits for the one that
//! does. Contents are `bytes(tag)`, of which no word is a pointer.

use super::judge::Observation;
use super::model::{Action, Command};
use super::operation::{Function, LINKS, PLACES, THREADS, WORD};
use super::verdict::Seen;
use crate::units::Family;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::vec::Vec;

/// What is to be proved: allocation, and what it knows about itself. Methods
/// with a body are for allocators that know more; [`Rules`](super::Rules) say what is used.
///
/// # Safety
/// The implementor hands pointers on as they are. The harness keeps to the
/// rules of the functions, except where [`Rules::crimes`](super::Rules::crimes) lets it break them.
pub unsafe trait Allocator: Sync {
    /// `function(size)`; null and the errno when it is refused.
    fn allocate(&self, function: Function, size: usize) -> (*mut u8, i32);

    /// `realloc(block, size)`, which [`Function`] made with `old` bytes.
    ///
    /// # Safety
    /// `block` is live, or the rules let it be judged.
    unsafe fn resize(
        &self,
        block: *mut u8,
        made: Function,
        old: usize,
        size: usize,
    ) -> (*mut u8, i32);

    /// Frees `block` by the function of a family; errno afterwards.
    ///
    /// # Safety
    /// `block` is live, or the rules let it be judged.
    unsafe fn free(&self, block: *mut u8, made: Function, size: usize, how: Freeing) -> i32;

    /// malloc_usable_size(block), at least `size`.
    ///
    /// # Safety
    /// `block` is live.
    unsafe fn usable_size(&self, _block: *mut u8, size: usize) -> usize {
        size
    }

    /// Checks the heap; how many blocks were damaged.
    fn check(&self) -> usize {
        0
    }

    /// Live bytes and allocations since [`Allocator::begin`].
    fn statistics(&self) -> (usize, usize) {
        (0, 0)
    }

    /// A program begins: figures count from here.
    fn begin(&self) {}

    /// The verdicts given since the last call.
    fn verdicts(&self) -> Vec<Seen> {
        Vec::new()
    }

    /// What is left of a kind (its name in reports) from a site, when `roots`
    /// are all pointers that the program has.
    fn leaks(&self, _roots: &[usize], _kind: &str, _site: u8) -> super::LeakSum {
        super::LeakSum::default()
    }

    /// Calls `action` at a call site of that number.
    fn at_site(&self, _site: u8, action: &mut dyn FnMut()) {
        action();
    }
}

/// By which function a block is freed.
#[derive(Clone, Copy, Debug)]
pub struct Freeing {
    /// Its family.
    pub by: Family,
    /// The size it is told, if it takes one.
    pub size: Option<usize>,
    /// The alignment it is told, if it takes one.
    pub alignment: usize,
}

impl Freeing {
    const PLAIN: Freeing = Freeing { by: Family::Malloc, size: None, alignment: 16 };
}

/// Does actions.
pub trait Machine {
    /// Does one, and tells what it saw.
    fn perform(&mut self, action: &Action) -> Observation;
}

/// A block that the program holds.
#[derive(Clone, Copy)]
struct Held {
    start: *mut u8,
    made: Function,
    size: usize,
}

const NOBODY: Held = Held { start: core::ptr::null_mut(), made: Function::Malloc, size: 0 };

/// A machine of this process.
pub(super) struct MemoryMachine<'a> {
    allocator: &'a dyn Allocator,
    places: [Held; PLACES as usize],
    ghosts: [Held; PLACES as usize],
    workers: [Option<Worker>; THREADS as usize],
}

impl Machine for MemoryMachine<'_> {
    fn perform(&mut self, action: &Action) -> Observation {
        let mut seen = Observation::default();
        match action.command {
            Command::Begin { thread } => self.workers[thread as usize] = Some(Worker::start()),
            Command::End { thread } => self.workers[thread as usize] = None,
            _ => {
                let worker = self.workers[action.thread as usize].take();
                let allocator = self.allocator;
                let mut act = || {
                    allocator.at_site(action.site, &mut || seen = self.act(&action.command));
                };
                match &worker {
                    Some(worker) => worker.call(&mut act),
                    None => act(),
                }
                self.workers[action.thread as usize] = worker;
            }
        }
        seen.verdicts = self.allocator.verdicts();
        seen
    }
}

impl<'a> MemoryMachine<'a> {
    pub(super) fn new(allocator: &'a dyn Allocator) -> Self {
        MemoryMachine {
            allocator,
            places: [NOBODY; PLACES as usize],
            ghosts: [NOBODY; PLACES as usize],
            workers: [None, None, None, None],
        }
    }

    /// The program's pointers.
    pub(super) fn roots(&self) -> [usize; PLACES as usize] {
        self.places.map(|held| held.start.expose_provenance())
    }

    /// Puts a block that lives already into a place.
    pub(super) fn take_in(&mut self, place: u8, address: usize, made: Function, size: usize) {
        let start = core::ptr::with_exposed_provenance_mut(address);
        self.places[place as usize] = Held { start, made, size };
    }

    fn act(&mut self, command: &Command) -> Observation {
        let mut seen = Observation::default();
        let allocator = self.allocator;
        // SAFETY: the model lets an action use only blocks that are live, and
        // bytes that are theirs; where it does not, the rules say that the
        // allocator judges such things, and they stay within its memory.
        unsafe {
            match *command {
                Command::Allocate { place, function, size } => {
                    let (start, errno) = allocator.allocate(function, size);
                    let size = function.bytes(size).unwrap_or_default();
                    (seen.address, seen.errno) = (start.expose_provenance(), errno);
                    if !start.is_null() {
                        self.places[place as usize] = Held { start, made: function, size };
                    }
                }
                Command::Resize { place, size } => {
                    let held = &mut self.places[place as usize];
                    let (start, errno) = allocator.resize(held.start, held.made, held.size, size);
                    (seen.address, seen.errno) = (start.expose_provenance(), errno);
                    if !start.is_null() {
                        (held.start, held.size) = (start, size);
                    } else if size == 0 {
                        self.ghosts[place as usize] = *held;
                    }
                }
                Command::Free { place, by, size, alignment } => {
                    let held = core::mem::replace(&mut self.places[place as usize], NOBODY);
                    self.ghosts[place as usize] = held;
                    let how = Freeing { by, size, alignment };
                    seen.errno = allocator.free(held.start, held.made, held.size, how);
                }
                Command::Fill { place, size, tag } => {
                    let start = self.places[place as usize].start;
                    (0..size).for_each(|at| start.add(at).write(byte(tag, at)));
                }
                Command::Verify { place, size, tag, links } => {
                    let start = self.places[place as usize].start;
                    let wrong = |&at: &usize| {
                        let linked = at < LINKS as usize * WORD && links >> (at / WORD) & 1 == 1;
                        !linked && start.add(at).read() != byte(tag, at)
                    };
                    seen.value = (0..size).find(wrong).map_or(0, |at| at + 1);
                }
                Command::Zero { place, size } => {
                    let start = self.places[place as usize].start;
                    let wrong = (0..size).find(|&at| start.add(at).read() != 0);
                    seen.value = wrong.map_or(0, |at| at + 1);
                }
                Command::Usable { place } => {
                    let held = self.places[place as usize];
                    seen.value = allocator.usable_size(held.start, held.size);
                }
                Command::Check => seen.value = allocator.check(),
                Command::Statistics => (seen.value, seen.allocations) = allocator.statistics(),
                Command::FreeGhost { place } => {
                    let ghost = self.ghosts[place as usize];
                    seen.errno =
                        allocator.free(ghost.start, ghost.made, ghost.size, Freeing::PLAIN);
                }
                Command::ResizeGhost { place, size } => {
                    let ghost = self.ghosts[place as usize];
                    let (start, errno) =
                        allocator.resize(ghost.start, ghost.made, ghost.size, size);
                    (seen.address, seen.errno) = (start.expose_provenance(), errno);
                }
                Command::FreeInside { place, offset } => {
                    let held = self.places[place as usize];
                    let inside = held.start.wrapping_add(offset);
                    seen.errno = allocator.free(inside, held.made, held.size, Freeing::PLAIN);
                }
                Command::FreeForeign(what) => {
                    let mut local = 0u64;
                    let address = foreign(what, &raw mut local);
                    seen.errno = allocator.free(address, Function::Malloc, 0, Freeing::PLAIN);
                }
                Command::Damage { place, freed, offset, length } => {
                    let held = if freed { &self.ghosts } else { &self.places }[place as usize];
                    for at in 0..length {
                        let byte = held.start.wrapping_offset(offset as isize + isize::from(at));
                        byte.write_volatile(byte.read_volatile() ^ 0x5a);
                    }
                }
                Command::Forget { place } => self.places[place as usize] = NOBODY,
                Command::Shift { place, offset } => {
                    let held = &mut self.places[place as usize];
                    held.start = held.start.wrapping_offset(offset as isize);
                }
                Command::Store { from, slot, to, offset } => {
                    let holder = self.places[from as usize].start.cast::<usize>();
                    let held = self.places[to as usize].start.wrapping_add(offset);
                    holder.add(slot as usize).write_unaligned(held.expose_provenance());
                }
                Command::Clear { from, slot } => {
                    let holder = self.places[from as usize].start.cast::<usize>();
                    holder.add(slot as usize).write_unaligned(0);
                }
                Command::Begin { .. } | Command::End { .. } => {}
                Command::Fork | Command::ChildEnd => {}
            }
        }
        seen
    }
}

/// The byte at `at` of a block filled by `tag`; the same as in `operations.h`.
///
/// No word of them is an address: 64-bit ones have their high bit, 32-bit ones
/// lie above 0xf8000000, where Linux has only the main thread's stack.
fn byte(tag: u32, at: usize) -> u8 {
    let mixed = (tag ^ (at as u32).wrapping_mul(0x9e37_79b1)).wrapping_mul(0x85eb_ca6b);
    let high = if WORD == 4 && at % 4 == 3 { 0xf8 } else { 0x80 };
    (mixed >> 24) as u8 | high
}

fn foreign(what: super::Foreign, local: *mut u64) -> *mut u8 {
    static GLOBAL: u64 = 7;
    match what {
        super::Foreign::Stack => local.cast(),
        super::Foreign::Global | super::Foreign::Mapped => (&raw const GLOBAL).cast_mut().cast(),
        super::Foreign::Wild => core::ptr::without_provenance_mut(0x10),
    }
}

/// A thread that does what it is told.
struct Worker {
    jobs: Option<Sender<Job>>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// A call to make; whoever sends it waits until it was made.
struct Job(*mut (dyn FnMut() + 'static));

// SAFETY: the sender does not touch the closure until the call was made.
unsafe impl Send for Job {}

impl Worker {
    fn start() -> Worker {
        let (jobs, inbox) = channel::<Job>();
        let (tell, done) = channel();
        let thread = std::thread::spawn(move || {
            for job in inbox {
                // SAFETY: see `Job`; the closure lives until `tell` is heard.
                unsafe { (*job.0)() };
                if tell.send(()).is_err() {
                    return;
                }
            }
        });
        Worker { jobs: Some(jobs), done, thread: Some(thread) }
    }

    fn call(&self, job: &mut dyn FnMut()) {
        // SAFETY: only the lifetime changes, and the call ends before it does.
        let job: *mut (dyn FnMut() + 'static) = unsafe { core::mem::transmute(job) };
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job(job)).is_ok());
        assert!(sent && self.done.recv().is_ok(), "a worker thread died");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
