//! Writes a record's text through a function that puts out one character.
//!
//! A record is one byte string: its text, with a code below a space for each
//! value, in the order of the values:
//!
//! | code | value | is written as |
//! |------|-------|---------------|
//! | 1    | a number | `7` |
//! | 2, 3 | a number | with at least two, three digits: `07`, `007` |
//! | 4    | an address | `0x20000040` |
//! | 5    | a C string's address | its characters, escaped |
//! | 6    | bytes and how many, two values | as they are |
//! | 7    | a call site | `"stack":[…]` |
//! | 8    | none | `,"pid":0,"time":"…"` |
//! | 14   | a task | `,"thread":{"number":7}` |
//! | 15   | the address of a count | `{"blocks":7,"bytes":7}` |
//! | 16   | none | `,"` |
//! | 17   | none | `":` |
//!
//! Invariant: nothing is formatted with `core::fmt`, nothing allocates; a
//! record's codes and values agree in number.

use core::ffi::{c_char, c_void};

use super::event::ArenaSite;

/// Puts out one character.
pub type ArenaPutc = unsafe extern "C" fn(context: *mut c_void, character: c_char);

/// Where the characters go, and the moment that records name.
#[derive(Clone, Copy)]
pub struct Pen {
    pub(super) putc: ArenaPutc,
    pub(super) context: *mut c_void,
    pub(super) now: u32,
}

impl Pen {
    #[inline(never)]
    fn character(self, byte: u8) {
        // SAFETY: the user gave the function together with its context.
        unsafe { (self.putc)(self.context, byte as c_char) };
    }

    /// Writes a record, or a part of one; see the module's head.
    ///
    /// # Safety
    /// `values` has what the codes of `record` ask for.
    #[inline(never)]
    pub(super) unsafe fn write(&self, record: &[u8], values: *const usize) {
        let mut values = values;
        for &byte in record {
            if byte >= b' ' || byte == b'\n' {
                self.character(byte);
                continue;
            }
            if byte == 8 {
                self.time();
                continue;
            }
            if byte >= 16 {
                let text: &[u8; 2] = if byte == 16 { b",\"" } else { b"\":" };
                self.character(text[0]);
                self.character(text[1]);
                continue;
            }
            // SAFETY: the caller's promise, here and for what the values are.
            unsafe {
                let value = *values;
                values = values.add(1);
                match byte {
                    4 => self.address(value),
                    5 => self.string(value),
                    6 => {
                        let text = core::ptr::with_exposed_provenance(value);
                        self.write(core::slice::from_raw_parts(text, *values), values);
                        values = values.add(1);
                    }
                    7 => self.stack(value),
                    14 => self.write(b"\x10thread\x11{\"number\x11\x01}", &raw const value),
                    15 => {
                        let count = core::ptr::with_exposed_provenance(value);
                        self.write(b"{\"blocks\x11\x01\x10bytes\x11\x01}", count);
                    }
                    _ => self.number(value, byte),
                }
            }
        }
    }

    /// A number with at least so many digits.
    #[inline(never)]
    fn number(&self, value: usize, digits: u8) {
        if digits > 1 || value > 9 {
            self.number(value / 10, digits.saturating_sub(1));
        }
        self.character(b'0' + (value % 10) as u8);
    }

    fn address(&self, value: usize) {
        self.character(b'0');
        self.character(b'x');
        let mut shift = usize::BITS;
        while shift > 0 {
            shift -= 4;
            if value >> shift != 0 || shift == 0 {
                let digit = (value >> shift & 15) as u8;
                self.character(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit });
            }
        }
    }

    /// The C string at `address`.
    fn string(&self, address: usize) {
        let mut at = core::ptr::with_exposed_provenance::<u8>(address);
        loop {
            // SAFETY: the strings of a site record are constant and end in a
            // zero. (`CStr` would call libc's strlen.)
            let byte = unsafe { at.read() };
            if byte == 0 {
                return;
            }
            at = at.wrapping_add(1);
            if byte == b'"' || byte == b'\\' {
                self.character(b'\\');
            }
            self.character(if byte < b' ' { b'?' } else { byte });
        }
    }

    /// `"stack":[…]`
    fn stack(&self, site: usize) {
        let mut values = [(site & !1).wrapping_sub(1), 0, 0];
        let mut frame: &[u8] = b"";
        if site & 1 != 0 {
            frame = b"{\"address\x11\"\x04\"}";
        } else if site != 0 {
            // SAFETY: an even site is the address of a constant record.
            let site = unsafe { &*core::ptr::with_exposed_provenance::<ArenaSite>(site) };
            values = [
                site.function.expose_provenance(),
                site.file.expose_provenance(),
                site.line as usize,
            ];
            frame = b"{\"function\x11\"\x05\"\x10file\x11\"\x05\"\x10line\x11\x01}";
        }
        // SAFETY: an address, or two strings and a number.
        unsafe {
            self.write(b"\"stack\x11[", values.as_ptr());
            self.write(frame, values.as_ptr());
        }
        self.character(b']');
    }

    /// `,"pid":0,"time":"…"`
    fn time(&self) {
        let milliseconds = self.now as usize;
        let seconds = milliseconds / 1000;
        let (minutes, days) = (seconds / 60, seconds / 86400);
        // 2^32 milliseconds end on 19 February.
        let values = [
            1 + days / 31,
            1 + days % 31,
            minutes / 60 % 24,
            minutes % 60,
            seconds % 60,
            milliseconds % 1000,
        ];
        // SAFETY: six numbers.
        unsafe {
            self.write(
                b"\x10pid\x110\x10time\x11\"1970-\x02-\x02T\x02:\x02:\x02.\x03Z\"",
                values.as_ptr(),
            );
        }
    }
}
