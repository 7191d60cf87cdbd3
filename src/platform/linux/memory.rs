//! Memory of the process: mmap, mprotect, madvise, munmap, mremap.

use super::syscall::call;
use crate::platform::{Access, OsError};
use core::ptr::NonNull;

const ANONYMOUS: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

fn protection(access: Access) -> usize {
    (match access {
        Access::None => libc::PROT_NONE,
        Access::Read => libc::PROT_READ,
        Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
    }) as usize
}

pub(super) fn map(bytes: usize) -> Result<NonNull<u8>, OsError> {
    // SAFETY: a fresh anonymous mapping touches nothing that exists.
    let address = unsafe {
        call(
            libc::SYS_mmap,
            [0, bytes, protection(Access::ReadWrite), ANONYMOUS as usize, usize::MAX, 0],
        )?
    };
    super::own::note(address, bytes);
    NonNull::new(address as *mut u8).ok_or(OsError(libc::ENOMEM))
}

pub(super) fn map_at(address: usize, bytes: usize, access: Access) -> Result<(), OsError> {
    let flags = (ANONYMOUS | libc::MAP_FIXED_NOREPLACE) as usize;
    // SAFETY: MAP_FIXED_NOREPLACE never replaces an existing mapping.
    let got = unsafe {
        call(libc::SYS_mmap, [address, bytes, protection(access), flags, usize::MAX, 0])?
    };
    if got == address {
        return Ok(());
    }
    // Kernels before 4.17 take the address as a hint only.
    // SAFETY: the mapping was made two lines above and nobody knows it.
    let _ = unsafe { unmap(got, bytes) };
    Err(OsError(libc::EEXIST))
}

pub(super) unsafe fn protect(address: usize, bytes: usize, access: Access) -> Result<(), OsError> {
    // SAFETY: the range is the caller's (contract of `Platform::protect`).
    unsafe { call(libc::SYS_mprotect, [address, bytes, protection(access), 0, 0, 0]) }.map(drop)
}

pub(super) unsafe fn decommit(address: usize, bytes: usize) -> Result<(), OsError> {
    let advice = libc::MADV_DONTNEED as usize;
    // SAFETY: the range is the caller's (contract of `Platform::decommit`).
    unsafe { call(libc::SYS_madvise, [address, bytes, advice, 0, 0, 0]) }.map(drop)
}

pub(super) unsafe fn unmap(address: usize, bytes: usize) -> Result<(), OsError> {
    super::own::forget(address);
    // SAFETY: the range is the caller's (contract of `Platform::unmap`).
    unsafe { call(libc::SYS_munmap, [address, bytes, 0, 0, 0, 0]) }.map(drop)
}

pub(super) unsafe fn move_pages(old: usize, new: usize, bytes: usize) -> Result<(), OsError> {
    let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP) as usize;
    // SAFETY: both ranges are the caller's (contract of `Platform::move_pages`).
    unsafe { call(libc::SYS_mremap, [old, bytes, bytes, flags, new, 0]) }.map(drop)
}

pub(super) fn populate(address: usize, bytes: usize) {
    // SAFETY: the advice changes how the range is backed, not what it holds.
    let _ = unsafe {
        call(libc::SYS_madvise, [address, bytes, libc::MADV_POPULATE_WRITE as usize, 0, 0, 0])
    };
}

pub(super) fn advise_huge(address: usize, bytes: usize, wanted: bool) {
    let advice = if wanted { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
    // SAFETY: the advice changes how the range is backed, not what it holds.
    let _ = unsafe { call(libc::SYS_madvise, [address, bytes, advice as usize, 0, 0, 0]) };
}
