//! Who called: the state of the registers at the entry of malloc.

/// What the shim at the door saw, before anything was pushed.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Entry {
    /// The stack pointer: it points at the return address.
    pub sp: usize,
    /// The frame pointer register, whatever it holds.
    pub fp: usize,
}
