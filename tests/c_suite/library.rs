//! What the built library must look like from outside, read with binutils:
//! its name, its thread-local storage, what it imports, and that none of its
//! malloc functions calls another.
