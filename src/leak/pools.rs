//! Pools: blocks that the program cuts from memory of its own and marks, so
//! that checks see each of them (Valgrind's MALLOCLIKE and FREELIKE).
//!
//! ```text
//!   pool      ....[ block ].....[ block ]....    a malloc'd block, an mmap, an array
//!                    ▲                ▲
//!   ticket      magic start size    …            a small block of our heap each
//! ```
//!
//! A ticket is an ordinary block: its record has the stack, thread and age of
//! the mark. A check takes the marked bytes for the ticket's, so everything that
//! holds for blocks holds for them; the pool itself is read without them.
//!
//! Invariant: marked blocks do not overlap (the last mark of a start counts);
//! at most [`MOST`] are kept. A mark in memory that was freed or unmapped is
//! ignored by checks.

use super::mappings::Mappings;
use super::scratch::{Scratch, Zeroed};
use super::tiles::{Place, Tiles};
use crate::memory::Window;
use crate::platform::{Host, OsError, Platform};
use crate::sync::{Lock, Rank};

/// Bytes of a ticket, as asked for.
pub const TICKET_BYTES: usize = 40;
/// Most marks at a time.
pub const MOST: usize = SLOTS / 4 * 3;

const SLOTS: usize = 1 << 18;
const MAGIC: usize = 0x7069_636b_6574_2100;

/// A marked block: its start (0 = none) and its ticket.
type Entry = [usize; 2];

/// Open addressing, linear probing; 4 MiB of addresses from the first mark on.
struct Table {
    entries: *mut Entry,
    count: usize,
}

// SAFETY: the entries are reached only through the lock, or while all threads
// are held.
unsafe impl Send for Table {}

static TABLE: Lock<Table> =
    Lock::new(Rank::Check, Table { entries: core::ptr::null_mut(), count: 0 });

fn home(start: usize) -> usize {
    (start >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40 & (SLOTS - 1)
}

impl Table {
    fn entries(&mut self) -> &mut [Entry] {
        if self.entries.is_null() {
            return &mut [];
        }
        // SAFETY: mapped by `open` for good; `&mut self` makes this the only way in.
        unsafe { core::slice::from_raw_parts_mut(self.entries, SLOTS) }
    }

    fn open(&mut self) -> Result<(), OsError> {
        if self.entries.is_null() {
            self.entries = Host::map(SLOTS * size_of::<Entry>())?.as_ptr().cast();
        }
        Ok(())
    }

    /// Where `start` is, or the empty place where it would be.
    fn place(&mut self, start: usize) -> usize {
        let entries = self.entries();
        let mut at = home(start);
        while entries[at][0] != 0 && entries[at][0] != start {
            at = (at + 1) % SLOTS;
        }
        at
    }

    /// Empties a place; entries behind it move up to where they are found.
    fn take(&mut self, mut hole: usize) -> usize {
        self.count -= 1;
        let entries = self.entries();
        let ticket = entries[hole][1];
        let mut at = hole;
        loop {
            at = (at + 1) % SLOTS;
            let start = entries[at][0];
            if start == 0 {
                break;
            }
            let way = |from: usize| at.wrapping_sub(from) % SLOTS;
            if way(home(start)) >= way(hole) {
                entries[hole] = entries[at];
                hole = at;
            }
        }
        entries[hole] = [0; 2];
        ticket
    }
}

/// Marks `bytes` bytes at `start` as a block. `ticket` is a fresh block of
/// [`TICKET_BYTES`]. The ticket of an older mark of that start, which the caller
/// frees; an error when there is no room.
pub fn add(start: usize, bytes: usize, ticket: usize) -> Result<Option<usize>, OsError> {
    // SAFETY: the caller's own fresh block, large and aligned enough.
    unsafe { (ticket as *mut [usize; 3]).write([MAGIC ^ ticket, start, bytes]) };
    let mut table = TABLE.lock();
    table.open()?;
    let at = table.place(start);
    let [known, older] = table.entries()[at];
    if known == 0 {
        if table.count == MOST {
            return Err(OsError(libc::ENOMEM));
        }
        table.count += 1;
    }
    table.entries()[at] = [start, ticket];
    Ok((known != 0).then_some(older))
}

/// Takes the mark of `start` back; its ticket, which the caller frees.
pub fn remove(start: usize) -> Option<usize> {
    let mut table = TABLE.lock();
    if table.count == 0 || start == 0 {
        return None;
    }
    let at = table.place(start);
    (table.entries()[at][0] != 0).then(|| table.take(at))
}

/// Takes back all marks whose start is in the range; `free` gets the tickets.
pub fn remove_within(start: usize, bytes: usize, mut free: impl FnMut(usize)) -> usize {
    let mut table = TABLE.lock();
    let mut count = 0;
    let mut at = 0;
    while at < SLOTS && table.count > 0 {
        let known = table.entries()[at][0];
        if known != 0 && known.wrapping_sub(start) < bytes {
            free(table.take(at));
            count += 1;
        } else {
            at += 1;
        }
    }
    count
}

/// Takes the marks across fork(2).
pub fn before_fork() {
    TABLE.acquire();
}

/// Frees what [`before_fork`] took.
///
/// # Safety
/// This thread, or its copy in the parent, called [`before_fork`].
pub unsafe fn after_fork() {
    // SAFETY: the caller's promise.
    unsafe { TABLE.release() };
}

/// A marked block, as a check sees it.
#[derive(Clone, Copy, Debug)]
pub struct PoolBlock {
    start: usize,
    end: usize,
    /// The ticket's.
    place: Place,
}

// SAFETY: integers.
unsafe impl Zeroed for PoolBlock {}

/// The marked blocks of one check, by address.
#[derive(Default)]
pub struct PoolBlocks<'s> {
    blocks: &'s mut [PoolBlock],
    /// The range that holds all of them.
    low: usize,
    bytes: usize,
}

/// Bytes of scratch that [`PoolBlocks::read`] needs.
pub fn bytes_needed() -> usize {
    count() * size_of::<PoolBlock>() + 64
}

/// How many marks there are; threads are held, or this is a copy.
fn count() -> usize {
    with_table(|table| table.count)
}

/// The table while threads are held: none of them is inside the lock.
fn with_table<T>(read: impl FnOnce(&mut Table) -> T) -> T {
    match TABLE.try_lock() {
        Some(mut table) => read(&mut table),
        None => read(&mut Table { entries: core::ptr::null_mut(), count: 0 }),
    }
}

impl<'s> PoolBlocks<'s> {
    /// Collects the marks whose memory is still there; tickets of the others
    /// are taken out of the check.
    pub fn read(
        scratch: &'s Scratch,
        tiles: &mut Tiles<'_>,
        mappings: &Mappings<'_>,
    ) -> PoolBlocks<'s> {
        let room = scratch.take::<PoolBlock>(count());
        let mut used = 0;
        with_table(|table| {
            for &[start, ticket] in table.entries().iter().filter(|entry| entry[0] != 0) {
                let Some((place, 0)) = tiles.locate_slot(ticket.wrapping_sub(tiles.base)) else {
                    continue;
                };
                let Some([_, known, bytes]) = contents(ticket) else { continue };
                if known == start && is_there(tiles, mappings, start, bytes) && used < room.len() {
                    room[used] = PoolBlock { start, end: start + bytes, place };
                    used += 1;
                } else {
                    tiles.hide(place);
                }
            }
        });
        let blocks = &mut room[..used];
        blocks.sort_unstable_by_key(|block| block.start);
        let low = blocks.first().map_or(0, |block| block.start);
        let high = blocks.last().map_or(0, |block| block.end);
        PoolBlocks { blocks, low, bytes: high - low }
    }

    /// The marked block at `address`: its ticket's place, and how far inside.
    #[inline(always)]
    pub fn find(&self, address: usize) -> Option<(Place, usize)> {
        if address.wrapping_sub(self.low) >= self.bytes {
            return None;
        }
        self.search(address)
    }

    #[cold]
    fn search(&self, address: usize) -> Option<(Place, usize)> {
        let after = self.blocks.partition_point(|block| block.start <= address);
        let block = self.blocks.get(after.checked_sub(1)?)?;
        (address < block.end).then_some((block.place, address - block.start))
    }

    /// The first marked part of `from..end`.
    #[inline(always)]
    pub fn first_in(&self, from: usize, end: usize) -> Option<(usize, usize)> {
        if self.bytes == 0 || end <= self.low || from >= self.low + self.bytes {
            return None;
        }
        let block = self.blocks.get(self.blocks.partition_point(|block| block.end <= from))?;
        (block.start < end).then_some((block.start.max(from), block.end.min(end)))
    }

    /// Whether there are any.
    #[inline(always)]
    pub fn is_any(&self) -> bool {
        self.bytes > 0
    }

    /// The range that holds all of them: first address, and first after it.
    pub fn range(&self) -> (usize, usize) {
        (self.low, self.low + self.bytes)
    }

    /// Calls `visit` with each block's start and its ticket's place.
    pub fn for_each(&self, mut visit: impl FnMut(usize, Place)) {
        self.blocks.iter().for_each(|block| visit(block.start, block.place));
    }
}

/// If the block at `address` is a ticket: the marked block's start and size.
#[inline(always)]
pub fn marked_by(address: usize, size: usize) -> Option<(usize, usize)> {
    if size != TICKET_BYTES {
        return None;
    }
    contents(address).map(|[_, start, bytes]| (start, bytes))
}

fn contents(ticket: usize) -> Option<[usize; 3]> {
    // SAFETY: a slot of the heap, of more than three words.
    let words = unsafe { (ticket as *const [usize; 3]).read_volatile() };
    (words[0] == MAGIC ^ ticket).then_some(words)
}

/// Whether the marked bytes lie in one live block, or in readable memory that
/// is not the heap's.
fn is_there(tiles: &Tiles<'_>, mappings: &Mappings<'_>, start: usize, bytes: usize) -> bool {
    let Some(end) = start.checked_add(bytes) else { return false };
    if Window::contains(start) {
        return tiles.locate_slot(start - tiles.base).is_some_and(|(place, inside)| {
            tiles.is_live(place) && inside + bytes <= tiles.block(place).size
        });
    }
    let mut readable = 0;
    mappings.readable(start, end, |from, to| readable += to - from);
    readable == bytes && !Window::contains(end)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn marks_are_found_until_they_are_taken_back() {
        let mut tickets = std::vec![[0usize; 5]; 3000];
        let first = tickets.as_mut_ptr() as usize;
        let ticket = |i: usize| first + i * TICKET_BYTES;
        let start = |i: usize| 0x5000_0000 + i * 24;
        for i in 0..3000 {
            assert_eq!(add(start(i), 24, ticket(i)), Ok(None));
        }
        assert_eq!(add(start(5), 24, ticket(5)), Ok(Some(ticket(5))));
        for i in (0..3000).step_by(3) {
            assert_eq!(remove(start(i)), Some(ticket(i)));
            assert_eq!(remove(start(i)), None);
        }
        let mut freed = 0;
        assert_eq!(remove_within(start(0), 24 * 1500, |_| freed += 1), 1000);
        assert_eq!(freed, 1000);
        assert_eq!(remove(start(1)), None);
        assert_eq!(remove(start(1501)), Some(ticket(1501)));
        assert_eq!(remove_within(0, usize::MAX, |_| ()), 999);
    }

    #[test]
    fn a_ticket_is_known_by_its_own_address() {
        let mut ticket = [0usize; 5];
        let address = ticket.as_mut_ptr() as usize;
        assert_eq!(add(0x7000_0000, 16, address), Ok(None));
        assert_eq!(marked_by(address, TICKET_BYTES), Some((0x7000_0000, 16)));
        assert_eq!(marked_by(address, TICKET_BYTES + 8), None);
        let mut copy = ticket;
        assert_eq!(marked_by(copy.as_mut_ptr() as usize, TICKET_BYTES), None);
        assert_eq!(remove(0x7000_0000), Some(address));
    }
}
