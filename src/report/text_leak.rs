//! Leaks as text: what is lost, what goes with it, and why.
//!
//! ```text
//! Direct leak of 32 byte(s) in 1 object(s) allocated from:
//!     #0 …
//!   Lost with it: 72 bytes in 3 block(s) that only it points to:
//!     48 bytes in 2 block(s) that hold 10 bytes in 1, from: copy < make (a.c:7)
//!       10 bytes in 1 block(s) from: …
//!   Lost because the 16-byte block that held it (0x…) was freed by thread 1 at:
//!     #0 …
//! ```

use super::event::*;
use super::render::Pen;
use super::text_stack::{WHOLE, line, write_by, write_route, write_stack};
use super::totals::Count;
use super::words::{Age, Amount, Grouped, Printable, Share};
use crate::units::LeakKind;
use core::fmt::Write;

/// A leak of any kind but hidden.
pub fn write_leak(pen: &mut Pen<'_, '_>, leak: &Leak<'_>) {
    let what = match leak.kind {
        LeakKind::Definite => "Direct leak",
        LeakKind::Indirect => "Indirect leak",
        LeakKind::Possible => "Possible leak",
        LeakKind::Reachable => "Still reachable block",
        LeakKind::Hidden => "Hidden leak",
    };
    let (bytes, blocks) = (leak.bytes, leak.blocks);
    line!(pen, "{what} of {bytes} byte(s) in {blocks} object(s) allocated from:");
    write_stack(pen, leak.stack, WHOLE);
    let first = leak.first;
    let which = if leak.blocks == 1 { "It is" } else { "The first is" };
    let _ = write!(
        pen.out,
        "  {which} {} at {:#x}, allocated {} ago",
        Amount(first.size as u64),
        first.address,
        Age(first.age_ms)
    );
    write_by(pen, " by", leak.thread);
    if first.sequence > 0 {
        let _ = write!(pen.out, " as allocation {}", first.sequence);
    }
    line!(pen, ".");
    write_ordinals(pen, leak.blocks, leak.ordinals);
    match leak.kind {
        LeakKind::Possible => {
            line!(pen, "  Only pointers into its middle are left, none to its start.");
        }
        LeakKind::Indirect => {
            if let Some(parent) = leak.parent {
                line!(
                    pen,
                    "  It is held by a lost block of {} at {:#x}; release that one properly.",
                    Amount(parent.size as u64),
                    parent.address
                );
            }
        }
        _ => {}
    }
    if leak.holds != Count::default() {
        write_tree(pen, leak);
    }
    if let Some(holder) = leak.held_by {
        let which = if leak.blocks == 1 { "Held" } else { "The first is held" };
        line!(pen, "  {which} by {}.", Printable(holder.as_bytes()));
    }
    if let Some(because) = leak.lost_because {
        write_cause(pen, leak, because);
    }
    line!(pen, "");
}

/// Which of the site's allocations the blocks were.
fn write_ordinals(pen: &mut Pen<'_, '_>, blocks: u64, ordinals: Ordinals<'_>) {
    let Ordinals { allocations, smallest } = ordinals;
    if allocations == 0 {
        return;
    }
    let were = if blocks == 1 { "was" } else { "were" };
    let (lost, made) = (Grouped(blocks), Grouped(allocations));
    let _ = write!(pen.out, "  {lost} of {made} blocks from here {were} never freed");
    for (index, ordinal) in smallest.iter().enumerate() {
        let before = if index == 0 { ':' } else { ',' };
        let _ = write!(pen.out, "{before} #{}", Grouped(u64::from(*ordinal)));
    }
    line!(pen, "{}", if (smallest.len() as u64) < blocks { ", …" } else { "." });
}

/// What the blocks hold, as a tree.
fn write_tree(pen: &mut Pen<'_, '_>, leak: &Leak<'_>) {
    let Count { blocks, bytes } = leak.holds;
    let (whose, end) = match (leak.blocks, leak.tree.is_empty()) {
        (1, true) => ("it", "."),
        (1, false) => ("it", ":"),
        (_, true) => ("them", "."),
        (_, false) => ("them", ":"),
    };
    let points = if leak.blocks == 1 { "it points" } else { "they point" };
    let bytes = Amount(bytes);
    line!(pen, "  Lost with {whose}: {bytes} in {blocks} block(s) that only {points} to{end}");
    for held in leak.tree {
        let margin = 2 + 2 * usize::from(held.depth);
        let Held { count, holds, .. } = held;
        let amount = Amount(count.bytes);
        let _ = write!(pen.out, "{:margin$}{amount} in {} block(s)", "", count.blocks);
        if *holds != Count::default() {
            let _ = write!(pen.out, ", holding {} in {}", Amount(holds.bytes), holds.blocks);
        }
        let _ = write!(pen.out, ", from:");
        write_route(pen, held.stack);
        line!(pen, "");
    }
    if leak.tree_left_out > 0 {
        line!(pen, "    ({} smaller site(s) left out)", leak.tree_left_out);
    }
}

/// Which free lost the blocks.
fn write_cause(pen: &mut Pen<'_, '_>, leak: &Leak<'_>, because: LostBecause) {
    let LostBecause::HolderFreed { holder, freed, blocks } = because;
    let _ = match (leak.blocks, blocks) {
        (1, _) => write!(pen.out, "  Lost because the {}-byte block", holder.size),
        (all, some) if some < all => {
            write!(pen.out, "  {some} of the {all} were lost because a {}-byte block", holder.size)
        }
        _ => write!(pen.out, "  All were lost because {}-byte blocks", holder.size),
    };
    let is_one = leak.blocks == 1;
    let _ = match is_one {
        true => write!(pen.out, " that held it ({:#x}) was freed", holder.address),
        false => write!(pen.out, " that held them were freed, like {:#x}", holder.address),
    };
    write_by(pen, " by", freed.thread);
    line!(pen, " at:");
    write_stack(pen, freed.stack, WHOLE);
    let _ = match is_one {
        true => write!(pen.out, "  That block had been"),
        false => write!(pen.out, "  The block {:#x} had been", holder.address),
    };
    line!(pen, " allocated from:");
    write_stack(pen, holder.stack, WHOLE);
}

/// A suspected hidden leak.
pub fn write_hidden_leak(pen: &mut Pen<'_, '_>, leak: &HiddenLeak<'_>) {
    let (bytes, blocks) = (leak.bytes, leak.blocks);
    line!(pen, "Suspected hidden leak of {bytes} byte(s) in {blocks} object(s) allocated from:");
    write_stack(pen, leak.stack, WHOLE);
    let evidence = leak.evidence;
    let (grows, amount) = match evidence.growth_bytes_per_s {
        rate @ 0.. => ("grows", rate as u64),
        rate => ("shrinks", rate.unsigned_abs()),
    };
    let _ = write!(
        pen.out,
        "  The program can still reach them. Evidence: the site {grows} by {} a second",
        Amount(amount)
    );
    if evidence.snapshots > 0 {
        let _ = write!(pen.out, " (seen by {} checks)", evidence.snapshots);
    }
    let _ = write!(
        pen.out,
        ", its oldest block is {} old, {} of its blocks were ever freed",
        Age(evidence.oldest_ms),
        Share(evidence.freed_permille)
    );
    if let Some((idle, ms)) = evidence.idle {
        let share = Share(idle);
        let _ = write!(pen.out, ", {share} of its older memory was not touched for {}", Age(ms));
    }
    line!(pen, ".");
    write_ordinals(pen, leak.blocks, leak.ordinals);
    if let Some(holder) = evidence.held_by {
        line!(pen, "  Held by {}.", Printable(holder.as_bytes()));
    }
    line!(pen, "");
}
