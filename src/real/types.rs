//! Types of libc that the libc crate does not have.

use core::ffi::{c_char, c_int, c_void};

/// `struct hostent` (netdb.h).
#[repr(C)]
pub struct Hostent {
    pub name: *mut c_char,
    pub aliases: *mut *mut c_char,
    pub family: c_int,
    pub length: c_int,
    pub addresses: *const *const u8,
}

/// `cookie_io_functions_t` (stdio.h).
#[repr(C)]
pub struct Functions {
    pub read: unsafe extern "C" fn(*mut c_void, *mut c_char, libc::size_t) -> libc::ssize_t,
    pub write: unsafe extern "C" fn(*mut c_void, *const c_char, libc::size_t) -> libc::ssize_t,
    pub seek: unsafe extern "C" fn(*mut c_void, *mut i64, c_int) -> c_int,
    pub close: unsafe extern "C" fn(*mut c_void) -> c_int,
}

/// `struct _pthread_cleanup_buffer` (pthread.h).
#[repr(C)]
pub struct Cleanup {
    pub routine: *mut c_void,
    pub argument: *mut c_void,
    pub kind: c_int,
    pub before: *mut c_void,
}
