//! Explorations: a body is run again and again, each time in another order.

use super::place::{self, loomed};
use super::{MODE, Mode, host, signals, task};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{eprintln, string::ToString};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The longest that one exploration by loom may take.
const LONGEST: Duration = Duration::from_secs(40);

/// Runs `body` by loom in every order, with every value that the memory model
/// lets a load see, and at most `preemptions` switches away from a task that
/// could go on. Prints and gives the number of orders.
///
/// # Panics
/// As soon as `body` does, or tasks wait for one another for ever.
pub fn every_order(
    name: &str,
    preemptions: usize,
    body: impl Fn() + Send + Sync + 'static,
) -> usize {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = Instant::now();
    let body = Arc::new(body);
    place::forget_all();
    // It may end early, where a task would sleep: loom meets the rest.
    let _ = catch_unwind(AssertUnwindSafe(|| run(Mode::Discover, &*body)));
    let orders = loop {
        let orders = Arc::new(AtomicUsize::new(0));
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            let (body, orders) = (body.clone(), orders.clone());
            let mut loom = loom::model::Builder::new();
            loom.preemption_bound = Some(preemptions);
            loom.max_branches = 100_000;
            loom.checkpoint_interval = 1000;
            loom.max_duration = Some(LONGEST);
            loom.check(move || {
                loomed_run(&*body);
                orders.fetch_add(1, Relaxed);
            });
        }));
        MODE.set(Mode::Plain);
        match attempt {
            Ok(()) => break orders.load(Relaxed),
            Err(_) if place::was_forgotten() => {}
            Err(panic) => {
                eprintln!("interleave: {name}: failed after {} orders", orders.load(Relaxed));
                resume_unwind(panic);
            }
        }
    };
    let bounded = if begun.elapsed() >= LONGEST { ", stopped by time" } else { "" };
    let (places, seconds) = (place::known(), begun.elapsed().as_secs_f64());
    tell(&std::format!(
        "loom: {name}: {orders} orders, {places} places, up to {preemptions} preemptions, \
         {seconds:.1} s{bounded}"
    ));
    orders
}

/// Prints what was explored, among what other tests tried.
fn tell(what: &str) {
    #[cfg(feature = "harness")]
    crate::harness::told("interleave", &what);
    #[cfg(not(feature = "harness"))]
    eprintln!("interleave: {what}");
}

fn loomed_run(body: &(dyn Fn() + Send + Sync)) {
    MODE.set(Mode::Loom);
    loomed::begin();
    host::forget_all();
    task::forget_all();
    task::live(body);
}

fn run(mode: Mode, body: &(dyn Fn() + Send + Sync)) {
    host::forget_all();
    signals::forget_all();
    task::forget_all();
    MODE.set(mode);
    task::live(body);
    MODE.set(Mode::Plain);
}

/// Runs `body` by shuttle in `orders` random orders, half of them by the PCT
/// scheduler (Burckhardt et al., ASPLOS 2010), all from a seed that is
/// printed (and taken from `HEAPWARDEN_SEED`).
///
/// # Panics
/// As soon as `body` does, or all tasks wait.
pub fn many_orders(name: &str, orders: usize, body: impl Fn() + Send + Sync + 'static) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = Instant::now();
    let told = std::env::var("HEAPWARDEN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = told.unwrap_or(0x5eed);
    let factor = std::env::var("HEAPWARDEN_ORDERS").ok().and_then(|text| text.parse().ok());
    let orders = orders * factor.unwrap_or(1);
    let body: Arc<dyn Fn() + Send + Sync> = Arc::new(body);
    let done = Arc::new(AtomicUsize::new(0));
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 20;
    config.silence_warnings = true;
    config.failure_persistence = shuttle::FailurePersistence::None;
    config.max_steps = shuttle::MaxSteps::FailAfter(10_000_000);
    let explore = |scheduler: Box<dyn shuttle::scheduler::Scheduler + Send>| {
        let (body, done) = (body.clone(), done.clone());
        shuttle::Runner::new(scheduler, config.clone()).run(move || {
            run(Mode::Shuttle, &*body);
            done.fetch_add(1, Relaxed);
        })
    };
    let result = catch_unwind(AssertUnwindSafe(|| {
        explore(Box::new(shuttle::scheduler::RandomScheduler::new_from_seed(seed, orders / 2)));
        explore(Box::new(shuttle::scheduler::PctScheduler::new_from_seed(
            seed,
            3,
            orders - orders / 2,
        )));
    }));
    MODE.set(Mode::Plain);
    let done = done.load(Relaxed);
    let seconds = begun.elapsed().as_secs_f64();
    let end = if result.is_ok() { "".to_string() } else { std::format!(", FAILED after {done}") };
    tell(&std::format!("shuttle: {name}: {done} random orders, seed {seed}, {seconds:.1} s{end}"));
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

/// In a forked child: leaves the exploration, of which only the calling task
/// is left.
pub fn leave() {
    task::go_on_alone();
}
