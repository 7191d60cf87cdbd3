//! The notice board that the library puts up in a process's memory map.

/// What a board says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Board {
    /// The signal that a request comes by.
    pub signal: i32,
    /// Checks begun.
    pub begun: u32,
    /// Checks ended.
    pub ended: u32,
    /// Verdict of the last: 0 clean, 1 leaks, 2 it could not be done.
    pub verdict: u32,
    /// Where the report goes in the process; -1 while it is not open.
    pub descriptor: i32,
}

impl Board {
    /// The newest board of a memory map (proc_pid_maps(5)); while a board is
    /// renewed there are two.
    pub fn find(maps: &str) -> Option<Board> {
        maps.lines().filter_map(Board::parse).max_by_key(|board| (board.begun, board.ended))
    }

    fn parse(line: &str) -> Option<Board> {
        let (_, name) = line.split_once("/memfd:heapwarden-check:")?;
        let name = name.strip_suffix(" (deleted)").unwrap_or(name);
        let mut numbers = name.split(':');
        let board = Board {
            signal: numbers.next()?.parse().ok()?,
            begun: numbers.next()?.parse().ok()?,
            ended: numbers.next()?.parse().ok()?,
            verdict: numbers.next()?.parse().ok()?,
            descriptor: numbers.next()?.parse().ok()?,
        };
        ((1..=64).contains(&board.signal) && numbers.next().is_none()).then_some(board)
    }
}

#[cfg(test)]
mod tests {
    use super::Board;

    const OLD: &str =
        "7f00-7f01 r--s 00000000 00:01 5 /memfd:heapwarden-check:41:3:2:1:-1 (deleted)";
    const NEW: &str =
        "7e00-7e01 r--s 00000000 00:01 6 /memfd:heapwarden-check:41:3:3:0:7 (deleted)";

    #[test]
    fn the_newest_board_counts() {
        let maps = format!("1-2 rw-p 0 00:00 0\n{OLD}\n{NEW}\n3-4 r--p 0 08:01 9 /bin/x\n");
        let board = Board { signal: 41, begun: 3, ended: 3, verdict: 0, descriptor: 7 };
        assert_eq!(Board::find(&maps), Some(board));
        assert_eq!(Board::find(OLD).unwrap().descriptor, -1);
    }

    #[test]
    fn what_is_no_board_is_left_alone() {
        for name in ["", "41", "0:0:0:0:2", "65:0:0:0:2", "41:0:0:0:2:9", "41:x:0:0:2", "41:0:0:0:"]
        {
            let maps = format!("1-2 r--s 0 00:01 5 /memfd:heapwarden-check:{name} (deleted)");
            assert_eq!(Board::find(&maps), None, "{name}");
        }
    }
}
