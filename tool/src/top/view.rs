//! What `top` shows: the rows, their order, which one is selected, and whether
//! its stack is open. Knows no terminal.

use crate::record::{Frame, Stack};
use crate::watch::{Row, Watched};
use clap::ValueEnum;
use ratatui::crossterm::event::{KeyCode, KeyModifiers};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Rows whose functions are looked up; the rest waits until it is scrolled to.
const NAMED: usize = 64;

/// What the largest of comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// Live bytes
    Bytes,
    /// Live blocks
    Blocks,
    /// Growth since the look before
    Rate,
    /// Growth since the first look
    Growth,
    /// Age of the oldest block
    Age,
    /// Share of blocks that were freed, the least first
    Freed,
}

/// Sorts rows.
pub fn sort(rows: &mut [Row], order: Order) {
    rows.sort_by_key(|row| {
        let first = match order {
            Order::Bytes => row.site.bytes as i64,
            Order::Blocks => row.site.blocks as i64,
            Order::Rate => row.rate as i64,
            Order::Growth => row.growth,
            Order::Age => row.age_ms as i64,
            Order::Freed => -((row.site.freed_share() * 1e6) as i64),
        };
        (Reverse(first), Reverse(row.site.bytes), row.stack)
    });
}

/// What a site is called: the first frame in code of the user's with its line;
/// where there is no source, the first functions.
pub fn place_of(stack: &[Frame]) -> String {
    const FUNCTIONS: usize = 4;
    let Some(frame) = stack.iter().find(|frame| frame.is_users()) else {
        let names: Vec<String> = stack.iter().take(FUNCTIONS).map(Frame::name).collect();
        return if names.is_empty() { "(unknown)".to_owned() } else { names.join(" < ") };
    };
    let file = frame.file.as_deref().map(crate::record::base_name);
    match (file, frame.line) {
        (Some(file), Some(line)) => format!("{} {file}:{line}", frame.name()),
        (Some(file), None) => format!("{} {file}", frame.name()),
        (None, _) => frame.name(),
    }
}

/// The sums above the rows.
#[derive(Clone, Debug, Default)]
pub struct Head {
    pub pid: u32,
    pub name: String,
    pub blocks: u64,
    pub bytes: u64,
    pub growth_per_second: f64,
    pub allocations: u64,
    pub allocations_per_second: f64,
    pub in_use: u64,
    pub peak: u64,
    pub held: u64,
    pub metadata: u64,
    pub limit: u64,
    pub threads: u64,
}

/// What a key asks of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Stay,
    Quit,
}

/// What is shown.
pub struct View {
    pub head: Head,
    pub rows: Vec<Row>,
    pub order: Order,
    pub selected: usize,
    /// Rows above the first that is shown; kept by who draws.
    pub offset: usize,
    pub is_open: bool,
    pub is_paused: bool,
    pub stacks: HashMap<u32, Stack>,
}

impl View {
    /// An empty one.
    pub fn new(order: Order) -> View {
        View {
            head: Head::default(),
            rows: Vec::new(),
            order,
            selected: 0,
            offset: 0,
            is_open: false,
            is_paused: false,
            stacks: HashMap::new(),
        }
    }

    /// Takes over what was seen last. The selected site stays selected.
    pub fn take(&mut self, watched: &mut Watched) {
        let Some(census) = watched.census() else { return };
        self.head = Head {
            pid: watched.memory.pid,
            name: watched.name.clone(),
            blocks: census.blocks,
            bytes: census.bytes,
            growth_per_second: watched.growth_rate(),
            allocations: census.allocations,
            allocations_per_second: watched.allocation_rate(),
            in_use: census.in_use,
            peak: census.peak,
            held: census.held,
            metadata: census.metadata,
            limit: census.limit,
            threads: census.threads,
        };
        let selected = self.rows.get(self.selected).map(|row| row.stack);
        self.rows = watched.rows();
        self.arrange(selected.filter(|_| self.selected > 0 || self.is_open));
        self.name_rows(watched);
    }

    /// Looks up the functions of the rows that are in sight, and of the
    /// selected one.
    pub fn name_rows(&mut self, watched: &mut Watched) {
        let in_sight = self.rows.iter().skip(self.offset.min(self.selected)).take(NAMED);
        let selected = self.rows.iter().skip(self.selected).take(NAMED / 2);
        for row in in_sight.chain(selected) {
            self.stacks.entry(row.stack).or_insert_with(|| watched.stack(row.stack));
        }
    }

    fn arrange(&mut self, selected: Option<u32>) {
        sort(&mut self.rows, self.order);
        let at = selected.and_then(|stack| self.rows.iter().position(|row| row.stack == stack));
        self.selected = at.unwrap_or(self.selected).min(self.rows.len().saturating_sub(1));
        self.is_open &= !self.rows.is_empty();
    }

    /// The stack of the selected row, if it is open.
    pub fn open_stack(&self) -> Option<(&Row, &[Frame])> {
        let row = self.rows.get(self.selected).filter(|_| self.is_open)?;
        Some((row, self.stacks.get(&row.stack).map_or(&[], |stack| stack)))
    }

    /// A key was pressed.
    pub fn key(&mut self, key: KeyCode, modifiers: KeyModifiers) -> After {
        const PAGE: usize = 20;
        let last = self.rows.len().saturating_sub(1);
        let mut order = self.order;
        match key {
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => return After::Quit,
            KeyCode::Char('q') => return After::Quit,
            KeyCode::Esc if self.is_open => self.is_open = false,
            KeyCode::Esc => return After::Quit,
            KeyCode::Enter => self.is_open = !self.is_open && !self.rows.is_empty(),
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown => self.selected = (self.selected + PAGE).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(PAGE),
            KeyCode::Home => self.selected = 0,
            KeyCode::End => self.selected = last,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('b') => order = Order::Bytes,
            KeyCode::Char('n') => order = Order::Blocks,
            KeyCode::Char('r') => order = Order::Rate,
            KeyCode::Char('g') => order = Order::Growth,
            KeyCode::Char('a') => order = Order::Age,
            KeyCode::Char('f') => order = Order::Freed,
            _ => {}
        }
        if order != self.order {
            self.order = order;
            self.selected = 0;
            self.arrange(None);
        }
        After::Stay
    }
}
