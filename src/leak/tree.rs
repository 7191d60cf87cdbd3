//! Tree: what the definite blocks of a site hold, summed by call stack.
//!
//! ```text
//!   person 3 × 32 B, holds 9 blocks, 216 B       root: the leaders of one site
//!   ├─ name     6 × 24 B                         what they lead to, by stack
//!   └─ address  3 × 24 B                         and so on downwards
//! ```
//!
//! A block from the same stack as one of its ancestors is counted there (a
//! list is one line), so the tree is as deep as the data's types, not as the
//! data. Nodes name each other by number + 1; 0 is none.
//!
//! Invariant: the sums of a root's subtree are what its group's `holds` says,
//! as long as all of its blocks are told (no mark, no earlier check).

use super::scratch::{Scratch, Zeroed};
use super::sites::Count;
use crate::units::StackId;

/// Most levels below a root.
const LEVELS: usize = 16;

/// Bytes of scratch that [`Trees::new`] needs for `nodes` nodes.
pub const fn bytes_needed(nodes: usize) -> usize {
    nodes * (size_of::<Node>() + 2 * 4) + 512
}

/// Blocks of one site under one parent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Node {
    /// Where they were allocated.
    pub stack: StackId,
    /// How many, and their bytes; a root's leaders are not counted.
    pub count: Count,
    /// The same of all nodes below.
    pub below: Count,
    parent: u32,
    first_child: u32,
    next: u32,
    level: u32,
}

// SAFETY: integers.
unsafe impl Zeroed for Node {}

/// All trees of a check.
pub struct Trees<'s> {
    nodes: &'s mut [Node],
    /// Numbers of nodes by parent and stack, open addressing.
    index: &'s mut [u32],
    /// How many nodes there are, in the first word.
    used: &'s mut [u32],
}

/// The node above all roots.
const ALL: u32 = 1;

impl<'s> Trees<'s> {
    /// No tree yet, and room for `nodes` nodes, a power of two; what finds none
    /// is counted in its parent. Without room it stays so.
    pub fn new(scratch: &'s Scratch, nodes: usize) -> Trees<'s> {
        let mut this = Trees {
            nodes: scratch.take(nodes),
            index: scratch.take(2 * nodes),
            used: scratch.take(1),
        };
        this.push(Node::default());
        this
    }

    /// The root for leaders from `stack`; 0 without room.
    pub fn root(&mut self, stack: StackId) -> u32 {
        self.child(ALL, stack)
    }

    /// Counts a block of `bytes` bytes from `stack` that a block of the node
    /// `parent` holds; the node that it belongs to now.
    pub fn add(&mut self, parent: u32, stack: StackId, bytes: u64) -> u32 {
        if parent == 0 {
            return 0;
        }
        let mut at = self.ancestor(parent, stack);
        if at == 0 {
            at = self.child(parent, stack);
        }
        if at == 0 {
            at = parent;
        }
        self.nodes[at as usize - 1].count.add(1, bytes);
        let mut above = self.nodes[at as usize - 1].parent;
        while above > ALL {
            let node = &mut self.nodes[above as usize - 1];
            node.below.add(1, bytes);
            above = node.parent;
        }
        at
    }

    /// `at` or the node above it that has this stack; 0 if none has.
    fn ancestor(&self, mut at: u32, stack: StackId) -> u32 {
        while at > ALL && self.nodes[at as usize - 1].stack != stack {
            at = self.nodes[at as usize - 1].parent;
        }
        if at > ALL { at } else { 0 }
    }

    /// The child of `parent` with this stack, made if there is room.
    fn child(&mut self, parent: u32, stack: StackId) -> u32 {
        let Some(place) = self.place(parent, stack) else { return 0 };
        if self.index[place] != 0 {
            return self.index[place];
        }
        let Node { first_child: next, level, .. } = self.nodes[parent as usize - 1];
        if level as usize > LEVELS {
            return 0;
        }
        let new = self.push(Node { stack, parent, next, level: level + 1, ..Node::default() });
        if new != 0 {
            self.nodes[parent as usize - 1].first_child = new;
            self.index[place] = new;
        }
        new
    }

    /// The place in the index of that child, or where it would be.
    fn place(&self, parent: u32, stack: StackId) -> Option<usize> {
        let mask = self.index.len().checked_sub(1)?;
        let key = u64::from(parent) << 32 | u64::from(stack.0);
        let first = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize;
        // At most half full.
        (first..=first + mask).map(|place| place & mask).find(|&place| {
            let number = self.index[place] as usize;
            let is_it = |node: &Node| node.parent == parent && node.stack == stack;
            number == 0 || is_it(&self.nodes[number - 1])
        })
    }

    fn push(&mut self, node: Node) -> u32 {
        let Some(used) = self.used.first_mut() else { return 0 };
        let Some(slot) = self.nodes.get_mut(*used as usize) else { return 0 };
        *slot = node;
        *used += 1;
        *used
    }

    /// Calls `visit` with the nodes of the tree of leaders from `stack`, the
    /// root first, children behind their parent, the heaviest first; with each
    /// comes its level, 0 for the root.
    pub fn walk(&self, stack: StackId, mut visit: impl FnMut(usize, &Node)) {
        let mut path = [0; LEVELS + 2];
        path[0] = self.place(ALL, stack).map_or(0, |place| self.index[place]);
        if path[0] == 0 {
            return;
        }
        visit(0, &self.nodes[path[0] as usize - 1]);
        let (mut level, mut last) = (0, None);
        loop {
            let next = self.heaviest_child(path[level], last);
            if next == 0 {
                last = Some(path[level]);
                if level == 0 {
                    return;
                }
                level -= 1;
                continue;
            }
            level += 1;
            path[level] = next;
            last = None;
            visit(level, &self.nodes[next as usize - 1]);
        }
    }

    /// The heaviest of `parent`'s children, or of those that come behind
    /// `after` in that order; 0 if there is none.
    fn heaviest_child(&self, parent: u32, after: Option<u32>) -> u32 {
        let rank = |number: u32| {
            let node = &self.nodes[number as usize - 1];
            (node.count.bytes + node.below.bytes, number)
        };
        let limit = after.map(rank);
        let mut best = 0;
        let mut at = self.nodes[parent as usize - 1].first_child;
        while at != 0 {
            let is_left = limit.is_none_or(|limit| rank(at) < limit);
            if is_left && (best == 0 || rank(at) > rank(best)) {
                best = at;
            }
            at = self.nodes[at as usize - 1].next;
        }
        best
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::{vec, vec::Vec};

    const NODES: usize = 8192;
    const PERSON: StackId = StackId(1);
    const NAME: StackId = StackId(2);
    const ADDRESS: StackId = StackId(3);

    fn drawn(trees: &Trees<'_>, root: StackId) -> Vec<(usize, u32, u64, u64, u64)> {
        let mut lines = vec![];
        trees.walk(root, |level, node| {
            let Node { stack, count, below, .. } = node;
            lines.push((level, stack.0, count.blocks, count.bytes, below.bytes));
        });
        lines
    }

    #[test]
    fn blocks_are_summed_by_stack_under_their_parents() {
        let scratch = Scratch::new(bytes_needed(NODES)).unwrap();
        let mut trees = Trees::new(&scratch, NODES);
        for _ in 0..3 {
            let person = trees.root(PERSON);
            trees.add(person, NAME, 10);
            let address = trees.add(person, ADDRESS, 100);
            trees.add(address, NAME, 7);
        }
        let expected = [(0, 1, 0, 0, 351), (1, 3, 3, 300, 21), (2, 2, 3, 21, 0), (1, 2, 3, 30, 0)];
        assert_eq!(drawn(&trees, PERSON), expected);
        assert_eq!(drawn(&trees, NAME), []);
    }

    #[test]
    fn a_list_is_one_line_and_a_cycle_of_types_ends() {
        let scratch = Scratch::new(bytes_needed(NODES)).unwrap();
        let mut trees = Trees::new(&scratch, NODES);
        let mut at = trees.root(PERSON);
        for _ in 0..1000 {
            at = trees.add(at, NAME, 8);
        }
        for _ in 0..1000 {
            let owner = trees.add(at, PERSON, 16);
            at = trees.add(owner, NAME, 8);
        }
        assert_eq!(drawn(&trees, PERSON), [(0, 1, 1000, 16000, 16000), (1, 2, 2000, 16000, 0)]);
    }

    #[test]
    fn what_finds_no_node_is_counted_above() {
        let scratch = Scratch::new(bytes_needed(NODES)).unwrap();
        let mut trees = Trees::new(&scratch, NODES);
        let mut at = trees.root(PERSON);
        let mut deepest = 0;
        for number in 0..100 {
            at = trees.add(at, StackId(100 + number), 1);
        }
        let mut sum = 0;
        trees.walk(PERSON, |level, node| {
            deepest = level;
            sum += node.count.bytes;
        });
        assert_eq!((deepest, sum), (LEVELS, 100));
        let root = trees.root(NAME);
        (0..2 * NODES as u32).for_each(|number| _ = trees.add(root, StackId(1000 + number), 1));
        let mut sum = 0;
        trees.walk(NAME, |_, node| sum += node.count.bytes);
        assert_eq!(sum, 2 * NODES as u64);
        let nowhere = Scratch::new(64).unwrap();
        let mut none = Trees::new(&nowhere, NODES);
        let root = none.root(PERSON);
        assert_eq!((none.add(root, NAME, 8), drawn(&none, PERSON)), (0, vec![]));
    }
}
