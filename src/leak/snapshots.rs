//! Snapshots: the live bytes of each site at each check that looked for hidden
//! leaks, and how they grew from one to the next.
//!
//! ```text
//!             0.2 s   1.5 s   3.1 s   4.0 s    now
//!   site a     2 KiB   9 KiB  17 KiB  23 KiB  30 KiB    grows
//!   site b    80 KiB  81 KiB  80 KiB  80 KiB  81 KiB    is flat, whoever its survivors are
//! ```
//!
//! The slope is the median of the slopes between any two snapshots (Theil and
//! Sen), so one odd snapshot does not make it. (Cork, POPL 2007, by call site
//! in the place of the type.)
//!
//! Invariant: the table is only touched by who holds the lock of checks, or by
//! a forked copy of that. When it is full every second snapshot goes, so the
//! oldest stays and the rest is spread over the process's life.

use super::scratch::Zeroed;
use super::sites::Sites;
use crate::platform::{Host, Platform};
use crate::units::{LeakKind, StackId};

/// Snapshots that are kept.
const KEPT: usize = 16;
/// Sites that are followed; a power of two.
const TRACKS: usize = 4096;
/// Fewest blocks of a site that begins to be followed.
const FEWEST_BLOCKS: u64 = 16;
/// Fewest points that make a trend, the present one with them.
const FEWEST_POINTS: usize = 4;
/// Shortest time that makes a trend, in milliseconds.
const SHORTEST_MS: u64 = 200;
/// Snapshots nearer than this are one, in milliseconds.
const NEAR_MS: u64 = 10;

/// A site's live bytes at each snapshot; stack 0 = free.
#[derive(Clone, Copy)]
struct Track {
    stack: StackId,
    bytes: [u64; KEPT],
}

// SAFETY: integers.
unsafe impl Zeroed for Track {}

/// All snapshots so far.
pub(super) struct Snapshots {
    times_ms: [u64; KEPT],
    used: usize,
    /// The tracks' address; 0 = not mapped yet.
    tracks: usize,
    followed: usize,
}

/// How a site grew over the snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Trend {
    /// Bytes a second.
    pub slope: i64,
    /// Snapshots, the present one with them.
    pub points: u32,
    /// From nearly every snapshot to the next, and by a quarter at least.
    pub is_growing: bool,
    /// By less than a twentieth of the present bytes, all in all.
    pub is_flat: bool,
}

impl Snapshots {
    /// None yet.
    pub const NONE: Snapshots = Snapshots { times_ms: [0; KEPT], used: 0, tracks: 0, followed: 0 };

    fn tracks(&mut self) -> &mut [Track] {
        if self.tracks == 0 {
            return &mut [];
        }
        // SAFETY: mapped below for TRACKS zeroed tracks, never unmapped, and
        // `self` is the only way to it.
        unsafe { core::slice::from_raw_parts_mut(self.tracks as *mut Track, TRACKS) }
    }

    fn at(&mut self, stack: StackId) -> Option<&mut Track> {
        let mut at = (stack.0.wrapping_mul(0x9e37_79b9) >> 8) as usize % TRACKS;
        let tracks = self.tracks();
        // Three quarters full at most.
        loop {
            match tracks.get(at)?.stack {
                StackId(0) => return tracks.get_mut(at),
                found if found == stack => return tracks.get_mut(at),
                _ => at = (at + 1) % TRACKS,
            }
        }
    }

    /// Takes note of every site's reachable bytes at `now_ms`.
    pub fn take(&mut self, sites: &mut Sites<'_>, now_ms: u64) {
        if self.tracks == 0 {
            // Without memory there are no snapshots.
            let Ok(memory) = Host::map(TRACKS * size_of::<Track>()) else { return };
            self.tracks = memory.as_ptr() as usize;
        }
        let point = self.next_point(now_ms);
        self.times_ms[point] = now_ms;
        self.used = point + 1;
        for track in self.tracks() {
            track.bytes[point] = 0;
        }
        sites.for_each_mut(|group| {
            if group.kind == LeakKind::Reachable && group.count.blocks >= FEWEST_BLOCKS {
                self.note(group.stack, point, group.count.bytes);
            }
        });
    }

    fn note(&mut self, stack: StackId, point: usize, bytes: u64) {
        let is_full = self.followed >= TRACKS / 4 * 3;
        let Some(track) = self.at(stack).filter(|_| stack.0 != 0) else { return };
        let is_new = track.stack.0 == 0;
        if is_new && is_full {
            return;
        }
        track.stack = stack;
        track.bytes[point] = bytes;
        self.followed += usize::from(is_new);
    }

    /// Where the next snapshot goes.
    fn next_point(&mut self, now_ms: u64) -> usize {
        if self.used > 0 && now_ms.saturating_sub(self.times_ms[self.used - 1]) < NEAR_MS {
            return self.used - 1;
        }
        if self.used == KEPT {
            let thin = |values: &mut [u64; KEPT]| {
                (0..KEPT / 2).for_each(|at| values[at] = values[at * 2]);
            };
            thin(&mut self.times_ms);
            self.tracks().iter_mut().for_each(|track| thin(&mut track.bytes));
            self.used = KEPT / 2;
        }
        self.used
    }

    /// How a site grew that has `bytes` live bytes at `now_ms`; `None` where
    /// there are too few snapshots to say.
    pub fn trend(&mut self, stack: StackId, now_ms: u64, bytes: u64) -> Option<Trend> {
        let used = self.used;
        let mut points = [(0u64, 0u64); KEPT + 1];
        let track = self.at(stack).filter(|track| track.stack == stack)?.bytes;
        for (point, (time, bytes)) in
            points.iter_mut().zip(self.times_ms.into_iter().zip(track)).take(used)
        {
            *point = (time, bytes);
        }
        points[used] = (now_ms, bytes);
        // Before it was followed there is nothing to compare with.
        let first = points[..used].iter().position(|&(_, bytes)| bytes > 0)?;
        trend_of(&points[first..=used])
    }
}

/// See [`Snapshots::trend`].
fn trend_of(points: &[(u64, u64)]) -> Option<Trend> {
    let (&(begun, first), &(end, last)) = (points.first()?, points.last()?);
    let length = end.saturating_sub(begun);
    if points.len() < FEWEST_POINTS || length < SHORTEST_MS {
        return None;
    }
    let mut slopes = [0i64; (KEPT + 1) * KEPT / 2];
    let mut count = 0;
    for (at, &(time, bytes)) in points.iter().enumerate() {
        for &(later, more) in &points[at + 1..] {
            let per_s = (more as i128 - bytes as i128) * 1000;
            slopes[count] = (per_s / i128::from(later.saturating_sub(time).max(1))) as i64;
            count += 1;
        }
    }
    let slopes = &mut slopes[..count];
    slopes.sort_unstable();
    let slope = slopes[count / 2];
    let rises = points.windows(2).filter(|pair| pair[1].1 > pair[0].1).count();
    let grown = i128::from(slope) * i128::from(length) / 1000;
    Some(Trend {
        slope,
        points: points.len() as u32,
        is_growing: slope > 0 && rises * 4 >= (points.len() - 1) * 3 && last >= first + first / 4,
        is_flat: grown * 20 < i128::from(last) && last < first + first / 4,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(points: &[(u64, u64)]) -> Option<(i64, bool, bool)> {
        trend_of(points).map(|trend| (trend.slope, trend.is_growing, trend.is_flat))
    }

    #[test]
    fn a_line_grows_by_its_slope_and_one_odd_snapshot_does_not_bend_it() {
        let line = [(0, 1000), (100, 2000), (200, 3000), (300, 4000), (400, 5000)];
        assert_eq!(verdict(&line), Some((10_000, true, false)));
        let mut odd = line;
        odd[2].1 = 90_000;
        let (slope, is_growing, is_flat) = verdict(&odd).unwrap();
        assert!((9_000..30_000).contains(&slope) && is_growing && !is_flat, "{slope}");
    }

    #[test]
    fn what_stays_or_shrinks_or_swings_does_not_grow() {
        let flat = [(0, 8000), (100, 8100), (200, 7900), (300, 8000), (2000, 8050)];
        assert!(verdict(&flat).is_some_and(|(_, is_growing, is_flat)| !is_growing && is_flat));
        let shrinks = [(0, 9000), (100, 8000), (200, 7000), (300, 6000)];
        assert_eq!(verdict(&shrinks), Some((-10_000, false, true)));
        let swings = [(0, 1000), (100, 9000), (200, 1000), (300, 9000), (400, 1000)];
        assert!(verdict(&swings).is_some_and(|(_, is_growing, _)| !is_growing));
        let warms_up = [(0, 1000), (100, 8000), (200, 8000), (300, 8000), (400, 8000)];
        assert!(verdict(&warms_up).is_some_and(|(_, is_growing, is_flat)| !is_growing && !is_flat));
    }

    #[test]
    fn too_few_or_too_near_snapshots_say_nothing() {
        assert_eq!(verdict(&[(0, 1), (500, 2), (1000, 3)]), None);
        assert_eq!(verdict(&[(0, 1), (50, 2), (100, 3), (150, 4)]), None);
        assert_eq!(verdict(&[]), None);
    }

    #[test]
    fn a_full_table_keeps_the_oldest_and_every_second_one() {
        let mut snapshots = Snapshots::NONE;
        for at in 0..KEPT as u64 + 1 {
            let point = snapshots.next_point(at * 100);
            snapshots.times_ms[point] = at * 100;
            snapshots.used = point + 1;
        }
        let kept = &snapshots.times_ms[..snapshots.used];
        assert_eq!(kept, [0, 200, 400, 600, 800, 1000, 1200, 1400, 1600]);
        assert_eq!(snapshots.next_point(1605), 8, "near the last one: in its place");
    }
}
