//! One heap from the registry behind three C functions, chosen by a feature.
//! These heaps want the size back at `free`; the measurement gives it.
#![no_std]

use core::alloc::Layout;

fn layout(size: usize) -> Layout {
    // SAFETY: 8 is a power of two, and the measurements ask for small sizes.
    unsafe { Layout::from_size_align_unchecked(size.max(1), 8) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[cfg(feature = "talc")]
mod heap {
    use super::*;
    use core::ptr::NonNull;
    use talc::{ErrOnOom, Span, Talc};

    static mut HEAP: Talc<ErrOnOom> = Talc::new(ErrOnOom);

    pub unsafe fn reset(memory: *mut u8, length: usize) {
        // SAFETY: one thread; the memory is the measurement's.
        unsafe {
            (&raw mut HEAP).write(Talc::new(ErrOnOom));
            let _ = (*&raw mut HEAP).claim(Span::from_base_size(memory, length));
        }
    }
    pub unsafe fn allocate(size: usize) -> *mut u8 {
        // SAFETY: one thread; the layout is not empty.
        unsafe { (*&raw mut HEAP).malloc(layout(size)) }
            .map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }
    pub unsafe fn free(pointer: *mut u8, size: usize) {
        // SAFETY: one thread; allocated above.
        unsafe { (*&raw mut HEAP).free(NonNull::new_unchecked(pointer), layout(size)) }
    }
}

#[cfg(feature = "rlsf")]
mod heap {
    use super::*;
    use core::ptr::NonNull;

    type Heap = rlsf::Tlsf<'static, u16, u16, 12, 16>;
    static mut HEAP: Heap = Heap::new();

    pub unsafe fn reset(memory: *mut u8, length: usize) {
        // SAFETY: one thread; the memory is the measurement's.
        unsafe {
            (&raw mut HEAP).write(Heap::new());
            let block = NonNull::slice_from_raw_parts(NonNull::new_unchecked(memory), length);
            let _ = (*&raw mut HEAP).insert_free_block_ptr(block);
        }
    }
    pub unsafe fn allocate(size: usize) -> *mut u8 {
        // SAFETY: one thread.
        unsafe { (*&raw mut HEAP).allocate(layout(size)) }
            .map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }
    pub unsafe fn free(pointer: *mut u8, _: usize) {
        // SAFETY: one thread; allocated above with this alignment.
        unsafe { (*&raw mut HEAP).deallocate(NonNull::new_unchecked(pointer), 8) }
    }
}

#[cfg(feature = "linked-list")]
mod heap {
    use super::*;
    use core::ptr::NonNull;
    use linked_list_allocator::Heap;

    static mut HEAP: Heap = Heap::empty();

    pub unsafe fn reset(memory: *mut u8, length: usize) {
        // SAFETY: one thread; the memory is the measurement's.
        unsafe {
            (&raw mut HEAP).write(Heap::empty());
            (*&raw mut HEAP).init(memory, length);
        }
    }
    pub unsafe fn allocate(size: usize) -> *mut u8 {
        // SAFETY: one thread.
        unsafe { (*&raw mut HEAP).allocate_first_fit(layout(size)) }
            .map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }
    pub unsafe fn free(pointer: *mut u8, size: usize) {
        // SAFETY: one thread; allocated above.
        unsafe { (*&raw mut HEAP).deallocate(NonNull::new_unchecked(pointer), layout(size)) }
    }
}

#[cfg(feature = "buddy")]
mod heap {
    use super::*;
    use buddy_system_allocator::Heap;
    use core::ptr::NonNull;

    static mut HEAP: Heap<20> = Heap::new();

    pub unsafe fn reset(memory: *mut u8, length: usize) {
        // SAFETY: one thread; the memory is the measurement's.
        unsafe {
            (&raw mut HEAP).write(Heap::new());
            (*&raw mut HEAP).init(memory as usize, length);
        }
    }
    pub unsafe fn allocate(size: usize) -> *mut u8 {
        // SAFETY: one thread.
        unsafe { (*&raw mut HEAP).alloc(layout(size)) }
            .map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }
    pub unsafe fn free(pointer: *mut u8, size: usize) {
        // SAFETY: one thread; allocated above.
        unsafe { (*&raw mut HEAP).dealloc(NonNull::new_unchecked(pointer), layout(size)) }
    }
}

/// # Safety
/// The memory is nobody else's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_reset(memory: *mut u8, length: usize) {
    // SAFETY: the caller's promise.
    unsafe { heap::reset(memory, length) }
}

/// # Safety
/// After `peer_reset`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_malloc(size: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { heap::allocate(size) }
}

/// # Safety
/// `pointer` came from `peer_malloc(size)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_free(pointer: *mut u8, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { heap::free(pointer, size) }
}
