//! Compressed bytes to plain ones: debug sections (zlib, zstd) and xz.
//!
//! Invariant: the memory asked for is bounded by what the packed bytes can
//! honestly unpack to, and is asked for fallibly, so that a lying size
//! header costs `None` and not the process.

use alloc::boxed::Box;
use alloc::vec::Vec;
use miniz_oxide::inflate::{TINFLStatus, core as inflate};
use object::{CompressedData, CompressionFormat};
use xz4rust::{XzDecoder, XzNextBlockResult};

/// Deflate cannot expand a byte to more than this (zlib's technical notes). Zstd
/// can, but no compiler's output is so dull: the same bound keeps it honest.
const RATIO_MAX: u64 = 1032;
/// Window that a zstd frame may ask for; `zstd -19` asks for 8 MiB.
const ZSTD_WINDOW_MAX: u64 = 128 << 20;
/// Dictionary that an xz stream may ask for; `xz -9` asks for 64 MiB.
const XZ_DICTIONARY_MAX: usize = 64 << 20;
/// `.gnu_debugdata` holds a symbol table only; real ones stay below 20 MiB.
const XZ_OUTPUT_MAX: usize = 256 << 20;

/// The plain bytes of a section; borrowed where they were plain already.
pub(crate) fn section(data: CompressedData<'static>) -> Option<&'static [u8]> {
    let packed = data.data;
    let bound = (packed.len() as u64).saturating_mul(RATIO_MAX);
    let honest = || (data.uncompressed_size <= bound).then_some(data.uncompressed_size);
    match data.format {
        CompressionFormat::None => Some(packed),
        CompressionFormat::Zlib => zlib(packed, buffer(honest()?)?),
        CompressionFormat::Zstandard => zstd(packed, buffer(honest()?)?),
        _ => None,
    }
}

/// `size` zeroed bytes, or `None` where there is no memory for them.
fn buffer(size: u64) -> Option<Vec<u8>> {
    let size = usize::try_from(size).ok()?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).ok()?;
    bytes.resize(size, 0);
    Some(bytes)
}

fn zlib(packed: &[u8], mut plain: Vec<u8>) -> Option<&'static [u8]> {
    let flags = inflate::inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
        | inflate::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    // The state is 10 KiB: on the heap, for a crime's thread may have a small stack.
    let mut state = Box::<inflate::DecompressorOxide>::default();
    let (status, _, written) = inflate::decompress(&mut state, packed, &mut plain, 0, flags);
    (status == TINFLStatus::Done && written == plain.len()).then(|| &*plain.leak())
}

fn zstd(packed: &[u8], mut plain: Vec<u8>) -> Option<&'static [u8]> {
    let mut decoder = ruzstd::decoding::FrameDecoder::new();
    decoder.set_max_window_size(ZSTD_WINDOW_MAX);
    let written = decoder.decode_all(packed, &mut plain).ok()?;
    (written == plain.len()).then(|| &*plain.leak())
}

/// Unpacks one xz stream, whose plain size is not known beforehand.
pub(crate) fn xz(mut packed: &[u8]) -> Option<&'static [u8]> {
    let mut decoder = XzDecoder::in_heap_with_alloc_dict_size(64 << 10, XZ_DICTIONARY_MAX);
    let mut plain = buffer((packed.len() as u64).saturating_mul(6).max(4096))?;
    let mut written = 0;
    loop {
        if written == plain.len() {
            let grown = plain.len().saturating_mul(2);
            if grown > XZ_OUTPUT_MAX {
                return None;
            }
            plain.try_reserve_exact(grown - plain.len()).ok()?;
            plain.resize(grown, 0);
        }
        let step = decoder.decode(packed, plain.get_mut(written..)?).ok()?;
        let (consumed, produced) = match step {
            XzNextBlockResult::NeedMoreData(consumed, produced) => (consumed, produced),
            XzNextBlockResult::EndOfStream(_, produced) => {
                plain.truncate(written + produced);
                return Some(plain.leak());
            }
        };
        if consumed == 0 && produced == 0 {
            return None;
        }
        packed = packed.get(consumed..)?;
        written += produced;
    }
}
