//! The memory that this process's control group may use (cgroups(7)).
//!
//! ```text
//!   /proc/self/cgroup     0::/a/b          4:memory:/a/b
//!   file in each of       memory.max       memory.limit_in_bytes
//!   /a/b, /a, /           (version 2)      (version 1)
//! ```
//!
//! The smallest number on the way up counts. In a container the path may lie
//! outside of what is mounted; the mount's own top is then the container's.

use super::files::{File, read_file};
use crate::units::{Text, parse_size};
use core::fmt::Write;

const VERSION_1: &[&[u8]] = &[b"/sys/fs/cgroup/memory"];
const VERSION_2: &[&[u8]] = &[b"/sys/fs/cgroup", b"/sys/fs/cgroup/unified"];
const PATH_MAX: usize = 1024;
/// Version 1 says "no limit" by a number near 2^63.
const NO_LIMIT: u64 = 1 << 62;

/// The smallest memory limit of this process's control groups, in bytes.
pub fn memory_limit() -> Option<usize> {
    let mut buffer = [0; 4096];
    let groups = read_file(b"/proc/self/cgroup\0", &mut buffer).ok()?;
    limit_of(groups, &mut |top, path, file| read_limit(top, path, file))
}

/// Bytes that this process's control groups may still take: the limit less what
/// is in use, file pages that the kernel would give up not counted. `None` = no
/// limit.
pub fn memory_room() -> Option<usize> {
    let mut buffer = [0; 4096];
    let groups = read_file(b"/proc/self/cgroup\0", &mut buffer).ok()?;
    limit_of(groups, &mut |top, path, file| {
        let limit = read_limit(top, path, file).filter(|&limit| limit < NO_LIMIT)?;
        let (used, cache): (&[u8], &[u8]) = match file {
            b"memory.max" => (b"memory.current", b"inactive_file "),
            _ => (b"memory.usage_in_bytes", b"total_inactive_file "),
        };
        let used = read_limit(top, path, used)?;
        let mut statistics = [0; 8192];
        let cache = read_control(top, path, b"memory.stat", &mut statistics)
            .and_then(|text| text.split(|&byte| byte == b'\n').find_map(|l| l.strip_prefix(cache)))
            .and_then(parse_size)
            .unwrap_or(0);
        Some(limit.saturating_sub(used.saturating_sub(cache)))
    })
}

/// Reads one number of a control file, named in three parts.
type Reader<'a> = dyn FnMut(&[u8], &[u8], &[u8]) -> Option<u64> + 'a;

/// [`memory_limit`] of a process whose `/proc/PID/cgroup` is `groups`.
fn limit_of(groups: &[u8], read: &mut Reader<'_>) -> Option<usize> {
    let mut smallest = u64::MAX;
    for line in groups.split(|&byte| byte == b'\n') {
        let mut parts = line.splitn(3, |&byte| byte == b':');
        let (Some(number), Some(controllers), Some(path)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let is_memory = || controllers.split(|&byte| byte == b',').any(|name| name == b"memory");
        let (tops, file): (&[&[u8]], &[u8]) = match number {
            b"0" if controllers.is_empty() => (VERSION_2, b"memory.max"),
            _ if is_memory() => (VERSION_1, b"memory.limit_in_bytes"),
            _ => continue,
        };
        for top in tops {
            let mut path = path.strip_suffix(b"/").unwrap_or(path);
            loop {
                if let Some(limit) = read(top, path, file) {
                    smallest = smallest.min(limit);
                }
                let Some(slash) = path.iter().rposition(|&byte| byte == b'/') else { break };
                path = &path[..slash];
            }
        }
    }
    (smallest < NO_LIMIT).then_some(smallest as usize)
}

/// The number in `top``path`/`file`; `None` = "max", or there is no such file.
fn read_limit(top: &[u8], path: &[u8], file: &[u8]) -> Option<u64> {
    let mut digits = [0; 32];
    parse_size(read_control(top, path, file, &mut digits)?.trim_ascii_end())
}

/// The text in `top``path`/`file`, as far as it fits.
fn read_control<'a>(top: &[u8], path: &[u8], file: &[u8], text: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut buffer = [0; PATH_MAX];
    let mut name = Text::new(&mut buffer);
    name.push_bytes(top);
    name.push_bytes(path);
    name.push_bytes(b"/");
    name.push_bytes(file);
    let _ = name.write_char('\0');
    if name.truncated() {
        return None;
    }
    let file = File::open(name.as_bytes(), libc::O_RDONLY, 0).ok()?;
    file.read_all(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn asked(groups: &str, answer: impl Fn(&str) -> Option<u64>) -> (Vec<String>, Option<usize>) {
        let mut asked = Vec::new();
        let limit = limit_of(groups.as_bytes(), &mut |top, path, file| {
            let name = [top, path, b"/", file].concat();
            asked.push(String::from_utf8(name).unwrap());
            answer(asked.last().unwrap())
        });
        (asked, limit)
    }

    #[test]
    fn version_2_asks_every_group_up_to_the_top() {
        let (asked, limit) = asked("0::/a/b\n", |name| match name {
            "/sys/fs/cgroup/a/b/memory.max" => Some(200),
            "/sys/fs/cgroup/a/memory.max" => Some(100),
            _ => None,
        });
        assert_eq!(limit, Some(100), "the group above allows less");
        assert_eq!(
            asked[..3],
            [
                "/sys/fs/cgroup/a/b/memory.max",
                "/sys/fs/cgroup/a/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
    }

    #[test]
    fn version_1_is_the_memory_controller_only_and_its_no_limit_is_none() {
        let groups = "9:name=systemd:/x\n4:cpu,memory:/box\n0::/\n";
        let (asked, limit) =
            asked(groups, |name| name.contains("limit_in_bytes").then_some(0x7fff_ffff_ffff_f000));
        assert_eq!(limit, None);
        assert!(asked.contains(&"/sys/fs/cgroup/memory/box/memory.limit_in_bytes".into()));
        assert!(!asked.iter().any(|name| name.contains("/x/")));
        let (_, limit) = self::asked(groups, |name| {
            (name == "/sys/fs/cgroup/memory/memory.limit_in_bytes").then_some(64 << 20)
        });
        assert_eq!(limit, Some(64 << 20), "in a container only the top is visible");
    }

    #[test]
    fn nonsense_is_no_limit() {
        assert_eq!(asked("", |_| Some(1)).1, None);
        assert_eq!(asked("no colons\n1:2", |_| Some(1)).1, None);
    }
}
