//! Addresses to functions, files and lines.
#![no_std]
