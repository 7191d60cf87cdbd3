//! Programs of operations on the arena, by the model, in each of its modes.
#![no_main]

#[path = "../../tests/arena_model/tried.rs"]
mod tried;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| if let Err(failure) = tried::try_bytes(bytes) {
    panic!("{failure}");
});
