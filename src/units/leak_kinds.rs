//! What became of blocks that nobody released, and sets of such kinds.

use core::fmt;

/// What became of a block that nobody released (Valgrind's words, and one
/// more).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum LeakKind {
    /// No pointer to it is left: a lost address.
    Definite,
    /// Only lost blocks point to it.
    Indirect,
    /// Only pointers into its middle are left.
    Possible,
    /// A pointer to it is left.
    Reachable,
    /// Reachable, but the evidence says that nobody needs it any more.
    Hidden,
}

impl LeakKind {
    /// All kinds, in the order of reports.
    pub const ALL: [LeakKind; 5] = [
        LeakKind::Definite,
        LeakKind::Indirect,
        LeakKind::Possible,
        LeakKind::Reachable,
        LeakKind::Hidden,
    ];

    /// The kind's name in options and records.
    pub const fn name(self) -> &'static str {
        match self {
            LeakKind::Definite => "definite",
            LeakKind::Indirect => "indirect",
            LeakKind::Possible => "possible",
            LeakKind::Reachable => "reachable",
            LeakKind::Hidden => "hidden",
        }
    }
}

impl fmt::Display for LeakKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// A set of leak kinds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeakKinds(u8);

impl LeakKinds {
    /// No kind.
    pub const NONE: LeakKinds = LeakKinds(0);
    /// All kinds.
    pub const ALL: LeakKinds = LeakKinds(0b11111);
    /// What is shown and counted unless options say otherwise.
    pub const USUAL: LeakKinds =
        LeakKinds::NONE.with(LeakKind::Definite).with(LeakKind::Indirect).with(LeakKind::Possible);

    /// This set and `kind`.
    #[must_use]
    pub const fn with(self, kind: LeakKind) -> LeakKinds {
        LeakKinds(self.0 | 1 << kind as u8)
    }

    /// Whether `kind` is in the set.
    pub const fn contains(self, kind: LeakKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

impl fmt::Display for LeakKinds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for kind in LeakKind::ALL {
            if self.contains(kind) {
                write!(out, "{comma}{kind}")?;
                comma = ",";
            }
        }
        if comma.is_empty() { out.write_str("none") } else { Ok(()) }
    }
}
