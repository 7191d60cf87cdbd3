//! Hidden leaks: reachable blocks that nobody seems to need any more.
//!
//! All evidence is in the ledger already, so watching costs the program
//! nothing: the epoch of each live block says when it was born, and free slots
//! still name the stack of their last block. A site is suspected when its
//! survivors were born all through its life, up to now, and next to none was
//! ever freed:
//!
//! ```text
//!   births of the blocks that live now, in sixteenths of the site's life
//!   a list that only grows       ▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅    suspected
//!   a table filled at start      █▅▁_____________    not
//!   a cache that evicts          ____________▁▃▅█    not
//!   a pool filled on demand      █▅▃▂▁▁__▁_______    not
//! ```
//!
//! A site that frees most of its blocks is suspected too if all that were freed
//! lately died young, while the survivors grow old: an error path that keeps one
//! in a hundred. (The quarantine holds the blocks freed last, and their records
//! say when they were born: a sample of lifetimes for nothing.)
//!
//! (Cork, POPL 2007, with the call site in the place of the type; SafeMem,
//! HPCA 2005, for the lifetimes.) What is read again and again looks the same
//! as what is never read: the verdict says what was seen, not that it is so.

use super::idle::Idle;
use super::sites::LeakGroup;
use super::snapshots::Trend;
use crate::ledger::epoch;

const PARTS: usize = 16;
/// Shortest life of a process that is judged.
const SHORTEST_MS: u64 = 200;
/// Fewest live blocks of a site that is judged.
const FEWEST: u64 = 64;

/// Fewest freed blocks whose lifetimes say how long a site's blocks live.
const FEWEST_LIFETIMES: u32 = 64;

/// The time that a check looks back over, in milliseconds of the monotonic
/// clock.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// When the process made its first block.
    pub start_ms: u64,
    /// Now.
    pub now_ms: u64,
}

impl Span {
    /// From the process's first block to `now_ms`.
    pub fn until(now_ms: u64) -> Span {
        // The first stamp ever is the process's first block's.
        Span { start_ms: epoch(1).map_or(0, |epoch| epoch.begun_ms), now_ms }
    }

    fn length(self) -> u64 {
        self.now_ms.saturating_sub(self.start_ms).max(1)
    }

    fn part(self, born_ms: u64) -> usize {
        let since = born_ms.saturating_sub(self.start_ms);
        ((since * PARTS as u64 / (self.length() + 1)) as usize).min(PARTS - 1)
    }
}

/// What a site's survivors tell of its past.
#[derive(Clone, Copy, Default)]
pub struct History {
    births: [u32; PARTS],
    /// Bytes born in the last half of the span.
    late_bytes: u64,
    /// Free or held slots whose last block was the site's.
    pub freed: u64,
    /// Of how many of them the lifetime is known, and the longest.
    known_lifetimes: u32,
    longest_ms: u64,
}

/// Why a site is suspected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HiddenEvidence {
    /// Bytes by which its live blocks grew each second: over the snapshots, or
    /// where there are none, over the last half of the process's life.
    pub growth_bytes_per_s: u64,
    /// How many snapshots that is from; 0 = none.
    pub snapshots: u32,
    /// Age of the oldest live block.
    pub oldest_ms: u64,
    /// Share of its blocks that were freed, in thousandths, as far as free
    /// slots still tell.
    pub freed_permille: u16,
    /// How much of its memory nobody touched, where the kernel tells.
    pub idle: Option<Idle>,
}

impl History {
    /// Adds a live block.
    pub fn add_birth(&mut self, span: Span, born_ms: u64, bytes: u64) {
        let part = span.part(born_ms);
        self.births[part] = self.births[part].saturating_add(1);
        if part >= PARTS / 2 {
            self.late_bytes += bytes;
        }
    }

    /// Adds a freed block.
    pub fn add_freed(&mut self, lifetime_ms: Option<u64>) {
        self.freed += 1;
        if let Some(lifetime_ms) = lifetime_ms {
            self.known_lifetimes += 1;
            self.longest_ms = self.longest_ms.max(lifetime_ms);
        }
    }

    /// Whether blocks of the site that are freed at all are freed soon: none of
    /// those freed lately had lived for a twentieth of the span. Survivors of
    /// the first half are ten times as old then.
    fn dies_young(&self, span: Span) -> bool {
        self.known_lifetimes >= FEWEST_LIFETIMES && self.longest_ms * 20 <= span.length()
    }

    /// The evidence, if there is enough of it.
    pub fn judge(
        &self,
        span: Span,
        group: &LeakGroup,
        trend: Option<Trend>,
    ) -> Option<HiddenEvidence> {
        let live = group.count.blocks;
        if span.length() < SHORTEST_MS || live < FEWEST {
            return None;
        }
        let first = self.births.iter().position(|&births| births > 0)?;
        let life = &self.births[first..];
        let sum = |parts: &[u32]| parts.iter().map(|&births| u64::from(births)).sum::<u64>();
        let total = sum(life).max(1);
        let parts = life.len() as u64;
        let filled = life.iter().filter(|&&births| births > 0).count() as u64;
        let last = sum(&life[life.len().saturating_sub(2)..]);
        let early = sum(&life[..life.len() / 2]);
        let freed_permille = (self.freed * 1000 / (self.freed + live)) as u16;
        let is_growing = trend.is_some_and(|trend| trend.is_growing);
        let is_suspect = parts >= 6
            // Born all the time …
            && filled * 5 >= parts * 3
            // … and still: the last two parts have at least half their share,
            && last * parts >= total
            // but not only of late: what is young may yet be freed.
            && early * 5 >= total
            // Next to nothing is freed, or at once; or it grows all the same.
            && (freed_permille < 200 || self.dies_young(span) || is_growing)
            // What was replaced all the time looks like that too.
            && !trend.is_some_and(|trend| trend.is_flat);
        is_suspect.then(|| HiddenEvidence {
            growth_bytes_per_s: match trend {
                Some(trend) => trend.slope.max(0) as u64,
                None => self.late_bytes * 2000 / span.length(),
            },
            snapshots: trend.map_or(0, |trend| trend.points),
            oldest_ms: span.now_ms.saturating_sub(group.first.born_ms),
            freed_permille,
            idle: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::ordinals::Ordinals;
    use super::super::sites::{BlockSummary, Count};
    use super::*;
    use crate::units::{Family, LeakKind, StackId};

    const SPAN: Span = Span { start_ms: 1000, now_ms: 3000 };

    fn verdict(births: [u32; PARTS], freed: u64) -> Option<HiddenEvidence> {
        verdict_with(births, freed, &[])
    }

    fn verdict_with(
        births: [u32; PARTS],
        freed: u64,
        lifetimes_ms: &[u64],
    ) -> Option<HiddenEvidence> {
        verdict_of(births, freed, lifetimes_ms, None)
    }

    fn verdict_of(
        births: [u32; PARTS],
        freed: u64,
        lifetimes_ms: &[u64],
        trend: Option<Trend>,
    ) -> Option<HiddenEvidence> {
        let mut history = History::default();
        (0..freed).for_each(|_| history.add_freed(None));
        lifetimes_ms.iter().for_each(|&lifetime| history.add_freed(Some(lifetime)));
        let mut count = Count::default();
        for (part, &number) in births.iter().enumerate() {
            for _ in 0..number {
                history.add_birth(SPAN, 1000 + 2000 * part as u64 / 16 + 60, 100);
                count.add(1, 100);
            }
        }
        let group = LeakGroup {
            kind: LeakKind::Reachable,
            is_foreign: false,
            family: Family::Malloc,
            stack: StackId(1),
            count,
            first: BlockSummary { born_ms: 1060, ..BlockSummary::default() },
            holds: Count::default(),
            parent: None,
            lost_because: None,
            held_by: None,
            hidden: None,
            ordinals: Ordinals::default(),
        };
        history.judge(SPAN, &group, trend)
    }

    #[test]
    fn a_list_that_only_grows_is_suspected() {
        let evidence = verdict([600; 16], 0).unwrap();
        assert_eq!((evidence.oldest_ms, evidence.freed_permille), (1940, 0));
        assert_eq!(evidence.growth_bytes_per_s, 480_000);
        // Also one that began late, and one that grows faster and faster.
        assert!(verdict([0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9], 0).is_some());
        assert!(verdict([4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19], 3).is_some());
    }

    #[test]
    fn survivors_among_blocks_that_die_young_are_suspected() {
        let evidence = verdict_with([10; 16], 50_000, &[1; 500]).unwrap();
        assert!(evidence.freed_permille > 990);
        assert_eq!(verdict_with([10; 16], 50_000, &[]), None, "lifetimes are not known");
        assert_eq!(verdict_with([10; 16], 50_000, &[1; 30]), None, "too few are known");
        let mut lifetimes = [1; 500];
        lifetimes[7] = 900;
        assert_eq!(verdict_with([10; 16], 50_000, &lifetimes), None, "some live long");
        let filled = [160, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(verdict_with(filled, 50_000, &[1; 500]), None, "they do not grow");
    }

    #[test]
    fn snapshots_tell_what_grows_though_much_is_freed_and_what_is_only_replaced() {
        let grows = Trend { slope: 77, points: 5, is_growing: true, is_flat: false };
        let evidence = verdict_of([600; 16], 5000, &[900; 500], Some(grows)).unwrap();
        assert_eq!((evidence.growth_bytes_per_s, evidence.snapshots), (77, 5));
        assert_eq!(verdict_of([600; 16], 5000, &[900; 500], None), None, "without them");
        let flat = Trend { slope: 0, points: 5, is_growing: false, is_flat: true };
        assert_eq!(verdict_of([600; 16], 0, &[], Some(flat)), None);
        let swings = Trend { is_flat: false, ..flat };
        assert!(verdict_of([600; 16], 0, &[], Some(swings)).is_some());
        let table = [5000, 300, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(verdict_of(table, 0, &[], Some(grows)), None, "filled at start");
    }

    #[test]
    fn tables_caches_and_pools_are_not() {
        let table = [5000, 300, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let filled_to_the_middle = [90, 90, 90, 90, 90, 90, 90, 90, 0, 0, 0, 0, 0, 0, 0, 0];
        let cache = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 30, 90, 300];
        let random_eviction = [0, 0, 0, 0, 1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
        let pool = [400, 200, 90, 30, 10, 3, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0];
        for innocent in [table, filled_to_the_middle, cache, random_eviction, pool] {
            assert_eq!(verdict(innocent, 0), None, "{innocent:?}");
        }
        assert_eq!(verdict([600; 16], 5000), None, "a third of them was freed");
        assert_eq!(verdict([3; 16], 0), None, "too few to say");
    }
}
