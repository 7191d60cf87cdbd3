//! Roots: where the program of an image may keep a pointer outside its heap.
//! The same places as in the library's own check (`src/leak/roots.rs`), found
//! by what an image tells instead of by asking the threads.
//!
//! | root | found by |
//! |---|---|
//! | registers, stacks | the threads' registers |
//! | thread-local variables | the control block at the thread pointer, its dtv |
//! | data and bss of modules | program headers, in memory or in the file |
//! | registered regions | the ledger's table |
//! | *foreign memory*: other private mappings | what is left |
//!
//! Invariant: the warden's own memory, the dead parts of stacks, and stacks
//! that glibc keeps for later are neither root nor foreign.

use crate::ledger::image::Thread;
use crate::ledger::memory::Memory;
use crate::ledger::root::{LedgerRoot, read_beginning};
use crate::ledger::{Image, Mapping};
use heapwarden::units::WINDOW;
use object::Endianness;
use object::elf::{FileHeader64, PF_W, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use std::ops::Range;

/// Bytes below a stack pointer that a leaf function may use (System V ABI for
/// x86_64, 3.2.2).
const RED_ZONE: u64 = 128;
/// Bytes of glibc's `struct pthread`, about, and where to look for one.
const CONTROL_BLOCK: u64 = 2304;
const CONTROL_BLOCK_REACH: u64 = 16 * 1024;
/// Most entries of a dtv, and most static thread-local bytes, that are believed.
const MOST_LOCALS: u64 = 64 * 1024;
const LARGEST_STATIC: u64 = 16 << 20;
/// Most pairs of a table that are believed.
const MOST_PAIRS: u64 = 1 << 16;

/// Anonymous memory of others.
pub struct Foreign {
    /// Its addresses.
    pub range: Range<u64>,
    /// Whether a pointer into it was found in reachable memory.
    pub is_reached: bool,
    /// Whether it was searched.
    pub is_read: bool,
}

/// All roots of an image.
#[derive(Default)]
pub struct Roots {
    /// Words that are no memory: registers, what the kernel holds.
    pub words: Vec<u64>,
    /// Memory that is searched.
    pub ranges: Vec<Range<u64>>,
    /// Addresses whose blocks are reachable whatever points to them.
    pub pinned: Vec<u64>,
    /// By address.
    pub foreign: Vec<Foreign>,
}

/// What is neither root nor foreign.
struct Taken(Vec<Range<u64>>);

impl Taken {
    /// The parts of `range` that are not taken.
    fn without(&mut self, range: Range<u64>) -> Vec<Range<u64>> {
        self.0.sort_by_key(|taken| taken.start);
        let (mut parts, mut from) = (Vec::new(), range.start);
        for taken in self.0.iter().filter(|taken| taken.end > range.start) {
            if taken.start >= range.end {
                break;
            }
            if from < taken.start {
                parts.push(from..taken.start);
            }
            from = from.max(taken.end);
        }
        if from < range.end {
            parts.push(from..range.end);
        }
        parts
    }
}

/// Finds all roots.
pub fn collect(image: &Image, root: &LedgerRoot) -> Roots {
    let mut finder = Finder {
        image,
        window: root.base..root.base + WINDOW as u64,
        roots: Roots::default(),
        taken: Taken(Vec::new()),
    };
    finder.roots.words.extend(&image.kernel_values);
    let below = root.tables.window.table_bytes + root.tables.window.metadata_bytes;
    finder.taken.0.push(root.base - below..finder.window.end);
    finder.add_modules(root);
    finder.add_pairs(root);
    for thread in &image.threads {
        finder.add_thread(thread);
    }
    finder.add_stacks_of_the_dead();
    finder.add_foreign();
    finder.roots
}

struct Finder<'i> {
    image: &'i Image,
    window: Range<u64>,
    roots: Roots,
    taken: Taken,
}

impl Finder<'_> {
    fn add(&mut self, range: Range<u64>) {
        if range.start < range.end {
            self.taken.0.push(range.clone());
            self.roots.ranges.push(range);
        }
    }

    fn add_modules(&mut self, root: &LedgerRoot) {
        for mapping in self.image.mappings() {
            if mapping.offset != 0 {
                continue;
            }
            let Some(beginning) = read_beginning(self.image, mapping) else { continue };
            let Ok(header) = FileHeader64::<Endianness>::parse(&*beginning.bytes) else { continue };
            let Ok(endian) = header.endian() else { continue };
            let Ok(headers) = header.program_headers(endian, &*beginning.bytes) else { continue };
            for header in headers {
                let is_data =
                    header.p_type(endian) == PT_LOAD && header.p_flags(endian).0 & PF_W.0 != 0;
                if !is_data {
                    continue;
                }
                let start = beginning.bias.wrapping_add(header.p_vaddr(endian));
                let range = start..start.saturating_add(header.p_memsz(endian));
                if root.own_module == Some(mapping.start) {
                    // The library's own data holds no pointer of the program's.
                    self.taken.0.push(range.start & !0xfff..(range.end + 0xfff) & !0xfff);
                } else {
                    self.add(range);
                }
            }
        }
    }

    fn add_pairs(&mut self, root: &LedgerRoot) {
        for (pairs, is_root) in [(&root.tables.regions, true), (&root.tables.own, false)] {
            let count = pairs.count.min(MOST_PAIRS) as usize;
            let Ok(words) = self.image.words(pairs.table, count * 2) else { continue };
            for pair in words.chunks_exact(2).filter(|pair| pair[0] != 0 && pair[0] < pair[1]) {
                match is_root {
                    true => self.roots.ranges.push(pair[0]..pair[1]),
                    false => self.taken.0.push(pair[0]..pair[1]),
                }
            }
        }
    }

    fn is_control_block(&self, address: u64) -> bool {
        address != 0
            && self.image.word(address) == Some(address)
            && self.image.word(address.wrapping_add(16)) == Some(address)
    }

    fn add_thread(&mut self, thread: &Thread) {
        self.roots.words.extend(&thread.registers);
        let (sp, block) = (thread.stack_pointer, thread.thread_pointer);
        let live = sp.saturating_sub(RED_ZONE);
        let own = self.image.mapping(block).map(|mapping| mapping.start..mapping.end);
        let current = self.image.mapping(sp).map(|mapping| mapping.start..mapping.end);
        let has_block = self.is_control_block(block);
        match (own, current) {
            (Some(own), Some(current)) if own == current && sp < block => {
                // Below the stack pointer is nothing but dead frames.
                self.taken.0.push(own.start..live);
                self.add(live..(block + CONTROL_BLOCK).min(own.end));
            }
            (own, current) => {
                let end = current.map_or(sp, |current| current.end);
                if !self.window.contains(&sp) {
                    if self.is_main_stack(thread) {
                        let start = self.image.mapping(sp).map_or(live, |mapping| mapping.start);
                        self.taken.0.push(start..live);
                    }
                    self.add(live..end);
                }
                if let Some(own) = own {
                    let end = (block + CONTROL_BLOCK).min(own.end);
                    self.add(block..end);
                    let is_main = thread.task == self.image.pid;
                    if !is_main && !self.window.contains(&own.start) {
                        // It runs on another stack: the own one is all alive.
                        self.add(own.start..block);
                    }
                }
            }
        }
        if has_block {
            self.add_thread_locals(block);
        }
    }

    fn is_main_stack(&self, thread: &Thread) -> bool {
        thread.task == self.image.pid
    }

    fn add_thread_locals(&mut self, block: u64) {
        const ENTRY: u64 = 16;
        let Some(dtv) = self.image.word(block + 8).filter(|&dtv| dtv > ENTRY) else { return };
        let Some(length) = self.image.word(dtv - ENTRY) else { return };
        let length = length.min(MOST_LOCALS);
        if self.window.contains(&dtv) {
            self.roots.pinned.push(dtv - ENTRY);
        } else {
            self.add(dtv - ENTRY..dtv + (length + 1) * ENTRY);
        }
        let values = (1..=length).map_while(|module| self.image.word(dtv + module * ENTRY));
        let is_static = |value: &u64| *value < block && block - value < LARGEST_STATIC;
        // What is allocated dynamically is reached by the dtv.
        if let Some(first) = values.filter(is_static).min() {
            self.add(first..block);
        }
    }

    /// Stacks of threads that have ended, at the top of their mappings.
    fn add_stacks_of_the_dead(&mut self) {
        let Some(task_offset) = self.task_offset() else { return };
        let alive: Vec<u64> = self.image.threads.iter().map(|it| it.thread_pointer).collect();
        let anonymous = self.image.mappings().iter().filter(|mapping| is_anonymous(mapping));
        let blocks: Vec<(u64, u64)> = anonymous
            .filter(|mapping| !self.window.contains(&mapping.start))
            .filter_map(|mapping| Some((mapping.start, self.control_block_at_top_of(mapping)?)))
            .filter(|(_, block)| !alive.contains(block))
            .collect();
        for (start, block) in blocks {
            let task = self.image.word((block + task_offset) & !7).unwrap_or(0);
            let task = if task_offset % 8 == 0 { task as u32 } else { (task >> 32) as u32 };
            self.taken.0.push(start..block);
            // Kept for the next thread, or waiting to be joined with its result.
            let is_kept = (task as i32) < 0;
            if is_kept {
                self.taken.0.push(block..block + CONTROL_BLOCK);
                let dtv = self.image.word(block + 8).filter(|dtv| self.window.contains(dtv));
                self.roots.pinned.extend(dtv.map(|dtv| dtv.wrapping_sub(16)));
            } else {
                self.add(block..block + CONTROL_BLOCK);
                self.add_thread_locals(block);
            }
        }
    }

    /// Where glibc keeps the kernel's id in a control block.
    fn task_offset(&self) -> Option<u64> {
        let known =
            self.image.threads.iter().find(|it| self.is_control_block(it.thread_pointer))?;
        (0x80..CONTROL_BLOCK).step_by(4).find(|offset| {
            let word = self.image.word((known.thread_pointer + offset) & !7).unwrap_or(0);
            let half = if offset % 8 == 0 { word as u32 } else { (word >> 32) as u32 };
            half == known.task && known.task != 0
        })
    }

    fn control_block_at_top_of(&self, mapping: &Mapping) -> Option<u64> {
        let lowest = mapping.start.max(mapping.end.saturating_sub(CONTROL_BLOCK_REACH));
        let top = mapping.end & !63;
        (1..)
            .map(|step| top - step * 64)
            .take_while(|&at| at >= lowest)
            .find(|&at| self.is_control_block(at))
    }

    fn add_foreign(&mut self) {
        for mapping in self.image.mappings().iter().filter(|mapping| is_anonymous(mapping)) {
            for range in self.taken.without(mapping.start..mapping.end) {
                self.roots.foreign.push(Foreign { range, is_reached: false, is_read: false });
            }
        }
        self.roots.foreign.sort_by_key(|foreign| foreign.range.start);
    }
}

fn is_anonymous(mapping: &Mapping) -> bool {
    mapping.readable && mapping.writable && mapping.path.is_none()
}
