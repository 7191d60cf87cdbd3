//! Memory: the bytes of a process, wherever they are.

use std::fmt;
use std::path::PathBuf;

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Nothing is there, or the core does not hold it.
    Unreadable(u64),
    /// The process has ended.
    Gone,
    /// The kernel does not let this user read that process.
    Denied,
}

impl fmt::Display for ReadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Unreadable(address) => write!(out, "nothing can be read at {address:#x}"),
            ReadError::Gone => write!(out, "the process has ended"),
            ReadError::Denied => write!(
                out,
                "the kernel does not allow reading that process (another user's, or \
                 /proc/sys/kernel/yama/ptrace_scope; root may)"
            ),
        }
    }
}

impl std::error::Error for ReadError {}

/// A stretch of addresses.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// May be read.
    pub readable: bool,
    /// May be written.
    pub writable: bool,
    /// Other processes may have it too.
    pub is_shared: bool,
    /// The file it shows, if it is a file's.
    pub path: Option<PathBuf>,
    /// Where in the file it begins.
    pub offset: u64,
}

/// One of several readings.
pub struct Reading<'b> {
    /// From here.
    pub address: u64,
    /// To here; cleared where nothing could be read.
    pub buffer: &'b mut Vec<u8>,
}

/// The bytes of a process.
pub trait Memory {
    /// Fills `buffer` with the bytes at `address`, or fails.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError>;

    /// Fills each buffer; one that cannot be filled is emptied.
    fn read_many(&self, readings: &mut [Reading<'_>]) -> Result<(), ReadError> {
        for reading in readings {
            match self.read(reading.address, reading.buffer) {
                Err(ReadError::Unreadable(_)) => reading.buffer.clear(),
                other => other?,
            }
        }
        Ok(())
    }

    /// What is mapped where, by address.
    fn mappings(&self) -> &[Mapping];

    /// The word at `address`.
    fn word(&self, address: u64) -> Result<u64, ReadError> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The 32-bit word at `address`.
    fn half(&self, address: u64) -> Result<u32, ReadError> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// `count` words from `address` on; the caller bounds `count`.
    fn words(&self, address: u64, count: usize) -> Result<Vec<u64>, ReadError> {
        let mut bytes = vec![0; count * 8];
        self.read(address, &mut bytes)?;
        Ok(words_of(&bytes).collect())
    }
}

/// The words in `bytes`.
pub fn words_of(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()))
}

/// The word `offset` bytes into `bytes`; 0 behind their end.
pub fn word_at(bytes: &[u8], offset: usize) -> u64 {
    let word = bytes.get(offset..offset + 8).and_then(|word| word.try_into().ok());
    word.map_or(0, u64::from_le_bytes)
}

/// The 32-bit word `offset` bytes into `bytes`; 0 behind their end.
pub fn half_at(bytes: &[u8], offset: usize) -> u32 {
    let half = bytes.get(offset..offset + 4).and_then(|half| half.try_into().ok());
    half.map_or(0, u32::from_le_bytes)
}
