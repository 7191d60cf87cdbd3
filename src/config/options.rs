//! `Options`: one documented field for each option, and its default.
//!
//! Invariant: [`Options::DEFAULT`] is the only place that holds a default;
//! the table (`table.rs`) and `help=1` read it from here.

use crate::units::LeakKinds;

/// Longest path of an option, in bytes (Linux `PATH_MAX` counts the zero).
pub const PATH_MAX: usize = 4095;
/// Longest function name of an option, in bytes.
pub const NAME_MAX: usize = 255;

/// Text of bounded length, stored in place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FixedText<const N: usize> {
    bytes: [u8; N],
    length: u16,
}

impl<const N: usize> FixedText<N> {
    /// No text: the option is not set.
    pub const EMPTY: Self = FixedText { bytes: [0; N], length: 0 };

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Whether the option is not set.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Replaces the text; `false` and no change if it is too long.
    pub fn set(&mut self, text: &[u8]) -> bool {
        if text.len() > N || text.len() > usize::from(u16::MAX) {
            return false;
        }
        self.bytes[..text.len()].copy_from_slice(text);
        self.length = text.len() as u16;
        true
    }
}

/// How reports are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For a person.
    Text,
    /// One JSON record a line (`docs/report.schema.json`).
    Json,
}

/// How much of a freed block is overwritten with the poison pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Poison {
    /// Every byte up to 1 KiB; of larger blocks the first and last 128 bytes
    /// and one word of each 64 bytes.
    Tiered,
    /// Every byte.
    Full,
    /// Nothing.
    None,
}

/// Every option of `HEAPWARDEN_OPTIONS`, as the program runs with it.
#[derive(Clone, Copy)]
pub struct Options {
    /// Check for leaks at exit.
    pub detect_leaks: bool,
    /// Kinds of leaks that are reported.
    pub show_leak_kinds: LeakKinds,
    /// Kinds of leaks that change the exit code.
    pub errors_for_leak_kinds: LeakKinds,
    /// Exit code when something was found and the program itself would have
    /// exited 0; 0 = report only.
    pub exitcode: u64,
    /// At most this many leak records, largest first; 0 = all.
    pub max_leaks: u64,
    /// Take note of what freed blocks held, so that a lost block's record can
    /// say which free lost it.
    pub lost_because: bool,
    /// Number the allocations of each call site, so that a record can say which
    /// of them were lost.
    pub ordinals: bool,
    /// Watch call sites for hidden leaks.
    pub hidden_leaks: bool,
    /// How reports are written.
    pub format: Format,
    /// Where reports go; empty = standard error. `.PID` is appended.
    pub log_path: FixedText<PATH_MAX>,
    /// File with suppressions; empty = none.
    pub suppressions: FixedText<PATH_MAX>,
    /// Forked children that did not exec check for leaks at exit too: of what
    /// they allocated themselves.
    pub check_children: bool,
    /// List the suppressions that matched, with counts.
    pub print_suppressions: bool,
    /// Print a ready suppression after each report.
    pub gen_suppressions: bool,
    /// Misuse aborts after its report.
    pub halt_on_error: bool,
    /// Frames kept per block; 0 = only the caller.
    pub stack_depth: u64,
    /// Compare one captured stack in N with a full walk; 0 = never.
    pub stack_check: u64,
    /// MiB of freed blocks held back from reuse; `None` = a sixteenth of the
    /// live bytes, at least 256 KiB, at most 64 MiB.
    pub quarantine_mb: Option<u64>,
    /// How much of a freed block is overwritten.
    pub poison: Poison,
    /// Fill all fresh memory, except calloc's, with a documented byte.
    pub fill_on_alloc: bool,
    /// One allocation in N gets guard pages; 0 = none, 1 = all.
    pub guard_sample: u64,
    /// Check a slice of the heap every N operations; 0 = never.
    pub check_every: u64,
    /// Check for leaks every N seconds while the program runs; 0 = never.
    pub check_interval_s: u64,
    /// A signal that asks for a leak check of the running process.
    pub check_signal: Option<u64>,
    /// Live checks send no signal to threads blocked in a system call.
    pub quiet: bool,
    /// MiB the heap may use; 0 = no limit; `None` = the smallest of cgroup
    /// memory.max, RLIMIT_AS, RLIMIT_DATA and physical memory.
    pub heap_limit_mb: Option<u64>,
    /// An early exhaustion report at this share of the limit; 0 = none.
    pub warn_at_percent: u64,
    /// Exhaustion reports also say how much of the heap is lost or hidden.
    pub exhaustion_scan: bool,
    /// Exhaustion aborts after its report instead of returning NULL.
    pub abort_on_exhaustion: bool,
    /// A small file renewed at each new peak; empty = none.
    pub peak_file: FixedText<PATH_MAX>,
    /// The Nth allocation fails; 0 = none.
    pub fail_nth: u64,
    /// Every Nth allocation fails; 0 = none.
    pub fail_every: u64,
    /// All allocations from the Nth on fail; 0 = none.
    pub fail_after: u64,
    /// On average one allocation in N fails; 0 = none.
    pub fail_rate: u64,
    /// Start of the random series of `fail_rate`.
    pub fail_seed: u64,
    /// Allocations of more bytes than this fail; 0 = none.
    pub fail_size_above: u64,
    /// Allocations with this function in their stack fail; empty = none.
    pub fail_site: FixedText<NAME_MAX>,
    /// Explain a fault on a poisoned pointer or a guard page.
    pub handle_segv: bool,
    /// Name functions, files and lines in reports.
    pub symbolize: bool,
    /// Seconds that naming may take before the report goes out without.
    pub symbolize_timeout_s: u64,
    /// Writable data of the program and its libraries are roots.
    pub use_globals: bool,
    /// Stacks of all threads are roots.
    pub use_stacks: bool,
    /// Registers of all threads are roots.
    pub use_registers: bool,
    /// Thread-local data and pthread keys are roots.
    pub use_tls: bool,
    /// Regions given to `heapwarden_register_root_region` are roots.
    pub use_root_regions: bool,
    /// Pointers at unaligned addresses count too.
    pub use_unaligned: bool,
    /// The address bits of the program's tagged pointers; 0 = no tags.
    pub pointer_mask: u64,
    /// Print every option with its default and value.
    pub help: bool,
}

impl Options {
    /// The built-in defaults.
    pub const DEFAULT: Options = Options {
        detect_leaks: true,
        show_leak_kinds: LeakKinds::USUAL,
        errors_for_leak_kinds: LeakKinds::USUAL,
        exitcode: 23,
        max_leaks: 0,
        lost_because: true,
        ordinals: false,
        hidden_leaks: false,
        format: Format::Text,
        log_path: FixedText::EMPTY,
        suppressions: FixedText::EMPTY,
        check_children: false,
        print_suppressions: true,
        gen_suppressions: false,
        halt_on_error: true,
        stack_depth: 32,
        stack_check: 0,
        quarantine_mb: None,
        poison: Poison::Tiered,
        fill_on_alloc: false,
        guard_sample: 0,
        check_every: 0,
        check_interval_s: 0,
        check_signal: None,
        quiet: false,
        heap_limit_mb: None,
        warn_at_percent: 90,
        exhaustion_scan: false,
        abort_on_exhaustion: false,
        peak_file: FixedText::EMPTY,
        fail_nth: 0,
        fail_every: 0,
        fail_after: 0,
        fail_rate: 0,
        fail_seed: 1,
        fail_size_above: 0,
        fail_site: FixedText::EMPTY,
        handle_segv: true,
        symbolize: true,
        symbolize_timeout_s: 10,
        use_globals: true,
        use_stacks: true,
        use_registers: true,
        use_tls: true,
        use_root_regions: true,
        use_unaligned: false,
        pointer_mask: 0,
        help: false,
    };
}
