//! Looking at a process from outside: `top`, `metrics`, `check` of a process
//! and of cores, and gdb. Needs `make library` first.

#[path = "../../../tests/common/built.rs"]
mod built;
mod cores;
mod debugger;
mod hostile;
mod live;
mod subject;
mod terminal;

#[path = "../common/mod.rs"]
mod common;
