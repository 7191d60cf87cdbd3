//! The arena's records for people and tools far away: JSON, one record a line,
//! as `docs/report.schema.json` has it, through a function that puts out one
//! character.
//!
//! A device has no process and no calendar: `pid` is 0, and `time` counts from
//! power-on as if that had been the start of 1970. A frame is the call site's
//! record (file, function, line) or an address, which the host tool resolves:
//! `heapwarden symbolize --elf FIRMWARE.elf LOG`.
//!
//! Invariant: every record ends its line.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use super::door::Arena;
use super::event::{ArenaBlock, ArenaEvent, ArenaViolation};
use super::layout::Mode;
use super::lost::{ArenaLeak, ArenaLeakCount, ArenaLeakTotals, ArenaRoot};
use super::owners::ArenaSiteTotal;
use super::pen::{ArenaPutc, Pen};

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
        let (kind, message) = (event.kind.name(), event.kind.message());
        let task = self.locked(|heap| heap.task());
        let values = [
            kind.as_ptr().expose_provenance(),
            kind.len(),
            event.address,
            message.as_ptr().expose_provenance(),
            message.len(),
            event.site,
            task as usize,
        ];
        // SAFETY: two texts, an address, a call site, a task.
        unsafe {
            pen.write(
                b"{\"v\x111\x10type\x11\"error\"\x08\x10kind\x11\"\x06\"\x10address\x11\"\x04\"\
                \x10message\x11\"\x06\",\x07\x0e",
                values.as_ptr(),
            );
        }
        if let Some(block) = self.block_of(core::ptr::without_provenance(event.block)) {
            let mut offset = event.address.wrapping_sub(block.address);
            let is_below = offset > usize::MAX / 2;
            if is_below {
                offset = offset.wrapping_neg();
            }
            let (age, sequence) = self.age(&block);
            let sign = b"-".as_ptr().expose_provenance();
            let values = [
                block.address,
                block.size,
                sign,
                is_below as usize,
                offset,
                age,
                block.site,
                block.task as usize,
                sequence,
            ];
            // SAFETY: an address, a number, a text, two numbers, a call site, a task, a
            // number.
            unsafe {
                pen.write(
                    b"\x10block\x11{\"address\x11\"\x04\"\x10size\x11\x01\x10offset\x11\x06\x01\
                    \x10family\x11\"malloc\"\x10age_ms\x11\x01\x10allocated\x11{\x07\x0e\
                    \x10sequence\x11\x01}}",
                    values.as_ptr(),
                );
            }
        }
        // SAFETY: no values.
        unsafe { pen.write(b"}\n", core::ptr::null()) };
    }

    #[inline(never)]
    fn report_exhaustion(self, event: &ArenaEvent, pen: Pen) {
        let mut table = MaybeUninit::<[ArenaSiteTotal; 8]>::uninit();
        let table = table.as_mut_ptr().cast::<ArenaSiteTotal>();
        // SAFETY: the local table, of which the first `rows` are written.
        let rows = unsafe { self.summarize(table, 8) };
        // SAFETY: as above.
        let table = unsafe { core::slice::from_raw_parts_mut(table, rows) };
        let statistics = self.statistics();
        let in_use = statistics.total_bytes - statistics.free_bytes;
        let values = [
            event.requested,
            statistics.total_bytes,
            in_use,
            statistics.total_bytes - statistics.least_free_bytes,
            statistics.largest_free,
            event.site,
        ];
        // SAFETY: five numbers, a call site.
        unsafe {
            pen.write(
                b"{\"v\x111\x10type\x11\"exhaustion\"\x08\x10level\x11\"refused\"\x10requested\x11\x01\
                \x10limit\x11\x01\x10limit_from\x11\"arena\"\x10in_use\x11\x01\x10peak\x11\x01\
                \x10largest_free\x11\x01,\x07\x10top\x11[",
                values.as_ptr(),
            );
        }
        for row in 0..rows {
            // The largest of those not told yet: told ones have no blocks.
            let mut largest = &mut ArenaSiteTotal::default();
            for total in &mut *table {
                if total.blocks != 0 && total.bytes >= largest.bytes {
                    largest = total;
                }
            }
            // Thousandths; what would not fit a word is rounded down.
            let mut share = if largest.bytes < usize::MAX / 1000 {
                largest.bytes * 1000 / (in_use | 1)
            } else {
                largest.bytes / (in_use / 1000 + 1)
            };
            if share > 999 {
                share = 999;
            }
            let comma = b",".as_ptr().expose_provenance();
            let values = [
                comma,
                (row != 0) as usize,
                largest.blocks as usize,
                largest.bytes,
                share,
                largest.site,
            ];
            // SAFETY: a text, three numbers, a call site.
            unsafe {
                pen.write(
                    b"\x06{\"blocks\x11\x01\x10bytes\x11\x01\x10share\x110.\x03,\x07}",
                    values.as_ptr(),
                );
            }
            largest.blocks = 0;
        }
        // SAFETY: no values.
        unsafe { pen.write(b"]}\n", core::ptr::null()) };
    }

    /// Marks from `roots` and writes a `leak` record for each call site and
    /// kind, then a `summary`. The lock is held while the leaks are written.
    ///
    /// # Safety
    /// Every root is readable memory.
    pub unsafe fn report_lost(self, roots: &[ArenaRoot], pen: Pen) -> ArenaLeakTotals {
        // SAFETY: the same promise.
        let totals = unsafe { self.lost(roots, |leak| self.report_leak(leak, &pen)) };
        self.report_totals(&totals, &pen);
        totals
    }

    /// Writes the `summary` record of a leak check.
    #[inline(never)]
    pub(super) fn report_totals(self, totals: &ArenaLeakTotals, pen: &Pen) {
        static NOTHING: ArenaLeakCount = ArenaLeakCount { blocks: 0, bytes: 0 };
        let statistics = self.statistics();
        let count = |count: &ArenaLeakCount| core::ptr::from_ref(count).expose_provenance();
        let nothing = count(&NOTHING);
        let [definite, reachable, possible, indirect] = &totals.kinds;
        let values = [
            count(definite),
            count(indirect),
            count(possible),
            count(reachable),
            nothing,
            statistics.violations as usize,
            nothing,
            statistics.overhead_bytes,
        ];
        // SAFETY: five counts, a number, a count, a number.
        unsafe {
            pen.write(
                b"{\"v\x111\x10type\x11\"summary\"\x08\x10definite\x11\x0f\x10indirect\x11\x0f\
                \x10possible\x11\x0f\x10reachable\x11\x0f\x10hidden\x11\x0f\x10errors\x11\x01\
                \x10suppressed\x11\x0f\x10cost\x11{\"metadata_bytes\x11\x01\x10scan_ms\x110\
                \x10longest_pause_ms\x110}\x10dropped\x11{\"stacks\x110\x10records\x110\
                \x10threads\x110\x10names\x110}}\n",
                values.as_ptr(),
            );
        }
    }

    /// Writes one `leak` record; the lock is held.
    pub(super) fn report_leak(self, leak: &ArenaLeak, pen: &Pen) {
        let kind = leak.kind.name();
        let (age, sequence) = self.age(&leak.first);
        let values = [
            kind.as_ptr().expose_provenance(),
            kind.len(),
            leak.blocks as usize,
            leak.bytes,
            leak.first.site,
            leak.first.task as usize,
            leak.first.address,
            leak.first.size,
            age,
            sequence,
        ];
        // SAFETY: a text, two numbers, a call site, a task, an address, three numbers.
        unsafe {
            pen.write(
                b"{\"v\x111\x10type\x11\"leak\"\x08\x10kind\x11\"\x06\"\x10blocks\x11\x01\x10bytes\x11\x01\
                \x10family\x11\"malloc\",\x07\x0e\x10first\x11{\"address\x11\"\x04\"\x10size\x11\x01\
                \x10age_ms\x11\x01\x10sequence\x11\x01}}\n",
                values.as_ptr(),
            );
        }
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
