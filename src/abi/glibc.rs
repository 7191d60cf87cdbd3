//! glibc's extensions (malloc.h): mallinfo, mallopt, malloc_trim, malloc_stats,
//! malloc_info. All are here so that a static link never pulls glibc's
//! malloc.o in beside us.

use super::runtime::REPORTER;
use crate::heap;
use crate::platform::linux::files;
use crate::units::Text;
use core::ffi::c_void;
use core::fmt::Write;

#[repr(C)]
struct MallInfo {
    arena: i32,
    ordblks: i32,
    smblks: i32,
    hblks: i32,
    hblkhd: i32,
    usmblks: i32,
    fsmblks: i32,
    uordblks: i32,
    fordblks: i32,
    keepcost: i32,
}

#[repr(C)]
struct MallInfo2 {
    arena: usize,
    ordblks: usize,
    smblks: usize,
    hblks: usize,
    hblkhd: usize,
    usmblks: usize,
    fsmblks: usize,
    uordblks: usize,
    fordblks: usize,
    keepcost: usize,
}

fn information() -> MallInfo2 {
    let (memory, statistics) = (heap::memory(), heap::statistics());
    MallInfo2 {
        arena: memory.mapped,
        ordblks: 0,
        smblks: 0,
        hblks: 0,
        hblkhd: 0,
        usmblks: memory.peak,
        fsmblks: statistics.held_bytes,
        uordblks: statistics.live_bytes,
        fordblks: memory.mapped.saturating_sub(statistics.live_bytes),
        keepcost: memory.largest_free,
    }
}

#[unsafe(no_mangle)]
extern "C" fn mallinfo2() -> MallInfo2 {
    information()
}

/// Fields are `int` (malloc.h): values above its range are cut to it.
#[unsafe(no_mangle)]
extern "C" fn mallinfo() -> MallInfo {
    let all = information();
    let cut = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
    MallInfo {
        arena: cut(all.arena),
        ordblks: 0,
        smblks: 0,
        hblks: 0,
        hblkhd: 0,
        usmblks: cut(all.usmblks),
        fsmblks: cut(all.fsmblks),
        uordblks: cut(all.uordblks),
        fordblks: cut(all.fordblks),
        keepcost: cut(all.keepcost),
    }
}

/// Every parameter is accepted (1) and none changes anything: glibc's knobs
/// tune parts that this heap does not have.
#[unsafe(no_mangle)]
extern "C" fn mallopt(_parameter: i32, _value: i32) -> i32 {
    1
}

#[unsafe(no_mangle)]
extern "C" fn malloc_trim(_pad: usize) -> i32 {
    i32::from(heap::trim())
}

#[unsafe(no_mangle)]
extern "C" fn malloc_stats() {
    let (memory, statistics) = (heap::memory(), heap::statistics());
    REPORTER.notice(format_args!(
        "{} bytes live after {} allocations; {} bytes in use, {} at peak, {} of metadata",
        statistics.live_bytes, statistics.allocations, memory.in_use, memory.peak, memory.metadata
    ));
}

unsafe extern "C" {
    fn fileno(stream: *mut c_void) -> i32;
    fn fflush(stream: *mut c_void) -> i32;
}

/// XML as glibc writes it, by the stream's descriptor; `options` must be 0.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc_info(options: i32, stream: *mut c_void) -> i32 {
    if options != 0 {
        return libc::EINVAL;
    }
    let (memory, statistics) = (heap::memory(), heap::statistics());
    let mut buffer = [0; 1024];
    let mut text = Text::new(&mut buffer);
    let _ = write!(
        text,
        "<malloc version=\"1\">\n<heap nr=\"0\">\n<system type=\"current\" size=\"{}\"/>\n\
         <system type=\"max\" size=\"{}\"/>\n<aspace type=\"total\" size=\"{}\"/>\n</heap>\n\
         <total type=\"live\" count=\"{}\" size=\"{}\"/>\n\
         <system type=\"current\" size=\"{}\"/>\n<system type=\"max\" size=\"{}\"/>\n\
         <aspace type=\"total\" size=\"{}\"/>\n</malloc>\n",
        memory.in_use,
        memory.peak,
        memory.mapped,
        statistics.allocations,
        statistics.live_bytes,
        memory.in_use,
        memory.peak,
        memory.mapped,
    );
    // SAFETY: the caller passes an open stream (malloc_info(3)).
    let descriptor = unsafe {
        fflush(stream);
        fileno(stream)
    };
    match files::write(descriptor, text.as_bytes()) {
        Ok(_) => 0,
        Err(error) => error.0,
    }
}
