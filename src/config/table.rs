//! The table of all options: name, kind, range, meaning.
//!
//! Invariant: every field of [`Options`] that text can set has exactly one
//! row here, and everything else (parser, help, nearest key) reads the rows.

use super::options::{FixedText, Format, NAME_MAX, Options, PATH_MAX, Poison};
use crate::units::{LeakKind, LeakKinds, parse_size};
use core::fmt;

/// The way to one field of [`Options`].
pub type Field<T> = fn(&mut Options) -> &mut T;

/// What values an option takes, and where they go.
pub enum Kind {
    /// 0/1, false/true, no/yes.
    Switch(Field<bool>),
    /// A whole number in the range; suffixes k, m, g allowed.
    Number(Field<u64>, u64, u64),
    /// A whole number in the range, or `auto`.
    NumberOrAuto(Field<Option<u64>>, u64, u64),
    /// A signal's number or name, or `none`.
    Signal(Field<Option<u64>>),
    /// A list of leak kinds, `all` or `none`.
    Kinds(Field<LeakKinds>),
    /// A set of bits: a whole number, or hexadecimal behind `0x`.
    Mask(Field<u64>),
    /// `text` or `json`.
    Format(Field<Format>),
    /// `tiered`, `full` or `none`.
    Poison(Field<Poison>),
    /// A path.
    Path(Field<FixedText<PATH_MAX>>),
    /// A function's name.
    Name(Field<FixedText<NAME_MAX>>),
}

/// One option.
pub struct Row {
    /// Its key in the text.
    pub name: &'static str,
    /// Its values and its field.
    pub kind: Kind,
    /// Its meaning in one line.
    pub meaning: &'static str,
}

const ANY: u64 = u64::MAX;
const MIB_MAX: u64 = 1 << 27; // 128 TiB, all of a user's address space

macro_rules! rows {
    ($($name:ident $kind:ident $(($lowest:expr, $highest:expr))?, $meaning:literal;)*) => {
        &[$(Row {
            name: stringify!($name),
            kind: Kind::$kind(|options| &mut options.$name $(, $lowest, $highest)?),
            meaning: $meaning,
        }),*]
    };
}

/// All options, in the order of `help=1`.
pub const TABLE: &[Row] = rows! {
    detect_leaks Switch, "check for leaks at exit";
    show_leak_kinds Kinds, "kinds that are reported: definite,indirect,possible,reachable,hidden,all";
    errors_for_leak_kinds Kinds, "kinds that change the exit code";
    exitcode Number(0, 255), "exit code when something was found and the program itself exits 0; 0 = report only";
    max_leaks Number(0, ANY), "at most this many leak records, largest first; 0 = all";
    lost_because Switch, "note what freed blocks held, to say which free lost a block";
    ordinals Switch, "number the allocations of each call site, to say which of them were lost; every allocation takes the slow path";
    hidden_leaks Switch, "watch call sites for hidden leaks and report suspects with their evidence";
    format Format, "text, or json with one record a line";
    log_path Path, "file for reports, .PID is appended; %p %e %t %q{VAR} are expanded; empty = stderr";
    suppressions Path, "file with suppressions: leak:, hidden:, error: lines or Valgrind's blocks";
    check_children Switch, "forked children check what they allocated themselves, at their exit";
    print_suppressions Switch, "list the suppressions that matched, with counts";
    gen_suppressions Switch, "print a ready suppression after each report";
    halt_on_error Switch, "misuse aborts after its report; 0 = report and go on";
    stack_depth Number(0, 255), "frames kept per block; 0 = only the caller";
    stack_check Number(0, ANY), "compare one captured stack in N with a full walk; 0 = never";
    quarantine_mb NumberOrAuto(0, MIB_MAX), "MiB of freed blocks held back from reuse; 0 = none";
    poison Poison, "how much of a freed block is overwritten: tiered, full or none";
    fill_on_alloc Switch, "fill all fresh memory, except calloc's";
    guard_sample Number(0, ANY), "one allocation in N gets guard pages; 0 = none, 1 = all";
    check_every Number(0, ANY), "check a slice of the heap every N operations; 0 = never";
    check_interval_s Number(0, ANY), "check for leaks every N seconds; 0 = never";
    check_signal Signal, "a signal that asks for a leak check of the running process";
    quiet Switch, "live checks send no signal to threads blocked in a system call";
    heap_limit_mb NumberOrAuto(0, MIB_MAX), "MiB the heap may use; 0 = no limit";
    warn_at_percent Number(0, 100), "early exhaustion report at this share of the limit; 0 = none";
    exhaustion_scan Switch, "exhaustion reports also say how much is lost or hidden";
    abort_on_exhaustion Switch, "exhaustion aborts after its report instead of returning NULL";
    peak_file Path, "a small file renewed at each new peak";
    fail_nth Number(0, ANY), "the Nth allocation fails; 0 = none";
    fail_every Number(0, ANY), "every Nth allocation fails; 0 = none";
    fail_after Number(0, ANY), "all allocations from the Nth on fail; 0 = none";
    fail_rate Number(0, ANY), "on average one allocation in N fails; 0 = none";
    fail_seed Number(0, ANY), "start of the random series of fail_rate";
    fail_size_above Number(0, ANY), "allocations of more bytes than this fail; 0 = none";
    fail_site Name, "allocations with this function in their stack fail";
    handle_segv Switch, "explain a fault on a poisoned pointer or a guard page, then die of it";
    symbolize Switch, "name functions, files and lines; 0 leaves module and offset for the tool";
    symbolize_timeout_s Number(1, 3600), "seconds that naming may take";
    use_globals Switch, "writable data of the program and its libraries are roots";
    use_stacks Switch, "stacks of all threads are roots";
    use_registers Switch, "registers of all threads are roots";
    use_tls Switch, "thread-local data and pthread keys are roots";
    use_root_regions Switch, "registered root regions are roots";
    use_unaligned Switch, "pointers at unaligned addresses count too";
    pointer_mask Mask, "address bits of tagged pointers, as 0xffffffffffff: the other bits may be tags; 0 = no tags";
    help Switch, "print every option with its default and value";
};

impl Row {
    /// Sets this option from `value`; `false` and no change if it is no good.
    pub fn set(&self, options: &mut Options, value: &[u8]) -> bool {
        fn store<T>(field: &mut T, value: Option<T>) -> bool {
            value.map(|value| *field = value).is_some()
        }
        let in_range = |lowest, highest| {
            parse_size(value).filter(|number| (lowest..=highest).contains(number))
        };
        match self.kind {
            Kind::Switch(field) => store(field(options), parse_switch(value)),
            Kind::Number(field, lowest, highest) => {
                store(field(options), in_range(lowest, highest))
            }
            Kind::NumberOrAuto(field, lowest, highest) => match value {
                b"auto" => store(field(options), Some(None)),
                _ => store(field(options), in_range(lowest, highest).map(Some)),
            },
            Kind::Signal(field) => match value {
                b"none" | b"0" => store(field(options), Some(None)),
                _ => store(field(options), parse_signal(value).map(Some)),
            },
            Kind::Mask(field) => store(field(options), parse_mask(value)),
            Kind::Kinds(field) => store(field(options), parse_kinds(value)),
            Kind::Format(field) => store(
                field(options),
                match value {
                    b"text" => Some(Format::Text),
                    b"json" => Some(Format::Json),
                    _ => None,
                },
            ),
            Kind::Poison(field) => store(
                field(options),
                match value {
                    b"tiered" => Some(Poison::Tiered),
                    b"full" => Some(Poison::Full),
                    b"none" => Some(Poison::None),
                    _ => None,
                },
            ),
            Kind::Path(field) => field(options).set(value),
            Kind::Name(field) => field(options).set(value),
        }
    }

    /// Writes this option's value in `options` as text would set it.
    pub fn write_value(&self, options: &mut Options, out: &mut dyn fmt::Write) -> fmt::Result {
        match self.kind {
            Kind::Switch(field) => write!(out, "{}", u8::from(*field(options))),
            Kind::Number(field, ..) => write!(out, "{}", field(options)),
            Kind::NumberOrAuto(field, ..) => match field(options) {
                Some(number) => write!(out, "{number}"),
                None => out.write_str("auto"),
            },
            Kind::Signal(field) => match field(options) {
                Some(number) => write!(out, "{number}"),
                None => out.write_str("none"),
            },
            Kind::Mask(field) => write!(out, "{:#x}", field(options)),
            Kind::Kinds(field) => write!(out, "{}", field(options)),
            Kind::Format(field) => out.write_str(match field(options) {
                Format::Text => "text",
                Format::Json => "json",
            }),
            Kind::Poison(field) => out.write_str(match field(options) {
                Poison::Tiered => "tiered",
                Poison::Full => "full",
                Poison::None => "none",
            }),
            Kind::Path(field) => write!(out, "{}", field(options).as_bytes().escape_ascii()),
            Kind::Name(field) => write!(out, "{}", field(options).as_bytes().escape_ascii()),
        }
    }

    /// What values this option takes, for a warning.
    pub fn write_expected(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self.kind {
            Kind::Switch(_) => out.write_str("0 or 1"),
            Kind::Number(_, lowest, ANY) => write!(out, "a whole number from {lowest} on"),
            Kind::Number(_, lowest, highest) => {
                write!(out, "a whole number from {lowest} to {highest}")
            }
            Kind::NumberOrAuto(_, lowest, highest) => {
                write!(out, "auto or a whole number from {lowest} to {highest}")
            }
            Kind::Signal(_) => out.write_str("none, a signal's number or a name such as USR2"),
            Kind::Mask(_) => out.write_str("a set of bits such as 0xffffffffffff"),
            Kind::Kinds(_) => out
                .write_str("a list of definite, indirect, possible, reachable, hidden; all; none"),
            Kind::Format(_) => out.write_str("text or json"),
            Kind::Poison(_) => out.write_str("tiered, full or none"),
            Kind::Path(_) => write!(out, "a path of at most {PATH_MAX} bytes"),
            Kind::Name(_) => write!(out, "a name of at most {NAME_MAX} bytes"),
        }
    }
}

/// 0/1, false/true, no/yes.
fn parse_switch(value: &[u8]) -> Option<bool> {
    match value {
        b"1" | b"true" | b"yes" => Some(true),
        b"0" | b"false" | b"no" => Some(false),
        _ => None,
    }
}

/// A whole number, or up to sixteen hexadecimal digits behind `0x`.
fn parse_mask(value: &[u8]) -> Option<u64> {
    let Some(digits) = value.strip_prefix(b"0x").or_else(|| value.strip_prefix(b"0X")) else {
        return parse_size(value);
    };
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0u64, |mask, &digit| {
        (digit as char).to_digit(16).map(|digit| mask << 4 | u64::from(digit))
    })
}

/// `definite,hidden`, `all`, `none`.
fn parse_kinds(value: &[u8]) -> Option<LeakKinds> {
    let mut kinds = LeakKinds::NONE;
    for word in value.split(|&byte| byte == b',') {
        kinds = match word {
            b"all" => LeakKinds::ALL,
            b"none" => kinds,
            _ => kinds.with(LeakKind::ALL.into_iter().find(|kind| kind.name().as_bytes() == word)?),
        };
    }
    Some(kinds)
}

/// A signal by number (1 to 64) or by name, with or without `SIG`.
fn parse_signal(value: &[u8]) -> Option<u64> {
    const NAMES: &[(&[u8], i32)] = &[
        (b"HUP", libc::SIGHUP),
        (b"INT", libc::SIGINT),
        (b"QUIT", libc::SIGQUIT),
        (b"USR1", libc::SIGUSR1),
        (b"USR2", libc::SIGUSR2),
        (b"ALRM", libc::SIGALRM),
        (b"TERM", libc::SIGTERM),
        (b"CONT", libc::SIGCONT),
        (b"TTIN", libc::SIGTTIN),
        (b"TTOU", libc::SIGTTOU),
        (b"URG", libc::SIGURG),
        (b"XCPU", libc::SIGXCPU),
        (b"VTALRM", libc::SIGVTALRM),
        (b"PROF", libc::SIGPROF),
        (b"WINCH", libc::SIGWINCH),
        (b"IO", libc::SIGIO),
        (b"PWR", libc::SIGPWR),
    ];
    /// glibc's SIGRTMIN: it keeps 32 and 33 for itself (signal(7)).
    const FIRST_REAL_TIME: u64 = 34;
    const HIGHEST: u64 = 64;
    let fit = |number: &u64| {
        (1..=HIGHEST).contains(number)
            && ![libc::SIGKILL, libc::SIGSTOP].contains(&(*number as i32))
    };
    if value.first().is_some_and(u8::is_ascii_digit) {
        return value.iter().all(u8::is_ascii_digit).then(|| parse_size(value))?.filter(fit);
    }
    let name = value.strip_prefix(b"SIG").unwrap_or(value);
    if let Some(offset) = name.strip_prefix(b"RTMIN") {
        let offset = match offset {
            b"" => 0,
            _ => parse_size(offset.strip_prefix(b"+")?)?,
        };
        return FIRST_REAL_TIME.checked_add(offset).filter(fit);
    }
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number as u64)
}

/// The row of `key`.
pub fn find(key: &[u8]) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name.as_bytes() == key)
}

/// The known key that is nearest to `key`, if one is near: at most a third
/// of the letters differ (Levenshtein distance).
pub fn nearest(key: &[u8]) -> Option<&'static str> {
    let names = TABLE.iter().map(|row| row.name).chain(["include", "include_if_exists"]);
    names
        .map(|name| (distance(key, name.as_bytes()), name))
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein distance; texts longer than any key are far from all of them.
fn distance(a: &[u8], b: &[u8]) -> usize {
    const LONGEST: usize = 48;
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    let mut row = [0usize; LONGEST + 1];
    for (index, cell) in row.iter_mut().enumerate() {
        *cell = index;
    }
    for (i, &letter) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &other) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
