//! Return address → rule, remembered for every address ever met.
//!
//! ```text
//!   place:  | module 16 : return address 48 | rule 64 |
//! ```
//!
//! Shared by all threads, read without a lock. Programs have 300 to 10,000
//! return addresses that lead to malloc; the table grows with them.
//!
//! Invariant: a place whose first word is set and whose second is not yet is
//! skipped; both never change afterwards.

use super::hash_table::{HashTable, Place};
use super::module::ModuleId;
use super::rule::Rule;
use super::{cfi, module};
use crate::sync::atomics::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Release},
};

/// A return address together with the module it lay in when it was first met.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct CodeAddress(pub u64);

/// Bits of a user-space address (x86-64 with four page-table levels; addresses
/// above it are never return addresses of a program that does not ask for more).
pub const ADDRESS_BITS: u32 = 48;
const ADDRESS: u64 = (1 << ADDRESS_BITS) - 1;

impl CodeAddress {
    /// Joins the two.
    #[inline]
    pub fn new(address: usize, module: ModuleId) -> CodeAddress {
        CodeAddress(address as u64 & ADDRESS | u64::from(module.0) << ADDRESS_BITS)
    }
    /// The return address.
    #[inline]
    pub fn address(self) -> usize {
        (self.0 & ADDRESS) as usize
    }
    /// The module.
    #[inline]
    pub fn module(self) -> ModuleId {
        ModuleId((self.0 >> ADDRESS_BITS) as u16)
    }
}

/// Two words, the first of which decides.
#[repr(C, align(16))]
pub struct RulePlace {
    code: AtomicU64,
    rule: AtomicU64,
}

impl Place for RulePlace {
    type Word = (u64, u64);
    const EMPTY: (u64, u64) = (0, 0);
    #[inline]
    fn get(&self) -> (u64, u64) {
        match self.code.load(Acquire) {
            0 => (0, 0),
            code => (code, self.rule.load(Acquire)),
        }
    }
    fn fill(&self, (code, rule): (u64, u64)) -> Result<(), (u64, u64)> {
        match self.code.compare_exchange(0, code, AcqRel, Acquire) {
            Ok(_) => {
                self.rule.store(rule, Release);
                Ok(())
            }
            Err(there) => Err((there, self.rule.load(Acquire))),
        }
    }
}

static RULES: HashTable<RulePlace> = HashTable::new(1 << 11);

#[inline]
fn hash(address: u64) -> usize {
    let product = (address & ADDRESS).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product >> 32) as usize
}

/// The rule for frames that return to `address`, and the address with its
/// module. Evaluates the CFI when the address is new.
#[inline]
pub fn rule_for(address: usize) -> (CodeAddress, Rule) {
    let wanted = address as u64;
    let is_it = |(code, rule): (u64, u64)| (code ^ wanted) & ADDRESS == 0 && rule != 0;
    match RULES.find(hash(wanted), is_it) {
        Some((code, rule)) => (CodeAddress(code), Rule(rule)),
        None => evaluate(address),
    }
}

#[cold]
#[inline(never)]
fn evaluate(address: usize) -> (CodeAddress, Rule) {
    let wanted = address as u64;
    // Before the start of user memory or outside the 48 bits: not code.
    if wanted & !ADDRESS != 0 || wanted < 4096 {
        return (CodeAddress::new(address, ModuleId::UNKNOWN), Rule::UNKNOWN);
    }
    let Some((module, sections)) = module::sections_for(address - 1) else {
        // Code made at run time, or a module just being opened: asked again.
        return (CodeAddress::new(address, ModuleId::UNKNOWN), Rule::UNKNOWN);
    };
    let rule = sections.map_or(Rule::UNKNOWN, |sections| cfi::rule_for(&sections, wanted));
    let code = CodeAddress::new(address, module);
    if module != ModuleId::UNKNOWN {
        let is_it = |(code, rule): (u64, u64)| (code ^ wanted) & ADDRESS == 0 && rule != 0;
        let _ = RULES.insert(hash(wanted), (code.0, rule.0), is_it, |(code, _)| hash(code));
    }
    (code, rule)
}

/// Forgets all rules: a module was unmapped.
pub fn clear() {
    RULES.clear();
}

/// In a forked child: see [`HashTable::after_fork_in_child`].
pub fn after_fork_in_child() {
    RULES.after_fork_in_child();
}
