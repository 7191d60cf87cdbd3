//! When memory runs out: the options to the watch, its pictures to the
//! reporter and to the peak file.

use super::runtime::{OPTIONS_BUFFER, REPORTER};
use super::{fail_site, leaks};
use crate::config::{Options, PATH_MAX};
use crate::exhaustion::failing::{self, Plan, Reason};
use crate::exhaustion::{self, Level, Picture, PictureFile, Setup, TOP};
use crate::heap::Shortage;
use crate::platform::linux::process;
use crate::platform::{Host, Platform};
use crate::report::{self, Exhaustion, Holder, expand_path};
use crate::sync::atomics::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Lock, Rank};
use crate::units::MIB;

/// The file of the peak, and whose it is: a forked child has its own.
struct Peak {
    file: PictureFile,
    owner: u32,
    has_complained: bool,
}

static PEAK: Lock<Peak> =
    Lock::new(Rank::Check, Peak { file: PictureFile::new(), owner: 0, has_complained: false });

/// Takes over the options. `is_secure`: no file is opened.
pub(super) fn start(options: &Options, is_secure: bool) {
    exhaustion::configure(&Setup {
        limit: options.heap_limit_mb.map(|mib| mib as usize * MIB),
        warn_at_percent: options.warn_at_percent as u32,
        draws_peaks: !options.peak_file.is_empty() && !is_secure,
        listener: on_picture,
        refuses,
    });
    let plan = Plan {
        nth: options.fail_nth,
        every: options.fail_every,
        after: options.fail_after,
        rate: options.fail_rate,
        seed: options.fail_seed,
        size_above: options.fail_size_above,
        site: !options.fail_site.is_empty(),
    };
    if plan.site {
        fail_site::set(options.fail_site.as_bytes());
        if !options.symbolize {
            REPORTER.notice(format_args!("fail_site needs symbolize=1: nothing will fail"));
        }
    }
    if plan.is_active() {
        failing::follow(&plan);
    }
}

/// The last word about failing on purpose, when the process ends: a driver
/// such as `heapwarden sweep` learns from it how many allocations there are.
pub(super) fn finish() {
    // The checks at the end need room, and nothing else does any more.
    exhaustion::reserve::REPORT.release();
    exhaustion::reserve::CHECK.release();
    if failing::plan().is_active() {
        let (counted, failed) = failing::counts();
        REPORTER.notice(format_args!(
            "failing on purpose: {counted} allocation(s) counted, {failed} made to fail"
        ));
    }
}

/// The watch saw something.
fn on_picture(picture: &Picture<'_>) {
    let options = OPTIONS_BUFFER.get();
    let mut top = [Holder::default(); TOP];
    for (holder, site) in top.iter_mut().zip(picture.top) {
        *holder = Holder { blocks: u64::from(site.blocks), bytes: site.bytes, stack: site.stack };
    }
    let wants_scan = options.exhaustion_scan && picture.level != Level::Peak;
    let scanned = if wants_scan { leaks::lost_and_hidden_bytes() } else { None };
    let record = Exhaustion {
        level: match picture.level {
            Level::Early => report::Level::Early,
            Level::Refused => report::Level::Refused,
            Level::Peak => report::Level::Peak,
        },
        requested: picture.requested as u64,
        limit: picture.limit.bytes as u64,
        limit_from: picture.limit.source.name(),
        in_use: picture.live as u64,
        peak: picture.peak as u64,
        heap: picture.heap as u64,
        held: picture.held as u64,
        largest_free: picture.largest_free as u64,
        stack: picture.stack,
        top: &top[..picture.top.len()],
        left_out: picture.left_out,
        lost_bytes: scanned.map(|(lost, _)| lost),
        hidden_bytes: scanned.map(|(_, hidden)| hidden),
    };
    if picture.level == Level::Peak {
        renew_peak_file(&record);
        return;
    }
    REPORTER.exhaustion(&record);
    if picture.level == Level::Refused && options.abort_on_exhaustion {
        process::abort();
    }
}

fn renew_peak_file(record: &Exhaustion<'_>) {
    let Some(mut peak) = PEAK.try_lock() else { return };
    let pid = process::id();
    if peak.owner != pid {
        let pattern = OPTIONS_BUFFER.get().peak_file;
        let mut path = [0; PATH_MAX + 1];
        let Some(length) = expand_path(pattern.as_bytes(), pid, &mut path[..PATH_MAX]) else {
            return;
        };
        if !peak.file.set_path(&path[..length]) {
            return;
        }
        peak.owner = pid;
    }
    let mut outcome = Ok(());
    REPORTER.render_exhaustion(record, &mut |bytes| outcome = peak.file.replace(bytes));
    if let Err(error) = outcome
        && !core::mem::replace(&mut peak.has_complained, true)
    {
        drop(peak);
        REPORTER.notice(format_args!("cannot write peak_file (error {})", error.0));
    }
}

/// Whether an allocation fails on purpose; if so it is told.
fn refuses(shortage: &Shortage) -> bool {
    let Some(reason) = failing::judge(shortage.size, || fail_site::is_in(shortage.stack)) else {
        return false;
    };
    tell(shortage, reason);
    true
}

/// One record a second at most; the first at once.
fn tell(shortage: &Shortage, reason: Reason) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    const PAUSE_NS: u64 = 1_000_000_000;
    let (now, last) = (Host::monotonic_ns(), LAST.load(Relaxed));
    if last != 0 && now - last < PAUSE_NS {
        return;
    }
    LAST.store(now, Relaxed);
    REPORTER.exhaustion(&Exhaustion {
        level: report::Level::OnPurpose,
        requested: shortage.size as u64,
        limit: 0,
        limit_from: reason.name(),
        in_use: 0,
        peak: 0,
        heap: 0,
        held: 0,
        largest_free: 0,
        stack: shortage.stack,
        top: &[],
        left_out: 0,
        lost_bytes: None,
        hidden_bytes: None,
    });
}
