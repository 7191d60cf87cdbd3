//! What is known of one address.

use super::records::Ledger;
use crate::ledger::heap::Place;
use crate::ledger::memory::Memory;
use crate::ledger::threads::grave;
use crate::ledger::{Heap, LedgerRoot};
use crate::record::{Event, Frame};
use crate::report::words::{age, amount};
use heapwarden::ledger::State;
use serde::Serialize;
use std::io::{self, Write};

/// The answer to "whose is this address?".
#[derive(Serialize)]
pub struct Answer {
    v: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    /// What was asked for.
    asked: String,
    /// `live`, `ignored`, `held` (freed, not reusable yet), `free`, `returned`
    /// (its memory was given back), `unused` (no block yet), `foreign` (not the
    /// heap's).
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<BlockAnswer>,
}

#[derive(Serialize)]
struct BlockAnswer {
    address: String,
    size: u64,
    offset: i64,
    family: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    allocated: Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    freed: Option<Event>,
}

/// Finds out.
pub fn describe(
    memory: &dyn Memory,
    root: &LedgerRoot,
    heap: &Heap,
    ledger: &mut Ledger<'_>,
    address: u64,
) -> Answer {
    let asked = format!("{address:#x}");
    let answer = |state, block| Answer { v: 1, kind: "block", asked: asked.clone(), state, block };
    let Some(block) = heap.locate(address) else {
        if let Some(grave) = grave(memory, root, address) {
            let event = |stack| Event { stack, ..Event::default() };
            return answer(
                "returned",
                Some(BlockAnswer {
                    address: asked.clone(),
                    size: grave.size,
                    offset: 0,
                    family: "malloc",
                    age_ms: None,
                    allocated: event(ledger.stack(grave.stack)),
                    freed: Some(event(ledger.stack(grave.freed_by))),
                }),
            );
        }
        let is_inside = address.wrapping_sub(heap.base) < heap.extent;
        return answer(if is_inside { "unused" } else { "foreign" }, None);
    };
    let state = match block.record.state() {
        State::Live => "live",
        State::Ignored => "ignored",
        State::Held => "held",
        State::Free if block.record.stack().is_unknown() => return answer("unused", None),
        State::Free => "free",
        State::Fresh => return answer("unused", None),
    };
    let epoch = ledger.epoch(&block);
    let is_known = epoch.begun_ms != 0;
    // A free slot's record has no room for the family.
    let family = match (block.record.state(), block.place) {
        (State::Free, Place::Slot(..)) => "unknown",
        _ => block.record.family().allocator(),
    };
    answer(
        state,
        Some(BlockAnswer {
            address: format!("{:#x}", block.start),
            size: block.known_size(),
            offset: address as i64 - block.start as i64,
            family,
            age_ms: is_known.then(|| ledger.age_ms(epoch)),
            allocated: ledger.allocated(&block),
            freed: ledger.freed(heap, &block),
        }),
    )
}

/// Writes the answer for a person.
pub fn write_text(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let asked = &answer.asked;
    let Some(block) = &answer.block else {
        return match answer.state {
            "unused" => writeln!(out, "{asked} is in the heap, where no block is"),
            _ => writeln!(
                out,
                "{asked} is not the heap's: a global, a stack, code, a mapping, or nothing"
            ),
        };
    };
    let state = match answer.state {
        "live" => "a live block",
        "ignored" => "a live block that leak checks are told to ignore",
        "held" => "a freed block that is not reused yet",
        "returned" => "a freed block whose memory was given back",
        _ => "a freed block",
    };
    let size = block.size as i64;
    let place = match block.offset {
        0 => "the start of".to_owned(),
        offset if offset < size => format!("{offset} bytes into"),
        offset => format!("{} bytes behind the end of", offset - size),
    };
    writeln!(out, "{asked} is {place} {state} of {} at {}", amount(block.size), block.address)?;
    let old = block.age_ms.map_or(String::new(), |ms| format!(", {} ago", age(ms)));
    let family = if block.family == "unknown" { "" } else { block.family };
    writeln!(out, "allocated{}{old}{}", by(family), who(&block.allocated))?;
    write_stack(&block.allocated.stack, out)?;
    if let Some(freed) = &block.freed {
        writeln!(out, "freed{}", who(freed))?;
        write_stack(&freed.stack, out)?;
    }
    Ok(())
}

fn by(family: &str) -> String {
    if family.is_empty() { String::new() } else { format!(" by {family}") }
}

fn who(event: &Event) -> String {
    let mut text = String::new();
    if event.thread.number != 0 {
        text += &format!(", by thread {}", event.thread.number);
        text += &event.thread.id.map_or(String::new(), |id| format!(" (id {id})"));
    }
    if event.sequence != 0 {
        text += &format!(", about allocation {}", event.sequence);
    }
    text + ":"
}

fn write_stack(stack: &[Frame], out: &mut dyn Write) -> io::Result<()> {
    if stack.is_empty() {
        return writeln!(out, "    (the call stack is not known)");
    }
    for (depth, frame) in stack.iter().enumerate() {
        let place = frame.location().or(frame.module.clone()).unwrap_or_default();
        writeln!(out, "    #{depth} {} {place}", frame.name())?;
    }
    Ok(())
}
