//! Config: what the user asks for, as one plain struct.
//!
//! ```text
//! built-in < heapwarden_default_options() < include=FILE < HEAPWARDEN_OPTIONS
//! ```
//!
//! Invariant: an option that text gets wrong keeps its value and costs one
//! warning line; nothing here is ever fatal.
//!
//! ```ignore
//! let mut options = Options::DEFAULT;
//! let mut buffer = [0; 8192];
//! let environment = config::from_kernel(b"HEAPWARDEN_OPTIONS", &mut buffer).unwrap_or(b"");
//! let sources = Sources { program, environment, secure: auxv::is_secure() };
//! config::load(&mut options, sources, &mut |warning| reporter.notice(format_args!("{warning}")));
//! ```

mod environment;
mod options;
mod parse;
mod table;
#[cfg(test)]
mod tests;

pub use environment::{from_kernel, from_vector};
pub use options::{FixedText, Format, NAME_MAX, Options, PATH_MAX, Poison};
pub use parse::{Sources, Warning, apply, load, write_help};
pub use table::{Kind, Row, TABLE, nearest};
