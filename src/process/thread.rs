//! The calling thread's state, which shim/thread.c lays into thread-local memory.

use crate::sys::arch;
use core::ffi::{c_int, c_void};

/// `struct portcullis_thread`.
#[repr(C)]
pub struct Thread {
    /// Its slot; null where it has none.
    pub slot: *mut c_void,
    /// The descriptor whose reads are looked at, plus one; 0 for none.
    pub watched: c_int,
    /// The hook that goes on in libc (src/real/straight.rs); 0 for none.
    pub straight: u32,
}

/// Where it lies: for the life of the thread, and only this thread touches it.
#[inline(always)]
pub fn this() -> *mut Thread {
    arch::thread_variable().cast()
}

/// Forgets that a hook was to go on in libc.
pub fn forget_straight() {
    // SAFETY: this thread's own memory, which nothing else writes to meanwhile.
    unsafe { (*this()).straight = 0 };
}
