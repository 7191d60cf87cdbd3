//! Failing on purpose: which allocations are refused, so that a program's
//! error paths can be tried.
//!
//! `size_above` and `site` choose the allocations that count; `nth`, `every`,
//! `after` and `rate` choose among those, and without any of the four all of
//! them fail. The idea is old: failmalloc, Zig's FailingAllocator, SQLite's
//! out-of-memory tests.

use crate::sync::atomics::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

/// What fails. All zero: nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Plan {
    /// The Nth allocation that counts, from 1.
    pub nth: u64,
    /// Every Nth.
    pub every: u64,
    /// The Nth and all after it.
    pub after: u64,
    /// On average one in N, by a random series that `seed` begins.
    pub rate: u64,
    /// See `rate`.
    pub seed: u64,
    /// Only allocations of more bytes count; 0 = of any size.
    pub size_above: u64,
    /// Only allocations of the chosen function count.
    pub site: bool,
}

/// The option by which an allocation failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// `fail_nth`.
    Nth,
    /// `fail_every`.
    Every,
    /// `fail_after`.
    After,
    /// `fail_rate`.
    Rate,
    /// `fail_size_above` alone.
    Size,
    /// `fail_site` alone.
    Site,
}

impl Reason {
    /// The option's name.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Nth => "fail_nth",
            Reason::Every => "fail_every",
            Reason::After => "fail_after",
            Reason::Rate => "fail_rate",
            Reason::Size => "fail_size_above",
            Reason::Site => "fail_site",
        }
    }
}

impl Plan {
    /// Nothing fails.
    pub const NOTHING: Plan =
        Plan { nth: 0, every: 0, after: 0, rate: 0, seed: 0, size_above: 0, site: false };

    /// Whether anything ever fails.
    pub fn is_active(&self) -> bool {
        *self != Plan { seed: self.seed, ..Plan::NOTHING }
    }

    /// Whether, and why, allocation number `number` (from 1) of those that
    /// count fails.
    fn verdict(&self, number: u64) -> Option<Reason> {
        let one_in = |n: u64, value: u64| n != 0 && value.is_multiple_of(n);
        if self.nth == 0 && self.every == 0 && self.after == 0 && self.rate == 0 {
            return match (self.site, self.size_above) {
                (true, _) => Some(Reason::Site),
                (false, 1..) => Some(Reason::Size),
                (false, 0) => None,
            };
        }
        match () {
            () if self.nth == number => Some(Reason::Nth),
            () if one_in(self.every, number) => Some(Reason::Every),
            () if self.after != 0 && number >= self.after => Some(Reason::After),
            () if one_in(self.rate, random(self.seed.wrapping_add(number))) => Some(Reason::Rate),
            () => None,
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): a number for each number.
fn random(number: u64) -> u64 {
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

static NTH: AtomicU64 = AtomicU64::new(0);
static EVERY: AtomicU64 = AtomicU64::new(0);
static AFTER: AtomicU64 = AtomicU64::new(0);
static RATE: AtomicU64 = AtomicU64::new(0);
static SEED: AtomicU64 = AtomicU64::new(0);
static SIZE_ABOVE: AtomicU64 = AtomicU64::new(0);
static SITE: AtomicBool = AtomicBool::new(false);
static COUNTED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Follows `plan` from now on; counting begins anew.
pub fn follow(plan: &Plan) {
    crate::heap::set_watching(false);
    NTH.store(plan.nth, Relaxed);
    EVERY.store(plan.every, Relaxed);
    AFTER.store(plan.after, Relaxed);
    RATE.store(plan.rate, Relaxed);
    SEED.store(plan.seed, Relaxed);
    SIZE_ABOVE.store(plan.size_above, Relaxed);
    SITE.store(plan.site, Relaxed);
    COUNTED.store(0, Relaxed);
    FAILED.store(0, SeqCst);
    crate::heap::set_watching(plan.is_active());
}

/// The plan in force.
pub fn plan() -> Plan {
    Plan {
        nth: NTH.load(Relaxed),
        every: EVERY.load(Relaxed),
        after: AFTER.load(Relaxed),
        rate: RATE.load(Relaxed),
        seed: SEED.load(Relaxed),
        size_above: SIZE_ABOVE.load(Relaxed),
        site: SITE.load(Relaxed),
    }
}

/// Whether, and why, this allocation of `size` bytes fails; `is_site` is
/// asked only where the plan wants to know.
pub fn judge(size: usize, is_site: impl FnOnce() -> bool) -> Option<Reason> {
    let plan = plan();
    if size as u64 <= plan.size_above && plan.size_above != 0 || plan.site && !is_site() {
        return None;
    }
    let number = COUNTED.fetch_add(1, Relaxed) + 1;
    let reason = plan.verdict(number)?;
    FAILED.fetch_add(1, Relaxed);
    Some(reason)
}

/// Allocations that counted since [`follow`], and how many of them failed.
pub fn counts() -> (u64, u64) {
    (COUNTED.load(Relaxed), FAILED.load(Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn failures(plan: Plan) -> Vec<u64> {
        (1..=40).filter(|&number| plan.verdict(number).is_some()).collect()
    }

    #[test]
    fn each_rule_fails_what_it_says() {
        assert_eq!(failures(Plan { nth: 7, ..Plan::NOTHING }), [7]);
        assert_eq!(failures(Plan { every: 15, ..Plan::NOTHING }), [15, 30]);
        assert_eq!(failures(Plan { after: 38, ..Plan::NOTHING }), [38, 39, 40]);
        assert_eq!(failures(Plan { nth: 1, after: 40, ..Plan::NOTHING }), [1, 40]);
        assert!(failures(Plan::NOTHING).is_empty());
    }

    #[test]
    fn a_filter_alone_fails_all_it_lets_through_and_with_a_number_only_that_one() {
        assert_eq!(failures(Plan { size_above: 10, ..Plan::NOTHING }).len(), 40);
        assert_eq!(failures(Plan { site: true, ..Plan::NOTHING }).len(), 40);
        assert_eq!(failures(Plan { site: true, nth: 3, ..Plan::NOTHING }), [3]);
    }

    #[test]
    fn a_rate_holds_on_average_and_repeats_by_its_seed() {
        let series = |seed| -> Vec<u64> {
            let plan = Plan { rate: 10, seed, ..Plan::NOTHING };
            (1..=10_000).filter(|&number| plan.verdict(number).is_some()).collect()
        };
        assert_eq!(series(1), series(1));
        assert_ne!(series(1), series(2));
        for seed in 0..20 {
            assert!((900..1100).contains(&series(seed).len()), "{}", series(seed).len());
        }
    }

    #[test]
    fn a_seed_alone_is_no_plan() {
        assert!(!Plan { seed: 5, ..Plan::NOTHING }.is_active());
        assert!(Plan { rate: 5, ..Plan::NOTHING }.is_active());
    }
}
