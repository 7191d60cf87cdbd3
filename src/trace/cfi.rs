//! From a return address to its [`Rule`]: finds the function's CFI in a
//! module's `.eh_frame` and runs the row program for three registers only
//! (the canonical frame address, rbp, the return address).
//!
//! Invariant: reads nothing but the two byte ranges it is handed, never
//! panics, takes time bounded by the program's length, and calls what it does
//! not understand [`Rule::UNKNOWN`]. Any bytes are good enough as input.
//! (DWARF 5, 6.4; LSB core, 10.6 "Exception Frames" for the header table.)

use super::expression::{self, Base, Bytes, Symbol};
use super::rule::{Cfa, Layout, Rule, SavedFp, SavedRa};
use gimli::{
    BaseAddresses, CallFrameInstruction, CallFrameInstructionIter, EhFrame, EndianSlice,
    LittleEndian, Register, UnwindExpression, UnwindSection, X86_64,
};

/// A module's unwind information as it lies in memory.
#[derive(Clone, Copy, Debug)]
pub struct UnwindSections<'a> {
    /// `.eh_frame_hdr` (`PT_GNU_EH_FRAME`): the sorted table of functions.
    pub header: &'a [u8],
    /// Where the header was loaded.
    pub header_address: u64,
    /// From the header's address to the end of what may be read after it;
    /// `.eh_frame` lies somewhere in it.
    pub readable: &'a [u8],
    /// Where `readable` was loaded.
    pub readable_address: u64,
}

/// The rule for frames that return to `return_address` (looked up one byte
/// before it: a call may be its function's last instruction).
pub fn rule_for(sections: &UnwindSections<'_>, return_address: u64) -> Rule {
    find(sections, return_address.wrapping_sub(1)).unwrap_or(Rule::UNKNOWN)
}

/// Rows that DW_CFA_remember_state may stack up; compilers use one.
const REMEMBERED: usize = 8;

#[derive(Clone, Copy)]
enum CfaRow {
    Register(Register, i64),
    Expression(UnwindExpression<usize>),
}

#[derive(Clone, Copy)]
enum Saved {
    Same,
    Undefined,
    At(i64),
    AtExpression(UnwindExpression<usize>),
    Unsupported,
}

#[derive(Clone, Copy)]
struct Row {
    cfa: CfaRow,
    fp: Saved,
    ra: Saved,
}

fn find(sections: &UnwindSections<'_>, pc: u64) -> Option<Rule> {
    let (frames_address, entry) = search(sections, pc)?;
    let skip = usize::try_from(frames_address.checked_sub(sections.readable_address)?).ok()?;
    let frames = EhFrame::new(sections.readable.get(skip..)?, LittleEndian);
    let bases = BaseAddresses::default()
        .set_eh_frame_hdr(sections.header_address)
        .set_eh_frame(frames_address);
    let offset = usize::try_from(entry.checked_sub(frames_address)?).ok()?;
    let entry = frames.fde_from_offset(&bases, offset.into(), EhFrame::cie_from_offset).ok()?;
    let cie = entry.cie();
    let after = entry.initial_address().checked_add(entry.len())?;
    if !(entry.initial_address()..after).contains(&pc)
        || cie.return_address_register() != X86_64::RA
    {
        return None;
    }
    let mut program = Program {
        row: Row { cfa: CfaRow::Register(Register(u16::MAX), 0), fp: Saved::Same, ra: Saved::Same },
        initial: None,
        remembered: [None; REMEMBERED],
        depth: 0,
        location: entry.initial_address(),
        pc,
        code_factor: cie.code_alignment_factor(),
        data_factor: cie.data_alignment_factor(),
    };
    program.run(cie.instructions(&frames, &bases))?;
    program.initial = Some(program.row);
    program.run(entry.instructions(&frames, &bases))?;
    program.row.rule(&frames, cie.encoding(), pc, entry.is_signal_trampoline())
}

/// `.eh_frame_hdr`: version 1, how the three parts are encoded, the address of
/// `.eh_frame`, the number of functions, and for each, in order, the distances
/// from the header to its code and to its entry.
/// All linkers in use write this one encoding (pcrel|sdata4, udata4, datarel|sdata4).
const HEADER: [u8; 4] = [1, 0x1b, 0x03, 0x3b];
const TABLE: usize = 12;
const ROW: usize = 8;

/// The addresses of `.eh_frame` and of the entry of the last function that
/// starts at or before `pc`.
fn search(sections: &UnwindSections<'_>, pc: u64) -> Option<(u64, u64)> {
    let header = sections.header;
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(header.get(at..at.checked_add(4)?)?.try_into().ok()?))
    };
    if header.get(..4)? != HEADER {
        return None;
    }
    let from =
        |address: u64, distance: u32| address.wrapping_add_signed(i64::from(distance as i32));
    let frames_address = from(sections.header_address.wrapping_add(4), word(4)?);
    let rows = header.get(TABLE..)?;
    let rows = &rows[..rows.len().min(ROW.saturating_mul(word(8)? as usize))];
    let (mut low, mut high) = (0, rows.len() / ROW);
    while low < high {
        let middle = low + (high - low) / 2;
        if from(sections.header_address, word(TABLE + middle * ROW)?) <= pc {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let row = TABLE + low.checked_sub(1)? * ROW;
    Some((frames_address, from(sections.header_address, word(row + 4)?)))
}

struct Program {
    row: Row,
    initial: Option<Row>,
    remembered: [Option<Row>; REMEMBERED],
    depth: usize,
    location: u64,
    pc: u64,
    code_factor: u64,
    data_factor: i64,
}

impl Program {
    /// Runs until the row for `pc` is complete.
    fn run(&mut self, mut instructions: CallFrameInstructionIter<'_, Bytes<'_>>) -> Option<()> {
        while let Some(instruction) = instructions.next().ok()? {
            match instruction {
                CallFrameInstruction::SetLoc { address } => self.location = address,
                CallFrameInstruction::AdvanceLoc { delta } => {
                    let bytes = u64::from(delta).wrapping_mul(self.code_factor);
                    self.location = self.location.wrapping_add(bytes);
                }
                other => {
                    self.apply(other)?;
                    continue;
                }
            }
            if self.location > self.pc {
                return Some(());
            }
        }
        Some(())
    }

    fn factored(&self, offset: i64) -> i64 {
        offset.wrapping_mul(self.data_factor)
    }

    fn apply(&mut self, instruction: CallFrameInstruction<usize>) -> Option<()> {
        use CallFrameInstruction as I;
        match instruction {
            I::DefCfa { register, offset } => {
                self.row.cfa = CfaRow::Register(register, offset as i64);
            }
            I::DefCfaSf { register, factored_offset } => {
                self.row.cfa = CfaRow::Register(register, self.factored(factored_offset));
            }
            I::DefCfaRegister { register } => match &mut self.row.cfa {
                CfaRow::Register(old, _) => *old = register,
                CfaRow::Expression(_) => return None,
            },
            I::DefCfaOffset { offset } => self.set_cfa_offset(offset as i64)?,
            I::DefCfaOffsetSf { factored_offset } => {
                self.set_cfa_offset(self.factored(factored_offset))?;
            }
            I::DefCfaExpression { expression } => self.row.cfa = CfaRow::Expression(expression),
            I::Undefined { register } => self.set(register, Saved::Undefined),
            I::SameValue { register } => self.set(register, Saved::Same),
            I::Offset { register, factored_offset } => {
                self.set(register, Saved::At(self.factored(factored_offset as i64)));
            }
            I::OffsetExtendedSf { register, factored_offset } => {
                self.set(register, Saved::At(self.factored(factored_offset)));
            }
            I::Expression { register, expression } => {
                self.set(register, Saved::AtExpression(expression));
            }
            I::ValOffset { register, .. }
            | I::ValOffsetSf { register, .. }
            | I::ValExpression { register, .. } => self.set(register, Saved::Unsupported),
            I::Register { dest_register, .. } => self.set(dest_register, Saved::Unsupported),
            I::Restore { register } => {
                let initial = self.initial?;
                match register {
                    X86_64::RBP => self.row.fp = initial.fp,
                    X86_64::RA => self.row.ra = initial.ra,
                    _ => {}
                }
            }
            I::RememberState => {
                *self.remembered.get_mut(self.depth)? = Some(self.row);
                self.depth += 1;
            }
            I::RestoreState => {
                self.depth = self.depth.checked_sub(1)?;
                self.row = self.remembered[self.depth]?;
            }
            I::ArgsSize { .. } | I::Nop => {}
            _ => return None,
        }
        Some(())
    }

    fn set_cfa_offset(&mut self, value: i64) -> Option<()> {
        match &mut self.row.cfa {
            CfaRow::Register(_, offset) => *offset = value,
            CfaRow::Expression(_) => return None,
        }
        Some(())
    }

    fn set(&mut self, register: Register, saved: Saved) {
        match register {
            X86_64::RBP => self.row.fp = saved,
            X86_64::RA => self.row.ra = saved,
            _ => {}
        }
    }
}

impl Row {
    fn rule(
        &self,
        frames: &EhFrame<EndianSlice<'_, LittleEndian>>,
        encoding: gimli::Encoding,
        pc: u64,
        signal: bool,
    ) -> Option<Rule> {
        let small = |offset: i64| i32::try_from(offset).ok();
        let work_out = |expression: UnwindExpression<usize>, start| {
            let expression = expression.get(frames).ok()?;
            expression::evaluate(expression, encoding, pc, start)
        };
        let cfa = match self.cfa {
            CfaRow::Register(X86_64::RSP, offset) => Cfa::StackPointer(small(offset)?),
            CfaRow::Register(X86_64::RBP, offset) => Cfa::FramePointer(small(offset)?),
            CfaRow::Register(..) => return None,
            CfaRow::Expression(expression) => match work_out(expression, None)? {
                Symbol { base: Base::StackPointer, offset } => Cfa::StackPointer(small(offset)?),
                Symbol { base: Base::FramePointer, offset } => Cfa::FramePointer(small(offset)?),
                Symbol { base: Base::LoadedFromStack(at), offset: 0 } => {
                    Cfa::LoadedFromStack(small(at)?)
                }
                Symbol { base: Base::LoadedFromFrame(at), offset: 0 } => {
                    Cfa::LoadedFromFrame(small(at)?)
                }
                _ => return None,
            },
        };
        // A register rule's expression starts with the CFA on the stack; with
        // a CFA that is itself loaded, an expression built on it is no fixed
        // place and comes out as unknown.
        let start = match cfa {
            Cfa::StackPointer(offset) => {
                Symbol { base: Base::StackPointer, offset: i64::from(offset) }
            }
            Cfa::FramePointer(offset) => {
                Symbol { base: Base::FramePointer, offset: i64::from(offset) }
            }
            Cfa::LoadedFromStack(at) => {
                Symbol { base: Base::LoadedFromStack(i64::from(at)), offset: 0 }
            }
            Cfa::LoadedFromFrame(at) => {
                Symbol { base: Base::LoadedFromFrame(i64::from(at)), offset: 0 }
            }
        };
        let fp = match self.fp {
            Saved::Same => SavedFp::Same,
            Saved::At(offset) => SavedFp::AtCfa(small(offset)?),
            Saved::Undefined | Saved::Unsupported => SavedFp::Lost,
            Saved::AtExpression(expression) => match work_out(expression, Some(start)) {
                Some(Symbol { base: Base::StackPointer, offset }) => {
                    SavedFp::AtStackPointer(small(offset)?)
                }
                Some(Symbol { base: Base::FramePointer, offset }) => {
                    SavedFp::AtFramePointer(small(offset)?)
                }
                _ => SavedFp::Lost,
            },
        };
        let ra = match self.ra {
            Saved::Undefined => return Some(Rule::END),
            Saved::At(offset) => SavedRa::AtCfa(small(offset)?),
            Saved::AtExpression(expression) => match work_out(expression, Some(start))? {
                Symbol { base: Base::StackPointer, offset } => {
                    SavedRa::AtStackPointer(small(offset)?)
                }
                _ => return None,
            },
            Saved::Same | Saved::Unsupported => return None,
        };
        Some(Rule::pack(Layout { cfa, fp, ra, signal }))
    }
}

#[cfg(test)]
#[path = "cfi_tests.rs"]
mod tests;
