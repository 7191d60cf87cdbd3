//! Idleness: how much of a suspected site's memory nobody has touched lately.
//!
//! ```text
//!   the window begins   the kernel forgets which pages were referenced
//!        …              each page that is read or written is noted by the processor
//!   a check             in its copy: pages of suspects' blocks that are older than the
//!                       window, a sample, evenly spread
//!                       in the process: which of them were not referenced
//! ```
//!
//! A page counts as used whoever used it: another site's block beside it, the
//! end of the window's last old block. So much idleness says something, little
//! of it says nothing. A check in place makes every page a used one, and so does
//! the check of all guards at exit: before those, suspects are looked for in
//! the records alone ([`survey_idleness`]). Where the kernel or a sandbox does
//! not tell, there is no such evidence, and nothing else changes.
//!
//! Invariant: pages of the heap only; each is left as it was found.

use super::check::begin_alone;
use super::hidden::Span;
use super::options::HeapAccess;
use super::room::Room;
use super::scratch::{Scratch, Zeroed};
use super::sites::{Links, Sites};
use super::snapshots::Snapshots;
use super::tiles::Tiles;
use crate::ledger::epoch;
use crate::memory::Window as Heap;
use crate::platform::linux::references;
use crate::platform::{Host, OsError, Platform};
use crate::sync::atomics::{AtomicU64, Ordering::Relaxed};
use crate::units::{LeakKind, OS_PAGE, StackId, align_down};

/// Suspects whose pages are looked at.
const SUSPECTS: usize = 32;
/// Pages looked at of one suspect.
const PAGES: usize = 32;
/// Fewest pages that say something.
const FEWEST: u32 = 4;
/// Shortest window that says something, in milliseconds.
const SHORTEST_MS: u64 = 100;
/// From this age on, in milliseconds, a window gives way to the next after a
/// live check. Clearing the kernel's notes more often disturbs its own ageing.
const OLD_MS: u64 = 600_000;

/// When the window began, in milliseconds of the monotonic clock; 0 = none.
static BEGUN_MS: AtomicU64 = AtomicU64::new(0);

/// Begins a window now; blocks of epochs that began before `now_ms` are older.
pub fn begin_window(now_ms: u64) {
    let begun = if references::forget().is_ok() { now_ms } else { 0 };
    BEGUN_MS.store(begun, Relaxed);
}

/// There is no window any more: in a forked child no page is referenced yet.
pub fn end_window() {
    BEGUN_MS.store(0, Relaxed);
}

/// When the window began, if it is long enough.
pub(super) fn window_begun_ms() -> Option<u64> {
    let now_ms = Host::monotonic_ns() / 1_000_000;
    let begun = BEGUN_MS.load(Relaxed);
    (begun != 0 && now_ms.saturating_sub(begun) >= SHORTEST_MS).then_some(begun)
}

/// After a live check: the next window begins if this one is old.
pub(super) fn renew_window() {
    let now_ms = Host::monotonic_ns() / 1_000_000;
    let begun = BEGUN_MS.load(Relaxed);
    if begun != 0 && now_ms.saturating_sub(begun) >= OLD_MS {
        begin_window(now_ms);
    }
}

/// Idleness as evidence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Idle {
    /// Share of the pages of the site's older blocks that were not touched, in
    /// thousandths.
    pub permille: u16,
    /// For how long, in milliseconds; only blocks older than that count.
    pub ms: u64,
}

#[derive(Clone, Copy)]
struct Page {
    /// 0 = none.
    start: usize,
    stack: StackId,
    is_measured: bool,
    is_idle: bool,
}

// SAFETY: integers, and bools that zero makes false.
unsafe impl Zeroed for Page {}

/// Bytes of scratch that [`Pages::new`] needs.
pub(super) const PAGES_BYTES: usize = SUSPECTS * PAGES * size_of::<Page>() + 64;

/// The sample.
pub(super) struct Pages<'s>(&'s mut [Page]);

#[derive(Clone, Copy, Default)]
struct Suspect {
    stack: StackId,
    last: usize,
    pages: usize,
    seen: usize,
}

impl<'s> Pages<'s> {
    /// No pages yet.
    pub fn new(scratch: &'s Scratch) -> Pages<'s> {
        Pages(scratch.take(SUSPECTS * PAGES))
    }

    /// Chooses pages of suspects' reachable blocks that were born before the
    /// window began.
    pub fn choose(&mut self, tiles: &Tiles<'_>, sites: &mut Sites<'_>, begun_ms: u64) {
        let mut room = [Suspect::default(); SUSPECTS];
        let mut count = 0;
        sites.for_each_mut(|group| {
            if group.hidden.is_some() && count < SUSPECTS {
                room[count].stack = group.stack;
                count += 1;
            }
        });
        let suspects = &mut room[..count];
        for_each_page(tiles, suspects, begun_ms, |suspect, _| suspect.pages += 1);
        let mut used = 0;
        for_each_page(tiles, suspects, begun_ms, |suspect, start| {
            let wanted = suspect.pages.min(PAGES);
            let share = |seen: usize| seen * wanted / suspect.pages;
            let is_chosen = share(suspect.seen) != share(suspect.seen + 1);
            suspect.seen += 1;
            if is_chosen && let Some(page) = self.0.get_mut(used) {
                page.start = start;
                page.stack = suspect.stack;
                used += 1;
            }
        });
    }

    /// Asks the kernel about the pages, and tells the sites.
    pub fn measure(self, sites: &mut Sites<'_>, begun_ms: u64, now_ms: u64) {
        let used = self.0.iter().position(|page| page.start == 0).unwrap_or(self.0.len());
        let pages = &mut self.0[..used];
        if pages.is_empty() {
            return;
        }
        pages.sort_unstable_by_key(|page| page.start);
        for page in pages.iter() {
            references::set_apart(page.start, true);
        }
        // What is not told is not measured.
        let _ = references::for_each(|found| {
            if found.end - found.start != OS_PAGE {
                return;
            }
            let from = pages.partition_point(|page| page.start < found.start);
            for page in pages[from..].iter_mut().take_while(|page| page.start == found.start) {
                page.is_measured = found.resident + found.swapped > 0;
                page.is_idle = found.referenced == 0;
            }
        });
        for page in pages.iter() {
            references::set_apart(page.start, false);
        }
        sites.for_each_mut(|group| {
            let Some(evidence) = &mut group.hidden else { return };
            let (mut measured, mut idle) = (0, 0);
            for page in pages.iter().filter(|page| page.is_measured && page.stack == group.stack) {
                measured += 1;
                idle += u32::from(page.is_idle);
            }
            if measured >= FEWEST {
                let permille = (idle * 1000 / measured) as u16;
                evidence.idle = Some(Idle { permille, ms: now_ms.saturating_sub(begun_ms) });
            }
        });
    }
}

/// What the last survey found: stack, thousandths, 1; and over how long.
static SURVEYED: [AtomicU64; SUSPECTS] = [const { AtomicU64::new(0) }; SUSPECTS];
static SURVEYED_MS: AtomicU64 = AtomicU64::new(0);

/// Looks for suspects in the records, as if all live blocks were reachable, and
/// keeps how idle their pages are for a check in place that follows. Reads no
/// block. The caller holds no lock of the heap.
pub fn survey_idleness(access: &dyn HeapAccess) {
    SURVEYED.iter().for_each(|place| place.store(0, Relaxed));
    if let Some(begun_ms) = window_begun_ms()
        && let Some(mut snapshots) = begin_alone(0)
    {
        // Without memory there is no such evidence.
        let _ = survey(access, begun_ms, &mut snapshots);
    }
}

fn survey(
    access: &dyn HeapAccess,
    begun_ms: u64,
    snapshots: &mut Snapshots,
) -> Result<(), OsError> {
    let now_ms = Host::monotonic_ns() / 1_000_000;
    let room = Room::AMPLE;
    let results = Scratch::new(room.bytes_to_find() + PAGES_BYTES)?;
    let mut sites = Sites::new(&results, room.sites);
    let mut pages = Pages::new(&results);
    if !access.lock() {
        return Ok(());
    }
    let looked = look_at_records(&mut sites, &mut pages, snapshots, (begun_ms, now_ms));
    access.unlock();
    looked?;
    pages.measure(&mut sites, begun_ms, now_ms);
    SURVEYED_MS.store(now_ms.saturating_sub(begun_ms), Relaxed);
    let mut places = SURVEYED.iter();
    sites.for_each_mut(|group| {
        if let Some(idle) = group.hidden.and_then(|evidence| evidence.idle)
            && let Some(place) = places.next()
        {
            let word = u64::from(group.stack.0) << 32 | u64::from(idle.permille) << 1 | 1;
            place.store(word, Relaxed);
        }
    });
    Ok(())
}

fn look_at_records(
    sites: &mut Sites<'_>,
    pages: &mut Pages<'_>,
    snapshots: &mut Snapshots,
    (begun_ms, now_ms): (u64, u64),
) -> Result<(), OsError> {
    let marks = Scratch::new(Tiles::bytes_needed())?;
    let tiles = Tiles::read(&marks);
    tiles.groups.iter_mut().for_each(|group| group.mark = group.live);
    let span = Span::until(now_ms);
    tiles.for_each(
        |group| group.mark,
        |place| {
            let block = tiles.block(place);
            sites.add(LeakKind::Reachable, false, &block, &Links::default());
            if let Some(epoch) = epoch(block.record.stamp()) {
                let stack = block.record.stack();
                sites.add_birth(stack, span, epoch.begun_ms, block.size as u64);
            }
        },
    );
    sites.add_all_freed(&tiles, span);
    sites.judge(span, snapshots);
    pages.choose(&tiles, sites, begun_ms);
    Ok(())
}

/// Gives the sites of a check in place what the last survey found.
pub(super) fn tell_surveyed(sites: &mut Sites<'_>) {
    let ms = SURVEYED_MS.load(Relaxed);
    sites.for_each_mut(|group| {
        let Some(evidence) = &mut group.hidden else { return };
        let found = SURVEYED.iter().map(|place| place.load(Relaxed));
        let of_site = |word: &u64| *word & 1 == 1 && word >> 32 == u64::from(group.stack.0);
        let permille = |word: u64| (word as u32 >> 1) as u16;
        let word = found.into_iter().find(of_site);
        evidence.idle = word.map(|word| Idle { permille: permille(word), ms });
    });
}

/// Calls `visit` with each page of each suspect's blocks that are old enough.
fn for_each_page(
    tiles: &Tiles<'_>,
    suspects: &mut [Suspect],
    begun_ms: u64,
    mut visit: impl FnMut(&mut Suspect, usize),
) {
    if suspects.is_empty() {
        return;
    }
    suspects.iter_mut().for_each(|suspect| suspect.last = 0);
    tiles.for_each(
        |group| group.mark,
        |place| {
            let block = tiles.block(place);
            let stack = block.record.stack();
            let Some(suspect) = suspects.iter_mut().find(|suspect| suspect.stack == stack) else {
                return;
            };
            if epoch(block.record.stamp()).is_none_or(|epoch| epoch.begun_ms >= begun_ms) {
                return;
            }
            let from = align_down(block.address, OS_PAGE);
            for page in (from..block.address + block.size.max(1)).step_by(OS_PAGE) {
                if suspect.last != page && Heap::contains(page) {
                    suspect.last = page;
                    visit(suspect, page);
                }
            }
        },
    );
}
