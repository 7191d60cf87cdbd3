//! Values as a person reads them: amounts, ages, shares, foreign text.

use core::fmt::{self, Write};

/// Bytes from outside, without what could drive a terminal.
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() {
                    write!(out, "{}", character.escape_default())?;
                } else {
                    out.write_char(character)?;
                }
            }
            if !chunk.invalid().is_empty() {
                out.write_char('\u{fffd}')?;
            }
        }
        Ok(())
    }
}

/// `14 bytes`, `2.5 KiB`.
pub struct Amount(pub u64);

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        let (unit, shift) = match bytes {
            1 => return out.write_str("1 byte"),
            0..1024 => return write!(out, "{bytes} bytes"),
            1024..0x10_0000 => ("KiB", 10),
            0x10_0000..0x4000_0000 => ("MiB", 20),
            _ => ("GiB", 30),
        };
        let tenths = (u128::from(bytes) * 10) >> shift;
        write!(out, "{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// `12 ms`, `1.5 s`, `3 min`, `2.0 h`.
pub struct Age(pub u64);

impl fmt::Display for Age {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms @ 0..1000 => write!(out, "{ms} ms"),
            ms @ 1000..60_000 => write!(out, "{}.{} s", ms / 1000, ms / 100 % 10),
            ms @ 60_000..3_600_000 => write!(out, "{} min", ms / 60_000),
            ms => write!(out, "{}.{} h", ms / 3_600_000, ms / 360_000 % 10),
        }
    }
}

/// Thousandths as `95.3 %`.
pub struct Share(pub u16);

impl fmt::Display for Share {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{} %", self.0 / 10, self.0 % 10)
    }
}

/// A number with its thousands apart: `4,000`.
pub struct Grouped(pub u64);

impl fmt::Display for Grouped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            number @ 0..1000 => write!(out, "{number}"),
            number => write!(out, "{},{:03}", Grouped(number / 1000), number % 1000),
        }
    }
}
