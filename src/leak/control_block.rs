//! The thread control block: where glibc keeps what belongs to a thread.
//!
//! ```text
//!   … stack | static TLS | struct pthread            x86_64, TLS variant II
//!                        ^ thread pointer
//!   +0  its own address    +8  dtv    +16  its own address    … tid … keys …
//!   dtv[-1].counter = length;  dtv[m] = { value, to_free };  value -1 = none
//! ```
//!
//! (ELF Handling For Thread-Local Storage, 3; glibc nptl/descr.h.) Sizes and
//! offsets that glibc does not publish are found by looking at the calling
//! thread's own block.
//!
//! Invariant: nothing here trusts what it reads: each address is checked
//! against the memory map first.

use super::mappings::{Mapping, Mappings};
use super::modules::Modules;
use super::registers::thread_pointer;
use crate::units::align_down;

/// What is known of glibc's `struct pthread`.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Bytes of the structure.
    pub bytes: usize,
    /// Offset of the kernel's thread id; 0 = unknown.
    task_offset: usize,
}

/// Whose control block it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A thread with this kernel id, or one that just ended.
    Task(u32),
    /// A thread that has ended and that nobody joined yet: its result waits.
    Finished,
    /// Nobody: a stack that glibc keeps for the next thread.
    Cached,
}

/// glibc ≥ 2.34 says it in `_thread_db_sizeof_pthread`; this covers all.
const LARGEST: usize = 4096;
const TYPICAL: usize = 2304;

impl Layout {
    /// Learns the layout from the calling thread's own block; `task` is the
    /// thread's kernel id, which a forked child no longer has.
    pub fn learn(mappings: &Mappings<'_>, task: u32) -> Layout {
        let own = thread_pointer();
        let mut layout = Layout { bytes: TYPICAL, task_offset: 0 };
        if !is_control_block(mappings, own) {
            return layout;
        }
        for offset in (0x80..TYPICAL).step_by(8) {
            match mappings.word(own + offset) {
                Some(word) if word as u32 == task => {
                    layout.task_offset = offset;
                    break;
                }
                Some(word) if (word >> 32) as u32 == task => {
                    layout.task_offset = offset + 4;
                    break;
                }
                _ => {}
            }
        }
        layout
    }

    /// Whose block it is.
    pub fn owner(&self, mappings: &Mappings<'_>, block: usize) -> Owner {
        let at = block + self.task_offset;
        let word = mappings.word(align_down(at, 8)).unwrap_or(0);
        let task = if at.is_multiple_of(8) { word as u32 } else { (word >> 32) as u32 };
        match task {
            _ if self.task_offset == 0 => Owner::Finished,
            0 => Owner::Finished,
            task if (task as i32) < 0 => Owner::Cached,
            task => Owner::Task(task),
        }
    }
}

/// Whether a control block begins at `address`.
pub fn is_control_block(mappings: &Mappings<'_>, address: usize) -> bool {
    address != 0
        && mappings.word(address) == Some(address)
        && mappings.word(address.wrapping_add(16)) == Some(address)
}

/// The control block that glibc put at the top of a thread's stack.
pub fn at_top_of(mappings: &Mappings<'_>, stack: &Mapping) -> Option<usize> {
    let top = align_down(stack.end, 64);
    let lowest = stack.start.max(stack.end.saturating_sub(4 * LARGEST));
    (1..)
        .map(|i| top - i * 64)
        .take_while(|&at| at >= lowest)
        .find(|&at| is_control_block(mappings, at))
}

/// One piece of memory that a control block leads to.
pub enum Piece {
    /// The dtv, named by an address inside it.
    Dtv {
        /// First address of the array, header included.
        start: usize,
        /// First address after it.
        end: usize,
    },
    /// A module's thread-local variables.
    Variables {
        /// First address.
        start: usize,
        /// First address after them.
        end: usize,
    },
}

/// Calls `visit` with the dtv of a block and with each module's variables.
pub fn thread_locals(
    mappings: &Mappings<'_>,
    modules: &Modules<'_>,
    block: usize,
    mut visit: impl FnMut(Piece),
) {
    const ENTRY: usize = 16;
    const MOST: usize = 64 * 1024;
    let Some(dtv) = mappings.word(block + 8).filter(|&dtv| dtv > ENTRY) else { return };
    let Some(length) = mappings.word(dtv - ENTRY) else { return };
    let length = length.min(MOST);
    let end = dtv + (length + 1) * ENTRY;
    visit(Piece::Dtv { start: dtv - ENTRY, end });
    for module in 1..=length {
        let Some(start) = mappings.word(dtv + module * ENTRY) else { return };
        let bytes = modules.thread_local_bytes(module);
        if start != 0 && start != usize::MAX && bytes > 0 {
            visit(Piece::Variables { start, end: start.saturating_add(bytes) });
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::room::Room;
    use super::super::scratch::Scratch;
    use super::*;
    use crate::platform::{Host, Platform};
    use std::cell::Cell;

    std::thread_local!(static LOCAL: Cell<usize> = const { Cell::new(3) });

    #[test]
    fn the_own_block_leads_to_the_own_variables() {
        std::thread::spawn(|| {
            let scratch = Scratch::new(Room::AMPLE.bytes_to_read()).unwrap();
            let modules = Modules::read(&scratch, &Room::AMPLE);
            let mappings = Mappings::read(&scratch, &Room::AMPLE).unwrap();
            let layout = Layout::learn(&mappings, Host::thread_id());
            let own = thread_pointer();
            assert!(is_control_block(&mappings, own));
            assert_eq!(layout.owner(&mappings, own), Owner::Task(Host::thread_id()));
            assert_eq!(at_top_of(&mappings, mappings.find(own).unwrap()), Some(own));
            let address = LOCAL.with(|local| local.as_ptr() as usize);
            let (mut found, mut dtvs) = (false, 0);
            thread_locals(&mappings, &modules, own, |piece| match piece {
                Piece::Dtv { .. } => dtvs += 1,
                Piece::Variables { start, end } => found |= (start..end).contains(&address),
            });
            assert!(found && dtvs == 1);
        })
        .join()
        .unwrap();
    }
}
