//! Roots: where a program may keep a pointer outside its heap.
//!
//! | root | found by |
//! |---|---|
//! | data and bss of modules | [`Modules`] |
//! | a thread's registers, its stack from 128 bytes below the stack pointer | [`Handshake`] |
//! | thread-local variables, static and dynamic; keys; a finished thread's result | [`control_block`] |
//! | alternate stacks, coroutines: the whole own stack as well | registers and memory map |
//! | regions that the program registered | [`annotations`] |
//!
//! Anonymous mappings of others are no roots but *foreign memory*: nodes of
//! the graph like blocks. One that is reached is scanned as reachable; blocks
//! that only unreached ones hold are graded possible, because that may be
//! another allocator's heap, or rubbish.
//!
//! Invariant: the warden's own memory, dead parts of stacks, and stacks that
//! glibc keeps for later are neither.

use super::annotations;
use super::control_block::{self, Layout, Owner, Piece};
use super::handshake::{Answer, Handshake};
use super::mappings::{Mapping, Mappings, Use};
use super::modules::Modules;
use super::registers::{RED_ZONE, Registers};
use super::room::Room;
use super::scratch::{Scratch, Table, Zeroed};
use crate::memory::Window;
use crate::platform::linux::own;

/// What a root is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum RootKind {
    /// Data or bss of a module.
    Global,
    /// A thread's stack.
    Stack,
    /// A thread's registers.
    Registers,
    /// Thread-local variables, or the thread control block.
    ThreadLocal,
    /// A region that the program registered.
    Region,
    /// A block that is reachable whatever points to it, named by any address
    /// inside it (`start`); nothing to scan.
    Pinned,
    /// What the kernel holds for the program: event data, timers.
    Kernel,
    /// Anonymous memory of others, itself reachable. No root of its own.
    Foreign,
}

/// A set of kinds of roots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RootKinds(u8);

impl RootKinds {
    /// All kinds.
    pub const ALL: RootKinds = RootKinds(u8::MAX);

    /// This set without `kind` if `keep` is false.
    #[must_use]
    pub const fn only_if(self, keep: bool, kind: RootKind) -> RootKinds {
        RootKinds(if keep { self.0 } else { self.0 & !(1 << kind as u8) })
    }

    /// Whether `kind` is in the set.
    pub const fn contains(self, kind: RootKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

/// A range of memory whose words count as pointers.
#[derive(Clone, Copy, Debug)]
pub struct Root {
    /// First address.
    pub start: usize,
    /// First address after it.
    pub end: usize,
    /// What it is.
    pub kind: RootKind,
    /// The kernel id of the thread it belongs to; 0 = none.
    pub task: u32,
}

// SAFETY: integers, and an enum whose first variant is zero.
unsafe impl Zeroed for Root {}

/// An anonymous mapping that is not the warden's.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// First address.
    pub start: usize,
    /// First address after it.
    pub end: usize,
    /// Whether a pointer into it was found in reachable memory.
    pub is_reached: bool,
}

// SAFETY: integers and a bool that zero makes false.
unsafe impl Zeroed for Foreign {}

/// All roots, and the foreign memory, of one check.
pub struct Roots<'s> {
    /// The memory map.
    pub mappings: &'s Mappings<'s>,
    roots: Table<'s, Root>,
    foreign: Table<'s, Foreign>,
    layout: Layout,
}

/// Who is checking: the thread whose stack and registers are taken from
/// `registers`, and its kernel id.
#[derive(Clone, Copy, Debug)]
pub struct Checker {
    /// Registers at the point from which on the program's frames count.
    pub registers: Registers,
    /// Kernel id.
    pub task: u32,
    /// Kernel id of the process.
    pub process: u32,
}

impl<'s> Roots<'s> {
    /// Collects all roots. Reads /proc of the calling process, but nothing
    /// that only the held threads' own process could tell, so it works in a
    /// forked copy too.
    pub fn collect(
        (scratch, room): (&'s Scratch, &Room),
        mappings: &'s Mappings<'s>,
        modules: &Modules<'_>,
        threads: &Handshake,
        checker: &Checker,
    ) -> Roots<'s> {
        let mut roots = Roots {
            mappings,
            roots: Table::new(scratch, room.roots),
            foreign: Table::new(scratch, room.foreign),
            layout: Layout::learn(mappings, checker.task),
        };
        for segment in modules.segments() {
            roots.add(RootKind::Global, segment.start, segment.end, 0);
        }
        annotations::for_each_region(|start, end| roots.add(RootKind::Region, start, end, 0));
        // The checker's frames called us: nothing of theirs is below.
        let sp = checker.registers.stack_pointer;
        roots.add_thread(modules, &checker.registers, sp, checker.task, checker.process);
        for (slot, answer) in threads.threads() {
            match answer {
                Answer::Held => {
                    let live = slot.registers.stack_pointer.saturating_sub(RED_ZONE);
                    roots.add_thread(modules, &slot.registers, live, slot.task, checker.process);
                }
                Answer::Silent => {
                    roots.add_silent(slot.registers.stack_pointer, slot.task, checker.process);
                }
                Answer::Gone => {}
            }
        }
        let is_held = |task| {
            task == checker.task
                || threads.threads().any(|(slot, answer)| {
                    slot.task == task && matches!(answer, Answer::Held | Answer::Silent)
                })
        };
        roots.add_mappings(modules, &is_held);
        roots
    }

    /// All roots, and all foreign memory by address.
    pub fn parts(&mut self) -> (&[Root], &mut [Foreign]) {
        (self.roots.as_slice(), self.foreign.as_mut_slice())
    }

    /// Roots and foreign ranges for which there was no room.
    pub fn dropped(&self) -> usize {
        self.roots.dropped() + self.foreign.dropped() + self.mappings.dropped()
    }

    /// Adds a root that the memory map does not show.
    pub fn add(&mut self, kind: RootKind, start: usize, end: usize, task: u32) {
        if start < end {
            self.roots.push(Root { start, end, kind, task });
        }
    }

    fn add_thread(
        &mut self,
        modules: &Modules<'_>,
        registers: &Registers,
        live: usize,
        task: u32,
        process: u32,
    ) {
        let (from, to) = registers.range();
        self.add(RootKind::Registers, from, to, task);
        let sp = registers.stack_pointer;
        let block = registers.thread_pointer;
        let block_end = block.saturating_add(self.layout.bytes);
        let mappings = self.mappings;
        let (own, current) = (mappings.find(block), mappings.find(sp));
        let is_same = |a: Option<&Mapping>, b: Option<&Mapping>| match (a, b) {
            (Some(a), Some(b)) => a.start == b.start,
            _ => false,
        };
        let mut stack = (live, block_end);
        if !(is_same(own, current) && sp < block) {
            // The main thread, an alternate stack or a coroutine: the stack
            // ends where its memory does, and the control block is elsewhere.
            let on_alternate = (registers.alternate_start..registers.alternate_end).contains(&sp);
            let end = match current {
                _ if on_alternate => registers.alternate_end,
                _ if Window::contains(sp) => super::stack_in_heap::block_end(sp).unwrap_or(sp),
                Some(mapping) => mapping.end,
                None => sp,
            };
            stack = (live, end);
            self.add(RootKind::ThreadLocal, block, block_end, task);
            if current.is_none_or(|mapping| mapping.usage != Use::MainStack) {
                self.add_own_stack(own, block, task, process);
            }
        }
        self.add(RootKind::Stack, stack.0, stack.1, task);
        self.add_thread_locals(modules, block, stack, task);
    }

    /// The whole stack that a thread was born with, for it runs on another.
    fn add_own_stack(&mut self, own: Option<&Mapping>, block: usize, task: u32, process: u32) {
        if task == process {
            let main = |mapping: &&Mapping| mapping.usage == Use::MainStack;
            if let Some(main) = self.mappings.as_slice().iter().find(main) {
                self.add(RootKind::Stack, main.start, main.end, task);
            }
        } else if let Some(own) = own
            && own.usage == Use::Anonymous
            && !Window::contains(own.start)
        {
            self.add(RootKind::Stack, own.start, block, task);
        }
    }

    fn add_thread_locals(
        &mut self,
        modules: &Modules<'_>,
        block: usize,
        stack: (usize, usize),
        task: u32,
    ) {
        let mappings = self.mappings;
        if !control_block::is_control_block(mappings, block) {
            return;
        }
        control_block::thread_locals(mappings, modules, block, |piece| match piece {
            Piece::Dtv { start, .. } if Window::contains(start) => {
                self.add(RootKind::Pinned, start, start + 1, task);
            }
            Piece::Dtv { start, end } => self.add(RootKind::ThreadLocal, start, end, task),
            Piece::Variables { start, end } => {
                let in_stack = stack.0 <= start && end <= stack.1;
                if !in_stack && !Window::contains(start) {
                    self.add(RootKind::ThreadLocal, start, end, task);
                }
            }
        });
    }

    /// A thread that did not answer: from where the kernel says it is blocked,
    /// or its whole stack. The control block is found with its stack.
    fn add_silent(&mut self, sp: usize, task: u32, process: u32) {
        let mappings = self.mappings;
        if let Some(current) = mappings.find(sp) {
            let end = if Window::contains(sp) {
                super::stack_in_heap::block_end(sp).unwrap_or(sp)
            } else {
                current.end
            };
            self.add(RootKind::Stack, sp.saturating_sub(RED_ZONE), end, task);
        } else if task == process {
            self.add_own_stack(None, 0, task, process);
        }
    }

    fn add_mappings(&mut self, modules: &Modules<'_>, is_held: &dyn Fn(u32) -> bool) {
        let mappings = self.mappings;
        for mapping in mappings.as_slice() {
            if mapping.usage != Use::Anonymous || Window::is_own(mapping.start) {
                continue;
            }
            let Some(block) = control_block::at_top_of(mappings, mapping) else {
                // The kernel merges neighbours, so ours may be a part of it.
                own::without(mapping.start, mapping.end, |start, end| {
                    self.foreign.push(Foreign { start, end, is_reached: false });
                });
                continue;
            };
            let end = mapping.end.min(block + self.layout.bytes);
            match self.layout.owner(mappings, block) {
                Owner::Task(task) if is_held(task) => {
                    // A held thread's stack was added with its registers. A
                    // silent one's locals lie above its stack pointer; only
                    // its dtv is missing.
                    self.add_thread_locals(modules, block, (mapping.start, end), task);
                    let has_stack = |root: &Root| {
                        root.task == task && (mapping.start..mapping.end).contains(&root.start)
                    };
                    if !self.roots.as_slice().iter().any(has_stack) {
                        self.add(RootKind::Stack, mapping.start, end, task);
                    }
                }
                Owner::Task(_) | Owner::Finished => {
                    self.add(RootKind::ThreadLocal, block, end, 0);
                    self.add_thread_locals(modules, block, (mapping.start, end), 0);
                }
                Owner::Cached => {
                    control_block::thread_locals(mappings, modules, block, |piece| {
                        if let Piece::Dtv { start, .. } = piece
                            && Window::contains(start)
                        {
                            self.add(RootKind::Pinned, start, start + 1, 0);
                        }
                    });
                }
            }
        }
    }
}
