//! Which address the instruction at a fault meant to use, from its bytes and
//! the registers: as much of the x86-64 encoding as tells memory operands.
//!
//! ```text
//!   prefixes  REX / VEX / EVEX  opcode  ModRM  SIB  displacement  (immediate)
//! ```
//!
//! (Intel SDM vol. 2, chapter 2.) An immediate behind the displacement does not
//! matter, except to rip-relative operands, which name no register.
//!
//! Invariant: what is not understood gives an error; then nobody is accused.

/// The registers of a fault, in the encoding's order: rax rcx rdx rbx rsp rbp
/// rsi rdi r8 … r15.
pub type Registers = [u64; 16];

/// What the instruction does with memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operand {
    /// It reads or writes at `address`, computed from these registers' values.
    Memory {
        /// The effective address.
        address: u64,
        /// Value of the base register, if there is one.
        base: Option<u64>,
        /// Value of the index register, if there is one.
        index: Option<u64>,
        /// Whether it jumps to what it finds there.
        jumps: bool,
    },
    /// It jumps to the value of a register.
    JumpTo(u64),
    /// A string instruction: source and destination.
    String(u64, u64),
    /// It returns to what lies at the stack pointer.
    Return(u64),
}

const RSP: usize = 4;
const RSI: usize = 6;
const RDI: usize = 7;

/// Why an instruction gave no operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unclear {
    /// It goes on behind the bytes that were given.
    CutOff,
    /// It uses no memory by a register, or is none that is known here.
    NoOperand,
}

/// Reads the instruction in `code`.
pub fn operand(code: &[u8], registers: &Registers) -> Result<Operand, Unclear> {
    let mut bytes = Bytes { code, at: 0 };
    let mut byte = bytes.next()?;
    while matches!(byte, 0x66 | 0x67 | 0xf0 | 0xf2 | 0xf3 | 0x2e | 0x36 | 0x3e | 0x26) {
        byte = bytes.next()?;
    }
    // fs and gs add a base that is not in the registers.
    if matches!(byte, 0x64 | 0x65) {
        return Err(Unclear::NoOperand);
    }
    let (mut extend_index, mut extend_base) = (false, false);
    let mut has_modrm = true;
    let mut opcode = byte;
    match byte {
        0xc5 => {
            bytes.next()?;
            bytes.next()?;
            opcode = 0x0f;
        }
        0xc4 => {
            let first = bytes.next()?;
            (extend_index, extend_base) = (first & 0x40 == 0, first & 0x20 == 0);
            bytes.next()?;
            bytes.next()?;
            opcode = 0x0f;
        }
        0x62 => {
            let first = bytes.next()?;
            (extend_index, extend_base) = (first & 0x40 == 0, first & 0x20 == 0);
            for _ in 0..3 {
                bytes.next()?;
            }
            opcode = 0x0f;
        }
        _ => {
            if byte & 0xf0 == 0x40 {
                (extend_index, extend_base) = (byte & 2 != 0, byte & 1 != 0);
                byte = bytes.next()?;
                opcode = byte;
            }
            if byte == 0x0f {
                let second = bytes.next()?;
                match second {
                    0x38 | 0x3a => {
                        bytes.next()?;
                    }
                    0x05
                    | 0x0b
                    | 0x30..=0x37
                    | 0x77
                    | 0x80..=0x8f
                    | 0xa0..=0xa2
                    | 0xa8..=0xaa
                    | 0xc8..=0xcf => has_modrm = false,
                    _ => {}
                }
            } else {
                has_modrm = one_byte_has_modrm(byte);
            }
        }
    }
    match opcode {
        0xa4..=0xa7 | 0xaa..=0xaf => {
            return Ok(Operand::String(registers[RSI], registers[RDI]));
        }
        0xc2 | 0xc3 => return Ok(Operand::Return(registers[RSP])),
        _ if !has_modrm => return Err(Unclear::NoOperand),
        _ => {}
    }
    let modrm = bytes.next()?;
    let (mode, middle, low) = (modrm >> 6, modrm >> 3 & 7, (modrm & 7) as usize);
    let jumps = opcode == 0xff && matches!(middle, 2 | 4);
    let extended = |number: usize, extend: bool| registers[number | usize::from(extend) << 3];
    if mode == 3 {
        return match jumps {
            true => Ok(Operand::JumpTo(extended(low, extend_base))),
            false => Err(Unclear::NoOperand),
        };
    }
    let (mut base, mut index, mut scale) = (None, None, 0);
    if low == 4 {
        let sib = bytes.next()?;
        let (index_number, base_number) = ((sib >> 3 & 7) as usize, (sib & 7) as usize);
        scale = sib >> 6;
        if index_number != 4 || extend_index {
            index = Some(extended(index_number, extend_index));
        }
        if base_number != 5 || mode != 0 {
            base = Some(extended(base_number, extend_base));
        }
    } else if low == 5 && mode == 0 {
        return Err(Unclear::NoOperand);
    } else {
        base = Some(extended(low, extend_base));
    }
    let displacement = match mode {
        1 => bytes.next()? as i8 as i64,
        2 => bytes.word()?,
        _ if base.is_none() => bytes.word()?,
        _ => 0,
    };
    let address = base
        .unwrap_or(0)
        .wrapping_add(index.unwrap_or(0) << scale)
        .wrapping_add(displacement as u64);
    Ok(Operand::Memory { address, base, index, jumps })
}

fn one_byte_has_modrm(opcode: u8) -> bool {
    match opcode {
        0x00..=0x3f => opcode & 7 < 4,
        0x63
        | 0x69
        | 0x6b
        | 0x80..=0x8f
        | 0xc0
        | 0xc1
        | 0xc6
        | 0xc7
        | 0xd0..=0xd3
        | 0xd8..=0xdf
        | 0xf6
        | 0xf7
        | 0xfe
        | 0xff => true,
        _ => false,
    }
}

struct Bytes<'a> {
    code: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    fn next(&mut self) -> Result<u8, Unclear> {
        let byte = self.code.get(self.at).copied();
        self.at += 1;
        byte.ok_or(Unclear::CutOff)
    }

    /// Four bytes, sign-extended.
    fn word(&mut self) -> Result<i64, Unclear> {
        let bytes = self.code.get(self.at..self.at + 4).ok_or(Unclear::CutOff)?;
        self.at += 4;
        Ok(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Register number n holds n * 0x1000 + 1.
    fn registers() -> Registers {
        core::array::from_fn(|number| number as u64 * 0x1000 + 1)
    }

    fn memory(code: &[u8]) -> (u64, Option<u64>, Option<u64>) {
        match operand(code, &registers()) {
            Ok(Operand::Memory { address, base, index, .. }) => (address, base, index),
            other => panic!("{other:?}"),
        }
    }

    // Encodings are what GNU as 2.40 makes of the text beside them.
    #[test]
    fn memory_operands_name_their_registers() {
        assert_eq!(memory(&[0x48, 0x8b, 0x00]), (1, Some(1), None)); // mov rax, [rax]
        assert_eq!(memory(&[0x48, 0x8b, 0x47, 0x18]), (0x7019, Some(0x7001), None)); // mov rax, [rdi+24]
        assert_eq!(memory(&[0x49, 0x8b, 0x45, 0xf8]), (0xcff9, Some(0xd001), None)); // mov rax, [r13-8]
        assert_eq!(memory(&[0x8b, 0x04, 0x8b]), (0x7005, Some(0x3001), Some(0x1001))); // mov eax, [rbx+rcx*4]
        assert_eq!(memory(&[0x43, 0x8b, 0x04, 0x8c]), (0x30005, Some(0xc001), Some(0x9001))); // mov eax, [r12+r9*4]
        assert_eq!(memory(&[0xc6, 0x06, 0x01]), (0x6001, Some(0x6001), None)); // mov byte [rsi], 1
        assert_eq!(memory(&[0x0f, 0xb6, 0x06]), (0x6001, Some(0x6001), None)); // movzx eax, byte [rsi]
        assert_eq!(memory(&[0xf3, 0x0f, 0x6f, 0x06]), (0x6001, Some(0x6001), None)); // movdqu xmm0, [rsi]
        assert_eq!(memory(&[0xc5, 0xfe, 0x6f, 0x06]), (0x6001, Some(0x6001), None)); // vmovdqu ymm0, [rsi]
        assert_eq!(memory(&[0xc4, 0xc1, 0x7e, 0x6f, 0x00]), (0x8001, Some(0x8001), None)); // vmovdqu ymm0, [r8]
        assert_eq!(memory(&[0x48, 0x8b, 0x80, 0, 1, 0, 0]), (0x101, Some(1), None)); // mov rax, [rax+256]
    }

    #[test]
    fn jumps_strings_and_returns_are_told_apart() {
        assert_eq!(operand(&[0xff, 0xd0], &registers()), Ok(Operand::JumpTo(1))); // call rax
        assert_eq!(operand(&[0x41, 0xff, 0xe3], &registers()), Ok(Operand::JumpTo(0xb001))); // jmp r11
        let through = operand(&[0xff, 0x57, 0x10], &registers()); // call [rdi+16]
        assert!(matches!(through, Ok(Operand::Memory { address: 0x7011, jumps: true, .. })));
        let copy = operand(&[0xf3, 0x48, 0xa5], &registers()); // rep movsq
        assert_eq!(copy, Ok(Operand::String(0x6001, 0x7001)));
        assert_eq!(operand(&[0xc3], &registers()), Ok(Operand::Return(0x4001)));
    }

    #[test]
    fn what_names_no_memory_by_register_gives_nothing() {
        assert_eq!(operand(&[0x48, 0x01, 0xd8], &registers()), Err(Unclear::NoOperand)); // add rax, rbx
        assert_eq!(operand(&[0x8b, 0x05, 0, 0, 0, 0], &registers()), Err(Unclear::NoOperand)); // mov eax, [rip]
        assert_eq!(operand(&[0x64, 0x48, 0x8b, 0x00], &registers()), Err(Unclear::NoOperand)); // mov rax, fs:[rax]
        assert_eq!(operand(&[0xf4], &registers()), Err(Unclear::NoOperand)); // hlt
        assert_eq!(operand(&[0x48], &registers()), Err(Unclear::CutOff));
        assert_eq!(operand(&[0x48, 0x8b, 0x80, 0], &registers()), Err(Unclear::CutOff));
        assert_eq!(operand(&[], &registers()), Err(Unclear::CutOff));
    }
}
