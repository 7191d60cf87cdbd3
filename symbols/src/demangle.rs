//! Names as the source spells them.

use alloc::string::String;
use core::fmt::{self, Write};
use cpp_demangle::{DemangleOptions, Symbol};

/// Longer than any name a person would read; template monsters are cut here.
const NAME_MAX: usize = 16 << 10;

/// The source name of a mangled one; `None` if `name` is not mangled.
///
/// C++ (Itanium ABI) comes with parameters, and clones keep their mark, as in
/// `f(int) [clone .cold]`; Rust (legacy and v0) comes without its hash.
pub fn demangle(name: &str) -> Option<String> {
    if !name.starts_with("_Z") && !name.starts_with("_R") {
        return None;
    }
    if name.starts_with("_R") || has_rust_hash(name) {
        let symbol = rustc_demangle::try_demangle(name).ok()?;
        let mut text = Bounded(String::new());
        write!(text, "{symbol:#}").ok()?;
        return Some(text.0);
    }
    let symbol = Symbol::new(name).ok()?;
    let mut text = Bounded(String::new());
    symbol.structured_demangle(&mut text, &DemangleOptions::new()).ok()?;
    Some(text.0)
}

/// Legacy Rust names are C++ names that end in `17h` and 16 hexadecimal digits.
fn has_rust_hash(name: &str) -> bool {
    let Some((_, tail)) = name.rsplit_once("17h") else {
        return false;
    };
    let Some((hash, rest)) = tail.split_at_checked(16) else {
        return false;
    };
    rest.starts_with('E') && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Text that refuses to grow beyond [`NAME_MAX`]: a name of a hundred bytes can
/// be written to demangle to gigabytes.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len().saturating_add(text.len()) > NAME_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}
