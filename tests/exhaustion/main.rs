//! When memory runs out: the report, the handler, the last picture, and
//! failing on purpose, with real programs under real limits. Needs `make`.

#[path = "../common/built.rs"]
mod built;
mod limits;
mod on_purpose;
mod peak_file;
mod programs;
mod support;
