//! What was done, in one sentence for a person.

use crate::guard::{Violation, ViolationKind};
use crate::heap::Block;
use crate::units::{Family, Text};
use core::fmt::Write;

/// Writes the sentence for `violation`, without a full stop.
pub(super) fn describe(text: &mut Text<'_>, violation: &Violation, block: Option<&Block>) {
    let size = block.map_or(0, |block| block.size);
    let changed = violation.changed;
    let into = violation.address.wrapping_sub(violation.block);
    let _ = match violation.kind {
        ViolationKind::Overflow => {
            let past = into - size;
            write!(
                text,
                "{changed} guard byte(s) changed, the first {past} past the end of the block"
            )
        }
        ViolationKind::Underflow => {
            let before = violation.block - violation.address;
            write!(text, "{changed} guard byte(s) changed, the first {before} before the block")
        }
        ViolationKind::UseAfterFree if changed > 0 && never_handed_out(block) => {
            write!(text, "{changed} byte(s) were written where no block ever was")
        }
        ViolationKind::UseAfterFree if changed > 0 => write!(
            text,
            "{changed} byte(s) of a freed block were written, the first at offset {into}"
        ),
        ViolationKind::UseAfterFree => write!(text, "the block was freed before"),
        ViolationKind::UseOfUninitialised => {
            write!(text, "a fresh block was used before it was written")
        }
        ViolationKind::DoubleFree => write!(text, "the block was freed before"),
        ViolationKind::InteriorFree => {
            let state = match block {
                Some(block) if !block.is_live() => " that was freed before",
                _ => "",
            };
            write!(text, "the pointer is {into} bytes into a block{state}, not its start")
        }
        ViolationKind::WildFree => write!(text, "the pointer was not allocated by malloc or new"),
        ViolationKind::Mismatch => Ok(()),
        ViolationKind::NewDeleteType | ViolationKind::SizeMismatch if violation.given == size => {
            write!(text, "freed with an alignment that the block does not have")
        }
        ViolationKind::NewDeleteType => {
            write!(text, "deleted as an object of {} bytes, but it has {size}", violation.given)
        }
        ViolationKind::SizeMismatch => {
            write!(text, "freed as {} bytes, but it has {size}", violation.given)
        }
    };
}

fn never_handed_out(block: Option<&Block>) -> bool {
    block.is_some_and(|block| !block.is_live() && block.record.stack().is_unknown())
}

/// Writes which functions do not go together.
pub(super) fn describe_mismatch(text: &mut Text<'_>, made: Family, used: Family) {
    let _ = write!(
        text,
        "allocated by {}, freed by {}: it must be {}",
        made.allocator(),
        used.deallocator(),
        made.deallocator()
    );
}
