//! The limit in force: how many bytes the heap may use, and who says so.
//!
//! What a limit leaves for the heap is less than its number, because the
//! program's code, stacks and files count too:
//!
//! ```text
//!   heap_limit_mb     all of it
//!   cgroup            less a sixteenth for what is beside the heap
//!   RLIMIT_AS, _DATA  less what the process has mapped beside the heap
//!   physical memory   all of it
//! ```

use crate::heap;
use crate::platform::linux::cgroup;
use crate::platform::linux::limits::{self, Resource};

/// Where a limit comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum LimitSource {
    /// Nobody sets one; the operating system may still refuse.
    None,
    /// The option, or the function of the same purpose.
    Option,
    /// The control group.
    Cgroup,
    /// `ulimit -v`.
    AddressSpace,
    /// `ulimit -d`.
    Data,
    /// The machine's memory.
    Physical,
}

impl LimitSource {
    /// As reports call it.
    pub const fn name(self) -> &'static str {
        match self {
            LimitSource::None => "the operating system",
            LimitSource::Option => "heap_limit_mb",
            LimitSource::Cgroup => "cgroup memory.max",
            LimitSource::AddressSpace => "RLIMIT_AS",
            LimitSource::Data => "RLIMIT_DATA",
            LimitSource::Physical => "physical memory",
        }
    }

    /// The source with this number (`as u8`).
    pub const fn from_bits(bits: u8) -> LimitSource {
        match bits {
            1 => LimitSource::Option,
            2 => LimitSource::Cgroup,
            3 => LimitSource::AddressSpace,
            4 => LimitSource::Data,
            5 => LimitSource::Physical,
            _ => LimitSource::None,
        }
    }
}

/// A limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Bytes that the heap may use; 0 = no limit.
    pub bytes: usize,
    /// Who says so.
    pub source: LimitSource,
}

/// What the sources say, in bytes; `None` = no limit.
#[derive(Clone, Copy, Default, Debug)]
struct Sources {
    cgroup: Option<usize>,
    address_space: Option<usize>,
    data: Option<usize>,
    physical: Option<usize>,
}

/// The smallest of all limits, as they are at this moment.
pub fn find() -> Limit {
    let address_space = limits::soft_limit(Resource::AddressSpace);
    let data = limits::soft_limit(Resource::Data);
    let (mut beside_space, mut beside_data) = (0, 0);
    if address_space.is_some() || data.is_some() {
        let memory = heap::memory();
        let own = memory.mapped + memory.metadata;
        if let Some((space, writable)) = limits::in_use() {
            beside_space = space.saturating_sub(own);
            beside_data = writable.saturating_sub(own);
        }
    }
    smallest(Sources {
        cgroup: cgroup::memory_limit().map(|bytes| bytes - bytes / 16),
        address_space: address_space.map(|bytes| bytes.saturating_sub(beside_space)),
        data: data.map(|bytes| bytes.saturating_sub(beside_data)),
        physical: Some(limits::physical_memory()).filter(|&bytes| bytes > 0),
    })
}

fn smallest(sources: Sources) -> Limit {
    [
        (sources.cgroup, LimitSource::Cgroup),
        (sources.address_space, LimitSource::AddressSpace),
        (sources.data, LimitSource::Data),
        (sources.physical, LimitSource::Physical),
    ]
    .into_iter()
    .filter_map(|(bytes, source)| bytes.map(|bytes| Limit { bytes: bytes.max(1), source }))
    .min_by_key(|limit| limit.bytes)
    .unwrap_or(Limit { bytes: 0, source: LimitSource::None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_source_is_the_limit() {
        let all = Sources {
            cgroup: Some(400),
            address_space: Some(300),
            data: Some(500),
            physical: Some(1000),
        };
        assert_eq!(smallest(all), Limit { bytes: 300, source: LimitSource::AddressSpace });
        let without = Sources { address_space: None, ..all };
        assert_eq!(smallest(without), Limit { bytes: 400, source: LimitSource::Cgroup });
        assert_eq!(smallest(Sources::default()).bytes, 0);
    }

    #[test]
    fn a_limit_below_what_is_mapped_already_is_a_limit_and_not_none() {
        let spent = Sources { data: Some(0), ..Sources::default() };
        assert_eq!(smallest(spent), Limit { bytes: 1, source: LimitSource::Data });
    }

    #[test]
    fn sources_survive_being_a_number() {
        for bits in 0..6 {
            assert_eq!(LimitSource::from_bits(bits) as u8, bits);
        }
    }

    #[test]
    fn this_machine_has_a_limit() {
        let limit = find();
        assert!(limit.bytes > 0 && limit.source != LimitSource::None);
    }
}
