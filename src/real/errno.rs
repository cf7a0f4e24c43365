//! errno, and what libc makes of the result of a system call.

use core::ffi::c_int;

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

/// The calling thread's errno.
pub fn errno() -> c_int {
    // SAFETY: libc gives the calling thread's errno.
    unsafe { *__errno_location() }
}

/// Sets errno and gives -1.
pub fn fail(errno: i32) -> c_int {
    // SAFETY: libc gives the calling thread's errno.
    unsafe { __errno_location().write(errno) };
    -1
}

/// What a raw system call gave, as libc gives it.
pub fn as_libc(result: isize) -> c_int {
    as_libc_size(result) as c_int
}

/// The same for a number of bytes.
pub fn as_libc_size(result: isize) -> libc::ssize_t {
    if result < 0 { fail(result.wrapping_neg() as i32) as libc::ssize_t } else { result }
}
