//! The `heapwarden_` functions for memory pools of the program's own: marks
//! like Valgrind's MALLOCLIKE and FREELIKE.
//!
//! Their declarations stand in cbindgen.toml, because they are shims: a mark's
//! call stack is the caller's.

use super::lifecycle::ensure_started;
use super::shim::shim;
use crate::heap::{self, Request};
use crate::leak::pools;
use crate::trace::Entry;
use crate::units::Family;

shim! {
    "heapwarden_malloc_like"("rdx", "rcx") => malloc_like;
    "heapwarden_free_like"("rsi", "rdx") => free_like;
    "heapwarden_free_like_all"("rdx", "rcx") => free_like_all;
}

unsafe extern "C" fn malloc_like(start: usize, bytes: usize, sp: usize, fp: usize) -> i32 {
    let entry = Entry { sp, fp };
    if start == 0 || bytes == 0 || start.checked_add(bytes).is_none() {
        return -1;
    }
    ensure_started();
    let size = pools::TICKET_BYTES;
    let request = Request { size, alignment: 16, family: Family::Malloc, zeroed: false };
    let ticket = heap::allocate_general(&request, entry) as usize;
    if ticket == 0 {
        return -1;
    }
    match pools::add(start, bytes, ticket) {
        Ok(older) => {
            older.inspect(|&older| heap::free_general(older, Family::Malloc, entry));
            0
        }
        Err(_) => {
            heap::free_general(ticket, Family::Malloc, entry);
            -1
        }
    }
}

unsafe extern "C" fn free_like(start: usize, sp: usize, fp: usize) -> i32 {
    match pools::remove(start) {
        Some(ticket) => {
            heap::free_general(ticket, Family::Malloc, Entry { sp, fp });
            0
        }
        None => -1,
    }
}

unsafe extern "C" fn free_like_all(start: usize, bytes: usize, sp: usize, fp: usize) -> usize {
    pools::remove_within(start, bytes, |ticket| {
        heap::free_general(ticket, Family::Malloc, Entry { sp, fp });
    })
}
