use super::super::rule::Step;
use super::*;
use std::vec::Vec;

/// A header with one function at 0x5000..0x5100 and the given programs.
/// Layout: header at 0x1000 (20 bytes, padded to 32), `.eh_frame` at 0x1020.
fn sections(cie_program: &[u8], fde_program: &[u8], augmentation: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    let mut cie = std::vec![0, 0, 0, 0, 1];
    cie.extend_from_slice(augmentation);
    cie.extend_from_slice(&[0, 1, 0x78, 16, 1, 0x1b]);
    cie.extend_from_slice(cie_program);
    push_entry(&mut frames, &cie);
    let fde_at = frames.len();
    let mut fde = Vec::new();
    fde.extend_from_slice(&(fde_at as u32 + 4).to_le_bytes());
    let pc_at = 0x1020 + fde_at + 8;
    fde.extend_from_slice(&(0x5000 - pc_at as i32).to_le_bytes());
    fde.extend_from_slice(&0x100u32.to_le_bytes());
    fde.push(0);
    fde.extend_from_slice(fde_program);
    push_entry(&mut frames, &fde);
    let mut all = std::vec![1, 0x1b, 0x03, 0x3b];
    all.extend_from_slice(&(0x1020i32 - 0x1004).to_le_bytes());
    all.extend_from_slice(&1u32.to_le_bytes());
    all.extend_from_slice(&(0x5000i32 - 0x1000).to_le_bytes());
    all.extend_from_slice(&(0x1020 + fde_at as i32 - 0x1000).to_le_bytes());
    all.resize(32, 0);
    all.extend_from_slice(&frames);
    all.extend_from_slice(&[0; 4]);
    all
}

fn push_entry(frames: &mut Vec<u8>, body: &[u8]) {
    let length = body.len().next_multiple_of(4);
    frames.extend_from_slice(&(length as u32).to_le_bytes());
    frames.extend_from_slice(body);
    frames.resize(frames.len() + length - body.len(), 0);
}

fn rule(bytes: &[u8], address: u64) -> Rule {
    let sections = UnwindSections {
        header: &bytes[..bytes.len().min(20)],
        header_address: 0x1000,
        readable: bytes,
        readable_address: 0x1000,
    };
    rule_for(&sections, address)
}

/// def_cfa rsp+8; offset ra at cfa-8.
const USUAL: &[u8] = &[0x0c, 7, 8, 0x90, 1];
/// push rbp after 1; mov rbp,rsp after 4; leave at 0x80 (then def_cfa rsp+8).
const FRAME_POINTER: &[u8] =
    &[0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x02, 0x7c, 0x0a, 0x0c, 7, 8, 0x41, 0x0b];

fn layout(cfa: Cfa, fp: SavedFp) -> Step {
    Step::Leave(Layout { cfa, fp, ra: SavedRa::AtCfa(-8), signal: false })
}

#[test]
fn rows_follow_the_address() {
    let bytes = sections(USUAL, FRAME_POINTER, b"zR");
    let expect = |address, cfa, fp| {
        assert_eq!(rule(&bytes, address).unpack(), layout(cfa, fp), "{address:#x}");
    };
    expect(0x5001, Cfa::StackPointer(8), SavedFp::Same);
    expect(0x5002, Cfa::StackPointer(16), SavedFp::AtCfa(-16));
    expect(0x5010, Cfa::FramePointer(16), SavedFp::AtCfa(-16));
    expect(0x5081, Cfa::StackPointer(8), SavedFp::AtCfa(-16));
    expect(0x5082, Cfa::FramePointer(16), SavedFp::AtCfa(-16));
    expect(0x5100, Cfa::FramePointer(16), SavedFp::AtCfa(-16));
    for outside in [0, 1, 0x4fff, 0x5000, 0x5101, u64::MAX] {
        assert_eq!(rule(&bytes, outside), Rule::UNKNOWN, "{outside:#x}");
    }
}

#[test]
fn undefined_return_address_ends_the_stack() {
    let bytes = sections(USUAL, &[0x07, 16], b"zR");
    assert_eq!(rule(&bytes, 0x5010), Rule::END);
}

#[test]
fn realigned_and_signal_frames() {
    // def_cfa_expression breg6 -8, deref; expression rbp: breg6 0
    let drap = [0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0];
    let bytes = sections(USUAL, &drap, b"zR");
    let step = layout(Cfa::LoadedFromFrame(-8), SavedFp::AtFramePointer(0));
    assert_eq!(rule(&bytes, 0x5010).unpack(), step);
    // breg7 160 deref; rbp at rsp+120; ra at rsp+168, as glibc's __restore_rt
    let signal =
        [0x0f, 4, 0x77, 0xa0, 1, 0x06, 0x10, 6, 3, 0x77, 0xf8, 0, 0x10, 16, 3, 0x77, 0xa8, 1];
    let bytes = sections(&[], &signal, b"zRS");
    let step = Step::Leave(Layout {
        cfa: Cfa::LoadedFromStack(160),
        fp: SavedFp::AtStackPointer(120),
        ra: SavedRa::AtStackPointer(168),
        signal: true,
    });
    assert_eq!(rule(&bytes, 0x5010).unpack(), step);
}

#[test]
fn other_registers_are_unknown() {
    let bytes = sections(USUAL, &[0x0d, 3], b"zR");
    assert_eq!(rule(&bytes, 0x5010), Rule::UNKNOWN, "CFA by rbx");
    let bytes = sections(USUAL, &[0x09, 16, 0], b"zR");
    assert_eq!(rule(&bytes, 0x5010), Rule::UNKNOWN, "return address in rax");
}

#[test]
fn hostile_bytes_never_panic() {
    let good = sections(USUAL, FRAME_POINTER, b"zR");
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for length in 0..good.len() {
        let _ = rule(&good[..length], 0x5010);
    }
    for round in 0..200_000 {
        let mut bytes = good.clone();
        for _ in 0..=round % 4 {
            let at = next() as usize % bytes.len();
            bytes[at] = next() as u8;
        }
        let _ = rule(&bytes, 0x5000 + next() % 0x110);
        let _ = rule(&bytes, next());
    }
    for _ in 0..50_000 {
        let bytes: Vec<u8> = (0..next() % 200).map(|_| next() as u8).collect();
        let _ = rule(&bytes, next());
    }
}
