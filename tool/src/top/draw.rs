//! How `top` shows its view on a terminal.
//!
//! ```text
//!  heapwarden top   server (4711)   by bytes
//!  live 1.2 MiB in 900 blocks (+3.0 KiB/s)   12 allocations/s …
//!     BYTES  BLOCKS    RATE/s    GROWTH     AGE  FREED  SITE
//!   1.0 MiB     800  +3.0 KiB  +90 KiB     12 s    0 %  copy_name app.c:12
//!  Enter stack  b n r g a f sort  p pause  q quit
//! ```

use super::view::{Order, View, place_of};
use crate::record::Frame;
use crate::report::words::{age, amount};
use crate::watch::Row;
use ratatui::Frame as Screen;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Paragraph, Row as TableRow, Table, TableState, Wrap};

/// Draws the view.
pub fn draw(screen: &mut Screen<'_>, view: &mut View) {
    let heights = [Constraint::Length(3), Constraint::Min(3), Constraint::Length(1)];
    let [head, body, keys] = Layout::vertical(heights).areas(screen.area());
    screen.render_widget(Paragraph::new(head_lines(view)), head);
    if let Some((row, stack)) = view.open_stack() {
        let title = format!(
            " {} in {} block(s), allocated here: ",
            amount(row.site.bytes),
            row.site.blocks
        );
        let lines: Vec<_> =
            stack.iter().enumerate().map(|(depth, frame)| stack_line(depth, frame)).collect();
        let text =
            Paragraph::new(lines).wrap(Wrap { trim: false }).block(Block::bordered().title(title));
        screen.render_widget(text, body);
    } else {
        draw_rows(screen, view, body);
    }
    let help = match view.is_open {
        true => " Enter or Esc back   \u{2191}\u{2193} site   q quit",
        false => {
            " Enter stack   sort: b bytes  n blocks  r rate  g growth  a age  f freed   p pause   q quit"
        }
    };
    screen.render_widget(Paragraph::new(help).reversed(), keys);
}

fn head_lines(view: &View) -> Vec<Line<'static>> {
    let head = &view.head;
    let paused = if view.is_paused { "   PAUSED" } else { "" };
    let limit = match head.limit {
        0 => String::new(),
        limit => format!(" of {} allowed", amount(limit)),
    };
    vec![
        Line::from(format!(
            "heapwarden top   {} ({})   {} thread(s), {} site(s){paused}",
            head.name,
            head.pid,
            head.threads,
            view.rows.len()
        ))
        .bold(),
        Line::from(format!(
            "live {} in {} block(s), {}/s   {:.0} allocation(s)/s, {} so far",
            amount(head.bytes),
            head.blocks,
            signed(head.growth_per_second as i64),
            head.allocations_per_second,
            head.allocations
        )),
        Line::from(format!(
            "heap {}{limit}, peak {}   quarantine {}   metadata {}",
            amount(head.in_use),
            amount(head.peak),
            amount(head.held),
            amount(head.metadata)
        )),
    ]
}

fn draw_rows(screen: &mut Screen<'_>, view: &mut View, area: Rect) {
    let columns = [
        (Order::Bytes, "BYTES", 11),
        (Order::Blocks, "BLOCKS", 10),
        (Order::Rate, "RATE/s", 11),
        (Order::Growth, "GROWTH", 11),
        (Order::Age, "AGE", 8),
        (Order::Freed, "FREED", 6),
    ];
    let order = view.order;
    let header = columns.iter().map(|&(column, title, _)| {
        let style = if column == order { Modifier::UNDERLINED } else { Modifier::empty() };
        right(title.to_owned()).style(Style::new().add_modifier(style))
    });
    let header = TableRow::new(header.chain([Cell::from("SITE")])).bold();
    // Only what is in sight: there may be a hundred thousand.
    let height = usize::from(area.height.saturating_sub(1)).max(1);
    view.offset = view.offset.clamp((view.selected + 1).saturating_sub(height), view.selected);
    let rows = view.rows.iter().skip(view.offset).take(height).map(|row| table_row(view, row));
    let widths = columns.iter().map(|&(_, _, width)| Constraint::Length(width));
    let table = Table::new(rows, widths.chain([Constraint::Min(10)]))
        .header(header)
        .row_highlight_style(Style::new().reversed());
    let mut state = TableState::new().with_selected(Some(view.selected - view.offset));
    screen.render_stateful_widget(table, area, &mut state);
}

fn table_row(view: &View, row: &Row) -> TableRow<'static> {
    let place = view.stacks.get(&row.stack).map_or("\u{2026}".to_owned(), |stack| place_of(stack));
    TableRow::new([
        right(amount(row.site.bytes)),
        right(row.site.blocks.to_string()),
        right(signed(row.rate as i64)),
        right(signed(row.growth)),
        right(age(row.age_ms)),
        right(format!("{:.0} %", row.site.freed_share() * 100.0)),
        Cell::from(place),
    ])
}

fn right(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).alignment(Alignment::Right))
}

fn stack_line(depth: usize, frame: &Frame) -> Line<'static> {
    let place = frame.location().or(frame.module.clone()).unwrap_or_default();
    Line::from(format!("#{depth:<2} {}  {place}", frame.name()))
}

/// An amount with its sign.
pub fn signed(bytes: i64) -> String {
    match bytes {
        0 => "0".to_owned(),
        1.. => format!("+{}", amount(bytes.unsigned_abs())),
        _ => format!("-{}", amount(bytes.unsigned_abs())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::After;
    use super::*;
    use crate::ledger::Site;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyModifiers};

    fn sample() -> View {
        let mut view = View::new(Order::Bytes);
        view.head.name = "server".to_owned();
        for (stack, bytes, rate) in [(7, 4096, 0.0), (8, 100, 512.0), (9, 2048, -3.0)] {
            let site = Site { blocks: 2, bytes, freed: 2, oldest_ms: 1 };
            view.rows.push(Row { stack, site, rate, growth: 0, age_ms: 1500 });
            let frame = Frame {
                function: Some(format!("maker_{stack}")),
                file: Some("/src/app.c".to_owned()),
                line: Some(stack),
                ..Frame::default()
            };
            view.stacks.insert(stack, vec![frame]);
        }
        super::super::view::sort(&mut view.rows, Order::Bytes);
        view
    }

    fn screen(view: &mut View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(100, 12)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        terminal.backend().to_string()
    }

    fn press(view: &mut View, key: KeyCode) -> After {
        view.key(key, KeyModifiers::NONE)
    }

    #[test]
    fn rows_come_in_the_order_that_was_asked_for() {
        let mut view = sample();
        let sites = |text: &str| {
            let lines = text.lines().filter_map(|line| line.split("maker_").nth(1));
            lines.map(|rest| rest[..1].to_owned()).collect::<String>()
        };
        assert_eq!(sites(&screen(&mut view)), "798");
        assert_eq!(press(&mut view, KeyCode::Char('r')), After::Stay);
        let text = screen(&mut view);
        assert_eq!(sites(&text), "879");
        assert!(text.contains("+512 bytes") && text.contains("1.5 s") && text.contains("50 %"));
    }

    #[test]
    fn a_site_without_source_is_called_by_its_functions() {
        let frame = |name: &str| Frame { function: Some(name.to_owned()), ..Frame::default() };
        let stack = ["zmalloc", "sdsnew", "main"].map(frame);
        assert_eq!(place_of(&stack), "zmalloc < sdsnew < main");
        assert_eq!(place_of(&[]), "(unknown)");
    }

    #[test]
    fn enter_opens_the_stack_of_the_selected_site_and_q_quits() {
        let mut view = sample();
        press(&mut view, KeyCode::Down);
        press(&mut view, KeyCode::Enter);
        let text = screen(&mut view);
        assert!(text.contains("#0  maker_9  /src/app.c:9"), "{text}");
        assert!(!text.contains("maker_7"));
        press(&mut view, KeyCode::Esc);
        assert!(screen(&mut view).contains("maker_7"));
        assert_eq!(press(&mut view, KeyCode::Char('q')), After::Quit);
    }

    #[test]
    fn a_list_longer_than_the_screen_scrolls_and_an_empty_one_is_no_trouble() {
        let mut view = sample();
        let last = view.rows[2].clone();
        view.rows.extend((100..200).map(|stack| Row { stack, ..last.clone() }));
        press(&mut view, KeyCode::End);
        assert!(screen(&mut view).contains('\u{2026}'), "not looked up yet");
        assert_eq!(view.selected, 102);
        let mut empty = View::new(Order::Age);
        for key in [KeyCode::Enter, KeyCode::Down, KeyCode::End, KeyCode::PageUp] {
            press(&mut empty, key);
            screen(&mut empty);
        }
    }
}
