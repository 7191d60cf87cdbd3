//! Functions that a program has from a static library.

use heapwarden_symbols::for_each_bundled_function;

fn own_program() -> Vec<u8> {
    std::fs::read(std::env::current_exe().unwrap()).unwrap()
}

#[test]
fn functions_are_found_only_beside_their_origin() {
    let program = own_program();
    let count = |origin: &[u8]| {
        let mut mains = 0;
        let mut visit = |name: &[u8], _: u64, size: u64| {
            assert!(size > 0);
            mains += usize::from(name == b"main");
        };
        for_each_bundled_function(&program, origin, &[b"main"], &mut visit);
        mains
    };
    assert_eq!(count(b""), 1, "any origin");
    assert_eq!(count(b"no-such-file."), 0);
}

#[test]
fn bytes_cut_anywhere_have_none_and_do_no_harm() {
    let program = own_program();
    for length in (0..200).chain((1..100).map(|part| program.len() / 100 * part)) {
        for_each_bundled_function(&program[..length], b"", &[b""], &mut |_, _, _| {});
    }
}
