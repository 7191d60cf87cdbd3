//! Kinds of misuse, by the names that reports and devices give them.

/// Kinds of misuse, by AddressSanitizer's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// Bytes after a block were written (or touched, with guard pages).
    HeapBufferOverflow,
    /// Bytes before a block were written (or touched, with guard pages).
    HeapBufferUnderflow,
    /// A released block was written, or a pointer read from one was followed.
    HeapUseAfterFree,
    /// A block was released twice.
    DoubleFree,
    /// Something was released that no allocation returned.
    BadFree,
    /// Released by a function of another family.
    AllocDeallocMismatch,
    /// Sized or aligned delete with another size or alignment than new's.
    NewDeleteTypeMismatch,
    /// free_sized or free_aligned_sized with another size or alignment.
    SizeMismatch,
    /// A pointer read from memory that nobody had written yet was followed
    /// (MemorySanitizer's name).
    UseOfUninitializedValue,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [ErrorKind; 9] = [
        ErrorKind::HeapBufferOverflow,
        ErrorKind::HeapBufferUnderflow,
        ErrorKind::HeapUseAfterFree,
        ErrorKind::DoubleFree,
        ErrorKind::BadFree,
        ErrorKind::AllocDeallocMismatch,
        ErrorKind::NewDeleteTypeMismatch,
        ErrorKind::SizeMismatch,
        ErrorKind::UseOfUninitializedValue,
    ];

    /// The kind's name in records.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorKind::HeapBufferOverflow => "heap-buffer-overflow",
            ErrorKind::HeapBufferUnderflow => "heap-buffer-underflow",
            ErrorKind::HeapUseAfterFree => "heap-use-after-free",
            ErrorKind::DoubleFree => "double-free",
            ErrorKind::BadFree => "bad-free",
            ErrorKind::AllocDeallocMismatch => "alloc-dealloc-mismatch",
            ErrorKind::NewDeleteTypeMismatch => "new-delete-type-mismatch",
            ErrorKind::SizeMismatch => "size-mismatch",
            ErrorKind::UseOfUninitializedValue => "use-of-uninitialized-value",
        }
    }

    /// Whether the program goes on after the report even with
    /// `halt_on_error=1`.
    pub const fn is_harmless_alone(self) -> bool {
        matches!(self, ErrorKind::NewDeleteTypeMismatch | ErrorKind::SizeMismatch)
    }
}
