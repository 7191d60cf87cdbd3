//! Checks that are asked for from outside: `heapwarden check PID` on a program
//! that was started without any option for it.

#[path = "../common/built.rs"]
mod built;
mod check_pid;
mod server;
