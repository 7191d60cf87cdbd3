//! Stacks that lie in a heap block: where such a block ends.

use super::tiles::{granule, group_count, record};
use crate::memory::{Kind, Window};

/// The end of the heap block (as asked for) that holds `address`: for stacks
/// that lie in the heap.
pub fn block_end(address: usize) -> Option<usize> {
    let offset = address.wrapping_sub(Window::base());
    if offset >= Window::extent() {
        return None;
    }
    let here = granule((offset >> 16) as u32);
    if here.head > (offset >> 16) as u32 {
        return None;
    }
    let head = granule(here.head);
    match here.kind {
        Kind::Slab if group_count(head, here.head) > 0 => {
            let slot = address.checked_sub(head.first)? / head.slot as usize;
            (slot < head.slots as usize).then(|| {
                let end = head.first + (slot + 1) * head.slot as usize;
                end - record(head, slot as u32).slack()
            })
        }
        Kind::Span | Kind::Inside => (head.kind == Kind::Span && group_count(head, here.head) > 0)
            .then_some(head.first + head.size),
        _ => None,
    }
}
