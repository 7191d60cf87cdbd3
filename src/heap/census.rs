//! The census: every live block, counted while the program runs.

use super::central::CENTRAL;
use super::judge;
use crate::units::StackId;

/// Calls `visit` with the stack and size of every live block.
///
/// No slab or span comes or goes meanwhile (the runs' lock is held), but
/// other threads go on in theirs: a block that is made or freed during the
/// walk may be missed or counted. `visit` must not allocate or lock.
pub fn for_each_live(mut visit: impl FnMut(StackId, usize)) {
    let _runs = CENTRAL.lock();
    judge::for_each_block(|block| {
        if block.is_live() {
            visit(block.record.stack(), block.size);
        }
    });
}
