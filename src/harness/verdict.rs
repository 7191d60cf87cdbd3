//! Verdicts: what a checking allocator must say of a crime, and what it said.

use core::fmt;

/// The kinds of crime, by AddressSanitizer's names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Crime {
    /// Bytes behind a block were changed.
    Overflow,
    /// Bytes before a block were changed.
    Underflow,
    /// A freed block was changed or resized.
    UseAfterFree,
    /// A freed block was freed.
    DoubleFree,
    /// An address was freed that is not the start of a block.
    BadFree,
    /// The function that freed does not fit the one that allocated.
    Mismatch,
    /// A sized delete with another size.
    NewDeleteType,
    /// free_sized with another size.
    SizeMismatch,
}

impl Crime {
    /// Each with the `kind` of its JSON record.
    const NAMES: [(Crime, &str); 8] = [
        (Crime::Overflow, "heap-buffer-overflow"),
        (Crime::Underflow, "heap-buffer-underflow"),
        (Crime::UseAfterFree, "heap-use-after-free"),
        (Crime::DoubleFree, "double-free"),
        (Crime::BadFree, "bad-free"),
        (Crime::Mismatch, "alloc-dealloc-mismatch"),
        (Crime::NewDeleteType, "new-delete-type-mismatch"),
        (Crime::SizeMismatch, "size-mismatch"),
    ];

    /// The `kind` of its JSON record.
    pub fn name(self) -> &'static str {
        Crime::NAMES[self as usize].1
    }

    /// The crime with that name.
    pub fn named(name: &str) -> Option<Crime> {
        Crime::NAMES.iter().find(|(_, known)| *known == name).map(|(crime, _)| *crime)
    }
}

/// What must be said of the block that a crime touches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The model's number of the block.
    pub id: usize,
    /// Bytes asked for.
    pub size: usize,
    /// From its start to the crime's address.
    pub offset: i64,
    /// Where it was allocated (or last resized).
    pub allocated: u8,
    /// Where it was freed.
    pub freed: Option<u8>,
}

/// One verdict that must come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Counts the verdicts of a program.
    pub number: usize,
    /// What was done.
    pub crime: Crime,
    /// The block, if one is concerned.
    pub block: Option<Facts>,
    /// Where it was done; `None` when whoever finds it is named.
    pub site: Option<u8>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.crime.name())?;
        if let Some(site) = self.site {
            write!(out, " at site_{site}")?;
        }
        if let Some(block) = self.block {
            let Facts { size, offset, allocated, .. } = block;
            write!(out, ", offset {offset} of {size} bytes allocated at site_{allocated}")?;
        }
        match self.block.and_then(|block| block.freed) {
            Some(freed) => write!(out, ", freed at site_{freed}"),
            None => Ok(()),
        }
    }
}

/// A verdict as it was seen. `None` where the machine cannot tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// What was done.
    pub crime: Crime,
    /// The block, if one was named.
    pub block: Option<SeenBlock>,
    /// Who did it or found it.
    pub site: Option<u8>,
}

/// The block of a [`Seen`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SeenBlock {
    /// Its address; 0: not told.
    pub address: usize,
    /// Bytes asked for.
    pub size: Option<usize>,
    /// From its start to the crime's address.
    pub offset: Option<i64>,
    /// Where it was allocated.
    pub allocated: Option<u8>,
    /// Where it was freed.
    pub freed: Option<u8>,
}

impl Seen {
    /// Whether it says what `wanted` demands; `address` is the block's.
    pub fn answers(&self, wanted: &Verdict, address: Option<usize>) -> bool {
        fn agrees<T: PartialEq>(seen: Option<T>, wanted: Option<T>) -> bool {
            seen.is_none() || wanted.is_none() || seen == wanted
        }
        let block_agrees = match (&self.block, &wanted.block) {
            (None, None) => true,
            (Some(seen), Some(facts)) => {
                (seen.address == 0 || address.is_none_or(|address| address == seen.address))
                    && agrees(seen.size, Some(facts.size))
                    && agrees(seen.offset, Some(facts.offset))
                    && agrees(seen.allocated, Some(facts.allocated))
                    && agrees(seen.freed, facts.freed)
                    && (facts.freed.is_some() || seen.freed.is_none())
            }
            _ => false,
        };
        self.crime == wanted.crime && block_agrees && agrees(self.site, wanted.site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crime_has_its_own_name() {
        for (at, (crime, name)) in Crime::NAMES.into_iter().enumerate() {
            assert_eq!((crime as usize, crime.name()), (at, name));
            assert_eq!(Crime::named(name), Some(crime));
        }
        assert_eq!(Crime::named("no crime"), None);
    }
}
