//! The depot and the module table, as readers outside the process find them.

use super::{depot, module};
use crate::outside::{Address, TracePart};

/// See [`TracePart`].
pub const OUTSIDE: TracePart<Address> = {
    let [nodes, next_node, dropped] = depot::OUTSIDE;
    let [segment_count, segment_nodes, node_bytes, first_node] = depot::OUTSIDE_SIZES;
    let [modules, last_module] = module::OUTSIDE;
    TracePart {
        nodes,
        segment_count,
        segment_nodes,
        node_bytes,
        next_node,
        first_node,
        dropped,
        modules,
        segment_modules: module::OUTSIDE_SEGMENT,
        last_module,
        module: module::OUTSIDE_FIELDS,
    }
};
