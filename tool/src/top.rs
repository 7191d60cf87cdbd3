//! `heapwarden top PID`: who holds how much, while the process runs.
//!
//! - `view`: what is shown and in which order; keys change it
//! - `draw`: how it is shown
//! - `once`: the same as JSON

mod draw;
pub mod once;
mod view;

use crate::ledger::ReadError;
use crate::watch::{IMPOSSIBLE, Watched};
use anyhow::Result;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use view::{After, View};
pub use view::{Order, sort};

#[derive(clap::Args)]
pub struct Args {
    /// A process that runs under heapwarden
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pid: u32,
    /// Seconds from one look to the next
    #[arg(short, long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    interval: f64,
    /// What the largest of comes first
    #[arg(short, long, value_enum, default_value_t = Order::Bytes)]
    sort: Order,
    /// Look for one interval, print, and end
    #[arg(long)]
    once: bool,
    /// The form of --once
    #[arg(long, value_enum, default_value_t = Form::Text, requires = "once")]
    format: Form,
    /// Most sites that --once prints
    #[arg(long, value_name = "N", default_value_t = 50, requires = "once")]
    limit: usize,
}

/// A form of `--once`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A table
    Text,
    /// One JSON object
    Json,
}

fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "a number of seconds is expected".to_owned())?;
    match value {
        0.0..=86_400.0 => Ok(value),
        _ => Err("between 0 and 86400 seconds are expected".to_owned()),
    }
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let interval = Duration::from_secs_f64(args.interval);
    let mut watched = match Watched::open(args.pid) {
        Ok(watched) => watched,
        Err(error) => return Ok(impossible(format_args!("{error:#}"))),
    };
    let is_terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    if !args.once && !is_terminal {
        return Ok(impossible(format_args!("top needs a terminal; --once does not")));
    }
    let result = if args.once {
        look_twice(&mut watched, interval).map_err(anyhow::Error::from).and_then(|()| {
            once::with_last(&mut watched, args.sort, |shown| {
                let mut out = std::io::stdout().lock();
                match args.format {
                    Form::Text => once::write_text(shown, args.limit, &mut out),
                    Form::Json => once::write_json(shown, args.limit, &mut out),
                }
            })
        })
    } else {
        show(&mut watched, interval.max(Duration::from_millis(50)), args.sort)
    };
    match result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => match error.downcast_ref::<ReadError>() {
            Some(ReadError::Gone) => {
                Ok(impossible(format_args!("process {} ({}) has ended", args.pid, watched.name)))
            }
            Some(problem) => Ok(impossible(format_args!("process {}: {problem}", args.pid))),
            None => Err(error),
        },
    }
}

/// Says why there is nothing to see.
fn impossible(why: std::fmt::Arguments<'_>) -> ExitCode {
    anstream::eprintln!("heapwarden: {why}");
    ExitCode::from(IMPOSSIBLE)
}

fn look_twice(watched: &mut Watched, interval: Duration) -> Result<(), ReadError> {
    watched.look()?;
    if !interval.is_zero() {
        std::thread::sleep(interval);
        watched.look()?;
    }
    Ok(())
}

/// Shows the view until the user or the process ends it.
fn show(watched: &mut Watched, interval: Duration, order: Order) -> Result<()> {
    watched.look()?;
    let mut terminal = ratatui::try_init()?;
    let result = show_in(&mut terminal, watched, interval, order);
    ratatui::restore();
    result
}

fn show_in(
    terminal: &mut ratatui::DefaultTerminal,
    watched: &mut Watched,
    interval: Duration,
    order: Order,
) -> Result<()> {
    let mut view = View::new(order);
    view.take(watched);
    let mut due = Instant::now() + interval;
    loop {
        terminal.draw(|frame| draw::draw(frame, &mut view))?;
        let wait = due.saturating_duration_since(Instant::now());
        if event::poll(wait)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    match view.key(key.code, key.modifiers) {
                        After::Quit => return Ok(()),
                        After::Stay => view.name_rows(watched),
                    }
                }
                _ => {}
            }
        }
        if Instant::now() >= due {
            due = Instant::now() + interval;
            watched.look()?;
            if !view.is_paused {
                view.take(watched);
            }
        }
    }
}
