//! DWARF expressions of CFI, worked out once per return address by carrying
//! symbols instead of values.
//!
//! An expression in CFI may start from a register. Here each stack item is
//! `base + offset`, where the base is nothing, rsp, rbp or a word loaded from
//! one of them; `rip` is a number, because a rule belongs to one address. What
//! an expression comes to is then again a fixed place, good for every visit.
//! PLT stubs (`rip & 15 >= 11`), realigned frames and signal frames all are.
//!
//! Invariant: bounded work (64 operations, 8 items), no memory read.
//! (DWARF 5, 2.5; System V psABI x86-64, table 3.36 for register numbers.)

use gimli::{EndianSlice, Expression, LittleEndian, Operation, Register, X86_64};

/// The reader all CFI is parsed with.
pub type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// What an expression came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbol {
    /// What the number is added to.
    pub base: Base,
    /// The number, in bytes.
    pub offset: i64,
}

/// What a [`Symbol`] counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// Nothing: the symbol is a plain number.
    Zero,
    /// The frame's rsp.
    StackPointer,
    /// The frame's rbp.
    FramePointer,
    /// The word at rsp + offset.
    LoadedFromStack(i64),
    /// The word at rbp + offset.
    LoadedFromFrame(i64),
}

const ITEMS: usize = 8;
const OPERATIONS: usize = 64;

/// Evaluates `expression` for the instruction at `pc`; `start` is pushed first
/// (CFI register rules push the CFA; a CFA rule starts with nothing).
/// `None` when the result is not a fixed place.
pub fn evaluate(
    expression: Expression<Bytes<'_>>,
    encoding: gimli::Encoding,
    pc: u64,
    start: Option<Symbol>,
) -> Option<Symbol> {
    let mut stack = Stack { items: [NUMBER; ITEMS], used: 0 };
    if let Some(symbol) = start {
        stack.push(symbol)?;
    }
    let mut operations = expression.operations(encoding);
    for _ in 0..OPERATIONS {
        let Some(operation) = operations.next().ok()? else {
            return stack.pop();
        };
        step(&mut stack, operation, pc)?;
    }
    None
}

const NUMBER: Symbol = Symbol { base: Base::Zero, offset: 0 };

fn number(offset: i64) -> Symbol {
    Symbol { base: Base::Zero, offset }
}

struct Stack {
    items: [Symbol; ITEMS],
    used: usize,
}

impl Stack {
    fn push(&mut self, symbol: Symbol) -> Option<()> {
        *self.items.get_mut(self.used)? = symbol;
        self.used += 1;
        Some(())
    }
    fn pop(&mut self) -> Option<Symbol> {
        self.used = self.used.checked_sub(1)?;
        Some(self.items[self.used])
    }
    fn pop_number(&mut self) -> Option<i64> {
        let symbol = self.pop()?;
        (symbol.base == Base::Zero).then_some(symbol.offset)
    }
    fn peek(&self, depth: usize) -> Option<Symbol> {
        self.used.checked_sub(depth + 1).map(|index| self.items[index])
    }
}

fn register(register: Register, offset: i64, pc: u64) -> Option<Symbol> {
    Some(match register {
        X86_64::RSP => Symbol { base: Base::StackPointer, offset },
        X86_64::RBP => Symbol { base: Base::FramePointer, offset },
        X86_64::RA => number((pc as i64).wrapping_add(offset)),
        _ => return None,
    })
}

fn step(stack: &mut Stack, operation: Operation<Bytes<'_>>, pc: u64) -> Option<()> {
    match operation {
        Operation::Nop => Some(()),
        Operation::UnsignedConstant { value } => stack.push(number(value as i64)),
        Operation::SignedConstant { value } => stack.push(number(value)),
        Operation::RegisterOffset { register: name, offset, base_type } if base_type.0 == 0 => {
            stack.push(register(name, offset, pc)?)
        }
        Operation::Deref { base_type, size: 8, space: false } if base_type.0 == 0 => {
            let at = stack.pop()?;
            let base = match at.base {
                Base::StackPointer => Base::LoadedFromStack(at.offset),
                Base::FramePointer => Base::LoadedFromFrame(at.offset),
                _ => return None,
            };
            stack.push(Symbol { base, offset: 0 })
        }
        Operation::PlusConstant { value } => {
            let symbol = stack.pop()?;
            let offset = symbol.offset.wrapping_add(value as i64);
            stack.push(Symbol { offset, ..symbol })
        }
        Operation::Plus => {
            let (right, left) = (stack.pop()?, stack.pop()?);
            let base = match (left.base, right.base) {
                (base, Base::Zero) | (Base::Zero, base) => base,
                _ => return None,
            };
            stack.push(Symbol { base, offset: left.offset.wrapping_add(right.offset) })
        }
        Operation::Minus => {
            let (right, left) = (stack.pop_number()?, stack.pop()?);
            stack.push(Symbol { base: left.base, offset: left.offset.wrapping_sub(right) })
        }
        Operation::Drop => stack.pop().map(drop),
        Operation::Pick { index } => stack.push(stack.peek(usize::from(index))?),
        Operation::Swap => {
            let (right, left) = (stack.pop()?, stack.pop()?);
            stack.push(right)?;
            stack.push(left)
        }
        other => {
            let (right, left) = (stack.pop_number()?, stack.pop_number()?);
            stack.push(number(arithmetic(other, left, right)?))
        }
    }
}

fn arithmetic(operation: Operation<Bytes<'_>>, left: i64, right: i64) -> Option<i64> {
    let shift = |value: i64| u32::try_from(value).ok().filter(|&bits| bits < 64);
    Some(match operation {
        Operation::And => left & right,
        Operation::Or => left | right,
        Operation::Xor => left ^ right,
        Operation::Mul => left.wrapping_mul(right),
        Operation::Shl => left << shift(right)?,
        Operation::Shr => (left as u64 >> shift(right)?) as i64,
        Operation::Shra => left >> shift(right)?,
        Operation::Eq => i64::from(left == right),
        Operation::Ne => i64::from(left != right),
        Operation::Ge => i64::from(left >= right),
        Operation::Gt => i64::from(left > right),
        Operation::Le => i64::from(left <= right),
        Operation::Lt => i64::from(left < right),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    const ENCODING: gimli::Encoding =
        gimli::Encoding { format: gimli::Format::Dwarf32, version: 1, address_size: 8 };

    fn run(bytes: &[u8], pc: u64) -> Option<Symbol> {
        evaluate(Expression(Bytes::new(bytes, LittleEndian)), ENCODING, pc, None)
    }

    #[test]
    fn plt_stub_depends_on_the_address_only() {
        // breg7 8; breg16 0; lit15; and; lit11; ge; lit3; shl; plus
        let plt = [0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];
        let at = |offset| Some(Symbol { base: Base::StackPointer, offset });
        assert_eq!(run(&plt, 0x1000), at(8));
        assert_eq!(run(&plt, 0x100b), at(16));
    }

    #[test]
    fn realigned_and_signal_frames_are_loads() {
        assert_eq!(
            run(&[0x76, 0x78, 0x06], 0),
            Some(Symbol { base: Base::LoadedFromFrame(-8), offset: 0 })
        );
        assert_eq!(
            run(&[0x77, 0xa0, 0x01, 0x06], 0),
            Some(Symbol { base: Base::LoadedFromStack(160), offset: 0 })
        );
    }

    /// Numbers on the stack are signed (DWARF 5, 2.5.1.4 and 2.5.1.5).
    #[test]
    fn numbers_have_a_sign() {
        let at = |offset| Some(number(offset));
        // const1s -8, then: lit1 shra; lit60 (const1u) shr; lit3 comparison.
        let minus_8 = |rest: &[u8]| run(&[&[0x09, 0xf8], rest].concat(), 0);
        assert_eq!(minus_8(&[0x31, 0x26]), at(-4), "shra");
        assert_eq!(minus_8(&[0x08, 60, 0x25]), at(15), "shr");
        assert_eq!(minus_8(&[0x33, 0x2d]), at(1), "lt");
        assert_eq!(minus_8(&[0x33, 0x2c]), at(1), "le");
        assert_eq!(minus_8(&[0x33, 0x2b]), at(0), "gt");
        assert_eq!(minus_8(&[0x33, 0x2a]), at(0), "ge");
        assert_eq!(minus_8(&[0x33, 0x1c]), at(-11), "minus");
        assert_eq!(minus_8(&[0x33, 0x1e]), at(-24), "mul");
        assert_eq!(minus_8(&[0x23, 3]), at(-5), "plus_uconst");
    }

    #[test]
    fn hostile_expressions_come_to_nothing() {
        assert_eq!(run(&[], 0), None);
        assert_eq!(run(&[0x22], 0), None);
        assert_eq!(run(&[0x2f, 0xfd, 0xff], 0), None, "endless jump");
        assert_eq!(run(&[0x30; 100], 0), None, "too many items");
        assert_eq!(run(&[0x30, 0x31, 0x1b], 0), None, "division");
        assert_eq!(run(&[0x31, 0x08, 0x40, 0x24], 0), None, "shift by 64");
        assert_eq!(run(&[0x53, 0x06], 0), None, "rbx");
    }
}
