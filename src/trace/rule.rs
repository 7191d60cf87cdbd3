//! What a return address says about its frame: where the caller's frame lies
//! and where `rbp` was saved, boiled down from the CFI row to eight bytes.
//!
//! ```text
//!   63            48 47            32 31                  8 7  6  5..3  2..0
//!   | return address | saved rbp     | CFA offset          |s |ra| fp  | cfa |
//!   | words, signed  | words, signed | words, signed 24 bit|  |  |     |     |
//! ```
//!
//! Invariant: a rule is a function of the return address alone, so that it may
//! be kept as long as the module behind the address stays mapped. Zero is no
//! rule: it marks an empty place in the rule table.
//! (DWARF 5, 6.4: call frame information; System V psABI x86-64, 3.7.)

/// Bytes in a machine word; every offset in a rule counts words.
pub const WORD: usize = 8;

/// Where the caller's stack pointer (the canonical frame address) comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cfa {
    /// CFA = rsp + offset.
    StackPointer(i32),
    /// CFA = rbp + offset.
    FramePointer(i32),
    /// CFA = *(rsp + offset): signal frames.
    LoadedFromStack(i32),
    /// CFA = *(rbp + offset): realigned frames ("dynamic realigned argument pointer").
    LoadedFromFrame(i32),
}

/// Where the caller's `rbp` is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SavedFp {
    /// Still in `rbp`.
    Same,
    /// In memory at CFA + offset.
    AtCfa(i32),
    /// In memory at rsp + offset (signal frames).
    AtStackPointer(i32),
    /// In memory at rbp + offset (realigned frames).
    AtFramePointer(i32),
    /// Nobody kept it.
    Lost,
}

/// Where the caller's return address is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SavedRa {
    /// In memory at CFA + offset; on x86-64 nearly always CFA − 8.
    AtCfa(i32),
    /// In memory at rsp + offset (signal frames).
    AtStackPointer(i32),
}

/// A frame that can be left. Offsets are bytes, multiples of [`WORD`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The caller's stack pointer.
    pub cfa: Cfa,
    /// The caller's frame pointer.
    pub fp: SavedFp,
    /// The caller's return address.
    pub ra: SavedRa,
    /// The kernel made this frame for a signal handler: the return address is
    /// the interrupted instruction itself, not the one after a call.
    pub signal: bool,
}

/// What to do at a return address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The frame can be left this way.
    Leave(Layout),
    /// The outermost frame: the CFI says that there is no caller.
    End,
    /// No CFI, or CFI that asks for registers nobody kept.
    Unknown,
}

/// A [`Step`] in eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Rule(pub u64);

const END: u64 = 5;
const UNKNOWN: u64 = 6;

impl Rule {
    /// No CFI for this address.
    pub const UNKNOWN: Rule = Rule(UNKNOWN);
    /// No caller.
    pub const END: Rule = Rule(END);

    /// Packs a layout; one with offsets too large for the picture is `UNKNOWN`.
    pub fn pack(layout: Layout) -> Rule {
        Rule::try_pack(layout).unwrap_or(Rule::UNKNOWN)
    }

    fn try_pack(layout: Layout) -> Option<Rule> {
        let words = |bytes: i32, bits: u32| -> Option<u64> {
            let value = i64::from(bytes) / WORD as i64;
            let fits = bytes % WORD as i32 == 0 && value >> (bits - 1) == value >> 63;
            fits.then_some(value as u64 & ((1 << bits) - 1))
        };
        let (cfa_kind, cfa) = match layout.cfa {
            Cfa::StackPointer(offset) => (1, offset),
            Cfa::FramePointer(offset) => (2, offset),
            Cfa::LoadedFromStack(offset) => (3, offset),
            Cfa::LoadedFromFrame(offset) => (4, offset),
        };
        let (fp_kind, fp) = match layout.fp {
            SavedFp::Same => (0, 0),
            SavedFp::AtCfa(offset) => (1, offset),
            SavedFp::AtStackPointer(offset) => (2, offset),
            SavedFp::AtFramePointer(offset) => (3, offset),
            SavedFp::Lost => (4, 0),
        };
        let (ra_kind, ra) = match layout.ra {
            SavedRa::AtCfa(offset) => (0, offset),
            SavedRa::AtStackPointer(offset) => (1, offset),
        };
        Some(Rule(
            cfa_kind
                | fp_kind << 3
                | ra_kind << 6
                | u64::from(layout.signal) << 7
                | words(cfa, 24)? << 8
                | words(fp, 16)? << 32
                | words(ra, 16)? << 48,
        ))
    }

    /// Whether this is the rule of nearly every frame: CFA = rsp + offset, the
    /// return address right below it, rbp untouched or saved near it.
    #[inline]
    pub fn is_plain(self) -> bool {
        const KINDS: u64 = 0xffff_0000_0000_00f7;
        const PLAIN: u64 = 0xffff_0000_0000_0001;
        self.0 & KINDS == PLAIN
    }

    /// Of a plain rule: the CFA's offset, and that of the saved rbp, if it was
    /// saved, from the CFA; both in bytes.
    #[inline]
    pub fn plain(self) -> (isize, Option<isize>) {
        let cfa = ((self.0 << 32) as i64 >> 40) as isize * WORD as isize;
        let fp = (self.0 >> 32) as i16 as isize * WORD as isize;
        (cfa, (self.0 & 1 << 3 != 0).then_some(fp))
    }

    /// The step this rule stands for.
    #[inline]
    pub fn unpack(self) -> Step {
        let cfa = (((self.0 >> 8) as u32) << 8) as i32 >> 8;
        let cfa = cfa * WORD as i32;
        let fp = i32::from((self.0 >> 32) as i16) * WORD as i32;
        let ra = i32::from((self.0 >> 48) as i16) * WORD as i32;
        Step::Leave(Layout {
            cfa: match self.0 & 7 {
                1 => Cfa::StackPointer(cfa),
                2 => Cfa::FramePointer(cfa),
                3 => Cfa::LoadedFromStack(cfa),
                4 => Cfa::LoadedFromFrame(cfa),
                END => return Step::End,
                _ => return Step::Unknown,
            },
            fp: match self.0 >> 3 & 7 {
                0 => SavedFp::Same,
                1 => SavedFp::AtCfa(fp),
                2 => SavedFp::AtStackPointer(fp),
                3 => SavedFp::AtFramePointer(fp),
                _ => SavedFp::Lost,
            },
            ra: if self.0 & 1 << 6 == 0 { SavedRa::AtCfa(ra) } else { SavedRa::AtStackPointer(ra) },
            signal: self.0 & 1 << 7 != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_survive_packing() {
        let cfas = [
            Cfa::StackPointer(8),
            Cfa::StackPointer(67_108_856),
            Cfa::FramePointer(16),
            Cfa::LoadedFromStack(160),
            Cfa::LoadedFromFrame(-8),
        ];
        let fps = [
            SavedFp::Same,
            SavedFp::AtCfa(-16),
            SavedFp::AtStackPointer(120),
            SavedFp::AtFramePointer(0),
            SavedFp::Lost,
        ];
        let mut plain = 0;
        for cfa in cfas {
            for fp in fps {
                for ra in [SavedRa::AtCfa(-8), SavedRa::AtStackPointer(168)] {
                    for signal in [false, true] {
                        let layout = Layout { cfa, fp, ra, signal };
                        let rule = Rule::pack(layout);
                        assert_eq!(rule.unpack(), Step::Leave(layout));
                        if rule.is_plain() {
                            let (offset, saved) = rule.plain();
                            assert_eq!(cfa, Cfa::StackPointer(offset as i32));
                            let fp_again =
                                saved.map_or(SavedFp::Same, |at| SavedFp::AtCfa(at as i32));
                            assert_eq!((fp, ra, signal), (fp_again, SavedRa::AtCfa(-8), false));
                            plain += 1;
                        }
                    }
                }
            }
        }
        assert_eq!(plain, 4, "two places of the CFA, rbp untouched or saved");
    }

    #[test]
    fn what_does_not_fit_is_unknown_and_never_the_empty_rule() {
        let layout = Layout {
            cfa: Cfa::StackPointer(8),
            fp: SavedFp::Same,
            ra: SavedRa::AtCfa(-8),
            signal: false,
        };
        let odd = Layout { cfa: Cfa::StackPointer(12), ..layout };
        let huge = Layout { cfa: Cfa::StackPointer(67_108_864), ..layout };
        let far = Layout { fp: SavedFp::AtCfa(-300_000), ..layout };
        for bad in [odd, huge, far] {
            assert_eq!(Rule::pack(bad), Rule::UNKNOWN);
        }
        assert_eq!(Rule::UNKNOWN.unpack(), Step::Unknown);
        assert_eq!(Rule::END.unpack(), Step::End);
        assert_ne!(Rule::UNKNOWN.0, 0);
    }
}
