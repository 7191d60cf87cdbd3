//! The arena's records for people and tools far away: JSON, one record a line,
//! as `docs/report.schema.json` has it, through a function that puts out one
//! character.
//!
//! A device has no process and no calendar: `pid` is 0, and `time` counts from
//! power-on as if that had been the start of 1970. A frame is the call site's
//! record (file, function, line) or an address, which the host tool resolves:
//! `heapwarden symbolize --elf FIRMWARE.elf LOG`.
//!
//! Invariant: nothing is formatted with `core::fmt`, nothing allocates, and
//! every record ends its line.

use core::ffi::{c_char, c_void};

use super::door::Arena;
use super::event::{ArenaBlock, ArenaEvent, ArenaSite, ArenaViolation};
use super::layout::Mode;
use super::lost::{ArenaLeak, ArenaLeakCount, ArenaLeakTotals, ArenaRoot};
use super::owners::ArenaSiteTotal;

/// Puts out one character.
pub type ArenaPutc = unsafe extern "C" fn(context: *mut c_void, character: c_char);

/// Where the characters go, and the moment that records name.
#[derive(Clone, Copy)]
pub struct Pen {
    putc: ArenaPutc,
    context: *mut c_void,
    now: u32,
}

impl Pen {
    #[inline(never)]
    fn text(self, text: &str) {
        for &byte in text.as_bytes() {
            // SAFETY: the user gave the function together with its context.
            unsafe { (self.putc)(self.context, byte as c_char) };
        }
    }

    /// `"name":` after a comma, and a number.
    fn field(self, name: &str, value: usize) {
        self.text(name);
        self.number(value);
    }

    /// A number with at least as many digits as `1` has in `unit`.
    #[inline(never)]
    fn digits(self, value: usize, unit: usize) {
        let mut unit = unit;
        while unit <= value / 10 {
            unit *= 10;
        }
        while unit > 0 {
            let digit = b'0' + (value / unit % 10) as u8;
            // SAFETY: as in `text`.
            unsafe { (self.putc)(self.context, digit as c_char) };
            unit /= 10;
        }
    }

    fn number(self, value: usize) {
        self.digits(value, 1);
    }

    /// `name`, which ends in a quote, and an address that closes it.
    #[inline(never)]
    fn address(self, name: &str, value: usize) {
        self.text(name);
        self.text("0x");
        let mut shift = usize::BITS;
        while shift > 0 {
            shift -= 4;
            if value >> shift != 0 || shift == 0 {
                let digit = (value >> shift & 15) as u8;
                let digit = if digit < 10 { b'0' + digit } else { b'a' - 10 + digit };
                // SAFETY: as in `text`.
                unsafe { (self.putc)(self.context, digit as c_char) };
            }
        }
        self.text("\"");
    }

    /// `name`, which ends in a quote, and a C string that closes it.
    #[inline(never)]
    fn string(self, name: &str, value: *const c_char) {
        self.text(name);
        let mut at = value;
        loop {
            // SAFETY: the strings of a site record are constant and end in a
            // zero. (`CStr` would call libc's strlen.)
            let byte = unsafe { at.read() } as u8;
            if byte == 0 {
                break;
            }
            at = at.wrapping_add(1);
            if byte == b'"' || byte == b'\\' {
                self.text("\\");
            }
            let byte = if byte < b' ' { b'?' } else { byte };
            // SAFETY: as in `text`.
            unsafe { (self.putc)(self.context, byte as c_char) };
        }
        self.text("\"");
    }

    /// `"stack":[…]`
    #[inline(never)]
    fn stack(self, site: usize) {
        self.text("\"stack\":[");
        if site & 1 != 0 {
            self.address("{\"address\":\"", (site & !1) - 1);
            self.text("}");
        } else if site != 0 {
            // SAFETY: an even site is the address of a constant record.
            let site = unsafe { &*core::ptr::with_exposed_provenance::<ArenaSite>(site) };
            self.string("{\"function\":\"", site.function);
            self.string(",\"file\":\"", site.file);
            self.field(",\"line\":", site.line as usize);
            self.text("}");
        }
        self.text("]");
    }

    /// `{"v":1,"type":"…","pid":0,"time":"…"`
    #[inline(never)]
    fn open(self, kind: &str) {
        let seconds = self.now as usize / 1000;
        let day = seconds / 86400;
        self.text("{\"v\":1,\"type\":\"");
        self.text(kind);
        self.text("\",\"pid\":0,\"time\":\"1970-0");
        // 2^32 milliseconds end on 19 February.
        self.field("", 1 + day / 31);
        self.text("-");
        self.digits(1 + day % 31, 10);
        for (mark, part) in
            [("T", seconds / 3600 % 24), (":", seconds / 60 % 60), (":", seconds % 60)]
        {
            self.text(mark);
            self.digits(part, 10);
        }
        self.text(".");
        self.digits(self.now as usize % 1000, 100);
        self.text("Z\"");
    }

    fn count(self, name: &str, count: ArenaLeakCount) {
        self.text(name);
        self.field("{\"blocks\":", count.blocks);
        self.field(",\"bytes\":", count.bytes);
        self.text("}");
    }
}

impl<M: Mode> Arena<M> {
    /// A pen for this heap's records.
    pub fn pen(self, putc: ArenaPutc, context: *mut c_void) -> Pen {
        let now = self.locked(|heap| heap.milliseconds());
        Pen { putc, context, now }
    }

    /// Writes an event as an `error` or `exhaustion` record. For the handler.
    pub fn report_event(self, event: &ArenaEvent, pen: Pen) {
        if event.kind == ArenaViolation::Exhausted {
            return self.report_exhaustion(event, pen);
        }
        pen.open("error");
        pen.text(",\"kind\":\"");
        pen.text(event.kind.name());
        pen.address("\",\"address\":\"", event.address);
        pen.text(",\"message\":\"");
        pen.text(event.kind.message());
        pen.text("\",");
        pen.stack(event.site);
        let task = self.locked(|heap| heap.task());
        self.thread(task, pen);
        if let Some(block) = self.block_of(core::ptr::without_provenance(event.block)) {
            pen.address(",\"block\":{\"address\":\"", block.address);
            pen.field(",\"size\":", block.size);
            let offset = event.address.wrapping_sub(block.address);
            pen.text(",\"offset\":");
            if offset > usize::MAX / 2 {
                pen.field("-", offset.wrapping_neg());
            } else {
                pen.number(offset);
            }
            pen.text(",\"family\":\"malloc\"");
            let (age, sequence) = self.age(&block);
            pen.field(",\"age_ms\":", age);
            pen.text(",\"allocated\":{");
            pen.stack(block.site);
            self.thread(block.task, pen);
            pen.field(",\"sequence\":", sequence);
            pen.text("}}");
        }
        pen.text("}\n");
    }

    fn report_exhaustion(self, event: &ArenaEvent, pen: Pen) {
        let mut table = [ArenaSiteTotal::default(); 8];
        let rows = self.summary(&mut table);
        let statistics = self.statistics();
        pen.open("exhaustion");
        pen.field(",\"level\":\"refused\",\"requested\":", event.requested);
        pen.field(",\"limit\":", statistics.total_bytes);
        let in_use = statistics.total_bytes - statistics.free_bytes;
        pen.field(",\"limit_from\":\"arena\",\"in_use\":", in_use);
        pen.field(",\"peak\":", statistics.total_bytes - statistics.least_free_bytes);
        pen.field(",\"largest_free\":", statistics.largest_free);
        pen.text(",");
        pen.stack(event.site);
        pen.text(",\"top\":[");
        for row in 0..rows {
            // The largest of those not told yet.
            let mut largest = &mut ArenaSiteTotal::default();
            for total in &mut table {
                if total.bytes >= largest.bytes {
                    largest = total;
                }
            }
            pen.text(if row == 0 { "{" } else { ",{" });
            pen.field("\"blocks\":", largest.blocks as usize);
            pen.field(",\"bytes\":", largest.bytes);
            // Thousandths; what would not fit a word is rounded down.
            let share = if largest.bytes < usize::MAX / 1000 {
                largest.bytes * 1000 / (in_use | 1)
            } else {
                largest.bytes / (in_use / 1000 + 1)
            };
            pen.text(",\"share\":0.");
            pen.digits(if share > 999 { 999 } else { share }, 100);
            pen.text(",");
            pen.stack(largest.site);
            pen.text("}");
            *largest = ArenaSiteTotal::default();
        }
        pen.text("]}\n");
    }

    /// Marks from `roots` and writes a `leak` record for each call site and
    /// kind, then a `summary`. The lock is held while the leaks are written.
    ///
    /// # Safety
    /// Every root is readable memory.
    pub unsafe fn report_lost(self, roots: &[ArenaRoot], pen: Pen) -> ArenaLeakTotals {
        // SAFETY: the same promise.
        let totals = unsafe { self.lost(roots, |leak| self.report_leak(leak, pen)) };
        self.report_totals(&totals, pen);
        totals
    }

    /// Writes the `summary` record of a leak check.
    #[inline(never)]
    pub(super) fn report_totals(self, totals: &ArenaLeakTotals, pen: Pen) {
        let [definite, reachable, possible, indirect] = totals.kinds;
        pen.open("summary");
        pen.count(",\"definite\":", definite);
        pen.count(",\"indirect\":", indirect);
        pen.count(",\"possible\":", possible);
        pen.count(",\"reachable\":", reachable);
        pen.count(",\"hidden\":", ArenaLeakCount::default());
        let statistics = self.statistics();
        pen.field(",\"errors\":", statistics.violations as usize);
        pen.count(",\"suppressed\":", ArenaLeakCount::default());
        pen.field(",\"cost\":{\"metadata_bytes\":", statistics.overhead_bytes);
        pen.text(",\"scan_ms\":0,\"longest_pause_ms\":0},\"dropped\":{\"stacks\":0,");
        pen.text("\"records\":0,\"threads\":0,\"names\":0}}\n");
    }

    /// Writes one `leak` record; the lock is held.
    pub(super) fn report_leak(self, leak: &ArenaLeak, pen: Pen) {
        pen.open("leak");
        pen.text(",\"kind\":\"");
        pen.text(leak.kind.name());
        pen.field("\",\"blocks\":", leak.blocks as usize);
        pen.field(",\"bytes\":", leak.bytes);
        pen.text(",\"family\":\"malloc\",");
        pen.stack(leak.first.site);
        self.thread(leak.first.task, pen);
        pen.address(",\"first\":{\"address\":\"", leak.first.address);
        pen.field(",\"size\":", leak.first.size);
        let (age, sequence) = self.age(&leak.first);
        pen.field(",\"age_ms\":", age);
        pen.field(",\"sequence\":", sequence);
        pen.text("}}\n");
    }

    fn thread(self, task: u32, pen: Pen) {
        pen.field(",\"thread\":{\"number\":", task as usize);
        pen.text("}");
    }

    /// Milliseconds since the allocation, or, without a clock, which one it was.
    fn age(self, block: &ArenaBlock) -> (usize, usize) {
        // Neither changes while a record is written by one task; under the lock
        // of `report_lost` not at all.
        let heap = self.heap();
        if heap.config.clock.is_some() {
            (block.age as usize, 0)
        } else {
            (0, heap.allocations.wrapping_sub(block.age) as usize)
        }
    }
}
