//! Text built in a buffer that the caller owns: `core::fmt` without a heap.
//!
//! Invariant: a [`Text`] never grows and never fails; what does not fit is
//! cut at a character boundary and [`Text::truncated`] says so.

use core::fmt;

/// A fixed buffer that text is written into.
pub struct Text<'a> {
    buffer: &'a mut [u8],
    length: usize,
    truncated: bool,
}

impl<'a> Text<'a> {
    /// An empty text over `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Text { buffer, length: 0, truncated: false }
    }

    /// The bytes written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// The text written so far; bytes that are not UTF-8 end it.
    pub fn as_str(&self) -> &str {
        match core::str::from_utf8(self.as_bytes()) {
            Ok(text) => text,
            Err(error) => {
                core::str::from_utf8(&self.buffer[..error.valid_up_to()]).unwrap_or_default()
            }
        }
    }

    /// Whether something did not fit.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        self.length = 0;
        self.truncated = false;
    }

    /// Appends raw bytes, as many as fit.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        let room = self.buffer.len() - self.length;
        let taken = bytes.len().min(room);
        self.buffer[self.length..self.length + taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
        self.truncated |= taken < bytes.len();
    }
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.buffer.len() - self.length;
        let mut taken = text.len().min(room);
        while !text.is_char_boundary(taken) {
            taken -= 1;
        }
        self.push_bytes(&text.as_bytes()[..taken]);
        self.truncated |= taken < text.len();
        Ok(())
    }
}

/// Parses a whole number with an optional suffix k, m or g (powers of 1024,
/// either case), as the sanitizers' options take them.
pub fn parse_size(text: &[u8]) -> Option<u64> {
    let (digits, shift) = match text.split_last()? {
        (b'k' | b'K', rest) => (rest, 10),
        (b'm' | b'M', rest) => (rest, 20),
        (b'g' | b'G', rest) => (rest, 30),
        _ => (text, 0),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    value.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;

    #[test]
    fn text_is_cut_at_a_character_and_says_so() {
        let mut buffer = [0; 4];
        let mut text = Text::new(&mut buffer);
        write!(text, "abcé").unwrap();
        assert_eq!(text.as_str(), "abc");
        assert!(text.truncated());
    }

    #[test]
    fn sizes_take_suffixes_and_refuse_nonsense() {
        assert_eq!(parse_size(b"64"), Some(64));
        assert_eq!(parse_size(b"2k"), Some(2048));
        assert_eq!(parse_size(b"1G"), Some(1 << 30));
        for bad in
            [&b""[..], b"k", b"-1", b"1.5", b"99999999999999999999", b"18446744073709551615k"]
        {
            assert_eq!(parse_size(bad), None, "{bad:?}");
        }
    }
}
