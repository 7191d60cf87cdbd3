//! Lost blocks: who among them holds whom. A lost block that no other leads to
//! is *definite*; what it leads to is *indirect*. Of a cycle one is definite
//! (as in the library's `src/leak/lost.rs`).

use super::mark::{Mark, Marker};
use crate::ledger::memory::words_of;

/// No block.
pub const NONE: u32 = u32::MAX;

/// A lost block.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// Its number among all blocks.
    pub number: u32,
    /// The lost block that holds it, by place in the list; [`NONE`] for a leader.
    pub parent: u32,
    /// Blocks and bytes that a leader leads to, itself not counted.
    pub held: (u64, u64),
}

/// Lists the lost blocks and finds the leaders.
pub fn find(marker: &Marker<'_>) -> Vec<Lost> {
    let is_lost = |number: &u32| marker.marks[*number as usize] == Mark::Lost;
    let numbers: Vec<u32> = (0..marker.marks.len() as u32).filter(is_lost).collect();
    let (first, edges) = edges_of(marker, &numbers);
    let children = |index: u32| &edges[first[index as usize]..first[index as usize + 1]];
    let order = leave_order(numbers.len(), &children);
    let mut lost: Vec<Lost> =
        numbers.iter().map(|&number| Lost { number, parent: NONE, held: (0, 0) }).collect();
    let mut is_visited = vec![false; numbers.len()];
    for &leader in order.iter().rev() {
        if std::mem::replace(&mut is_visited[leader as usize], true) {
            continue;
        }
        let mut queue = std::collections::VecDeque::from([leader]);
        while let Some(here) = queue.pop_front() {
            for &child in children(here) {
                if std::mem::replace(&mut is_visited[child as usize], true) {
                    continue;
                }
                lost[child as usize].parent = here;
                let number = lost[child as usize].number;
                let held = &mut lost[leader as usize].held;
                held.0 += 1;
                held.1 += marker.heap.block(marker.numbers.place(number)).size;
                queue.push_back(child);
            }
        }
    }
    lost
}

/// For each lost block the lost blocks that it points to or into: where its
/// edges begin, and all edges.
fn edges_of(marker: &Marker<'_>, numbers: &[u32]) -> (Vec<usize>, Vec<u32>) {
    let (mut first, mut edges) = (vec![0], Vec::new());
    for &number in numbers {
        let block = marker.heap.block(marker.numbers.place(number));
        marker.image.parts(block.start, block.start + block.size, |_, bytes| {
            for word in words_of(bytes) {
                let found = marker.heap.locate(word);
                let Some(child) = found.filter(|child| word - child.start <= child.size) else {
                    continue;
                };
                let child = marker.numbers.number(child.place);
                if child != number
                    && let Ok(index) = numbers.binary_search(&child)
                {
                    edges.push(index as u32);
                }
            }
        });
        first.push(edges.len());
    }
    (first, edges)
}

/// The blocks in the order in which a walk, depth first, leaves them.
fn leave_order<'e>(count: usize, children: &impl Fn(u32) -> &'e [u32]) -> Vec<u32> {
    let mut order = Vec::with_capacity(count);
    let mut is_visited = vec![false; count];
    let mut way: Vec<(u32, usize)> = Vec::new();
    for start in 0..count as u32 {
        if std::mem::replace(&mut is_visited[start as usize], true) {
            continue;
        }
        way.push((start, 0));
        while let Some((here, next)) = way.last_mut() {
            match children(*here).get(*next) {
                Some(&child) => {
                    *next += 1;
                    if !std::mem::replace(&mut is_visited[child as usize], true) {
                        way.push((child, 0));
                    }
                }
                None => {
                    order.push(*here);
                    way.pop();
                }
            }
        }
    }
    order
}
